/** Server-Sent Events through a session, with the interface of EventSource (HTML, server-sent events). */
import { Cancelled, CertlessError, NotLoggedIn } from '../common/errors.js';
import { utf8 } from '../common/codec.js';
import { addEventHandlers } from '../common/eventHandlers.js';

/** @typedef {(url: string, init: RequestInit) => Promise<Response>} Fetch */
/** @typedef {{ type: string, data: string, lastEventId: string }} ServerEvent */

const FIRST_RETRY_MS = 3000;
const MAX_RETRY_MS = 60_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Reads the events of a stream. What follows the last empty line is not an event. */
export class EventParser {
  /** @type {number | null} */
  retryMs = null;
  lastEventId;
  #decoder = new TextDecoder();
  #rest = '';
  #endsWithCr = false;
  #id;
  #type = '';
  #data = '';

  /** @param {string} lastEventId of the connection before */
  constructor(lastEventId) {
    this.lastEventId = this.#id = lastEventId;
  }

  /** @param {Uint8Array} bytes @returns {ServerEvent[]} */
  feed(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (!text) return [];
    // The line has ended with the CR before.
    if (this.#endsWithCr && text[0] === '\n') text = text.slice(1);
    this.#endsWithCr = text.endsWith('\r');
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop() ?? '';
    return lines.flatMap((line) => this.#line(line) ?? []);
  }

  /** @param {string} line @returns {ServerEvent | undefined} */
  #line(line) {
    if (!line) return this.#end();
    const [, field, value = ''] = /** @type {RegExpExecArray} */ (/^([^:]*)(?:: ?([^]*))?/.exec(line));
    if (field === 'data') this.#data += `${value}\n`;
    else if (field === 'event') this.#type = value;
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
    else if (field === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value);
    return undefined;
  }

  #end() {
    this.lastEventId = this.#id;
    const event = { type: this.#type || 'message', data: this.#data.slice(0, -1), lastEventId: this.#id };
    const isEmpty = !this.#data;
    this.#type = this.#data = '';
    return isEmpty ? undefined : event;
  }
}

/** @param {string} text @returns its UTF-8 bytes as a header value of fetch */
const byteString = (text) => Array.from(utf8(text), (byte) => String.fromCharCode(byte)).join('');

/**
 * It connects again after an interruption, with Last-Event-ID, and later each time that nothing comes. Only a sealed
 * response can end it. The events `error` have the cause as `error`.
 */
export class SealedEventSource extends EventTarget {
  CONNECTING = /** @type {const} */ (0);
  OPEN = /** @type {const} */ (1);
  CLOSED = /** @type {const} */ (2);
  withCredentials = false;
  /** @type {0 | 1 | 2} */
  readyState = this.CONNECTING;
  /** @type {((event: Event) => void) | null} */
  onopen = null;
  /** @type {((event: MessageEvent<string>) => void) | null} */
  onmessage = null;
  /** @type {((event: Event & { error?: unknown }) => void) | null} */
  onerror = null;
  lastEventId = '';
  #fetch;
  #init;
  #closing = new AbortController();
  #retryMs = FIRST_RETRY_MS;
  #failures = 0;

  /**
   * @param {Fetch} fetch
   * @param {string} url absolute
   * @param {RequestInit} [init] as for fetch
   */
  constructor(fetch, url, init = {}) {
    super();
    this.url = url;
    this.#fetch = fetch;
    this.#init = init;
    addEventHandlers(this, ['open', 'message', 'error']);
    init.signal?.addEventListener('abort', () => this.close(), { once: true });
    void this.#run();
  }

  close() {
    this.readyState = this.CLOSED;
    this.#closing.abort();
  }

  get #isClosed() {
    return this.readyState === this.CLOSED;
  }

  async #run() {
    // Listeners are added after the constructor.
    await null;
    while (!this.#isClosed) {
      let cause;
      try {
        const problem = await this.#connect();
        if (problem) return this.#fail(problem);
      } catch (error) {
        cause = error;
        const isFinal = !(error instanceof CertlessError) || error instanceof NotLoggedIn || error instanceof Cancelled;
        if (isFinal) return this.#fail(error);
      }
      if (this.#isClosed) return;
      this.readyState = this.CONNECTING;
      this.#tell(cause);
      await this.#pause();
    }
  }

  /** Reads until the end of the response. Returns why it must not connect again, if so. */
  async #connect() {
    const headers = new Headers(this.#init.headers);
    headers.set('Accept', 'text/event-stream');
    if (this.lastEventId) headers.set('Last-Event-ID', byteString(this.lastEventId));
    const response = await this.#fetch(this.url, { ...this.#init, headers, signal: this.#closing.signal });
    const type = response.headers.get('Content-Type') ?? '';
    if (response.status !== 200 || !/^\s*text\/event-stream\s*(;|$)/i.test(type)) {
      await response.body?.cancel();
      return new CertlessError('no_events', `The service sends no events here: status ${response.status}, ${type || 'no type'}.`);
    }
    this.readyState = this.OPEN;
    this.dispatchEvent(new Event('open'));
    const parser = new EventParser(this.lastEventId);
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body ?? new Blob().stream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || this.#isClosed) return null;
      const events = parser.feed(value);
      this.#retryMs = Math.min(parser.retryMs ?? this.#retryMs, MAX_TIMER_MS);
      for (const { type: name, data, lastEventId } of events) {
        if (this.#isClosed) return null;
        this.#failures = 0;
        this.lastEventId = lastEventId;
        this.dispatchEvent(new MessageEvent(name, { data, lastEventId, origin: new URL(this.url).origin }));
      }
      this.lastEventId = parser.lastEventId;
    }
  }

  async #pause() {
    const ms = Math.max(this.#retryMs, Math.min(this.#retryMs * 2 ** this.#failures, MAX_RETRY_MS));
    this.#failures += 1;
    const { signal } = this.#closing;
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      signal.addEventListener('abort', () => (clearTimeout(timer), resolve(undefined)), { once: true });
    });
  }

  /** @param {unknown} error */
  #fail(error) {
    if (this.#isClosed) return;
    this.close();
    this.#tell(error);
  }

  /** @param {unknown} error */
  #tell(error) {
    this.dispatchEvent(Object.assign(new Event('error'), { error }));
  }
}
