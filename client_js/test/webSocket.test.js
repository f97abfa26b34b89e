/** WebSockets through a session: the standard's behaviour against the real gateway, and gateways that are not honest. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from './limited.js';
import { concat } from '../src/common/bytes.js';
import { utf8 } from '../src/common/codec.js';
import {
  AnswerNotTrusted,
  Cancelled,
  CertlessError,
  NoAnswer,
  NotLoggedIn,
  Refused,
  SocketRefused,
  SocketsNotAccepted,
  StreamAborted,
  StreamBroken,
  login,
} from '../src/index.js';
import { RECORD } from '../src/protocol/streams/records.js';
import { startGateway, startUpstream } from './gateway.js';
import { CODE, HardenedGateway } from './hardenedGateway.js';
import { CASES, toolsFor } from './socketCases.js';
import { within } from './within.js';

const until = (ws, type) => within(new Promise((resolve) => ws.addEventListener(type, resolve, { once: true })), `the event ${type}`);

/** The texts that arrive, and how it ends. */
async function ending(ws) {
  const texts = [];
  let cause;
  ws.addEventListener('message', ({ data }) => texts.push(data));
  ws.addEventListener('error', ({ error }) => (cause = error));
  const { code, reason, wasClean } = await until(ws, 'close');
  return { texts, cause, code, reason, wasClean };
}

describe('as WHATWG has it, with the real gateway', () => {
  let upstream;
  let gateway;
  let session;
  before(async () => {
    upstream = await startUpstream();
    gateway = await startGateway({ upstream: upstream.url });
    session = await login({ url: gateway.url, username: 'ann@example.org', code: () => gateway.mailbox.code('ann@example.org') });
  });
  after(async () => {
    await session?.close();
    await gateway?.stop();
    await upstream?.stop();
  });

  for (const [name, [work, expected]] of Object.entries(CASES)) {
    test(name, async () => {
      assert.deepEqual(await within(work(toolsFor(session.WebSocket, gateway.url)), name), expected);
    });
  }

  test('the service gets the close, the target and the cookies of the session', async () => {
    const ended = upstream.sockets.ended('/ws/info?x=%2F&y');
    const ws = new session.WebSocket('/ws/info?x=%2F&y');
    const { url, headers } = JSON.parse((await until(ws, 'message')).data);
    assert.equal(url, '/ws/info?x=%2F&y');
    // Node.js is no page, and has no origin.
    assert.deepEqual([headers.cookie, headers.origin], [undefined, undefined]);
    ws.close(3000, 'grüße');
    assert.deepEqual(await within(ended, 'the end at the service'), [3000, 'grüße']);
  });

  test('20,000 messages of 1 KiB, there and back', async () => {
    const ws = await toolsFor(session.WebSocket, gateway.url).open('/ws/echo');
    ws.binaryType = 'arraybuffer';
    const [count, size] = [20_000, 1024];
    let [left, length] = [count, 0];
    const all = new Promise((resolve, reject) => {
      ws.onclose = reject;
      ws.onmessage = ({ data }) => {
        length += data.byteLength;
        left -= 1;
        if (!left) resolve();
      };
    });
    for (let at = 0; at < count; at += 1) ws.send(new Uint8Array(size));
    await within(all, 'the last message', 110_000);
    assert.equal(length, count * size);
    ws.onclose = null;
    ws.close();
  });

  test('rsa-gcm', async () => {
    const username = 'rsa@example.org';
    const other = await login({ url: gateway.url, suite: 'rsa-gcm', username, code: () => gateway.mailbox.code(username) });
    const { open, echoed } = toolsFor(other.WebSocket, gateway.url);
    assert.equal(await echoed(await open('/ws/echo'), 'sealed'), 'sealed');
    await other.close();
  });

  test('classic has none', async () => {
    const username = 'classic@example.org';
    const other = await login({ url: gateway.url, suite: 'classic', username, code: () => gateway.mailbox.code(username) });
    const { cause, code } = await ending(new other.WebSocket('/ws/echo'));
    assert.deepEqual([cause.code, code], ['no_sockets', 1006]);
    await other.close();
  });
});

