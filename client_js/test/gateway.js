/** The real gateway as a process, a mail folder, and a small API behind it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, watch } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SocketUpstream } from './socketUpstream.js';
import { within } from './within.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CODE = /^(?:[0-9A-HJKMNP-TV-Z]{26}|[0-9A-HJKMNP-TV-Z]{8})\r?$/m;
export const MAX_BODY_BYTES = 12 * 1024 * 1024;
const SERVING = /serving http:\/\/127\.0\.0\.1:(\d+) /;

export function python() {
  const own = join(ROOT, '.venv', 'bin', 'python');
  return process.env.CERTLESS_PYTHON ?? (existsSync(own) ? own : 'python3');
}

/** A folder of mails; each code is taken once. */
export class Mailbox {
  #taken = new Set();

  constructor(folder) {
    this.folder = folder;
  }

  async #unread(address) {
    for (const name of await readdir(this.folder)) {
      if (!name.endsWith('.eml') || this.#taken.has(name)) continue;
      const text = await readFile(join(this.folder, name), 'utf8');
      if (!text.includes(`\nTo: ${address}\r`) && !text.includes(`\nTo: ${address}\n`)) continue;
      this.#taken.add(name);
      return CODE.exec(text)[0].trim();
    }
    return null;
  }

  /** The code of the next mail to `address`, once it is there. */
  async code(address) {
    const waiting = new AbortController();
    try {
      return await within(this.#next(address, waiting.signal), `a mail to ${address}`);
    } finally {
      waiting.abort();
    }
  }

  /** @param {string} address @param {AbortSignal} signal ends the wait */
  async #next(address, signal) {
    const watcher = watch(this.folder);
    try {
      for (;;) {
        // Watched before it is looked at: a mail that comes in between is an event that waits.
        const changed = once(watcher, 'change', { signal });
        // The mail may be there before a test waits for it.
        changed.catch(() => {});
        const code = await this.#unread(address);
        if (code) return code;
        await changed;
      }
    } finally {
      watcher.close();
    }
  }
}

/**
 * Runs `gateway serve`; `restart` forgets every session, unless it `remembers`, and keeps the port.
 * `config` are lines of its gateway.toml.
 */
export async function startGateway({ dialect = 'article-2016', upstream, options: more = [], config: lines = [], remembers = false }) {
  const folder = await mkdtemp(join(tmpdir(), 'certless-test-'));
  const config = join(folder, 'gateway.toml');
  // Binary data is base64 twice: 5 MiB become 8.9. Most of these gateways do not need 16 pairs.
  const often = ['logins', 'logins_per_user', 'logins_per_address'].map((limit) => `${limit} = "none"`);
  await writeFile(config, [`max_body_bytes = ${MAX_BODY_BYTES}`, 'key_pool_size = 2', ...often, ...lines, ''].join('\n'));
  const store = remembers ? ['--store', `sqlite:${join(folder, 'sessions.db')}`, '--key-file', join(folder, 'key')] : [];
  const options = [...more, ...store];
  let port = 0;
  let child;
  let log = '';

  const start = async () => {
    const listen = ['--config', config, '--listen', `127.0.0.1:${port}`, '--dialect', dialect];
    const given = ['--any-address', '--mail', `dir:${folder}`, '--upstream', upstream, ...options];
    child = spawn(python(), ['-m', 'gateway', 'serve', ...listen, ...given], {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const serving = new Promise((resolve, reject) => {
      createInterface({ input: child.stderr }).on('line', (line) => {
        log += `${line}\n`;
        const found = SERVING.exec(line);
        if (found) resolve(Number(found[1]));
      });
      child.once('error', reject);
      child.once('close', (status) => reject(new Error(`the gateway ended: ${status}\n${log}`)));
    });
    port = await within(serving, 'the gateway serves');
  };
  const end = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await within(closed, 'the gateway has ended');
  };

  const command = async (...words) => {
    const given = ['-m', 'gateway', ...words, ...store];
    const { stdout } = await promisify(execFile)(python(), given, { cwd: ROOT, timeout: 60_000 });
    return stdout.trim();
  };

  // A test that is ended from outside leaves no gateway behind.
  const atExit = () => child.kill('SIGKILL');
  process.once('exit', atExit);
  await start().catch(async (error) => {
    await end();
    await rm(folder, { recursive: true });
    throw error;
  });
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    mailbox: new Mailbox(folder),
    get log() {
      return log;
    },
    end,
    /** The code that an operator issues for a device of a user, beside a gateway that `remembers`. */
    issueCode: (name, device) => command('code', 'issue', name, '--device', device),
    /** The key for the devices on the admin page. */
    operatorKey: () => command('devices', 'key'),
    restart: async () => {
      await end();
      await start();
    },
    stop: async () => {
      await end();
      process.off('exit', atExit);
      await rm(folder, { recursive: true });
    },
  };
}

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * `/echo` describes the request, `/bytes` returns the body, `/blob?size` returns so many bytes, `/status?code`
 * a status, `/hold` answers when `release` is called, `/events` sends what the test sends by `eventSource`.
 */
