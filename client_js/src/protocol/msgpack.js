/**
 * Strict msgpack, with limits (PROTOCOL §1.4.3).
 *
 * Only integers, text, bytes, arrays, and maps with text as names. At most 4 levels, 128 items in an
 * array or map, and 1024 arrays and maps. Each value must be in its shortest form, names must be unique,
 * and nothing may follow the value. The reader checks for the shortest form while it reads (decision 0033).
 */
import { concat } from '../common/bytes.js';
import { utf8, utf8Text } from '../common/codec.js';
import { MalformedMessage } from '../common/errors.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {number | bigint | string | Bytes | MsgpackValue[] | Map<string, MsgpackValue>} MsgpackValue */

const MAX_MSGPACK_DEPTH = 4;
const MAX_MSGPACK_ITEMS = 128;
export const MAX_MSGPACK_PARTS = 1024;

const [U8, U16, U32] = [0x100, 0x1_0000, 0x1_0000_0000];

/** Reads one value from its start to its end. */
class Reader {
  #data;
  #view;
  #at = 0;
  #parts = 0;

  /** @param {Bytes} data */
  constructor(data) {
    this.#data = data;
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  document() {
    const value = this.#value(0);
    if (this.#at !== this.#data.length) throw new MalformedMessage('data follows the value');
    return value;
  }

  /** @param {number} length */
  #take(length) {
    const start = this.#at;
    if (length > this.#data.length - start) throw new MalformedMessage('msgpack ends early');
    this.#at += length;
    return start;
  }

  /** A number of 1, 2 or 4 bytes. A number below `least` has a shorter form, and is refused. @param {number} size @param {number} least */
  #number(size, least) {
    const at = this.#take(size);
    const view = this.#view;
    const value = size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) : view.getUint32(at);
    if (value < least) throw new MalformedMessage('not the shortest msgpack');
    return value;
  }

  #unsigned64() {
    const value = this.#view.getBigUint64(this.#take(8));
    if (value < U32) throw new MalformedMessage('not the shortest msgpack');
    return value <= 2n ** 53n ? Number(value) : value;
  }

  /** @param {number} size 1, 2, 4 or 8 */
  #signed(size) {
    const at = this.#take(size);
    const view = this.#view;
    const values = { 1: () => view.getInt8(at), 2: () => view.getInt16(at), 4: () => view.getInt32(at) };
    const value = size === 8 ? view.getBigInt64(at) : values[/** @type {1 | 2 | 4} */ (size)]();
    // A number within the range of half the size has a shorter form, and so has a positive number.
    const shorter = size === 1 ? -32n : -(1n << BigInt(4 * size - 1));
    if (BigInt(value) >= shorter) throw new MalformedMessage('not the shortest msgpack');
    return typeof value === 'bigint' && value >= -(2n ** 53n) ? Number(value) : value;
  }

  /** @param {number} length */
  #text(length) {
    const start = this.#take(length);
    const text = utf8Text(this.#data.subarray(start, start + length));
    if (text === null) throw new MalformedMessage('not UTF-8');
    return text;
  }

  /** @param {number} length */
  #bytes(length) {
    const start = this.#take(length);
    return this.#data.slice(start, start + length);
  }

  /** @param {number} count @param {number} depth */
  #checkItems(count, depth) {
    if (depth === MAX_MSGPACK_DEPTH) throw new MalformedMessage('nested too deeply');
    if (count > MAX_MSGPACK_ITEMS) throw new MalformedMessage('too many items');
    this.#parts += 1;
    if (this.#parts > MAX_MSGPACK_PARTS) throw new MalformedMessage('too many arrays and maps');
  }

  /** @param {number} count @param {number} depth */
  #array(count, depth) {
    this.#checkItems(count, depth);
    return Array.from({ length: count }, () => this.#value(depth + 1));
  }

  /** @param {number} count @param {number} depth */
  #map(count, depth) {
    this.#checkItems(count, depth);
    /** @type {Map<string, MsgpackValue>} */
    const members = new Map();
    for (let i = 0; i < count; i += 1) {
      const name = this.#value(depth + 1);
      if (typeof name !== 'string') throw new MalformedMessage('a member name must be text');
      if (members.has(name)) throw new MalformedMessage('a member name occurs twice');
      members.set(name, this.#value(depth + 1));
    }
    return members;
  }

  /** @param {number} depth @returns {MsgpackValue} */
  #value(depth) {
    const type = this.#number(1, 0);
    if (type < 0x80) return type;
    if (type < 0x90) return this.#map(type & 15, depth);
    if (type < 0xa0) return this.#array(type & 15, depth);
    if (type < 0xc0) return this.#text(type & 31);
    if (type >= 0xe0) return type - U8;
    switch (type) {
      case 0xc4:
        return this.#bytes(this.#number(1, 0));
      case 0xc5:
        return this.#bytes(this.#number(2, U8));
      case 0xc6:
        return this.#bytes(this.#number(4, U16));
      case 0xcc:
        return this.#number(1, 0x80);
      case 0xcd:
        return this.#number(2, U8);
      case 0xce:
        return this.#number(4, U16);
      case 0xcf:
        return this.#unsigned64();
      case 0xd0:
      case 0xd1:
      case 0xd2:
      case 0xd3:
        return this.#signed(1 << (type & 3));
      case 0xd9:
        return this.#text(this.#number(1, 32));
      case 0xda:
        return this.#text(this.#number(2, U8));
      case 0xdb:
        return this.#text(this.#number(4, U16));
      case 0xdc:
        return this.#array(this.#number(2, 16), depth);
      case 0xde:
        return this.#map(this.#number(2, 16), depth);
      default:
        // This includes arrays and maps with 32-bit lengths, which are longer than any message allows.
        throw new MalformedMessage('a type that messages do not have');
    }
  }
}

