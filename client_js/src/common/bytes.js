/** Concatenation of byte strings, and integers as bytes. */

/** @typedef {import('./codec.js').Bytes} Bytes */

/**
 * @param {...Uint8Array} parts
 * @returns {Bytes}
 */
export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * `value` in `length` bytes, big-endian.
 * @param {number | bigint} value not negative
 * @param {number} length
 * @returns {Bytes}
 */
export function unsigned(value, length) {
  const out = new Uint8Array(length);
  let rest = BigInt(value);
  for (let i = length - 1; i >= 0; i -= 1) {
    out[i] = Number(rest & 255n);
    rest >>= 8n;
  }
  return out;
}