export async function startUpstream(pages = {}) {
  let held = [];
  const arrivals = [];
  // Connections for events, and those that wait for one.
  const sources = [];
  const awaited = [];
  const counts = new Map();
  const server = http.createServer(async (request, response) => {
    const url = new URL(request.url, 'http://upstream');
    const body = await bodyOf(request);
    const json = { 'Content-Type': 'application/json' };
    counts.set(url.pathname, (counts.get(url.pathname) ?? 0) + 1);
    if (pages[url.pathname]) {
      const { type, body: content, status = 200, headers: more = {} } = pages[url.pathname];
      response.writeHead(status, { ...(type && { 'Content-Type': type }), ...more });
      response.end(content);
      return;
    }
    switch (url.pathname) {
      case '/bytes':
        response.writeHead(200, { 'Content-Type': request.headers['content-type'] ?? 'text/plain' });
        response.end(body);
        break;
      case '/blob':
        response.end(Buffer.alloc(Number(url.searchParams.get('size')), 0x5a));
        break;
      case '/status':
        response.writeHead(Number(url.searchParams.get('code')), { Location: '/elsewhere' });
        response.end();
        break;
      case '/cookies':
        response.writeHead(200, [['X-Two', 'a'], ['X-Two', 'b']].flat());
        response.end();
        break;
      case '/events':
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        response.write('retry: 10\n\n');
        sources.push({ lastEventId: request.headers['last-event-id'], cookie: request.headers.cookie, send: (text) => response.write(text), end: () => response.end() });
        awaited.splice(0).forEach((arrived) => arrived());
        break;
      case '/hold':
        held.push(() => response.end('released'));
        arrivals.splice(0).forEach((arrived) => arrived());
        break;
      default: {
        const { method, headers } = request;
        response.writeHead(200, json);
        response.end(JSON.stringify({ method, path: request.url, headers, body: body.toString() }));
      }
    }
  });
  const sockets = new SocketUpstream(server);
  // The gateway keeps connections; one that ends as it is used would be a 502.
  server.keepAliveTimeout = 600_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** How often a path was asked for. */
    count: (path) => counts.get(path) ?? 0,
    /** Resolves once so many requests are held. */
    holding: async (count = 1) => {
      while (held.length < count) {
        await within(new Promise((resolve) => arrivals.push(resolve)), `${count} requests at /hold`);
      }
    },
    /** The next connection for events. */
    eventSource: async () => {
      while (!sources.length) await within(new Promise((resolve) => awaited.push(resolve)), 'a connection for events');
      return sources.shift();
    },
    sockets,
    release: () => held.splice(0).forEach((release) => release()),
    stop: async () => {
      sockets.stop();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
