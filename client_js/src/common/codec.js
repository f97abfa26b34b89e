/**
 * Strict JSON and strict text encodings, with limits (PROTOCOL §1.4).
 *
 * JSON.parse accepts duplicate names, rounds large numbers and has no depth limit. So this module parses
 * JSON itself, and uses JSON.parse for single strings only, where it is strict. The module is long
 * because the grammar is.
 */
import { MalformedMessage } from './errors.js';

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */
/** @typedef {'base64' | 'hex'} TextEncoding */
/** @typedef {null | boolean | number | bigint | string | JsonValue[] | JsonObject} JsonValue */
/** @typedef {{ [name: string]: JsonValue }} JsonObject */

const MAX_DEPTH = 64;
const MAX_INTEGER_CHARS = 20;
const MAX_JSON_MARKS = 32_768;
export const MAX_ENVELOPE_MARKS = 4096;

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const SPACE = /[ \t\n\r]*/y;
const [COMMA, BRACKET, BRACE] = [0x2c, 0x5b, 0x7b];
const LONE_SURROGATE = /\p{Surrogate}/u;
const WORDS = /** @type {[string, boolean | null][]} */ ([
  ['true', true],
  ['false', false],
  ['null', null],
]);

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * @param {string} text
 * @returns {Bytes}
 */
export function utf8(text) {
  return encoder.encode(text);
}

/**
 * `data` decoded as UTF-8, or null. A byte order mark is kept as a character.
 * @param {Uint8Array} data
 */
export function utf8Text(data) {
  try {
    return decoder.decode(data);
  } catch {
    return null;
  }
}

/** Reads one JSON text from its start to its end. */
class Reader {
  #text;
  #at = 0;
  #depth = 0;
  #marks = 0;

  /** @param {string} text */
  constructor(text) {
    this.#text = text;
  }

  /** @returns {JsonValue} */
  document() {
    this.#skipSpace();
    const value = this.#value();
    this.#skipSpace();
    if (this.#at !== this.#text.length) throw new MalformedMessage('data follows the value');
    return value;
  }

  #skipSpace() {
    const first = this.#text.charCodeAt(this.#at);
    // Compact JSON has no spaces, so the regular expression is rarely needed.
    if (first > 0x20 || Number.isNaN(first)) return;
    SPACE.lastIndex = this.#at;
    SPACE.exec(this.#text);
    this.#at = SPACE.lastIndex;
  }

  /** @returns {JsonValue} */
  #value() {
    switch (this.#text[this.#at]) {
      case '"':
        return this.#string();
      case '{':
        return this.#nested(() => this.#object());
      case '[':
        return this.#nested(() => this.#array());
    }
    for (const [word, value] of WORDS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    return this.#number();
  }

  /**
   * @param {() => JsonValue} read
   */
  #nested(read) {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) throw new MalformedMessage('nested too deeply');
    this.#mark();
    this.#at += 1;
    this.#skipSpace();
    const value = read();
    this.#depth -= 1;
    return value;
  }

