/**
 * What a WebSocket does by WHATWG's standard, for `session.WebSocket` in Node.js, Chromium and Firefox.
 *
 * The behaviours are those that the websockets/ cases of web-platform-tests describe; the tests are our own. Each case is a
 * function of `t` (made by `toolsFor`) and the value that it must return. It also runs in a page, so it uses nothing of
 * this module.
 *
 * Left out, because a script cannot have it, or because it has no meaning inside a session:
 * - `isTrusted` of events, `Object.prototype.toString`, `length` and order of properties (idlharness): it is a class of ours.
 * - Blocked ports, HSTS, mixed content, credentials in the URL, `Sec-WebSocket-*` fields, `Referer`: the outer WebSocket is
 *   the browser's own, and a socket request has none of these.
 * - Cookies of `document.cookie`: a session has a jar of its own (cookies.test.js).
 * - Extensions: there are none, because the length of compressed plaintext tells about it.
 * - URLs of other hosts: the gateway is the only host. They are a SecurityError (a case below).
 * - Documents that are unloaded, frozen or kept (bfcache), workers that shut down, garbage collection: the connection is
 *   that of the engine's Worker, which ends with the page.
 * - An invalid URL whose error names the line of a script, `WebSocketStream`, and `close()` while the browser is offline.
 */

/** Runs in a page. @param {typeof WebSocket} Class @param {string} origin of the gateway */
export function toolsFor(Class, origin) {
  const until = (target, type) => new Promise((resolve) => target.addEventListener(type, resolve, { once: true }));
  const tools = {
    Class,
    origin,
    host: new URL(origin).host,
    until,
    make: (path, protocols) => new Class(path, protocols),
    /** An open WebSocket. */
    open: async (path, protocols) => {
      const ws = new Class(path, protocols);
      const failed = until(ws, 'error').then(({ error }) => {
        throw error;
      });
      failed.catch(() => {});
      await Promise.race([until(ws, 'open'), failed]);
      return ws;
    },
    /** What the service echoes. */
    echoed: async (ws, data) => {
      const answer = until(ws, 'message');
      ws.send(data);
      return (await answer).data;
    },
    bytes: async (data) => [...new Uint8Array(data instanceof Blob ? await data.arrayBuffer() : data)],
    /** How it ends. */
    end: async (ws) => {
      const seen = [];
      ws.addEventListener('error', () => seen.push('error'));
      const { code, reason, wasClean } = await until(ws, 'close');
      return [...seen, code, reason, wasClean, ws.readyState];
    },
    /** The name of what `work` throws. */
    thrown: (work) => {
      try {
        work();
        return 'nothing';
      } catch (error) {
        return error instanceof DOMException || error instanceof TypeError ? error.name : String(error);
      }
    },
  };
  return tools;
}

/** The text of a script that runs a case in a page with `session`. */
export const inPageText = (work) => `(${work})((${toolsFor})(session.WebSocket, location.origin))`;

const STATES = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 };

