/** The DER and PEM of requests and certificates, beside those of RSA keys in primitives/der.js. */
import { write } from '../primitives/der.js';
import { decodeBytes, encodeBytes, utf8 } from '../common/codec.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */

const [BOOLEAN, BIT_STRING, OCTET_STRING, OBJECT, UTF8_STRING, PRINTABLE_STRING] = [1, 3, 4, 6, 12, 19];
const SET = 0x31;
export const SEQUENCE = 0x30;
const LINE = 64;

/** @param {...Uint8Array} parts */
export const sequence = (...parts) => write(SEQUENCE, ...parts);
/** @param {Uint8Array} part one member, so there is no order to keep */
export const setOf = (part) => write(SET, part);
/** @param {Uint8Array} data */
export const octets = (data) => write(OCTET_STRING, data);
/** @param {string} text */
export const utf8String = (text) => write(UTF8_STRING, utf8(text));
/** @param {string} text */
export const printableString = (text) => write(PRINTABLE_STRING, utf8(text));
/** @param {number} number @param {Uint8Array} content */
export const implicit = (number, content) => write(0x80 | number, content);
/** @param {number} number @param {...Uint8Array} parts */
export const explicit = (number, ...parts) => write(0xa0 | number, ...parts);
export const TRUE = write(BOOLEAN, Uint8Array.of(0xff));
export const NULL = write(5);

/** @param {Uint8Array} data @param {number} [unused] bits at the end */
export const bits = (data, unused = 0) => write(BIT_STRING, Uint8Array.of(unused), data);

/** @param {string} dotted for instance 1.2.840.10045.2.1 */
export function object(dotted) {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  return write(OBJECT, Uint8Array.from([first * 40 + second, ...rest].flatMap(base128)));
}

/** @param {number} value */
function base128(value) {
  const out = [value & 0x7f];
  for (let left = Math.floor(value / 128); left > 0; left = Math.floor(left / 128)) out.unshift((left & 0x7f) | 0x80);
  return out;
}

/** @param {string} label @param {Uint8Array} der */
export function pem(label, der) {
  const lines = encodeBytes('base64', der).match(new RegExp(`.{1,${LINE}}`, 'g')) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/**
 * The first PEM block with this label, or null.
 * @param {string} label @param {string} text
 * @returns {Bytes | null}
 */
export function readPem(label, text) {
  const found = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`).exec(text);
  return found && /** @type {Bytes | null} */ (decodeBytes('base64', found[1].replace(/\s/g, '')));
}
