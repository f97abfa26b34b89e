/** Unauthenticated answers: the client reads little, for a limited time, with one clear error. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { after, afterEach, describe, test } from './limited.js';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { Cancelled, AnswerNotTrusted, NoAnswer, Refused, login } from '../src/index.js';
import { MAX_ENVELOPE_MARKS, parseJsonEnvelope, utf8 } from '../src/common/codec.js';
import { MalformedMessage } from '../src/common/errors.js';
import { MAX_MSGPACK_PARTS, parseMsgpack } from '../src/protocol/msgpack.js';
import { CODE, HardenedGateway } from './hardenedGateway.js';

const MIB = 2 ** 20;
// The buffers of a connection on both sides.
const IN_BUFFERS = 12 * MIB;
const LISTS = gzipSync(`{"error":[${'[],'.repeat(20 * MIB)}[]]}`);
const SUITES = ['ecdh-gcm', 'classic'];

const head = (status, type, ...more) =>
  [`HTTP/1.1 ${status} X`, `Content-Type: ${type}`, 'Connection: close', ...more, '', ''].join('\r\n');
const packed = `Content-Encoding: gzip\r\nContent-Length: ${LISTS.length}`;
const typeFor = (suite) => (suite === 'classic' ? 'application/json' : 'application/msgpack');

/** A server that sends `first`, and then `more` until the client disconnects. */
class HostileSocket {
  sockets = new Set();
  server = net.createServer((socket) => this.#serve(socket));

  async start(first, more = null, everyMs = 0) {
    Object.assign(this, { first, more, everyMs });
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  #serve(socket) {
    this.sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', (request) => {
      this.request = String(request);
      socket.write(this.first);
      if (!this.more) return;
      if (this.everyMs) {
        const timer = setInterval(() => socket.write(this.more), this.everyMs);
        socket.on('close', () => clearInterval(timer));
        return;
      }
      const send = () => {
        while (!socket.destroyed && socket.write(this.more));
      };
      socket.on('drain', send);
      send();
    });
  }

  /** How much left for the client, of all connections. */
  get sent() {
    return [...this.sockets].reduce((sum, { bytesWritten, writableLength }) => sum + bytesWritten - writableLength, 0);
  }

  async stop() {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
  }
}

let server;
const hostile = async (...given) => (server = await new HostileSocket().start(...given));
afterEach(async () => {
  await server?.stop();
  server = undefined;
});
const enter = (suite, more = {}) =>
  login({ url: server.url, suite, username: 'ann', code: () => '0'.repeat(26), ...more });
const isNoGateway = (error) => {
  assert.ok(error instanceof Refused, error.stack);
  return true;
};