/**
 * The value of `data`, if it is in the shortest form. Numbers beyond 2^53 are bigints.
 * @param {Bytes} data
 * @returns {MsgpackValue}
 * @throws {MalformedMessage}
 */
export function parseMsgpack(data) {
  return new Reader(data).document();
}

/**
 * The first bytes of a text, of bytes, of an array or of a map: type and length.
 * @param {number} length
 * @param {number} short the type that contains the length if it is below `limit`
 * @param {number} limit
 * @param {(number | null)[]} types for lengths of 1, 2 and 4 bytes
 */
function head(length, short, limit, types) {
  if (length < limit) return Uint8Array.of(short | length);
  const size = length < U8 && types[0] !== null ? 0 : length < U16 ? 1 : 2;
  const out = new DataView(new ArrayBuffer(1 + (1 << size)));
  out.setUint8(0, /** @type {number} */ (types[size]));
  if (size === 0) out.setUint8(1, length);
  else if (size === 1) out.setUint16(1, length);
  else out.setUint32(1, length);
  return new Uint8Array(out.buffer);
}

/** @param {number} value */
function number(value) {
  if (!Number.isSafeInteger(value) || value < 0) throw new TypeError('only integers from 0');
  if (value < U32) return head(value, 0, 0x80, [0xcc, 0xcd, 0xce]);
  const out = new DataView(new ArrayBuffer(9));
  out.setUint8(0, 0xcf);
  out.setBigUint64(1, BigInt(value));
  return new Uint8Array(out.buffer);
}

/** @param {MsgpackValue} value @param {Uint8Array[]} parts */
function write(value, parts) {
  if (typeof value === 'number') parts.push(number(value));
  else if (typeof value === 'string') {
    const text = utf8(value);
    parts.push(head(text.length, 0xa0, 32, [0xd9, 0xda, 0xdb]), text);
  } else if (value instanceof Uint8Array) parts.push(head(value.length, 0, 0, [0xc4, 0xc5, 0xc6]), value);
  else if (Array.isArray(value)) {
    parts.push(head(value.length, 0x90, 16, [null, 0xdc, 0xdd]));
    for (const item of value) write(item, parts);
  } else if (value instanceof Map) {
    parts.push(head(value.size, 0x80, 16, [null, 0xde, 0xdf]));
    for (const [name, one] of value) {
      write(name, parts);
      write(one, parts);
    }
  } else throw new TypeError('only numbers, text, bytes, arrays and maps');
}

/**
 * `value` in its shortest form. Numbers must be integers from 0, because messages have no others.
 * @param {MsgpackValue} value
 * @returns {Bytes}
 */
export function serializeMsgpack(value) {
  /** @type {Uint8Array[]} */
  const parts = [];
  write(value, parts);
  return concat(...parts);
}
