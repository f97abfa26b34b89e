/** A device with the Python client, as a process: its calls are those of tests/support/files_peer.py. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { python } from './gateway.js';
import { within } from './within.js';

const PROGRAM = fileURLToPath(new URL('../../tests/support/files_peer.py', import.meta.url));

/** `call(name, ...)` resolves to the result. An error of the vault has the name of its Python class. */
export async function startFilesPeer({ url, mailbox }, username, password) {
  const folder = await mkdtemp(join(tmpdir(), 'certless-peer-'));
  const child = spawn(python(), [PROGRAM, url, username, password, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.stdin.write(`${await mailbox.code(username)}\n`);
  return {
    call: async (name, ...values) => {
      child.stdin.write(`${JSON.stringify({ call: name, with: values })}\n`);
      const { value, done } = await within(lines.next(), `Python answers ${name}`);
      if (done) throw new Error(`the Python client ended before its answer to ${name}`);
      const { result, error } = JSON.parse(value);
      if (error) throw Object.assign(new Error(`${name}: ${error}`), { name: error });
      return result;
    },
    stop: async () => {
      // It ends with its input, also when this process is killed.
      child.stdin.end();
      await within(closed, 'the Python client has ended');
      await rm(folder, { recursive: true });
    },
  };
}