describe('when the gateway ends', () => {
  test('kill -9: 1006, and a new one after the next login', async () => {
    const upstream = await startUpstream();
    const gateway = await startGateway({ upstream: upstream.url });
    try {
      const code = () => gateway.mailbox.code('ann@example.org');
      const session = await login({ url: gateway.url, username: 'ann@example.org', code });
      const { open, echoed } = toolsFor(session.WebSocket, gateway.url);
      const ws = await open('/ws/echo');
      const ends = ending(ws);
      const gone = upstream.sockets.ended('/ws/echo');
      await gateway.end();
      const { cause, code: closed, wasClean } = await ends;
      assert.deepEqual([cause.constructor, closed, wasClean], [StreamBroken, 1006, false]);
      await within(gone, 'the service learns of it');
      const { cause: refused } = await ending(new session.WebSocket('/ws/echo'));
      assert.ok(refused instanceof NoAnswer, refused.stack);
      await gateway.restart();
      // The session is lost; the WebSocket renews it as a fetch does.
      assert.equal(await echoed(await open('/ws/echo'), 'again'), 'again');
      await session.close();
    } finally {
      await gateway.stop();
      await upstream.stop();
    }
  });
});

describe('against a gateway that is not honest', () => {
  let gateway;
  let session;
  let ws;
  beforeEach(async () => {
    gateway = await new HardenedGateway().start();
    session = await login({ url: gateway.url, username: 'ann', code: () => CODE });
  });
  afterEach(async () => {
    ws?.close();
    await session.close().catch(() => {});
    await gateway.stop();
  });

  /** The WebSocket; `peer` is the gateway's end, once it has accepted. */
  const connected = async (protocols) => {
    let opened;
    const peer = new Promise((resolve) => (opened = resolve));
    gateway.sockets = async (end) => {
      await end.accept({ headers: [['Set-Cookie', 'room=1']] });
      opened(end);
    };
    ws = new session.WebSocket('/chat', protocols);
    await until(ws, 'open');
    return peer;
  };
  const breaks = ({ cause, code, wasClean }) => {
    assert.ok(cause instanceof StreamBroken, cause?.stack);
    assert.deepEqual([code, wasClean], [1006, false]);
  };

  test('an echo in several fragments, and the request', async () => {
    gateway.sockets = async (peer, request) => {
      assert.deepEqual([request.target, request.protocols, request.recordBytes, request.headers], ['/chat?x', ['a', 'b'], 65_536, [['Host', new URL(gateway.url).host]]]);
      await peer.accept({ protocol: 'b' });
      peer.raw(concat(await peer.text('one ', true), await peer.text('and ', true)), await peer.text('two'));
      await peer.echo();
    };
    ws = new session.WebSocket('/chat?x', ['a', 'b']);
    assert.equal((await until(ws, 'message')).data, 'one and two');
    assert.equal(ws.protocol, 'b');
    assert.equal(gateway.handshake.headers['sec-websocket-protocol'], undefined);
    assert.equal(gateway.handshake.headers['sec-websocket-extensions'], undefined);
    const ends = ending(ws);
    ws.send('x');
    await until(ws, 'message');
    ws.close(3000, 'bye');
    const { code, wasClean } = await ends;
    assert.deepEqual([code, wasClean], [3000, true]);
  });

  const HARMS = {
    'a byte of a record changed': ([one, two, three]) => [one, two.map((byte, at) => (at === 9 ? byte ^ 1 : byte)), three],
    'a record left out': ([one, , three]) => [one, three],
    'a record repeated': ([one, two, three]) => [one, one, two, three],
    'two records exchanged': ([one, two, three]) => [one, three, two],
    'a record cut': ([one, two, three]) => [one, two.subarray(0, -5), three],
    'half a record in a message': ([one, two, three]) => [one, two.subarray(0, 9), concat(two.subarray(9), three)],
    'bytes after a record': ([one, two, three]) => [one, concat(two, Uint8Array.of(0)), three],
    'a length of 2^32 - 1': ([one]) => [one, Uint8Array.of(255, 255, 255, 255, 0)],
    'a message of the connection that is too long': ([one]) => [one, new Uint8Array(131_073)],
    'a text message of the connection': ([one]) => [one, 'text'],
  };
  for (const [name, harm] of Object.entries(HARMS)) {
    test(`${name}: 1006, and nothing after it`, async () => {
      const peer = await connected();
      const ends = ending(ws);
      peer.raw(...harm([await peer.text('one'), await peer.text('two'), await peer.text('three')]));
      await peer.close(1000, 'never read');
      const ended = await ends;
      breaks(ended);
      const genuine = name === 'bytes after a record' ? ['', 'one', 'one,two'] : ['', 'one'];
      assert.ok(genuine.includes(ended.texts.join()), ended.texts.join());
    });
  }

  test('the end of the connection is no close, whatever its code', async () => {
    for (const end of [(peer) => peer.ws.close(1000, 'forged'), (peer) => peer.ws.terminate(), (peer) => peer.ws.close()]) {
      const peer = await connected();
      const ends = ending(ws);
      end(peer);
      breaks(await ends);
    }
  });

  test('records that do not belong here', async () => {
    for (const [type, data] of [
      [RECORD.data, utf8('x')],
      [RECORD.head, Uint8Array.of(0, 1)],
      [RECORD.text, Uint8Array.of(2, 65)],
      [RECORD.text, Uint8Array.of(0, 0xff)],
      [RECORD.credit, new Uint8Array(4)],
      [RECORD.final, Uint8Array.of(1)],
      [RECORD.final, Uint8Array.of(3, 0xee)],
    ]) {
      const peer = await connected();
      const ends = ending(ws);
      peer.raw(await peer.writer.seal(type, data, 0));
      breaks(await ends);
    }
  });

  /** A WebSocket without the part that takes its messages. */
  const opened = async () => {
    let accepted;
    const peer = new Promise((resolve) => (accepted = resolve));
    gateway.sockets = (end) => end.accept().then(() => accepted(end));
    const { signal } = new AbortController();
    return { link: await session.openSocket(new URL('/chat', session.url), [], signal), peer: await peer };
  };

  test('more data than the credit', async () => {
    const { link, peer } = await opened();
    const data = concat(Uint8Array.of(0), new Uint8Array(60_000));
    for (let left = 5; left > 0; left -= 1) peer.raw(await peer.writer.seal(RECORD.binary, data, 0));
    // The client ends the connection before a program has taken anything.
    await assert.rejects(within(peer.next(), 'ABORT'), ({ reason }) => reason === 6);
    const reading = (async () => {
      for (;;) await link.read();
    })();
    await assert.rejects(within(reading, 'the end'), StreamBroken);
  });

  test('a program that does not take messages holds the gateway back, also with messages above the credit', async () => {
    const { link, peer } = await opened();
    // The last fragment of each has one byte.
    const [count, size] = [100, 4 * 65_518 + 1];
    for (let left = count; left > 0; left -= 1) peer.socket.send(RECORD.binary, new Uint8Array(size));
    const sending = (async () => {
      for (; peer.socket.bufferedBytes; await peer.arrival()) await peer.flush();
    })();
    let before = -1;
    while (before !== peer.socket.bufferedBytes) {
      before = peer.socket.bufferedBytes;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const sent = count * size - before;
    assert.ok(sent > size && sent < 4 * size, `${sent} bytes were sent to a program that takes none`);
    let length = 0;
    for (let got = 0; got < count; ) {
      const { messages } = await link.read();
      got += messages.length;
      length += messages.reduce((sum, message) => sum + message.length, 0);
    }
    assert.equal(length, count * size);
    await sending;
    link.cancel();
  });

  test('ABORT, with its reason', async () => {
    for (const [reason, words] of [[2, /upstream failed/], [4, /session has ended/]]) {
      const peer = await connected();
      const ends = ending(ws);
      peer.raw(await peer.writer.seal(RECORD.abort, Uint8Array.of(reason), 0));
      const { cause, code } = await ends;
      assert.ok(cause instanceof StreamAborted, cause.stack);
      assert.deepEqual([cause.reason, code], [reason, 1006]);
      assert.match(cause.message, words);
    }
  });

  test('a subprotocol that was not offered', async () => {
    gateway.sockets = (peer) => peer.accept({ protocol: 'c' });
    const { cause, code } = await ending((ws = new session.WebSocket('/chat', ['a'])));
    assert.ok(cause instanceof AnswerNotTrusted, cause.stack);
    assert.equal(code, 1006);
  });

  test('an answer that is none, and a refusal without a seal', async () => {
    gateway.sockets = async () => {};
    gateway.harm.socket = (peer) => peer.send(Buffer.from('{}'));
    const { cause } = await ending((ws = new session.WebSocket('/chat')));
    assert.ok(cause instanceof AnswerNotTrusted, cause.stack);
    gateway.harm.socket = (peer) => peer.close(1000);
    assert.ok((await ending((ws = new session.WebSocket('/chat')))).cause instanceof NoAnswer);
    gateway.harm.socket = (peer) => peer.close(4429, 'too_many');
    const { cause: refused } = await ending((ws = new session.WebSocket('/chat')));
    assert.deepEqual([refused.constructor, refused.status, refused.code], [Refused, 429, 'too_many']);
  });

  test('the application refuses, under the seal', async () => {
    gateway.sockets = async () => {};
    gateway.refuses = () => ({ status: 403, headers: [['X-Own', 'no'], ['Set-Cookie', 'seen=1; Path=/']], body: utf8('not you') });
    const { cause } = await ending((ws = new session.WebSocket('/chat')));
    assert.ok(cause instanceof SocketRefused, cause.stack);
    assert.deepEqual([cause.status, cause.headers.get('x-own'), Buffer.from(cause.body).toString()], [403, 'no', 'not you']);
    await session.fetch('/x');
    assert.deepEqual(gateway.asked.headers.find(([name]) => name === 'Cookie'), ['Cookie', 'seen=1']);
  });

  test('cookies of the handshake come back', async () => {
    await connected();
    ws.close();
    await connected();
    assert.deepEqual(gateway.asked.headers.slice(1), [['Cookie', 'room=1']]);
  });

  test('a gateway without sockets: one error that says so', async () => {
    const { cause, code } = await ending((ws = new session.WebSocket('/chat')));
    assert.ok(cause instanceof SocketsNotAccepted, cause.stack);
    assert.ok(cause instanceof CertlessError);
    assert.deepEqual([cause.code, cause.status, code], ['no_sockets', 404, 1006]);
    assert.equal(gateway.done.length, 0);
  });

  test('a corrected clock: a new connection', async () => {
    gateway.aheadMs = 3_600_000;
    await connected();
    assert.equal(gateway.counts.socket, 2);
  });

  test('a logout ends it', async () => {
    await connected();
    const ends = ending(ws);
    await session.close();
    const { cause, code } = await ends;
    assert.ok(cause instanceof StreamAborted, cause.stack);
    assert.deepEqual([cause.reason, code, ws.readyState], [4, 1006, 3]);
    const { cause: late } = await ending(new session.WebSocket('/chat'));
    assert.ok(late instanceof NotLoggedIn, late.stack);
  });

  test('close() while the application decides ends the connection', async () => {
    let ended;
    const gone = new Promise((resolve) => (ended = resolve));
    let begun;
    const asked = new Promise((resolve) => (begun = resolve));
    gateway.harm.socket = (peer) => {
      peer.on('close', ended);
      begun();
    };
    gateway.sockets = async () => {};
    ws = new session.WebSocket('/chat');
    const ends = ending(ws);
    await within(asked, 'the socket request');
    ws.close();
    const { cause, code } = await ends;
    assert.ok(cause instanceof Cancelled, cause.stack);
    assert.equal(code, 1006);
    await within(gone, 'the end of the connection');
  });
});
