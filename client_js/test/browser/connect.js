/** `certless connect` as a process: a site under a local address, for a browser. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { python, startGateway } from '../gateway.js';
import { within } from '../within.js';
import { INSECURE_HOST } from './chromium.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * `connect` with these arguments. Resolves to the first line that it prints, when it runs. A folder that is
 * `kept` stays. `path` is where programs are found. `stop` throws if `connect` has reported an error.
 */
async function start(given, kept = undefined, path = undefined) {
  const folder = kept ?? (await mkdtemp(join(tmpdir(), 'certless-connect-')));
  const child = spawn(python(), ['-m', 'certless', 'connect', ...given], {
    cwd: ROOT,
    env: { ...process.env, XDG_STATE_HOME: folder, PATH: path ?? process.env.PATH },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text) => (errors += text));
  const closed = once(child, 'close');
  // A test that is ended from outside leaves no process behind.
  const atExit = () => child.kill('SIGKILL');
  process.once('exit', atExit);
  const printed = Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    closed.then(() => Promise.reject(new Error(`connect ended: ${errors}`))),
  ]);
  const [line] = await within(printed, 'connect prints its address');
  return {
    line,
    stop: async () => {
      child.kill();
      await within(closed, 'connect has ended');
      process.off('exit', atExit);
      assert.equal(errors, '');
      if (!kept) await rm(folder, { recursive: true });
    },
    closed: () => within(closed, 'connect has ended'),
  };
}

/** Mapped mode. `door` admits one browser to the origin `own`; `stop` ends it. */
export async function startConnect(site, folder = undefined) {
  const { line: door, stop } = await start([site, '--port', '0'], folder);
  return { door, own: new URL(door).origin, stop };
}

/** Proxy mode. `proxy` is what Playwright takes. */
export async function startProxy(...sites) {
  const { line, stop } = await start(['--proxy', '127.0.0.1:0', ...sites]);
  const { host, username, password } = new URL(line);
  return { door: sites[0], proxy: { server: `http://${host}`, username, password }, stop };
}

/**
 * A site that is shown with `--browser`, after `logIn`. `program` is the name of a browser, and `command` starts it
 * without a window. Its page tries to open another site in plain HTTP, at the host that `run` takes; `seen` gets what
 * arrives there.
 */
export async function showInOwnBrowser({ program, command, logIn }) {
  const folder = await mkdtemp(join(tmpdir(), 'certless-connect-'));
  const script = join(folder, program);
  await writeFile(script, `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 });
  const seen = [];
  const other = http.createServer(({ url }, response) => {
    seen.push(url);
    response.end();
  });
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  // WebRTC searches for a path by UDP (STUN).
  const datagrams = dgram.createSocket('udp4');
  datagrams.on('message', () => seen.push('a datagram'));
  datagrams.bind(other.address().port, '127.0.0.1');
  await once(datagrams, 'listening');
  let isLoggedIn = false;
  const arrived = new Map();
  const arrival = (path) => within(new Promise((resolve) => arrived.set(path, resolve)), `${path} arrives`);
  // The last thing that a page can send is that it is left: the browser has the other page then.
  const page = (host) => `<!doctype html><title>site</title><script>
    onpagehide = () => navigator.sendBeacon('/left');
    const port = ${other.address().port};
    const search = async () => {
      if (!globalThis.RTCPeerConnection) return;
      const peer = new RTCPeerConnection({ iceServers: [{ urls: 'stun:127.0.0.1:' + port }] });
      const gathered = new Promise((resolve) => {
        peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && resolve();
      });
      peer.createDataChannel('a');
      await peer.setLocalDescription(await peer.createOffer());
      await gathered;
    };
    fetch('/came').then(search).then(() => (location = 'http://${host}:' + port + '/secret'));
  </script>`;
  let elsewhere = INSECURE_HOST;
  const site = http.createServer((request, response) => {
    arrived.get(request.url)?.();
    response.writeHead(200, { 'Content-Type': 'text/html' });
    response.end(request.url === '/' && isLoggedIn ? page(elsewhere) : '');
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  const gateway = await startGateway({ upstream: `http://127.0.0.1:${site.address().port}` });
  const first = await startConnect(gateway.url, folder);
  await logIn(first, gateway);
  await first.stop();
  isLoggedIn = true;
  const [state] = await readdir(join(folder, 'certless', 'connect'));
  return {
    /** The folder for profiles. */
    profiles: join(folder, 'certless', 'connect', state, 'browsers'),
    /** Runs it until the page has tried to leave; the arguments of all processes meanwhile. */
    run: async (host = INSECURE_HOST) => {
      elsewhere = host;
      const came = arrival('/came');
      const left = arrival('/left');
      const shown = await start([gateway.url, '--port', '0', '--browser'], folder, folder);
      await came;
      const processes = await commandLines();
      await left;
      return { ...shown, processes };
    },
    folder,
    seen,
    stop: async () => {
      await gateway.stop();
      datagrams.close();
      for (const server of [site, other]) {
        server.closeAllConnections();
        server.close();
      }
      await rm(folder, { recursive: true, maxRetries: 5 });
    },
  };
}

/** What every user of the machine can read of processes. */
export async function commandLines() {
  const numbers = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(numbers.map((number) => readFile(`/proc/${number}/cmdline`, 'utf8').catch(() => '')));
  return lines.map((line) => line.replaceAll('\0', ' '));
}

/** Logs in on the pages of `connect`. */
export async function logInAt(page, { door }, gateway, username) {
  await page.goto(door);
  await page.getByLabel('User name or mail address').fill(username);
  await page.getByRole('button', { name: 'Send me a code' }).click();
  await page.getByLabel('Code').fill(await gateway.mailbox.code(username));
  await page.getByRole('button', { name: 'Log in' }).click();
}
