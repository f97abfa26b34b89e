/** The demo as `python -m certless demo` starts it, on free ports. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { INSECURE_HOST } from './chromium.js';
import { python } from '../gateway.js';
import { within } from '../within.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Resolves when the demo runs. `insecure` and `secure` are origins of the shop; `stop` ends it. */
export async function startDemo() {
  const child = spawn(python(), ['-m', 'certless', 'demo', '--port', '0'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout });
  // A test that is ended from outside leaves no demo behind.
  const atExit = () => child.kill('SIGKILL');
  process.once('exit', atExit);
  const told = new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const found = /^ *Shop +http:\/\/127\.0\.0\.1:(\d+)/.exec(line);
      if (found) resolve(found[1]);
    });
    child.once('error', reject);
    child.once('close', (status) => reject(new Error(`the demo ended: ${status}`)));
  });
  const port = await within(told, 'the demo says where it is');
  return {
    insecure: `http://${INSECURE_HOST}:${port}`,
    secure: `http://127.0.0.1:${port}`,
    stop: async () => {
      const closed = once(child, 'close');
      child.kill();
      await within(closed, 'the demo has ended');
      process.off('exit', atExit);
    },
  };
}
