/**
 * Records: the sealed pieces of one direction of a stream (PROTOCOL §2.10.3).
 *
 * A record is a length (4 bytes, big-endian) and that many sealed bytes:
 *
 *     sealed = AES-256-GCM(key, counter, type ‖ data, AAD = stream id ‖ direction ‖ counter ‖ length)
 *
 * Each direction has a key of its own and counts its records from 0, so a record that is missing, repeated,
 * moved or of another stream does not open. Writer and reader renew their key (REKEY), and the reader skips PING.
 */
import { concat, unsigned } from '../../common/bytes.js';
import { utf8 } from '../../common/codec.js';
import { BrokenStream, LocalProtocolError } from '../../common/errors.js';
import { GCM_TAG_BYTES } from '../../primitives/contract.js';
import { hkdfExpand } from '../../primitives/hashes.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */
/** @typedef {{ streamId: Bytes, client: Bytes, server: Bytes }} StreamKeys the id, and the first key of each side */
/** @typedef {{ type: number, data: Bytes }} StreamRecord */

export const RESPONSE_SALT_BYTES = 16;
export const LENGTH_BYTES = 4;
export const MIN_RECORD_BYTES = 1 + GCM_TAG_BYTES;
export const LEAST_RECORD_LIMIT = 4096;
export const MOST_RECORD_LIMIT = 65536;
export const MAX_KEY_RECORDS = 2 ** 20;
export const MAX_KEY_BYTES = 2 ** 30;
export const MAX_KEY_MS = 900_000;

export const DIRECTION = Object.freeze({ client: 1, server: 2 });
export const RECORD = Object.freeze({
  head: 1,
  data: 2,
  final: 3,
  abort: 4,
  rekey: 5,
  ping: 6,
  text: 7,
  binary: 8,
  credit: 9,
});
const TYPES = Object.values(RECORD);
const REKEY_LABEL = utf8('certless/1 stream rekey');
const RESPONSE_LABEL = utf8('certless/1 stream response');
const NOTHING = new Uint8Array();

/** @param {number} type */
const isLast = (type) => type === RECORD.final || type === RECORD.abort;

/** The keys after a response salt (PROTOCOL §2.10.4). @param {StreamKeys} keys @param {Uint8Array} salt @returns {StreamKeys} */
export const saltedKeys = (keys, salt) => ({ ...keys, server: hkdfExpand(keys.server, concat(RESPONSE_LABEL, salt)) });

/** The key of one direction, and the counter that makes each nonce unique. */
class KeyChain {
  #streamId;
  #direction;
  #key;
  #counter = 0;

  /** @param {StreamKeys} keys @param {'client' | 'server'} direction */
  constructor(keys, direction) {
    this.#streamId = keys.streamId;
    this.#direction = unsigned(DIRECTION[direction], 1);
    this.#key = keys[direction];
  }

