/**
 * WebSockets through a session, with the interface of WebSocket (WHATWG). The URL must be that of the gateway.
 *
 * It is long because it is one interface. Two things differ: an event `error` has the cause as `error`, and
 * `bufferedAmount` falls when a batch of messages has left.
 */
import { CloseEvent } from '#platform';
import { utf8 } from '../common/codec.js';
import { addEventHandlers } from '../common/eventHandlers.js';
import { nextTask } from '../common/nextTask.js';

/** @typedef {{ isText: boolean, data: Uint8Array<ArrayBuffer> }} OutgoingMessage */
/** @typedef {{ messages: (string | Uint8Array<ArrayBuffer>)[], closed?: { code: number, reason: string } }} Incoming */
/**
 * A WebSocket that is open in the engine. `send` resolves when the messages have left.
 * @typedef {{
 *   protocol: string,
 *   read: () => Promise<Incoming>,
 *   send: (messages: OutgoingMessage[]) => Promise<void>,
 *   close: (code?: number, reason?: string) => Promise<void>,
 *   cancel: () => void,
 * }} SocketLink
 */
/** @typedef {(url: URL, protocols: string[], signal: AbortSignal) => Promise<SocketLink>} OpenSocket */

const STATES = /** @type {const} */ ({ CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 });
const { CONNECTING, OPEN, CLOSING, CLOSED } = STATES;
const MAX_PROTOCOLS = 32;
const PROTOCOL = /^[!#$%&'*+\-.^_`|~\dA-Za-z]{1,256}$/;
const MAX_REASON_BYTES = 123;
const NOT_CLOSED = { code: 1006, reason: '' };
// What goes to the engine at once.
const BATCH_BYTES = 262_144;

/** @param {boolean} isRight @param {string} name @param {string} message */
function check(isRight, name, message) {
  if (!isRight) throw new DOMException(message, name);
}

/** @param {string | URL} given @param {string} base */
function parseUrl(given, base) {
  /** @type {Partial<URL>} */
  let url = {};
  try {
    url = new URL(given, base);
  } catch {
    // It is refused below.
  }
  const isRight = /^(ws|http)s?:[^#]+$/.test(url.href ?? '');
  check(isRight, 'SyntaxError', `${given} is not the URL of a WebSocket`);
  const parsed = new URL(/** @type {string} */ (url.href).replace('http', 'ws'));
  const { origin } = new URL(base.replace('http', 'ws'));
  check(parsed.origin === origin, 'SecurityError', `${parsed.origin} is not the gateway of this session`);
  return parsed;
}

/** @param {unknown} given @returns {string[]} */
function parseProtocols(given) {
  const isList = typeof given === 'object' && given !== null && Symbol.iterator in given;
  const protocols = isList ? Array.from(/** @type {Iterable<unknown>} */ (given), String) : [String(given)];
  const isOnce = new Set(protocols.map((name) => name.toLowerCase())).size === protocols.length;
  const isRight = isOnce && protocols.length <= MAX_PROTOCOLS && protocols.every((name) => PROTOCOL.test(name));
  check(isRight, 'SyntaxError', 'subprotocols are at most 32 tokens, each once');
  return protocols;
}

/** @param {any} data @returns {{ isText: boolean, data: Uint8Array<ArrayBuffer> | Blob, size: number }} */
function outgoing(data) {
  if (data instanceof Blob) return { isText: false, data, size: data.size };
  const { buffer = data, byteOffset = 0, byteLength } = data ?? {};
  const isText = !(data instanceof ArrayBuffer || ArrayBuffer.isView(data));
  // A copy, because the program may go on writing into its own.
  const bytes = isText ? utf8(`${data}`) : new Uint8Array(buffer, byteOffset, byteLength).slice();
  return { isText, data: bytes, size: bytes.length };
}

/**
 * The class for one session.
 * @param {() => string} base for relative URLs
 * @param {OpenSocket} open
 * @returns {typeof globalThis.WebSocket}
 */
export function webSocketClass(base, open) {
  const Class = class extends EventTarget {
    #url;
    #protocol = '';
    /** @type {0 | 1 | 2 | 3} */
    #readyState = CONNECTING;
    /** @type {BinaryType} */
    #binaryType = 'blob';
    #bufferedAmount = 0;
    /** @type {ReturnType<typeof outgoing>[]} */
    #outbox = [];
    #isSending = false;
    #isEnding = false;
    /** @type {{ code?: number, reason?: string }} */
    #closing = {};
    #abort = new AbortController();
    /** @type {SocketLink | undefined} */
    #link;

    /** @param {string | URL} url @param {string | string[]} [protocols] */
    constructor(url, protocols = []) {
      if (!arguments.length) throw new TypeError('a WebSocket needs a URL');
      super();
      addEventHandlers(this, ['open', 'message', 'error', 'close']);
      const parsed = parseUrl(url, base());
      this.#url = parsed.href;
      void this.#run(parsed, parseProtocols(protocols));
    }

    get url() {
      return this.#url;
    }

    /** The subprotocol that the application has chosen, or empty. */
    get protocol() {
      return this.#protocol;
    }

    /** Always empty: nothing is compressed, because a length would tell about the plaintext. */
    get extensions() {
      return '';
    }

    get readyState() {
      return this.#readyState;
    }

    /** The bytes that `send` was given and that have not left. */
    get bufferedAmount() {
      return this.#bufferedAmount;
    }

    get binaryType() {
      return this.#binaryType;
    }

    set binaryType(type) {
      if (type === 'blob' || type === 'arraybuffer') this.#binaryType = type;
    }

    /**
     * Queues a message. `bufferedAmount` counts it until it has left.
     * @param {string | ArrayBuffer | ArrayBufferView | Blob} data
     * @throws {DOMException} InvalidStateError: it is not open yet
     */
    send(data) {
      if (!arguments.length) throw new TypeError('send takes a message');
      check(this.#readyState !== CONNECTING, 'InvalidStateError', 'the WebSocket is not open yet');
      const message = outgoing(data);
      this.#bufferedAmount += message.size;
      if (this.#readyState !== OPEN) return;
      this.#outbox.push(message);
      void this.#sendAll();
    }

    /**
     * Closes after the messages that were given to `send`. A second call does nothing.
     * @param {number} [code] 1000, or 3000 to 4999
     * @param {string} [reason] at most 123 bytes of UTF-8
     * @throws {DOMException} InvalidAccessError for another code, SyntaxError for a longer reason
     */
    close(code, reason) {
      if (code !== undefined) {
        code = Math.round(Number(code));
        check(code === 1000 || (code >= 3000 && code <= 4999), 'InvalidAccessError', 'a code is 1000, or 3000 to 4999');
      }
      const text = reason === undefined ? '' : `${reason}`;
      check(utf8(text).length <= MAX_REASON_BYTES, 'SyntaxError', 'a reason has at most 123 bytes');
      if (this.#readyState > OPEN) return;
      const wasOpen = this.#readyState === OPEN;
      this.#readyState = CLOSING;
      this.#closing = { code: text ? code ?? 1000 : code, reason: text };
      if (wasOpen) void this.#sendAll();
      else this.#abort.abort();
    }

    /** @param {URL} url @param {string[]} protocols */
    async #run(url, protocols) {
      try {
        const link = await open(url, protocols, this.#abort.signal);
        this.#link = link;
        this.#abort.signal.throwIfAborted();
        this.#protocol = link.protocol;
        this.#readyState = OPEN;
        this.dispatchEvent(new Event('open'));
        for (;;) {
          const { messages, closed } = await link.read();
          for (const message of messages) await this.#receive(message, url.origin);
          if (closed) return await this.#end({ ...closed, wasClean: true });
        }
      } catch (error) {
        await this.#end(NOT_CLOSED, error);
      }
    }

    /** @param {string | Uint8Array<ArrayBuffer>} message @param {string} origin */
    async #receive(message, origin) {
      // As in browsers, what an event has caused runs before the next event.
      await nextTask();
      if (this.#readyState !== OPEN) return;
      const data = typeof message === 'string' ? message : this.#binaryType === 'blob' ? new Blob([message]) : message.buffer;
      this.dispatchEvent(new MessageEvent('message', { data, origin }));
    }

    /** Sends what is queued, in order, and then the close. */
    async #sendAll() {
      if (this.#isSending) return;
      this.#isSending = true;
      try {
        // What is sent at once goes together.
        await null;
        const link = /** @type {SocketLink} */ (this.#link);
        while (this.#outbox.length) {
          let count = 0;
          let size = 0;
          while (size < BATCH_BYTES && count < this.#outbox.length) size += this.#outbox[count++].size;
          const messages = this.#outbox.splice(0, count).map(async ({ isText, data }) => ({
            isText,
            data: data instanceof Blob ? new Uint8Array(await data.arrayBuffer()) : data,
          }));
          await link.send(await Promise.all(messages));
          if (!this.#isEnding) this.#bufferedAmount -= size;
        }
        if (this.#readyState === CLOSING) await link.close(this.#closing.code, this.#closing.reason);
      } catch (error) {
        await this.#end(NOT_CLOSED, error);
      }
      this.#isSending = false;
    }

    /** @param {CloseEventInit} close @param {unknown} [error] why there was no close */
    async #end(close, error) {
      if (this.#isEnding) return;
      this.#isEnding = true;
      this.#readyState = CLOSING;
      this.#link?.cancel();
      await nextTask();
      this.#readyState = CLOSED;
      if (!close.wasClean) this.dispatchEvent(Object.assign(new Event('error'), { error }));
      this.dispatchEvent(new CloseEvent('close', close));
    }
  };
  for (const owner of [Class, Class.prototype]) {
    for (const [name, value] of Object.entries(STATES)) Object.defineProperty(owner, name, { value, enumerable: true });
  }
  return /** @type {any} */ (Class);
}
