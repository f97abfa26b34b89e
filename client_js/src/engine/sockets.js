/**
 * A WebSocket of the application in an engine (PROTOCOL §2.11).
 *
 * It goes on reading by itself, and gives messages to the page when the page asks for them. Until then the credit of the
 * gateway limits what is held: credit is renewed for what the page has taken.
 */
import { concat } from '../common/bytes.js';
import { utf8Text } from '../common/codec.js';
import { CertlessError, MalformedMessage } from '../common/errors.js';
import { ABORT_REASON } from '../protocol/streams/bodies.js';
import { MOST_RECORD_LIMIT, RECORD, RecordReader, RecordWriter } from '../protocol/streams/records.js';
import { Socket } from '../protocol/streams/sockets.js';
import { streamError } from './streams.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('../protocol/hardened/clientSession.js').OpenedStream} OpenedStream */
/** @typedef {import('../protocol/streams/sockets.js').Closed} Closed */
/** @typedef {import('../protocol/streams/sockets.js').Fragment} Fragment */
/** @typedef {import('./socketConnection.js').SocketConnection} SocketConnection */
/** @typedef {{ isText: boolean, data: Bytes }} OutgoingMessage */
/** What a read returns: messages, or at the end the verified close. @typedef {{ messages: (string | Bytes)[], closed?: Closed }} Incoming */

// The server sends a PING at least every 15 s.
const SILENCE_MS = 60_000;
const CLOSE_MS = 10_000;
const NO_CODE = 1005;
const TOO_LARGE = 1009;
// A read returns no more, so that further messages arrive while the page works on these.
const BATCH_BYTES = 65_536;

export class EngineSocket {
  #socket;
  #connection;
  #maxBytes;
  /** @type {{ message: string | Bytes, cost: number }[]} */
  #inbox = [];
  /** @type {Bytes[]} */
  #parts = [];
  #partBytes = 0;
  /** The credit that fragments of a message that is not complete have used up, while messages before it wait. */
  #partCost = 0;
  /** The same for the messages that the last read has returned. */
  #givenCost = 0;
  /** @type {Closed | null} */
  #closed = null;
  /** @type {unknown} */
  #error = null;
  /** Writes one after the other. @type {Promise<void>} */
  #writing = Promise.resolve();
  /** @type {(() => void)[]} */
  #waiting = [];

  /**
   * @param {Primitives} primitives
   * @param {OpenedStream} opened
   * @param {SocketConnection} connection
   * @param {number} maxBytes the longest message that is taken
   */
  constructor(primitives, { keys, recordBytes }, connection, maxBytes) {
    const writer = new RecordWriter(primitives, keys, 'client', recordBytes, performance.now());
    this.#socket = new Socket(writer, new RecordReader(primitives, keys, 'server', MOST_RECORD_LIMIT), true);
    this.#connection = connection;
    this.#maxBytes = maxBytes;
  }

