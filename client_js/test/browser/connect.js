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

/** `connect` with these arguments. Resolves to the first line that it prints, when it runs. */
async function start(...given) {
  const folder = await mkdtemp(join(tmpdir(), 'certless-connect-'));
  const child = spawn(python(), ['-m', 'certless', 'connect', ...given], {
    cwd: ROOT,
    env: { ...process.env, XDG_STATE_HOME: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  // A test that is ended from outside leaves no process behind.
  const atExit = () => child.kill('SIGKILL');
  process.once('exit', atExit);
  const [line] = await within(once(createInterface({ input: child.stdout }), 'line'), 'connect prints its address');
  return {
    line,
    stop: async () => {
      child.kill();
      await within(closed, 'connect has ended');
      process.off('exit', atExit);
      await rm(folder, { recursive: true });
    },
  };
}

/** Mapped mode. `door` admits one browser to the origin `own`; `stop` ends it. */
export async function startConnect(site) {
  const { line: door, stop } = await start(site, '--port', '0');
  return { door, own: new URL(door).origin, stop };
}

/** Proxy mode. `proxy` is what Playwright takes. */
export async function startProxy(...sites) {
  const { line, stop } = await start('--proxy', '127.0.0.1:0', ...sites);
  const { host, username, password } = new URL(line);
  return { door: sites[0], proxy: { server: `http://${host}`, username, password }, stop };
}

/** Logs in on the pages of `connect`. */
export async function logInAt(page, { door }, gateway, username) {
  await page.goto(door);
  await page.getByLabel('User name or mail address').fill(username);
  await page.getByRole('button', { name: 'Send me a code' }).click();
  await page.getByLabel('Code').fill(await gateway.mailbox.code(username));
  await page.getByRole('button', { name: 'Log in' }).click();
}
