/**
 * One end of a WebSocket inside a session (PROTOCOL §2.11).
 *
 *     server to client   HEAD+ (TEXT | BINARY | CREDIT)* FINAL
 *     client to server   (TEXT | BINARY | CREDIT)* FINAL
 *
 * `Socket` does no I/O. The caller gives it what arrives (`feed`, `next`) and sends what `outgoing` returns. A message
 * can be in several records. Each record uses up credit that the receiver has granted. Only FINAL is a clean close.
 */
import { concat, unsigned } from '../../common/bytes.js';
import { utf8, utf8Text } from '../../common/codec.js';
import { AbortedStream, LocalProtocolError, MalformedMessage } from '../../common/errors.js';
import { parseFieldLines } from '../messages.js';
import { parseMsgpack } from '../msgpack.js';
import { HeadParts } from './bodies.js';
import { parseProtocols } from './opening.js';
import { MIN_RECORD_BYTES, RECORD } from './records.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../msgpack.js').MsgpackValue} MsgpackValue */
/** @typedef {import('./records.js').RecordReader} RecordReader */
/** @typedef {import('./records.js').RecordWriter} RecordWriter */
/** @typedef {import('./records.js').StreamRecord} StreamRecord */
/** @typedef {Readonly<{ headers: [string, string][], protocol: string | null }>} SocketHead */
/** A part of a message; `cost` is the credit that it has used up. @typedef {Readonly<{ type: number, data: Bytes, isLast: boolean, cost: number }>} Fragment */
/** The verified close of the other side. @typedef {Readonly<{ code: number, reason: string }>} Closed */

const INITIAL_CREDIT_BYTES = 262_144;
const CREDIT_STEP_BYTES = 65_536;
const MAX_REASON_BYTES = 123;
/** What a side reports for a close without a code. */
const NO_CODE = 1005;

const MAX_CREDIT = 2 ** 32 - 1;
const OVERHEAD_BYTES = MIN_RECORD_BYTES + 1;
const BATCH_BYTES = 49_152;
const LEAST_FRAGMENT_BYTES = 4096;
const NOTHING = new Uint8Array();

/** Codes that a close can hold (RFC 6455 §7.4). @param {number} code */
const isCloseCode = (code) =>
  (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);

/** @param {Bytes} data @returns {SocketHead} @throws {MalformedMessage} */
function parseSocketHead(data) {
  const value = parseMsgpack(data);
  if (!Array.isArray(value) || value.length !== 2) throw new MalformedMessage('the head of a socket is headers and protocol');
  const chosen = parseProtocols(value[1]);
  if (chosen.length > 1) throw new MalformedMessage('a server chooses one subprotocol');
  return { headers: parseFieldLines(value[0]), protocol: chosen[0] ?? null };
}

/** The data of FINAL. @param {number} code @param {string} reason @throws {LocalProtocolError} for what no close can hold */
function closeData(code, reason) {
  const raw = utf8(reason);
  if (code === NO_CODE && !raw.length) return NOTHING;
  if (!isCloseCode(code) || raw.length > MAX_REASON_BYTES) {
    throw new LocalProtocolError('a close has a code of RFC 6455 and a reason of at most 123 bytes');
  }
  return concat(unsigned(code, 2), raw);
}

/** One end of an open socket. Every error of the receiving side is final. Call each asynchronous method once at a time. */
export class Socket {
  /** @type {SocketHead | null} */
  head = null;
  /** What `send` was given and `outgoing` has not returned yet. */
  bufferedBytes = 0;
  #writer;
  #reader;
  /** @type {HeadParts | null} */
  #parts;
  /** @type {{ type: number, left: Uint8Array }[]} */
  #queue = [];
  #credit = INITIAL_CREDIT_BYTES;
  /** @type {Bytes | null} */
  #closing = null;
  #allowed = INITIAL_CREDIT_BYTES;
  #taken = 0;
  /** @type {number | null} the type of the message that is not complete */
  #openType = null;
  /** Verifies UTF-8 across fragments. */
  #decoder = new TextDecoder('utf-8', { fatal: true });

  /** @param {RecordWriter} writer @param {RecordReader} reader @param {boolean} awaitsHead true at the client */
  constructor(writer, reader, awaitsHead) {
    this.#writer = writer;
    this.#reader = reader;
    this.#parts = awaitsHead ? new HeadParts(reader) : null;
  }

  /** Whether this side sends no further message. */
  get isClosing() {
    return this.#closing !== null || this.#writer.isOver;
  }

  /** Queue a message. @param {number} type text, whose data are UTF-8, or binary @param {Uint8Array} data @throws {LocalProtocolError} */
  send(type, data) {
    if (this.isClosing) throw new LocalProtocolError('the socket is closing');
    this.#queue.push({ type, left: data });
    this.bufferedBytes += data.length;
  }

  /** Close after what is queued; a second call does nothing. @param {number} [code] @param {string} [reason] */
  close(code = NO_CODE, reason = '') {
    const data = closeData(code, reason);
    if (!this.isClosing) this.#closing = data;
  }