  /** @param {number} length of the next record's sealed bytes */
  next(length) {
    const counter = unsigned(this.#counter, 8);
    this.#counter += 1;
    const aad = concat(this.#streamId, this.#direction, counter, unsigned(length, LENGTH_BYTES));
    return { key: this.#key, nonce: concat(unsigned(0, 4), counter), aad };
  }

  /** One-way: the keys before cannot be found from the new one. */
  renew() {
    this.#key = hkdfExpand(this.#key, REKEY_LABEL, 32);
  }
}

/** Seals the records of one direction. After FINAL or ABORT it writes nothing more. Call it once at a time. */
export class RecordWriter {
  maxDataBytes;
  isOver = false;
  #primitives;
  #chain;
  #records = 0;
  #bytes = 0;
  #sinceMs;

  /**
   * @param {Primitives} primitives
   * @param {StreamKeys} keys
   * @param {'client' | 'server'} direction
   * @param {number} maxRecordBytes the receiver's limit
   * @param {number} nowMs
   */
  constructor(primitives, keys, direction, maxRecordBytes, nowMs) {
    this.#primitives = primitives;
    this.#chain = new KeyChain(keys, direction);
    this.#sinceMs = nowMs;
    this.maxDataBytes = maxRecordBytes - MIN_RECORD_BYTES;
  }

  /**
   * The bytes of one record, after a REKEY record if one is due.
   * @param {number} type
   * @param {Uint8Array} data at most `maxDataBytes`
   * @param {number} nowMs by a clock that does not go back
   */
  async seal(type, data, nowMs) {
    if (this.isOver) throw new LocalProtocolError('the stream is over');
    if (data.length > this.maxDataBytes) throw new LocalProtocolError('more data than one record takes');
    const isDue =
      this.#records >= MAX_KEY_RECORDS || this.#bytes >= MAX_KEY_BYTES || nowMs - this.#sinceMs >= MAX_KEY_MS;
    let rekey = NOTHING;
    if (isDue) {
      rekey = await this.#seal(RECORD.rekey, NOTHING);
      this.#chain.renew();
      this.#records = this.#bytes = 0;
      this.#sinceMs = nowMs;
    }
    this.isOver = isLast(type);
    return concat(rekey, await this.#seal(type, data));
  }

  /** @param {number} type @param {Uint8Array} data @returns {Promise<Bytes>} */
  async #seal(type, data) {
    const length = data.length + MIN_RECORD_BYTES;
    const { key, nonce, aad } = this.#chain.next(length);
    this.#records += 1;
    this.#bytes += length;
    const sealed = await this.#primitives.aesGcmSeal(key, nonce, concat(unsigned(type, 1), data), aad);
    return concat(unsigned(length, LENGTH_BYTES), sealed);
  }
}

/**
 * Opens the records of one direction, from bytes as they arrive. Every failure is final. `isOver` is true after FINAL
 * or ABORT. Call `next` once at a time.
 */
export class RecordReader {
  isOver = false;
  #primitives;
  #chain;
  #maxRecordBytes;
  /** @type {Uint8Array[]} */
  #chunks = [];
  #held = 0;
  #isBroken = false;

  /**
   * @param {Primitives} primitives
   * @param {StreamKeys} keys
   * @param {'client' | 'server'} direction of the sender
   * @param {number} maxRecordBytes the limit that this side has told the sender
   */
  constructor(primitives, keys, direction, maxRecordBytes) {
    this.#primitives = primitives;
    this.#chain = new KeyChain(keys, direction);
    this.#maxRecordBytes = maxRecordBytes;
  }

  /** Whether bytes are held that `next` has not used, for instance a part of a record. */
  get hasPart() {
    return this.#held > 0;
  }

  /** Bytes as they came. @param {Uint8Array} data @throws {BrokenStream} for any after the end */
  feed(data) {
    if (!data.length) return;
    if (this.isOver) throw this.broken('bytes after the end of the stream');
    this.#chunks.push(data);
    this.#held += data.length;
  }

  /**
   * The next record, or null until more bytes have come.
   * @returns {Promise<StreamRecord | null>}
   * @throws {BrokenStream}
   */
  async next() {
    while (!this.#isBroken && this.#held >= LENGTH_BYTES) {
      const start = this.#peek(LENGTH_BYTES);
      const length = new DataView(start.buffer, start.byteOffset).getUint32(0);
      if (length < MIN_RECORD_BYTES || length > this.#maxRecordBytes) {
        throw this.broken('a record of a length that is not allowed');
      }
      if (this.#held < LENGTH_BYTES + length) return null;
      const record = await this.#open(length);
      if (record.type === RECORD.rekey) this.#chain.renew();
      else if (record.type !== RECORD.ping) return record;
    }
    if (this.#isBroken) throw this.broken('the stream is broken');
    return null;
  }

  /** The connection has ended. @throws {BrokenStream} unless FINAL or ABORT came before */
  end() {
    if (!this.isOver) throw this.broken('the stream was cut off');
  }

  /** The error to throw. No record can be read from now on. @param {string} reason */
  broken(reason) {
    this.#isBroken = true;
    this.#chunks = [];
    this.#held = 0;
    return new BrokenStream(reason);
  }

  /** The first `length` bytes held, which stay. @param {number} length */
  #peek(length) {
    if (this.#chunks[0].length < length) this.#chunks = [concat(...this.#chunks)];
    return this.#chunks[0].subarray(0, length);
  }

  /** @param {number} length @returns {Promise<StreamRecord>} */
  async #open(length) {
    const end = LENGTH_BYTES + length;
    const sealed = this.#peek(end).subarray(LENGTH_BYTES);
    const rest = this.#chunks[0].subarray(end);
    if (rest.length) this.#chunks[0] = rest;
    else this.#chunks.shift();
    this.#held -= end;
    const { key, nonce, aad } = this.#chain.next(length);
    const plaintext = await this.#primitives.aesGcmOpen(key, nonce, sealed, aad);
    if (!plaintext) throw this.broken('a record does not open');
    const record = { type: plaintext[0], data: plaintext.subarray(1) };
    if (!TYPES.includes(/** @type {any} */ (record.type))) throw this.broken('a record of an unknown type');
    if ((record.type === RECORD.rekey || record.type === RECORD.ping) && record.data.length) {
      throw this.broken('REKEY and PING hold no data');
    }
    this.isOver = isLast(record.type);
    if (this.isOver && this.#held) throw this.broken('bytes after the end of the stream');
    return record;
  }
}
