/**
 * An object of named members, written as JSON or as msgpack (PROTOCOL §2.3).
 *
 * A message has the same members in both formats; bytes are base64 in JSON and raw in msgpack. A reader
 * takes each member by name and type, and then calls `end`. A member that is left is an error, so that a
 * message contains nothing outside the transcript and the seal.
 */
import { decodeBytes, encodeBytes, parseJsonEnvelope, serializeJson } from '../common/codec.js';
import { MalformedMessage } from '../common/errors.js';
import { parseMsgpack, serializeMsgpack } from './msgpack.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {'json' | 'msgpack'} Format */
/** @typedef {number | string | string[] | Bytes} MemberValue */

/** @type {Readonly<Record<Format, string>>} */
export const CONTENT_TYPES = { json: 'application/json', msgpack: 'application/msgpack' };
export const MAX_TEXT_CHARS = 1024;
const MAX_TEXTS = 16;

/** The members of one message; each can be taken once. */
export class Members {
  #format;
  /** @type {Map<string, unknown>} */
  #left;

  /**
   * @param {Format} format
   * @param {Bytes} data
   * @throws {MalformedMessage} `data` is not an object in this format
   */
  constructor(format, data) {
    this.#format = format;
    const whole = format === 'json' ? new Map(Object.entries(parseJsonEnvelope(data))) : parseMsgpack(data);
    if (!(whole instanceof Map)) throw new MalformedMessage('not a msgpack map');
    this.#left = whole;
  }

  /** Whether the message has a member `name` that was not taken yet. @param {string} name */
  has(name) {
    return this.#left.has(name);
  }

  /** @param {string} name */
  #take(name) {
    if (!this.has(name)) throw new MalformedMessage(`member '${name}' is missing`);
    const value = this.#left.get(name);
    this.#left.delete(name);
    return value;
  }

  /** An integer from 0 to `highest`. @param {string} name @param {number} highest */
  number(name, highest) {
    const value = this.#take(name);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > highest) {
      throw new MalformedMessage(`member '${name}' must be a number from 0 to ${highest}`);
    }
    return value;
  }

  /** At most 1024 characters. @param {string} name */
  text(name) {
    return text(name, this.#take(name));
  }

  /** A list of 1 to 16 different texts. @param {string} name */
  texts(name) {
    const value = this.#take(name);
    if (!Array.isArray(value) || value.length < 1 || value.length > MAX_TEXTS) {
      throw new MalformedMessage(`member '${name}' must be a list of 1 to 16 strings`);
    }
    const texts = value.map((item) => text(name, item));
    if (new Set(texts).size !== texts.length) throw new MalformedMessage(`member '${name}' holds a string twice`);
    return texts;
  }

  /** Bytes; if `lengths` are given, of one of these lengths. @param {string} name @param {...number} lengths */
  raw(name, ...lengths) {
    const value = this.#take(name);
    const isText = this.#format === 'json' && typeof value === 'string';
    const data = isText ? decodeBytes('base64', value) : value;
    const isRaw = data instanceof Uint8Array && (!lengths.length || lengths.includes(data.length));
    if (!isRaw) throw new MalformedMessage(`member '${name}' must be ${lengths.join(' or ')} bytes`);
    return /** @type {Bytes} */ (data);
  }

  /** Like `raw`, or null if the member is missing. @param {string} name @param {...number} lengths */
  optionalRaw(name, ...lengths) {
    return this.has(name) ? this.raw(name, ...lengths) : null;
  }

  /** @throws {MalformedMessage} the message has another member */
  end() {
    if (this.#left.size) throw new MalformedMessage('the message has an unknown member');
  }
}

/** @param {string} name @param {unknown} value */
function text(name, value) {
  // Characters, not UTF-16 units: a character outside the first plane has two units.
  const isText = typeof value === 'string' && value.length <= 2 * MAX_TEXT_CHARS;
  if (!isText || [...value].length > MAX_TEXT_CHARS) {
    throw new MalformedMessage(`member '${name}' must be a string of at most ${MAX_TEXT_CHARS}`);
  }
  return value;
}

/**
 * `members` in this format, without members that are null.
 * @param {Format} format
 * @param {Record<string, MemberValue | null>} members
 * @returns {Bytes}
 */
export function serializeMembers(format, members) {
  const present = /** @type {[string, MemberValue][]} */ (
    Object.entries(members).filter(([, value]) => value !== null)
  );
  if (format === 'msgpack') return serializeMsgpack(new Map(present));
  return serializeJson(
    Object.fromEntries(
      present.map(([name, value]) => [name, value instanceof Uint8Array ? encodeBytes('base64', value) : value]),
    ),
  );
}
