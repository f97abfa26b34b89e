/** Server-Sent Events: the format of HTML, and the connection that comes back. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from './limited.js';
import { utf8 } from '../src/common/codec.js';
import { login } from '../src/index.js';
import { EventParser } from '../src/session/eventSource.js';
import { CODE, HardenedGateway, refusal } from './hardenedGateway.js';
import { within } from './within.js';

const CASES = [
  ['data', 'data: a\n\n', [['message', 'a', '']]],
  ['a byte order mark', '\ufeffdata: a\n\n', [['message', 'a', '']]],
  ['CR, LF and CR LF', 'data: a\r\rdata: b\r\n\r\ndata: c\n\n', [['message', 'a', ''], ['message', 'b', ''], ['message', 'c', '']]],
  ['several lines', 'data: a\ndata\ndata:b\ndata:  c\n\n', [['message', 'a\n\nb\n c', '']]],
  ['comments and unknown fields', ': x\n:\nfoo: 1\ndata: a\n\n', [['message', 'a', '']]],
  ['a name, for one event', 'event: tick\ndata: a\n\ndata: b\n\n', [['tick', 'a', ''], ['message', 'b', '']]],
  ['without data there is no event', 'event: tick\n\ndata: b\n\n', [['message', 'b', '']]],
  ['empty data is data', 'data\n\ndata:\n\n', [['message', '', ''], ['message', '', '']]],
  ['an id stays', 'id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n', [['message', 'a', '1'], ['message', 'b', '1'], ['message', 'c', '']]],
  ['an id with NUL is ignored', 'id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n', [['message', 'a', '1'], ['message', 'b', '1']]],
  ['the end without an empty line', 'data: a\n\ndata: b\n', [['message', 'a', '']]],
  ['a colon in the value', 'data: a: b\n\n', [['message', 'a: b', '']]],
  ['other languages', 'data: Räksmörgås ☕\n\n', [['message', 'Räksmörgås ☕', '']]],
];

describe('the format', () => {
  const shown = (events) => events.map(({ type, data, lastEventId }) => [type, data, lastEventId]);
  for (const [name, text, expected] of CASES) {
    test(name, () => {
      const bytes = utf8(text);
      assert.deepEqual(shown(new EventParser('').feed(bytes)), expected);
      const slow = new EventParser('');
      assert.deepEqual(shown([...bytes].flatMap((byte) => slow.feed(Uint8Array.of(byte)))), expected);
    });
  }

  test('retry takes digits only; an id counts without an event', () => {
    const parser = new EventParser('before');
    parser.feed(utf8('retry: 10\nretry: 1.5\nretry: x\nid: 4\n'));
    assert.deepEqual([parser.retryMs, parser.lastEventId], [10, 'before']);
    parser.feed(utf8('\n'));
    assert.equal(parser.lastEventId, '4');
  });
});

describe('the connection', () => {
  let gateway;
  let session;
  let source;
  beforeEach(async () => {
    gateway = await new HardenedGateway().start();
    session = await login({ url: gateway.url, username: 'ann', code: () => CODE });
  });
  afterEach(async () => {
    source?.close();
    await gateway.stop();
  });

  /** Answers one after the other: each a list of texts, or a head, and `isCut`. */
  const answering = (...answers) => {
    gateway.streams = async function* (writer) {
      const { status = 200, type = 'text/event-stream', texts = [], isCut = false, isOpen = false } = answers.shift();
      yield await writer.head({ status, headers: [['Content-Type', type]], length: null }, 0);
      for (const text of texts) yield await writer.data(utf8(text), 0);
      if (isOpen) await new Promise(() => {});
      if (!isCut) yield await writer.final(0);
    };
  };
  const next = (type) => within(new Promise((resolve) => source.addEventListener(type, resolve, { once: true })), `the event ${type}`);
  const closed = async () => {
    while (source.readyState !== source.CLOSED) await next('error');
  };

  test('events, names, ids, handlers; 204 ends it', async () => {
    answering({ texts: ['retry: 1\nid: 1\ndata: a\n\n', 'event: tick\ndata: b\n\n'] }, { status: 204 });
    source = session.eventSource('/clock');
    const seen = [];
    source.onopen = () => seen.push(['open', source.readyState]);
    source.onmessage = ({ data, lastEventId, origin }) => seen.push([data, lastEventId, origin === gateway.url]);
    source.addEventListener('tick', ({ data }) => seen.push(['tick', data]));
    source.onerror = () => seen.push(['error', source.readyState]);
    assert.deepEqual([source.readyState, source.url, source.withCredentials], [0, `${gateway.url}/clock`, false]);
    await closed();
    assert.deepEqual(seen, [['open', 1], ['a', '1', true], ['tick', 'b'], ['error', 0], ['error', 2]]);
    const sent = new Map(gateway.asked.headers.map(([name, value]) => [name.toLowerCase(), value]));
    assert.deepEqual([sent.get('accept'), sent.get('last-event-id')], ['text/event-stream', '1']);
  });

  test('a stream that was cut off: again, after the last whole event', async () => {
    answering({ texts: ['retry: 1\nid: ☕\ndata: a\n\nid: 2\ndata: lost'], isCut: true }, { texts: ['data: b\n\n'], isOpen: true });
    source = session.eventSource('/clock');
    const first = await next('message');
    assert.equal((await next('error')).error.code, 'stream_broken');
    const second = await next('message');
    assert.deepEqual([first.data, second.data, second.lastEventId], ['a', 'b', '☕']);
    assert.equal(gateway.asked.headers.find(([name]) => name === 'last-event-id')[1], '\xe2\x98\x95');
    source.close();
    assert.equal(source.readyState, 2);
  });

  test('another type or status ends it, with a reason', async () => {
    for (const answer of [{ type: 'text/html' }, { status: 500 }, { type: 'text/event-streams' }]) {
      answering(answer);
      source = session.eventSource('/clock');
      const { error } = await next('error');
      assert.deepEqual([source.readyState, error.code], [2, 'no_events']);
    }
  });

  test('what is not sealed does not end it; a logout does', async () => {
    answering({ texts: ['retry: 1\n\n'] }, { texts: ['data: a\n\n'], isOpen: true });
    let messages = 0;
    gateway.harm.message = (answer) => {
      messages += 1;
      return messages === 2 ? refusal(500, 'internal') : answer;
    };
    source = session.eventSource('/clock');
    const causes = [];
    source.onerror = ({ error }) => causes.push(error?.code);
    assert.equal((await next('message')).data, 'a');
    assert.deepEqual(causes, [undefined, 'internal']);
    const ended = next('error');
    await session.close();
    await ended;
    await closed();
  });
});
