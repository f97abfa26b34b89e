/**
 * The WebSocket between client and gateway: an envelope each way, then records (PROTOCOL §2.11.1).
 *
 * The peer may be an attacker. Any message that the protocol does not have ends the connection.
 */
import { deadline } from '../common/abort.js';
import { BrokenStream, Cancelled, NoAnswer, Refused, SocketsNotAccepted } from '../common/errors.js';
import { otherOrigin } from './transport.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** Begins to open a WebSocket. @typedef {(url: string) => WebSocket | Promise<WebSocket>} Dial */

/** The longest message that a receiver accepts. */
export const MAX_SOCKET_MESSAGE_BYTES = 131_072;
const REFUSAL = /^4([45]\d\d)$/;

/** The WebSocket of browsers. @type {Dial} */
export const browserDial = (url) => new WebSocket(url);

export class SocketConnection {
  #socket;
  #timeoutMs;
  /** @type {Bytes[]} */
  #arrived = [];
  /** @type {(value?: unknown) => void} */
  #wake = () => {};
  /** @type {CloseEvent | null} */
  #end = null;
  /** @type {BrokenStream | null} */
  #problem = null;

  /** @param {WebSocket} socket @param {number} timeoutMs for the answer to the first message */
  constructor(socket, timeoutMs) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#wake();
    // The event `close` follows. In Node.js an error without a listener ends the process.
    socket.onerror = () => {};
    socket.onclose = (event) => {
      this.#end = event;
      this.#wake();
    };
    socket.onmessage = ({ data }) => {
      if (this.#problem) return;
      if (!(data.byteLength <= MAX_SOCKET_MESSAGE_BYTES)) this.cancel('a message that no gateway sends');
      else this.#arrived.push(new Uint8Array(data));
      this.#wake();
    };
  }

  /** Whether it is open, once that is decided. */
  async opened() {
    while (!this.#socket.readyState) await this.#event();
    return this.#isOpen;
  }

  get #isOpen() {
    return this.#socket.readyState === 1;
  }

  /** @param {Bytes} data */
  send(data) {
    if (this.#isOpen) this.#socket.send(data);
  }

  /** The answer to the first message. @returns {Promise<Bytes>} @throws {Refused | NoAnswer | BrokenStream} */
  async block() {
    const answer = await this.receive(this.#timeoutMs);
    if (answer) return answer;
    const { code, reason } = /** @type {CloseEvent} */ (this.#end);
    const status = REFUSAL.exec(`${code}`)?.[1];
    throw status ? new Refused(Number(status), reason) : new NoAnswer(new Error(`the connection ended: ${code}`));
  }

  /**
   * The next message, or null at the end.
   * @param {number} silenceMs
   * @returns {Promise<Bytes | null>}
   * @throws {BrokenStream}
   */
  async receive(silenceMs) {
    if (!this.#arrived.length) {
      const timer = setTimeout(() => this.cancel(`nothing arrived for ${silenceMs / 1000} s`), silenceMs);
      while (!this.#arrived.length && !this.#end && !this.#problem) await this.#event();
      clearTimeout(timer);
    }
    const message = this.#arrived.shift();
    if (!message && this.#problem) throw this.#problem;
    return message ?? null;
  }

  /** Ends the connection. What was sent before still leaves. @param {string} [reason] */
  cancel(reason = 'it was ended here') {
    this.#problem ??= new BrokenStream(reason);
    this.#socket.close();
    this.#wake();
  }

  #event() {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}

/**
 * Opens a connection and sends its first message.
 * @param {Dial} dial
 * @param {string} url the HTTP URL of the route
 * @param {Bytes} first
 * @param {{ signal?: AbortSignal, timeoutMs: number }} options
 * @throws {SocketsNotAccepted | NoAnswer | Cancelled}
 */
export async function openConnection(dial, url, first, { signal, timeoutMs }) {
  const limit = deadline(signal, timeoutMs);
  try {
    const connection = new SocketConnection(await dial(url.replace(/^http/, 'ws')), timeoutMs);
    const cut = () => connection.cancel();
    limit.signal.addEventListener('abort', cut);
    if (limit.signal.aborted) cut();
    if (!(await connection.opened())) {
      // A browser does not tell why. A request finds out.
      const response = await globalThis.fetch(url, { cache: 'no-store', redirect: 'manual', signal: limit.signal });
      void response.body?.cancel();
      throw new SocketsNotAccepted(response.status);
    }
    connection.send(first);
    return connection;
  } catch (error) {
    if (signal?.aborted) throw new Cancelled(signal.reason);
    // A browser does not even begin, if the page's policy forbids the WebSocket.
    throw error instanceof SocketsNotAccepted ? error : new NoAnswer(error, otherOrigin(error, url));
  } finally {
    limit.release();
  }
}