for (const suite of SUITES) {
  describe(`an answer to a login in ${suite}`, () => {
    const type = typeFor(suite);
    const many = Buffer.from('[],'.repeat(20_000));
    /** @type {Record<string, [string | Buffer, (Buffer | null)?]>} */
    const ANSWERS = {
      '403, unpacked 60 MiB': [Buffer.concat([Buffer.from(head(403, type, packed)), LISTS])],
      '200, unpacked 60 MiB of another type': [Buffer.concat([Buffer.from(head(200, 'a/b', packed)), LISTS])],
      '403 without end': [head(403, type) + '{"error":[', many],
      'a page without end': [head(200, 'text/html'), many],
      'another place': [head(307, type, 'Location: http://127.0.0.1:1/', 'Content-Length: 0')],
      '403 in chunks of a byte': [head(403, type, 'Transfer-Encoding: chunked'), Buffer.from('1\r\n[\r\n'.repeat(9999))],
    };
    for (const [name, [first, more]] of Object.entries(ANSWERS)) {
      test(name, async () => {
        await hostile(first, more);
        await assert.rejects(enter(suite), isNoGateway);
        assert.ok(server.sent < IN_BUFFERS, `${server.sent} bytes`);
        assert.match(server.request, /accept-encoding: identity\r\n/i);
      });
    }

    test('200 without end', async () => {
      await hostile(head(200, type), many);
      const code = suite === 'classic' ? 'no_gateway' : 'answer_not_trusted';
      await assert.rejects(enter(suite), { code });
      assert.ok(server.sent < IN_BUFFERS, `${server.sent} bytes`);
    });

    test('headers without end', async () => {
      await hostile('HTTP/1.1 200 OK\r\n', Buffer.from('X-A: bbbbbbbbbbbbbbbb\r\n'.repeat(3000)));
      await assert.rejects(enter(suite), NoAnswer);
      assert.ok(server.sent < IN_BUFFERS, `${server.sent} bytes`);
    });

    test('60 MiB in 0.2 MB take no memory', async () => {
      await hostile(Buffer.concat([Buffer.from(head(200, type, packed)), LISTS]));
      const program = `
        import { login } from ${JSON.stringify(new URL('../src/index.js', import.meta.url).href)};
        const peak = () => process.resourceUsage().maxRSS / 1024;
        const before = peak();
        const failed = await login({ url: '${server.url}', suite: '${suite}', username: 'ann', code: () => '' }).catch((e) => e);
        console.log(JSON.stringify({ code: failed.code, grown: peak() - before }));`;
      const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { timeout: 60_000 });
      const { code, grown } = JSON.parse((await run).stdout);
      assert.match(code, /^(no_gateway|answer_not_trusted)$/);
      assert.ok(grown < 64, `${grown} MiB`);
    });

    for (const [name, first] of Object.entries({
      'nothing': 'HTTP/1.1 ',
      'a refusal': head(403, type, 'Content-Length: 1000000'),
      'an answer': head(200, type, 'Content-Length: 1000000'),
    })) {
      test(`a dripping answer ends in time: ${name}`, async () => {
        await hostile(first, Buffer.from(' '), 10);
        await assert.rejects(enter(suite, { timeoutMs: 300 }), (error) => {
          assert.ok(error instanceof NoAnswer, error.stack);
          assert.equal(/** @type {Error} */ (error.cause).name, 'TimeoutError');
          return true;
        });
      });

      test(`a dripping answer ends with its signal: ${name}`, async () => {
        await hostile(first, Buffer.from(' '), 10);
        const controller = new AbortController();
        const entered = enter(suite, { signal: controller.signal });
        const [socket] = await once(server.server, 'connection');
        await once(socket, 'data');
        controller.abort();
        await assert.rejects(entered, Cancelled);
      });
    }
  });
}

describe('an answer in a session', () => {
  let gateway;
  after(() => gateway?.stop());

  test('a dripping answer: OutcomeUnknown for POST, NoAnswer for GET', async () => {
    gateway = await new HardenedGateway().start();
    const session = await login({ url: gateway.url, username: 'ann', code: () => CODE, timeoutMs: 4000 });
    gateway.harm.message = () => (response) => {
      response.writeHead(200, { 'Content-Type': 'application/msgpack' });
      const timer = setInterval(() => response.write(' '), 10);
      response.on('close', () => clearInterval(timer));
    };
    await Promise.all([
      assert.rejects(session.fetch('/'), NoAnswer),
      assert.rejects(session.fetch('/', { method: 'POST' }), { code: 'outcome_unknown' }),
    ]);
    gateway.harm = {};
    assert.equal((await session.fetch('/')).status, 200);
    gateway.harm.message = () => (response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<p>');
    await assert.rejects(session.fetch('/'), { code: 'no_gateway' });
    gateway.harm.message = () => ({ body: Buffer.from(`81a161dc0080${`dc0080${'90'.repeat(128)}`.repeat(128)}`, 'hex') });
    await assert.rejects(session.fetch('/'), AnswerNotTrusted);
    gateway.harm = {};
    await session.close();
  });
});

test('unsealed messages have few values, counted before parsing', () => {
  const of = (marks) => utf8(`{"a":"${','.repeat(marks - 1)}"}`);
  assert.equal(Object.keys(parseJsonEnvelope(of(MAX_ENVELOPE_MARKS))).length, 1);
  assert.throws(() => parseJsonEnvelope(of(MAX_ENVELOPE_MARKS + 1)), MalformedMessage);
  const row = [0xdc, 0, 63, ...Array(63).fill(0x90)];
  const lists = (head, rows) => Uint8Array.from([...head, ...Array(rows).fill(row).flat()]);
  const parts = 1 + 15 * 64;
  assert.ok(parts <= MAX_MSGPACK_PARTS && parts + 64 > MAX_MSGPACK_PARTS);
  assert.ok(parseMsgpack(lists([0x9f], 15)));
  assert.throws(() => parseMsgpack(lists([0xdc, 0, 16], 16)), /too many arrays and maps/);
});

test('timeoutMs must be a valid time', async () => {
  for (const timeoutMs of [0, -1, Infinity, NaN, '1', 2 ** 31]) {
    const given = { url: 'http://127.0.0.1:1', username: 'ann', code: () => CODE, timeoutMs: /** @type {any} */ (timeoutMs) };
    await assert.rejects(login(given), TypeError);
  }
});
