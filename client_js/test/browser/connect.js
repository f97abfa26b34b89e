/** `certless connect` as a process: a site under a local address, for a browser. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { python } from '../gateway.js';
import { within } from '../within.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** Resolves when it runs. `door` admits one browser to the origin `own`; `stop` ends it. */
export async function startConnect(site) {
  const folder = await mkdtemp(join(tmpdir(), 'certless-connect-'));
  const child = spawn(python(), ['-m', 'certless', 'connect', site, '--port', '0'], {
    cwd: ROOT,
    env: { ...process.env, XDG_STATE_HOME: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  // A test that is ended from outside leaves no process behind.
  const atExit = () => child.kill('SIGKILL');
  process.once('exit', atExit);
  const [door] = await within(once(createInterface({ input: child.stdout }), 'line'), 'connect prints its address');
  return {
    door,
    own: new URL(door).origin,
    stop: async () => {
      child.kill();
      await within(closed, 'connect has ended');
      process.off('exit', atExit);
      await rm(folder, { recursive: true });
    },
  };
}

/** Logs in on the pages of `connect`. */
export async function logInAt(page, { door }, gateway, username) {
  await page.goto(door);
  await page.getByLabel('User name or mail address').fill(username);
  await page.getByRole('button', { name: 'Send me a code' }).click();
  await page.getByLabel('Code').fill(await gateway.mailbox.code(username));
  await page.getByRole('button', { name: 'Log in' }).click();
}