  /** Counts a comma or an opening bracket. */
  #mark() {
    this.#marks += 1;
    if (this.#marks > MAX_JSON_MARKS) {
      throw new MalformedMessage(`more than ${MAX_JSON_MARKS} commas and opening brackets`);
    }
  }

  /** Whether the list continues after the item that was just read. @param {string} end */
  #goesOn(end) {
    this.#skipSpace();
    const sign = this.#text[this.#at];
    this.#at += 1;
    if (sign === end) return false;
    if (sign !== ',') throw new MalformedMessage('not JSON');
    this.#mark();
    this.#skipSpace();
    return true;
  }

  #array() {
    /** @type {JsonValue[]} */
    const items = [];
    if (this.#text[this.#at] === ']') {
      this.#at += 1;
      return items;
    }
    do items.push(this.#value());
    while (this.#goesOn(']'));
    return items;
  }

  #object() {
    /** @type {JsonObject} */
    const members = {};
    if (this.#text[this.#at] === '}') {
      this.#at += 1;
      return members;
    }
    do {
      const name = this.#string();
      if (name === '__proto__') throw new MalformedMessage('a member is named __proto__');
      if (Object.hasOwn(members, name)) throw new MalformedMessage('a member name occurs twice');
      this.#skipSpace();
      if (this.#text[this.#at] !== ':') throw new MalformedMessage('not JSON');
      this.#at += 1;
      this.#skipSpace();
      members[name] = this.#value();
    } while (this.#goesOn('}'));
    return members;
  }

  /** @returns {string} */
  #string() {
    const text = this.#text;
    const start = this.#at;
    if (text[start] !== '"') throw new MalformedMessage('not JSON');
    let end = start;
    for (;;) {
      end = text.indexOf('"', end + 1);
      if (end < 0) throw new MalformedMessage('not JSON');
      let slashes = 0;
      while (text[end - 1 - slashes] === '\\') slashes += 1;
      // The run of backslashes stops at the opening quote at the latest.
      if (slashes % 2 === 0) break;
    }
    this.#at = end + 1;
    const token = text.slice(start, end + 1);
    /** @type {string} */
    let value;
    try {
      value = JSON.parse(token);
    } catch {
      throw new MalformedMessage('not JSON');
    }
    // Decoded UTF-8 has no lone surrogate; only an escape sequence can produce one.
    if (token.includes('\\u') && LONE_SURROGATE.test(value)) {
      throw new MalformedMessage('a lone surrogate is not a character');
    }
    return value;
  }

  #number() {
    NUMBER.lastIndex = this.#at;
    const found = NUMBER.exec(this.#text);
    if (!found) throw new MalformedMessage('not JSON');
    this.#at = NUMBER.lastIndex;
    const value = Number(found[0]);
    if (found[1] === undefined && found[2] === undefined) {
      if (found[0].length > MAX_INTEGER_CHARS) throw new MalformedMessage('an integer is too long');
      if (Number.isSafeInteger(value)) return value;
      // A double may have rounded the value, which would then differ from the one that was sent.
      const exact = BigInt(found[0]);
      return Math.abs(value) === 2 ** 53 && BigInt(value) === exact ? value : exact;
    }
    if (!Number.isFinite(value)) throw new MalformedMessage('a number is out of range');
    return value;
  }
}

/**
 * The value of `data` (UTF-8 JSON); integers beyond 2^53 are bigints.
 * @param {Uint8Array} data
 * @returns {JsonValue}
 * @throws {MalformedMessage}
 */
export function parseJson(data) {
  const text = utf8Text(data);
  if (text === null) throw new MalformedMessage('not UTF-8');
  return new Reader(text).document();
}

/**
 * Like `parseJson`, but the text must be an object.
 * @param {Uint8Array} data
 * @returns {JsonObject}
 * @throws {MalformedMessage}
 */
export function parseJsonObject(data) {
  const value = parseJson(data);
  if (!isJsonObject(value)) throw new MalformedMessage('not a JSON object');
  return value;
}

/**
 * Like `parseJsonObject`, for a message that is not authenticated yet. Such an object is nearly flat.
 * @param {Uint8Array} data
 * @returns {JsonObject}
 * @throws {MalformedMessage} also for more than 4096 commas and opening brackets
 */
export function parseJsonEnvelope(data) {
  let marks = 0;
  for (const byte of data) if (byte === COMMA || byte === BRACKET || byte === BRACE) marks += 1;
  if (marks > MAX_ENVELOPE_MARKS) throw new MalformedMessage('more values than any unsealed message has');
  return parseJsonObject(data);
}

/**
 * @param {unknown} value
 * @returns {value is JsonObject}
 */
export function isJsonObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * @param {JsonValue} value
 * @returns {string}
 */