export const CASES = {
  'constants are on class, prototype and instance, and cannot be changed': [
    ({ Class, make }) => {
      const ws = make('/ws/echo');
      ws.close();
      const names = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'];
      for (const owner of [Class, Class.prototype, ws]) {
        for (const name of names) {
          try {
            owner[name] = 9;
          } catch {
            // Modules are strict.
          }
        }
      }
      return [Class, Class.prototype, ws].map((owner) => Object.fromEntries(names.map((name) => [name, owner[name]])));
    },
    [STATES, STATES, STATES],
  ],
  'before it is open': [
    async ({ Class, make, end, host, origin }) => {
      const ws = make('/ws/echo?a=1', 'chat.v2');
      const { readyState, protocol, extensions, binaryType, bufferedAmount, onopen } = ws;
      const { url } = ws;
      ws.close();
      await end(ws);
      const isOf = ws instanceof Class && ws instanceof EventTarget;
      return [isOf, url === `${origin.replace('http', 'ws')}/ws/echo?a=1` && url.includes(host), readyState, protocol, extensions, binaryType, bufferedAmount, onopen];
    },
    [true, true, 0, '', '', 'blob', 0, null],
  ],
  'attributes cannot be assigned': [
    ({ make }) => {
      const ws = make('/ws/echo');
      const before = ws.url;
      for (const name of ['url', 'readyState', 'protocol', 'extensions', 'bufferedAmount']) {
        try {
          ws[name] = 'x';
        } catch {
          // Modules are strict.
        }
      }
      ws.close();
      return [ws.url === before, ws.readyState, ws.protocol, ws.extensions, ws.bufferedAmount];
    },
    [true, 2, '', '', 0],
  ],
  'URLs that are none': [
    ({ Class, host, thrown }) =>
      ['ws://[bad/', `ws://${host}0000/`, `ftp://${host}/`, 'mailto:example@example.org', 'about:blank', '/#', '/#test', '#test', `ws://${host}/#`, 'ws://']
        .map((url) => thrown(() => new Class(url))),
    Array(10).fill('SyntaxError'),
  ],
  'URLs of another gateway': [
    ({ Class, host, thrown }) => [`wss://${host}/`, 'ws://example.invalid/', `https://${host}/x`].map((url) => thrown(() => new Class(url))),
    ['SecurityError', 'SecurityError', 'SecurityError'],
  ],
  'URLs that are accepted, as the browser writes them': [
    ({ Class, host, origin }) => {
      const address = origin.replace('http', 'ws');
      return ['/a b', `${address}/x?y`, `${origin}/x`, new URL(`${address}/ü`), `WS://${host.toUpperCase()}/`].map((url) => {
        const ws = new Class(url, undefined, 'a stray argument');
        ws.close();
        return ws.url.replace(address, '');
      });
    },
    ['/a%20b', '/x?y', '/x', '/%C3%BC', '/'],
  ],
  'without a URL, and without new': [
    ({ Class, thrown }) => [thrown(() => new Class()), thrown(() => Class('/ws/echo'))],
    ['TypeError', 'TypeError'],
  ],
  'subprotocols that are none': [
    ({ Class, thrown }) =>
      ['', 'a b', 'a,b', 'a/b', 'a:b', 'ä', 'a\u0080', 'a\0', '(a)', ['a', ''], ['a', 'a'], ['a', 'A'], Array.from({ length: 33 }, (_, i) => `p${i}`), {}]
        .map((protocols) => thrown(() => new Class('/ws/echo', protocols))),
    Array(14).fill('SyntaxError'),
  ],
  'the subprotocol that the service chooses': [
    async ({ open }) => {
      const chosen = [];
      for (const protocols of ['chat.v2', ['other', 'chat.v2'], new Set(['chat.v2']), ['other'], [], undefined]) {
        const ws = await open('/ws/echo', protocols);
        chosen.push(ws.protocol, ws.extensions);
        ws.close();
      }
      return chosen;
    },
    ['chat.v2', '', 'chat.v2', '', 'chat.v2', '', '', '', '', '', '', ''],
  ],
  'binaryType ignores other values': [
    ({ make }) => {
      const ws = make('/ws/echo');
      const seen = ['arraybuffer', 'blob', 'arraybuffer', 'notBlobOrArrayBuffer', '', null].map((type) => {
        ws.binaryType = type;
        return ws.binaryType;
      });
      ws.close();
      return seen;
    },
    ['arraybuffer', 'blob', 'arraybuffer', 'arraybuffer', 'arraybuffer', 'arraybuffer'],
  ],
  'handlers: what is not an object is null': [
    ({ make }) => {
      const ws = make('/ws/echo');
      const seen = ['onopen', 'onmessage', 'onerror', 'onclose'].map((name) => {
        const handler = () => {};
        const values = [ws[name], name in ws];
        for (const value of [handler, 2, handler, 'x', {}, null]) {
          ws[name] = value;
          values.push(ws[name] === value);
        }
        return values;
      });
      ws.close();
      return seen.every((values) => JSON.stringify(values) === '[null,true,true,false,true,false,true,true]');
    },
    true,
  ],
  'handlers run in the order of listeners, with `this`, and an object without call does nothing': [
    async ({ make, until }) => {
      const ws = make('/ws/echo');
      const seen = [];
      ws.addEventListener('open', () => seen.push('first'));
      ws.onopen = () => seen.push('replaced');
      ws.addEventListener('open', { handleEvent: () => seen.push('object') });
      ws.onopen = function ({ target }) {
        seen.push(this === ws && target === ws);
      };
      ws.onclose = {};
      await until(ws, 'open');
      ws.onopen = null;
      ws.dispatchEvent(new Event('open'));
      ws.close();
      await until(ws, 'close');
      return seen;
    },
    ['first', true, 'object', 'first', 'object'],
  ],
  'the kinds of events': [
    async ({ make, until, origin }) => {
      const ws = make('/ws/echo');
      const opened = await until(ws, 'open');
      const message = until(ws, 'message');
      ws.send('x');
      const { data, origin: from, lastEventId, source, ports, bubbles, cancelable } = await message;
      const isMessage = (await message) instanceof MessageEvent;
      ws.close();
      const closed = await until(ws, 'close');
      return [
        [opened.constructor === Event, opened.bubbles, opened.cancelable],
        [isMessage, data, from === origin.replace('http', 'ws'), lastEventId, source, ports.length, bubbles, cancelable],
        [typeof CloseEvent === 'undefined' || closed instanceof CloseEvent, closed.bubbles, closed.cancelable],
      ];
    },
    [
      [true, false, false],
      [true, 'x', true, '', null, 0, false, false],
      [true, false, false],
    ],
  ],
  'send before it is open, and without a message': [
    async ({ make, end, thrown }) => {
      const ws = make('/ws/echo');
      const seen = [thrown(() => ws.send('x')), ws.bufferedAmount, thrown(() => ws.send())];
      ws.close();
      seen.push(await end(ws));
      return seen;
    },
    ['InvalidStateError', 0, 'TypeError', ['error', 1006, '', false, 3]],
  ],
  'text, also none, long, of other languages, and what is no text': [
    async ({ open, echoed }) => {
      const ws = await open('/ws/echo');
      const long = 'x'.repeat(65_000);
      const seen = [];
      for (const data of ['Goodbye', '', 'Räksmörgås ☕ \u{1F600}', '\ufeffmark', null, undefined, 5, { toString: () => 'own' }, ['a', 'b']]) {
        seen.push(await echoed(ws, data));
      }
      for (const text of [long, `${long}${long}`, 'ü'.repeat(200_000)]) seen.push((await echoed(ws, text)) === text);
      ws.close();
      return seen;
    },
    ['Goodbye', '', 'Räksmörgås ☕ \u{1F600}', '\ufeffmark', 'null', 'undefined', '5', 'own', 'a,b', true, true, true],
  ],
  'lone surrogates are replaced': [
    async ({ open, echoed }) => {
      const ws = await open('/ws/echo');
      const seen = [];
      for (const text of ['\ud807', 'a\udc00b', '\ud83d\ude00', '\ude00\ud83d']) seen.push(await echoed(ws, text));
      ws.close();
      return seen;
    },
    ['\ufffd', 'a\ufffdb', '\u{1F600}', '\ufffd\ufffd'],
  ],
  'bytes of every kind come back as a Blob or an ArrayBuffer': [
    async ({ open, echoed, bytes }) => {
      const ws = await open('/ws/echo');
      const { buffer } = Uint8Array.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 255);
      const kinds = [
        buffer,
        new ArrayBuffer(0),
        new Uint8Array(buffer, 2, 3),
        new Int8Array(buffer, 8),
        new Uint16Array(buffer, 2, 2),
        new Int16Array(buffer, 8),
        new Uint32Array(buffer, 4, 1),
        new Float32Array([1]),
        new Float64Array(0),
        new DataView(buffer, 9),
        new Blob([buffer.slice(0, 2)]),
        new Blob([]),
      ];
      const seen = [];
      for (const [at, data] of kinds.entries()) {
        ws.binaryType = at % 2 ? 'arraybuffer' : 'blob';
        const back = await echoed(ws, data);
        const isRight = at % 2 ? back instanceof ArrayBuffer : back instanceof Blob && back.type === '';
        seen.push(isRight ? (await bytes(back)).join(' ') : 'another kind');
      }
      ws.close();
      return seen;
    },
    ['0 1 2 3 4 5 6 7 8 255', '', '2 3 4', '8 255', '2 3 4 5', '8 255', '4 5 6 7', '0 0 128 63', '', '255', '0 1', ''],
  ],
  'what was sent is what it was at that time, in the order of send, also with Blobs': [
    async ({ open, until, bytes }) => {
      const ws = await open('/ws/echo');
      ws.binaryType = 'arraybuffer';
      const own = Uint8Array.of(1);
      const seen = [];
      const all = new Promise((resolve) => {
        ws.onmessage = ({ data }) => seen.push(data) === 6 && resolve();
      });
      ws.send(new Blob([new Uint8Array(2_000_000)]));
      ws.send(own);
      own[0] = 2;
      ws.send('text');
      ws.send(new Blob([own]));
      ws.send(own);
      ws.send('');
      own[0] = 3;
      await all;
      ws.close();
      await until(ws, 'close');
      return Promise.all(seen.map(async (data) => (typeof data === 'string' ? data : data.byteLength > 9 ? data.byteLength : (await bytes(data)).join())));
    },
    [2_000_000, '1', 'text', '2', '2', ''],
  ],
  'bufferedAmount counts bytes of UTF-8, falls to 0, and grows after the close': [
    async ({ open, end }) => {
      const ws = await open('/ws/echo');
      const seen = [];
      const data = ['', 'abc', 'ü☕', '\ud800', new ArrayBuffer(10), new Uint16Array(3), new Blob(['1234'])];
      let left = data.length;
      const all = new Promise((resolve) => (ws.onmessage = () => (left -= 1) || resolve()));
      for (const one of data) {
        ws.send(one);
        seen.push(ws.bufferedAmount);
      }
      await all;
      seen.push(ws.bufferedAmount);
      ws.close();
      ws.send('12345');
      seen.push(ws.bufferedAmount);
      await end(ws);
      ws.send(new Blob(['12']));
      ws.send(new ArrayBuffer(3));
      seen.push(ws.bufferedAmount);
      return seen;
    },
    [0, 3, 8, 11, 21, 27, 31, 0, 5, 10],
  ],
  'codes and reasons that no close has; they change nothing': [
    async ({ open, thrown }) => {
      const ws = await open('/ws/echo');
      const codes = [0, 500, 999, 1001, 1005, 1006, 2999, 5000, NaN, 'text', null, 2 ** 16 + 1000, -1].map((code) => thrown(() => ws.close(code)));
      const reasons = ['x'.repeat(124), 'ü'.repeat(62), '\ud800'.repeat(42)].map((reason) => thrown(() => ws.close(1000, reason)));
      const { readyState } = ws;
      ws.close();
      return [...new Set(codes), codes.length, ...reasons, readyState];
    },
    ['InvalidAccessError', 13, 'SyntaxError', 'SyntaxError', 'SyntaxError', 1],
  ],
  'codes and reasons of a close, as the service gets them': [
    async ({ open, end, origin }) => {
      const seen = [];
      for (const given of [[], [undefined], [1000], ['1000'], [3000, 'Clean'], [4999, 'ü'.repeat(61)], [1000, '\ud800'], [undefined, 'why'], [3000.4]]) {
        const ws = await open('/ws/echo');
        const closing = end(ws);
        ws.close(...given);
        seen.push([ws.readyState, ...(await closing).filter((value) => value !== '')]);
      }
      return seen;
    },
    [[2, 1005, true, 3], [2, 1005, true, 3], [2, 1000, true, 3], [2, 1000, true, 3], [2, 3000, true, 3], [2, 4999, true, 3], [2, 1000, true, 3], [2, 1000, true, 3], [2, 3000, true, 3]],
  ],
  'close before it is open': [
    async ({ make, end }) => {
      const ws = make('/ws/echo');
      const closing = end(ws);
      ws.close(3000, 'early');
      const { readyState } = ws;
      ws.close();
      return [readyState, await closing];
    },
    [2, ['error', 1006, '', false, 3]],
  ],
  'close twice, and in the event close': [
    async ({ open, until }) => {
      const ws = await open('/ws/echo');
      const seen = [];
      ws.onclose = ({ code }) => {
        seen.push(code, ws.readyState);
        ws.close(3002);
        seen.push(ws.readyState);
      };
      const closed = until(ws, 'close');
      ws.close(3000);
      ws.close(3001);
      await closed;
      const more = until(ws, 'close').then(() => 'again');
      const other = await open('/ws/echo');
      other.close();
      await until(other, 'close');
      return [...seen, await Promise.race([more, 'once'])];
    },
    [3000, 3, 3, 'once'],
  ],
  'what was sent before the close arrives before it': [
    async ({ open, until }) => {
      const ws = await open('/ws/sum');
      ws.send(new Uint8Array(3_000_000));
      ws.close(1000);
      return (await until(ws, 'close')).wasClean;
    },
    true,
  ],
  'after close() no message arrives': [
    async ({ open, until }) => {
      const ws = await open('/ws/flood?count=2000');
      let [count, after] = [0, 0];
      const closed = until(ws, 'close');
      ws.onmessage = () => {
        count += 1;
        after += Number(ws.readyState !== 1);
        if (count === 100) ws.close(3000);
      };
      const { code, wasClean } = await closed;
      return [count, after, code, wasClean];
    },
    [100, 0, 3000, true],
  ],
  'the service closes': [
    async ({ open, end }) => {
      const seen = [];
      for (const query of ['', '?code=1000', '?code=1001&reason=away', '?code=3456&reason=gr%C3%BC%C3%9Fe', '?code=1011']) {
        const ws = await open(`/ws/close${query}`);
        const closing = end(ws);
        ws.send('now');
        seen.push(await closing);
      }
      return seen;
    },
    [[1000, '', true, 3], [1000, '', true, 3], [1001, 'away', true, 3], [3456, 'grüße', true, 3], [1011, '', true, 3]],
  ],
  'all messages arrive, in order, before the close of the service; promises of one run before the next': [
    async ({ make, until }) => {
      const ws = make('/ws/talk?count=3000');
      const seen = [];
      const closed = until(ws, 'close').then(({ reason }) => `close ${reason}`);
      for (let next = await Promise.race([until(ws, 'message'), closed]); typeof next !== 'string'; next = await Promise.race([until(ws, 'message'), closed])) {
        seen.push(next.data);
        await null;
        await null;
      }
      return [seen.length, seen.every((text, at) => text === `${at}`), await closed];
    },
    [3000, true, 'close all'],
  ],
  'the service ends without a close: 1006': [
    async ({ open, end, until }) => {
      const ws = await open('/ws/cut');
      const closing = end(ws);
      const cause = until(ws, 'error');
      ws.send('now');
      return [...(await closing), (await cause).error.name];
    },
    ['error', 1006, '', false, 3, 'StreamAborted'],
  ],
  'the service refuses: an error with status and headers': [
    async ({ make, until, end }) => {
      const seen = [];
      for (const path of ['/ws/refuse', '/echo']) {
        const ws = make(path);
        const closing = end(ws);
        const { error } = await until(ws, 'error');
        seen.push(error.name, error.code, error.status >= 200, await closing);
        if (path === '/ws/refuse') seen.push(error.status, error.headers.get('x-own'));
      }
      return seen;
    },
    ['SocketRefused', 'socket_refused', true, ['error', 1006, '', false, 3], 403, 'no', 'SocketRefused', 'socket_refused', true, ['error', 1006, '', false, 3]],
  ],
  'both directions at once': [
    async ({ open }) => {
      const ws = await open('/ws/flood?count=3000');
      ws.binaryType = 'arraybuffer';
      let [count, length] = [0, 0];
      const all = new Promise((resolve) => {
        ws.onmessage = ({ data }) => {
          length += data.byteLength;
          if ((count += 1) === 6000) resolve();
        };
      });
      for (let left = 3000; left > 0; left -= 1) ws.send(new Uint8Array(1024));
      await all;
      ws.close();
      return length;
    },
    6000 * 1024,
  ],
  'a message of 16 MiB': [
    async ({ open, until }) => {
      const ws = await open('/ws/echo');
      ws.binaryType = 'arraybuffer';
      const sent = new Uint8Array(16 * 1024 * 1024).map((_, at) => at * 7);
      const answer = until(ws, 'message');
      ws.send(sent);
      const back = new Uint8Array((await answer).data);
      ws.close();
      return back.length === sent.length && back.every((byte, at) => byte === sent[at]);
    },
    true,
  ],
};