  /** The record that ends this side at once. @param {number} reason of ABORT_REASON @param {number} nowMs */
  async abort(reason, nowMs) {
    if (this.#writer.isOver) return NOTHING;
    this.#drop();
    return this.#writer.seal(RECORD.abort, new Uint8Array([reason]), nowMs);
  }

  /** The next message for the connection; nothing if none can be sent now. @param {number} nowMs @returns {Promise<Bytes>} */
  async outgoing(nowMs) {
    if (this.#writer.isOver) return NOTHING;
    /** @type {Bytes[]} */
    const sealed = [];
    let size = 0;
    if (this.#taken >= CREDIT_STEP_BYTES) {
      const granted = this.#taken;
      this.#allowed += granted;
      this.#taken = 0;
      sealed.push(await this.#writer.seal(RECORD.credit, unsigned(granted, 4), nowMs));
    }
    while (this.#queue.length && size < BATCH_BYTES) {
      const fragment = this.#nextFragment();
      if (!fragment) return concat(...sealed);
      sealed.push(await this.#writer.seal(fragment.type, fragment.data, nowMs));
      size += fragment.data.length;
    }
    if (this.#closing && !this.#queue.length) sealed.push(await this.#writer.seal(RECORD.final, this.#closing, nowMs));
    return concat(...sealed);
  }

  #nextFragment() {
    const { type, left } = this.#queue[0];
    const most = Math.min(left.length, this.#writer.maxDataBytes - 1);
    const size = Math.min(most, this.#credit - OVERHEAD_BYTES);
    if (size < Math.min(most, LEAST_FRAGMENT_BYTES)) return null;
    const hasMore = size < left.length;
    if (hasMore) this.#queue[0] = { type, left: left.subarray(size) };
    else this.#queue.shift();
    this.#credit -= size + OVERHEAD_BYTES;
    this.bufferedBytes -= size;
    return { type, data: concat(new Uint8Array([Number(hasMore)]), left.subarray(0, size)) };
  }

  #drop() {
    this.#queue = [];
    this.bufferedBytes = 0;
  }

  /** One message of the connection. @param {Uint8Array} message @throws {import('../../common/errors.js').BrokenStream} */
  feed(message) {
    this.#reader.feed(message);
  }

  /**
   * What the other side sent, or null until the next message.
   * @returns {Promise<Fragment | Closed | null>}
   * @throws {import('../../common/errors.js').BrokenStream | AbortedStream}
   */
  async next() {
    for (let record = await this.#reader.next(); record; record = await this.#reader.next()) {
      if (this.#parts && record.type !== RECORD.abort) this.#takeHead(this.#parts, record);
      else {
        const event = this.#event(record);
        if (event) return event;
      }
    }
    if (this.#reader.hasPart) throw this.#reader.broken('a message holds whole records');
    return null;
  }

  /** The program has taken fragments of this cost. @param {number} cost */
  taken(cost) {
    this.#taken += cost;
  }

  /** The connection has ended. @throws {import('../../common/errors.js').BrokenStream} unless the other side has closed */
  end() {
    this.#reader.end();
  }

  /** @param {HeadParts} parts @param {StreamRecord} record */
  #takeHead(parts, record) {
    const whole = parts.add(record);
    if (!whole) return;
    try {
      this.head = parseSocketHead(whole);
    } catch (error) {
      throw error instanceof MalformedMessage ? this.#reader.broken(error.message) : error;
    }
    this.#parts = null;
  }

  /** @param {StreamRecord} record @returns {Fragment | Closed | null} */
  #event(record) {
    const { type, data } = record;
    if (type === RECORD.text || type === RECORD.binary) return this.#fragment(record);
    if (type === RECORD.credit && data.length === 4) {
      const more = new DataView(data.buffer, data.byteOffset).getUint32(0);
      this.#credit += more;
      if (!more || this.#credit > MAX_CREDIT) throw this.#reader.broken('credit of 0, or too much');
      return null;
    }
    if (type === RECORD.final) return this.#closed(data);
    if (type === RECORD.abort && data.length === 1) throw new AbortedStream(data[0]);
    throw this.#reader.broken('a record that does not belong here');
  }

  /** @param {StreamRecord} record @returns {Fragment} */
  #fragment({ type, data: flagged }) {
    const data = flagged.subarray(1);
    const isLast = flagged[0] === 0;
    if (!flagged.length || flagged[0] > 1 || (!isLast && !data.length)) throw this.#reader.broken('a fragment is a flag and data');
    if (this.#openType !== null && this.#openType !== type) throw this.#reader.broken('a message inside another');
    const cost = data.length + OVERHEAD_BYTES;
    this.#allowed -= cost;
    if (this.#allowed < 0) throw this.#reader.broken('more data than the credit');
    this.#openType = isLast ? null : type;
    if (type === RECORD.text) {
      try {
        this.#decoder.decode(data, { stream: !isLast });
      } catch {
        throw this.#reader.broken('text that is not UTF-8');
      }
    }
    return { type, data, isLast, cost };
  }

  /** @param {Bytes} data @returns {Closed} */
  #closed(data) {
    const code = data.length ? (data[0] << 8) | data[1] : NO_CODE;
    const raw = data.subarray(2);
    const reason = utf8Text(raw);
    const isRight = !data.length || (data.length >= 2 && isCloseCode(code));
    if (!isRight || raw.length > MAX_REASON_BYTES || reason === null) throw this.#reader.broken('a close of another form');
    if (!this.#writer.isOver) {
      // The other side takes no message any more, and grants no credit.
      this.#drop();
      this.#closing ??= data.subarray(0, 2);
    }
    return { code, reason };
  }
}
