/** The demo as `python -m certless demo` starts it, on free ports. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { INSECURE_HOST } from './chromium.js';
import { python } from '../gateway.js';
import { within } from '../within.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * Resolves when the demo runs. `insecure` and `secure` are origins of the shop, `vault` those of the vault, and
 * `mails` lists the mailbox. `log` is what it wrote to both outputs. `stop` ends it.
 */
export async function startDemo() {
  const child = spawn(python(), ['-m', 'certless', 'demo', '--port', '0'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => (log += `${line}\n`));
  createInterface({ input: child.stderr }).on('line', (line) => (log += `${line}\n`));
  // A test that is ended from outside leaves no demo behind.
  const atExit = () => child.kill('SIGKILL');
  process.once('exit', atExit);
  const told = new Promise((resolve, reject) => {
    const ports = new Map();
    lines.on('line', (line) => {
      const found = /^ *(\w+) +http:\/\/127\.0\.0\.1:(\d+)/.exec(line);
      if (found) ports.set(found[1], found[2]);
      if (ports.has('Shop') && ports.has('Vault')) resolve(ports);
    });
    child.once('error', reject);
    child.once('close', (status) => reject(new Error(`the demo ended: ${status}\n${log}`)));
  });
  const ports = await within(told, 'the demo says where it is');
  const originsOf = (name) => ({
    insecure: `http://${INSECURE_HOST}:${ports.get(name)}`,
    secure: `http://127.0.0.1:${ports.get(name)}`,
  });
  return {
    ...originsOf('Shop'),
    vault: originsOf('Vault'),
    /** All mails, newest first. With `after`, once there is a newer one than the mail with this id. */
    mails: async (after) => {
      const query = after === undefined ? '' : `?after=${after}`;
      return (await fetch(`${originsOf('Mailbox').secure}/mails.json${query}`)).json();
    },
    get log() {
      return log;
    },
    stop: async () => {
      const closed = once(child, 'close');
      child.kill();
      await within(closed, 'the demo has ended');
      process.off('exit', atExit);
    },
  };
}
