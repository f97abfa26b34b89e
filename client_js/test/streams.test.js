/** Streams at the client (PROTOCOL §2.10): whole bodies, and everything that can happen to them on the way. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from './limited.js';
import { concat } from '../src/common/bytes.js';
import { utf8 } from '../src/common/codec.js';
import {
  AnswerNotTrusted,
  Cancelled,
  NoAnswer,
  OutcomeUnknown,
  StreamAborted,
  StreamBroken,
  StreamsNotAccepted,
  login,
} from '../src/index.js';
import { startGateway, startUpstream } from './gateway.js';
import { CODE, HardenedGateway, refusal } from './hardenedGateway.js';
import { within } from './within.js';

const SEVEN_MIB = 7 * 1024 * 1024;
const HEAD = { status: 200, headers: [['X-Own', 'caf\xc3\xa9']], length: null };

describe('against a gateway that is not honest', () => {
  let gateway;
  let session;
  beforeEach(async () => {
    gateway = await new HardenedGateway().start();
    session = await login({ url: gateway.url, username: 'ann', code: () => CODE });
  });
  afterEach(() => gateway.stop());

  /** The response to a request; `harm` changes its records. @param {(parts: Uint8Array[]) => Uint8Array[]} [harm] */
  const fetched = async (harm = (parts) => parts) => {
    gateway.streams = async function* (writer) {
      const parts = [await writer.head(HEAD, 0), await writer.data(utf8('first'), 0), await writer.data(utf8('second'), 0)];
      yield* harm([...parts, await writer.final(0)]);
    };
    return session.fetch('/x');
  };
  const breaks = (work) =>
    assert.rejects(work, (error) => {
      assert.ok(error instanceof StreamBroken, error.stack);
      assert.equal(error.code, 'stream_broken');
      assert.match(error.message, /^[A-Z].*\.$/);
      return true;
    });

  test('a response of several records, with the bytes of its header', async () => {
    const response = await fetched();
    assert.equal(response.headers.get('X-Own'), 'caf\xc3\xa9');
    assert.deepEqual(gateway.asked.headers.at(-1), ['Certless-Stream', '65536']);
    // An attacker can change the Host outside of the seal.
    assert.deepEqual(gateway.asked.headers.filter(([name]) => /^host$/i.test(name)), [['Host', new URL(gateway.url).host]]);
    assert.equal(await response.text(), 'firstsecond');
  });

  const HARMS = {
    'cut before FINAL': ([head, one, two]) => [head, one, two],
    'cut after a record': ([head, one]) => [head, one],
    'cut inside a record': ([head, one, two]) => [head, one, two.subarray(0, 9)],
    'cut after the head': ([head]) => [head],
    'a byte of a record changed': ([head, one, two, end]) => [head, one, two.map((byte, i) => (i === 9 ? byte ^ 1 : byte)), end],
    'two records exchanged': ([head, one, two, end]) => [head, two, one, end],
    'a record repeated': ([head, one, two, end]) => [head, one, one, two, end],
    'a record left out': ([head, , two, end]) => [head, two, end],
    'a length of 2^32 - 1': ([head, one]) => [head, one, Uint8Array.of(255, 255, 255, 255)],
    'bytes after FINAL': ([head, one, two, end]) => [head, one, two, concat(end, Uint8Array.of(0))],
  };
  for (const [name, harm] of Object.entries(HARMS)) {
    test(`${name}: reading throws`, async () => {
      const response = await fetched(harm);
      await breaks(response.arrayBuffer());
    });
  }

  test('bytes that come later than FINAL: reading throws', async () => {
    let goOn;
    const waiting = new Promise((resolve) => (goOn = resolve));
    gateway.streams = async function* (writer) {
      yield concat(await writer.head(HEAD, 0), await writer.data(utf8('all'), 0), await writer.final(0));
      await waiting;
      yield Uint8Array.of(1);
    };
    const reader = (await session.fetch('/x')).body.getReader();
    assert.equal(Buffer.from((await reader.read()).value).toString(), 'all');
    goOn();
    await breaks(reader.read());
  });

  test('more and less than the declared length', async () => {
    gateway.streams = async function* (writer) {
      yield await writer.head({ ...HEAD, length: 3 }, 0);
      yield await writer.data(utf8('four'), 0);
    };
    await breaks((await session.fetch('/x')).text());
    gateway.streams = async function* (writer) {
      yield await writer.head({ ...HEAD, length: 5 }, 0);
      yield await writer.data(utf8('four'), 0);
      yield await writer.final(0);
    };
    await breaks((await session.fetch('/x')).text());
  });

  test('cut inside the head or the grant: no response', async () => {
    await breaks(fetched(([head]) => [head.subarray(0, 9)]));
    gateway.harm.message = (answer) => (response) => {
      response.writeHead(200, { 'Content-Type': 'application/certless-stream' });
      response.end(Uint8Array.of(0, 0, 1, 0, 7));
    };
    await assert.rejects(session.fetch('/x'), NoAnswer);
    await assert.rejects(session.fetch('/x', { method: 'POST' }), OutcomeUnknown);
  });

  test('ABORT, with its reason', async () => {
    for (const [reason, words] of [[2, /upstream failed/], [4, /session has ended/], [9, /not known/]]) {
      gateway.streams = async function* (writer) {
        yield await writer.head(HEAD, 0);
        yield await writer.abort(reason, 0);
      };
      const response = await session.fetch('/x');
      await assert.rejects(response.text(), (error) => {
        assert.ok(error instanceof StreamAborted, error.stack);
        assert.equal(error.reason, reason);
        assert.match(error.message, words);
        return true;
      });
    }
  });

  test('a message of another kind than its Content-Type', async () => {
    gateway.harm.message = ({ body }) => (response) => {
      response.writeHead(200, { 'Content-Type': 'application/certless-stream' });
      response.end(concat(Uint8Array.of(0, 0, body.length >> 8, body.length & 255), body));
    };
    await assert.rejects(session.fetch('/x'), AnswerNotTrusted);
  });

  test('the response to HEAD has a length and no body; nor has a 204', async () => {
    for (const [method, status] of [['HEAD', 200], ['GET', 204]]) {
      gateway.streams = async function* (writer) {
        yield await writer.head({ ...HEAD, status, length: method === 'HEAD' ? 11 : null }, 0);
        yield await writer.final(0);
      };
      assert.equal((await session.fetch('/x', { method })).body, null);
    }
  });

  test('a reader that waits holds the gateway back', async () => {
    let sent = 0;
    let begun;
    const filled = new Promise((resolve) => (begun = resolve));
    gateway.streams = async function* (writer) {
      yield await writer.head(HEAD, 0);
      for (;;) {
        const timer = setTimeout(begun, 500);
        yield await writer.data(new Uint8Array(60_000), 0);
        clearTimeout(timer);
        sent += 60_000;
      }
    };
    const response = await session.fetch('/x');
    await within(filled, 'the gateway waits');
    assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes were sent to a reader that does not read`);
    await response.body.cancel();
  });

  const endless = async function* (writer) {
    yield await writer.head(HEAD, 0);
    yield await writer.data(utf8('first'), 0);
    await new Promise(() => {});
  };

  test('a logout ends streams', async () => {
    gateway.streams = endless;
    const reader = (await session.fetch('/x')).body.getReader();
    await reader.read();
    const next = reader.read();
    await session.close();
    await assert.rejects(next, StreamAborted);
  });

  test('a signal ends the body that is being read', async () => {
    gateway.streams = endless;
    const controller = new AbortController();
    const reader = (await session.fetch('/x', { signal: controller.signal })).body.getReader();
    await reader.read();
    const next = reader.read();
    controller.abort();
    await assert.rejects(next, Cancelled);
  });

  test('silence ends the body', async () => {
    const hasty = await login({ url: gateway.url, username: 'ann', code: () => CODE, timeoutMs: 500 });
    gateway.streams = endless;
    const reader = (await hasty.fetch('/x')).body.getReader();
    await reader.read();
    await breaks(reader.read());
  });

  const upload = (init = {}) => session.fetch('/up', { method: 'PUT', body: new Uint8Array(SEVEN_MIB), ...init });
  const received = (isVerified) =>
    async function* (writer, { body }, reader) {
      let length = 0;
      reader.feed(body);
      for (let part = await reader.next(); part; part = await reader.next()) length += part.length;
      assert.ok(reader.isComplete);
      yield await writer.head(HEAD, 0);
      yield await writer.data(utf8(`${length}`), 0);
      yield await writer.final(0, isVerified);
    };

  test('a large body is a stream request and its records', async () => {
    gateway.streams = received(true);
    assert.equal(await (await upload({ headers: { 'X-Own': 'caf\xc3\xa9' } })).text(), `${SEVEN_MIB}`);
    const { length, recordBytes, headers } = gateway.asked;
    const sent = [['x-own', 'caf\xc3\xa9'], ['Host', new URL(gateway.url).host]];
    assert.deepEqual([length, recordBytes, headers], [SEVEN_MIB, 65_536, sent]);
    assert.equal(gateway.counts.stream, 1);
  });

  test('2xx without the whole request is an error', async () => {
    gateway.streams = received(false);
    await assert.rejects((await upload()).text(), (error) => {
      assert.ok(error instanceof OutcomeUnknown, error.stack);
      return true;
    });
  });

  test('a gateway without streams: one error, and the body is not sent in another way', async () => {
    const counts = { ...gateway.counts };
    await assert.rejects(upload(), (error) => {
      assert.ok(error instanceof StreamsNotAccepted, error.stack);
      assert.deepEqual([error.code, error.status], ['no_streams', 404]);
      return true;
    });
    assert.deepEqual(gateway.counts, { ...counts, stream: 1 });
  });

  test('the body of a stream is sent once', async () => {
    gateway.streams = received(true);
    let bodies = 0;
    const { answer } = gateway;
    gateway.answer = async function (route, body) {
      const done = await answer.call(gateway, route, body);
      gateway.granted.clear();
      bodies += Number(route.startsWith('stream/'));
      return route.startsWith('stream/') ? refusal(403, 'rejected') : done;
    };
    await assert.rejects(upload(), OutcomeUnknown);
    assert.equal(bodies, 1);
  });

  test('a stream request is sent again after a corrected clock and in a new epoch', async () => {
    gateway.streams = received(true);
    gateway.aheadMs = 3_600_000;
    assert.equal(await (await upload()).text(), `${SEVEN_MIB}`);
    assert.equal(gateway.counts.stream, 2);
  });
});

describe('with the real gateway', () => {
  let upstream;
  let gateway;
  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway({ upstream: upstream.url });
  });
  after(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  for (const suite of ['ecdh-gcm', 'rsa-gcm']) {
    test(`${suite}: 20 MiB down, and up and back`, async () => {
      const username = `${suite}@example.org`;
      const session = await login({ url: gateway.url, suite, username, code: () => gateway.mailbox.code(username) });
      const size = 20 * 1024 * 1024;
      const down = Buffer.from(await (await session.fetch(`/blob?size=${size}`)).arrayBuffer());
      assert.ok(down.equals(Buffer.alloc(size, 0x5a)));
      const body = new Uint8Array(size).map((_, i) => i * 7);
      const back = await session.fetch('/bytes', { method: 'POST', body });
      assert.ok(Buffer.from(await back.arrayBuffer()).equals(Buffer.from(body)));
      await session.close();
    });
  }
});
