/**
 * A request body and a response as records (PROTOCOL §2.10.4).
 *
 *     client to server   DATA* FINAL            the request body
 *     server to client   HEAD+ DATA* FINAL      the response
 *
 * A reader gives data only while it agrees with the declared length, and the end only for a verified FINAL.
 */
import { concat } from '../../common/bytes.js';
import { AbortedStream, MalformedMessage } from '../../common/errors.js';
import { parseFieldLines, parseStatus } from '../messages.js';
import { parseMsgpack } from '../msgpack.js';
import { RECORD } from './records.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../msgpack.js').MsgpackValue} MsgpackValue */
/** @typedef {import('./records.js').RecordReader} RecordReader */
/** @typedef {import('./records.js').RecordWriter} RecordWriter */
/** @typedef {import('./records.js').StreamRecord} StreamRecord */
/** @typedef {Readonly<{ status: number, headers: [string, string][], length: number | null }>} Head */

const MAX_HEAD_BYTES = 131_072;

/** Why a side has ended a stream. */
export const ABORT_REASON = Object.freeze({
  cancelled: 1,
  failed: 2,
  tooLarge: 3,
  sessionEnded: 4,
  timeout: 5,
  broken: 6,
});

/** @param {number | null} length as plaintexts hold it: a list of one number, or an empty list */
export const lengthValue = (length) => (length === null ? [] : [length]);

/** @param {MsgpackValue} value @returns {number | null} @throws {MalformedMessage} */
export function parseLength(value) {
  if (!Array.isArray(value) || value.length > 1) throw new MalformedMessage('a length is a list of at most one number');
  if (!value.length) return null;
  const [length] = value;
  if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0) {
    throw new MalformedMessage('a length is a number of at most 2^53 - 1');
  }
  return length;
}

/** @param {Bytes} data @returns {Head} @throws {MalformedMessage} */
export function parseHead(data) {
  const value = parseMsgpack(data);
  if (!Array.isArray(value) || value.length !== 3) throw new MalformedMessage('a head is status, headers and length');
  const [status, headers, length] = value;
  return { status: parseStatus(status), headers: parseFieldLines(headers), length: parseLength(length) };
}

/** Collects the HEAD records of one head. */
export class HeadParts {
  #records;
  #parts = new Uint8Array();

  /** @param {RecordReader} records */
  constructor(records) {
    this.#records = records;
  }

  /** The whole head after its last part, else null. @param {StreamRecord} record @returns {Bytes | null} */
  add({ type, data }) {
    if (type !== RECORD.head || data.length < 2 || data[0] > 1) throw this.#records.broken('the records of the server begin with a head');
    this.#parts = concat(this.#parts, data.subarray(1));
    if (this.#parts.length > MAX_HEAD_BYTES) throw this.#records.broken(`a head has at most ${MAX_HEAD_BYTES} bytes`);
    return data[0] ? null : this.#parts;
  }
}

/** Seals a body. Call it once at a time. */
export class BodyWriter {
  #records;

  /** @param {RecordWriter} records */
  constructor(records) {
    this.#records = records;
  }

  /** `data` as records, as few as possible. @param {Uint8Array} data @param {number} nowMs */
  async data(data, nowMs) {
    const size = this.#records.maxDataBytes;
    const parts = [];
    for (let at = 0; at < data.length; at += size) {
      parts.push(await this.#records.seal(RECORD.data, data.subarray(at, at + size), nowMs));
    }
    return concat(...parts);
  }

  /** The end; in a response whether the request was verified. @param {number} nowMs @param {boolean} [isVerified] */
  final(nowMs, isVerified = false) {
    return this.#records.seal(RECORD.final, new Uint8Array([Number(isVerified)]), nowMs);
  }
}

/** Reads a body from records. Every error is final. `isComplete` is true once FINAL was verified and the length right. */
export class BodyReader {
  isComplete = false;
  /** @type {number | null} */
  length;
  records;
  flag = 0;
  #received = 0;
  /** The piece that reaches the declared length is given out with FINAL only. @type {Bytes | null} */
  #last = null;

  /** @param {RecordReader} records @param {number | null} [length] */
  constructor(records, length = null) {
    this.records = records;
    this.length = length;
  }

  /** @param {Uint8Array} data */
  feed(data) {
    this.records.feed(data);
  }

  /**
   * The next piece of the body, or null until more bytes have come.
   * @returns {Promise<Bytes | null>}
   * @throws {import('../../common/errors.js').BrokenStream | AbortedStream}
   */
  async next() {
    for (let record = await this.records.next(); record; record = await this.records.next()) {
      const data = this.take(record);
      if (data) return data;
    }
    return null;
  }

  /** The connection has ended. @throws {import('../../common/errors.js').BrokenStream} */
  end() {
    this.records.end();
    if (!this.isComplete) throw this.records.broken('the stream was not complete');
  }

  /** @param {StreamRecord} record @returns {Bytes | null} */
  take({ type, data }) {
    const [first] = data;
    if (type === RECORD.data && data.length) {
      this.#received += data.length;
      if (this.length !== null && this.#received > this.length) {
        throw this.records.broken('more data than the declared length');
      }
      if (this.#received !== this.length) return data;
      this.#last = data;
      return null;
    }
    if (type === RECORD.final && data.length === 1 && first <= 1) {
      if (this.length !== null && this.#received < this.length) {
        throw this.records.broken('less data than the declared length');
      }
      this.flag = first;
      this.isComplete = true;
      return this.#last;
    }
    if (type === RECORD.abort && data.length === 1) throw new AbortedStream(first);
    throw this.records.broken('a record that does not belong here');
  }
}

/** Reads a response: its head first, then its body. */
export class ResponseReader extends BodyReader {
  /** @type {Head | null} */
  head = null;
  #isBodiless;
  #parts;

  /** @param {RecordReader} records @param {boolean} [isBodiless] the response to HEAD has a length and no body */
  constructor(records, isBodiless = false) {
    super(records);
    this.#isBodiless = isBodiless;
    this.#parts = new HeadParts(records);
  }

  /** The head, and nothing behind it; null until more bytes have come. */
  async readHead() {
    for (let record = null; !this.head && (record = await this.records.next()); ) this.take(record);
    return this.head;
  }

  /** Whether the server has read the request to its verified end. Known at the end. */
  get isRequestVerified() {
    return this.flag === 1;
  }

  /** @override @param {StreamRecord} record @returns {Bytes | null} */
  take(record) {
    if (this.head || record.type === RECORD.abort) return super.take(record);
    const whole = this.#parts.add(record);
    if (!whole) return null;
    try {
      this.head = parseHead(whole);
    } catch (error) {
      throw error instanceof MalformedMessage ? this.records.broken(error.message) : error;
    }
    this.length = this.#isBodiless ? 0 : this.head.length;
    return null;
  }
}
