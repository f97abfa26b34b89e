/** Real applications as upstreams (tests/support/peers), in one process that starts them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { python } from './gateway.js';
import { within } from './within.js';

const SUPPORT = fileURLToPath(new URL('../../tests/support', import.meta.url));

/** Their addresses by name, and `stop`. */
export async function startPeers(...names) {
  const child = spawn(python(), ['-m', 'peers', ...names], { cwd: SUPPORT, stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const printed = Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    closed.then(([status]) => Promise.reject(new Error(`the peers ended: ${status}`))),
  ]);
  const [line] = await within(printed, 'the peers listen');
  return {
    urls: JSON.parse(line),
    stop: async () => {
      // It ends with its input, also when this process is killed.
      child.stdin.end();
      await within(closed, 'the peers have ended');
    },
  };
}
