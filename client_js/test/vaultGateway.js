/** The real gateway with a vault, as a process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Mailbox, python } from './gateway.js';
import { within } from './within.js';

const PROGRAM = fileURLToPath(new URL('../../tests/support/vault_program.py', import.meta.url));

export async function startVault() {
  const folder = await mkdtemp(join(tmpdir(), 'certless-vault-'));
  const child = spawn(python(), [PROGRAM, folder], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.on('data', (data) => (log += data));
  const atExit = () => child.kill('SIGKILL');
  process.once('exit', atExit);
  const stop = async () => {
    process.off('exit', atExit);
    if (child.exitCode === null && child.signalCode === null) {
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await within(closed, 'the vault has ended');
    }
    await rm(folder, { recursive: true });
  };
  const serving = new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    child.once('close', (status) => reject(new Error(`the vault ended: ${status}\n${log}`)));
  });
  const port = await within(serving, 'the vault serves').catch(async (error) => {
    await stop();
    throw error;
  });
  return { url: `http://127.0.0.1:${port}`, folder, mailbox: new Mailbox(folder), stop };
}