  /**
   * Reads the head; from now on messages are read.
   * @param {string[]} offered
   * @returns {Promise<import('./engine.js').EngineResponse>}
   * @throws {StreamBroken | StreamAborted | MalformedMessage}
   */
  async open(offered) {
    try {
      while (!this.#socket.head) await this.#receive();
      const { headers, protocol } = this.#socket.head;
      if (protocol !== null && !offered.includes(protocol)) throw new MalformedMessage('a subprotocol that was not offered');
      void this.#run();
      return { status: 101, headers, body: this, protocol: protocol ?? '' };
    } catch (error) {
      await this.#giveUp(ABORT_REASON.broken);
      throw streamError(error);
    }
  }

  /**
   * The next messages, once there are some. What the last read returned counts as taken.
   * @returns {Promise<Incoming>}
   * @throws {StreamBroken | StreamAborted | CertlessError} the end without a close
   */
  async read() {
    this.#socket.taken(this.#givenCost);
    this.#givenCost = 0;
    if (!this.#inbox.length) this.#takeParts();
    void this.#flush();
    while (!this.#inbox.length && !this.#isOver) await this.#change();
    const messages = [];
    while (this.#inbox.length && this.#givenCost < BATCH_BYTES) {
      const { message, cost } = /** @type {{ message: string | Bytes, cost: number }} */ (this.#inbox.shift());
      messages.push(message);
      this.#givenCost += cost;
    }
    if (messages.length) return { messages };
    if (this.#closed) return { messages, closed: this.#closed };
    throw this.#error;
  }

  /** Sends messages; resolves once all have left, or none can leave any more. @param {OutgoingMessage[]} messages */
  async send(messages) {
    if (this.#socket.isClosing) return;
    for (const { isText, data } of messages) this.#socket.send(isText ? RECORD.text : RECORD.binary, data);
    await this.#flush();
    while (this.#socket.bufferedBytes && !this.#isOver) await this.#change();
  }

  /** Closes after what was sent; then `read` returns the other side's close. @param {number} [code] @param {string} [reason] */
  async close(code = NO_CODE, reason = '') {
    if (this.#isOver) return;
    this.#socket.close(code, reason);
    await this.#flush();
    const timer = setTimeout(() => this.#connection.cancel('the gateway did not close'), CLOSE_MS);
    while (!this.#isOver) await this.#change();
    clearTimeout(timer);
  }

  /** Ends the socket without a close. */
  cancel() {
    if (this.#isOver) return;
    this.#error = new CertlessError('cancelled', 'The WebSocket was ended.');
    void this.#giveUp(ABORT_REASON.cancelled);
    this.#tell();
  }

  get #isOver() {
    return this.#closed !== null || this.#error !== null;
  }

  async #run() {
    try {
      while (!this.#isOver) {
        await this.#receive();
        await this.#flush();
        this.#tell();
      }
      this.#connection.cancel();
    } catch (error) {
      this.#error ??= streamError(error);
      this.#tell();
      await this.#giveUp(ABORT_REASON.broken);
    }
  }

  async #receive() {
    const message = await this.#connection.receive(SILENCE_MS);
    if (!message) return this.#socket.end();
    this.#socket.feed(message);
    for (let event = await this.#socket.next(); event; event = await this.#socket.next()) {
      if ('code' in event) this.#closed = event;
      else if (!this.#socket.isClosing) await this.#take(event);
    }
  }

  /** @param {Fragment} fragment */
  async #take({ type, data, isLast, cost }) {
    this.#parts.push(data);
    this.#partBytes += data.length;
    this.#partCost += cost;
    if (this.#partBytes > this.#maxBytes) {
      this.#socket.close(TOO_LARGE);
      await this.#flush();
      throw new CertlessError('too_large', `A message is larger than ${this.#maxBytes} bytes. Set maxAnswerBytes.`);
    }
    if (!isLast) {
      if (!this.#inbox.length && !this.#givenCost) this.#takeParts();
      return;
    }
    const whole = concat(...this.#parts);
    this.#inbox.push({ message: type === RECORD.text ? /** @type {string} */ (utf8Text(whole)) : whole, cost: this.#partCost });
    this.#parts = [];
    this.#partBytes = this.#partCost = 0;
  }

  /** A message can be longer than the credit, so its first fragments count as taken once no other message waits. */
  #takeParts() {
    this.#socket.taken(this.#partCost);
    this.#partCost = 0;
  }

  /** Sends what credit allows. */
  #flush() {
    return this.#write(async () => {
      for (let data = await this.#outgoing(); data.length; data = await this.#outgoing()) this.#connection.send(data);
    });
  }

  #outgoing() {
    return this.#socket.outgoing(performance.now());
  }

  /** @param {number} reason */
  #giveUp(reason) {
    return this.#write(async () => {
      const data = await this.#socket.abort(reason, performance.now());
      if (data.length) this.#connection.send(data);
      this.#connection.cancel();
    });
  }

  /** @param {() => Promise<void>} work */
  #write(work) {
    return (this.#writing = this.#writing.then(work));
  }

  #change() {
    return /** @type {Promise<void>} */ (new Promise((resolve) => this.#waiting.push(resolve)));
  }

  #tell() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