function toText(value) {
  if (Array.isArray(value)) return `[${value.map(toText).join(',')}]`;
  if (isJsonObject(value)) {
    const members = Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}:${toText(one)}`);
    return `{${members.join(',')}}`;
  }
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError('this number has no form in JSON');
  return JSON.stringify(value);
}

/**
 * Compact UTF-8 JSON of `value`.
 * @param {JsonValue} value
 * @returns {Bytes}
 */
export function serializeJson(value) {
  return utf8(toText(value));
}

const BASE64 = utf8('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const HEX = utf8('0123456789abcdef');
const PAD = 0x3d;
const NO_DIGIT = 0xff;
const ascii = new TextDecoder('latin1');

/** @param {Uint8Array} alphabet */
function digitsOf(alphabet) {
  const digits = new Uint8Array(256).fill(NO_DIGIT);
  alphabet.forEach((character, digit) => (digits[character] = digit));
  return digits;
}
const BASE64_DIGITS = digitsOf(BASE64);
const HEX_DIGITS = digitsOf(HEX);

/** @param {Uint8Array} data */
function encodeBase64(data) {
  const out = new Uint8Array(Math.ceil(data.length / 3) * 4);
  let to = 0;
  for (let from = 0; from < data.length; from += 3) {
    const word = (data[from] << 16) | (data[from + 1] << 8) | data[from + 2];
    out[to++] = BASE64[word >> 18];
    out[to++] = BASE64[(word >> 12) & 63];
    out[to++] = BASE64[(word >> 6) & 63];
    out[to++] = BASE64[word & 63];
  }
  const over = data.length % 3;
  if (over) out.fill(PAD, out.length - 3 + over);
  return ascii.decode(out);
}

/** @param {string} text */
function decodeBase64(text) {
  if (text.length % 4) return null;
  const pads = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const digits = text.length - pads;
  const characters = utf8(text);
  // A character outside ASCII makes this longer than the text.
  if (characters.length !== text.length) return null;
  const out = new Uint8Array((text.length / 4) * 3 - pads);
  let to = 0;
  let wrong = 0;
  let word = 0;
  for (let from = 0; from < text.length; from += 4) {
    word = 0;
    for (let i = from; i < from + 4; i += 1) {
      const digit = i < digits ? BASE64_DIGITS[characters[i]] : 0;
      wrong |= digit & 0x80;
      word = (word << 6) | (digit & 63);
    }
    out[to++] = word >> 16;
    if (to < out.length) out[to++] = word >> 8;
    if (to < out.length) out[to++] = word;
  }
  // With other spare bits than zero, two texts would decode to the same bytes.
  const spare = word & ((1 << (8 * pads)) - 1);
  return wrong || spare ? null : out;
}

/** @param {Uint8Array} data */
function encodeHex(data) {
  const out = new Uint8Array(data.length * 2);
  data.forEach((byte, i) => {
    out[2 * i] = HEX[byte >> 4];
    out[2 * i + 1] = HEX[byte & 15];
  });
  return ascii.decode(out);
}

/** @param {string} text */
function decodeHex(text) {
  const characters = utf8(text);
  if (text.length % 2 || characters.length !== text.length) return null;
  const out = new Uint8Array(text.length / 2);
  let wrong = 0;
  for (let i = 0; i < out.length; i += 1) {
    const high = HEX_DIGITS[characters[2 * i]];
    const low = HEX_DIGITS[characters[2 * i + 1]];
    wrong |= (high | low) & 0x80;
    out[i] = (high << 4) | (low & 15);
  }
  return wrong ? null : out;
}

/**
 * `data` as base64 (RFC 4648 §4, padded) or lower-case hex.
 * @param {TextEncoding} encoding
 * @param {Uint8Array} data
 * @returns {string}
 */
export function encodeBytes(encoding, data) {
  return encoding === 'hex' ? encodeHex(data) : encodeBase64(data);
}

/**
 * The bytes of `text`, or null if it is not in the canonical form.
 * @param {TextEncoding} encoding
 * @param {string} text
 * @returns {Bytes | null}
 */
export function decodeBytes(encoding, text) {
  return encoding === 'hex' ? decodeHex(text) : decodeBase64(text);
}
