/**
 * SHA-256, HMAC and HKDF of short inputs, the same everywhere.
 *
 * Each takes microseconds. A call of WebCrypto takes longer than the hash itself (decision 0030).
 */
import { expand, extract } from '@noble/hashes/hkdf.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */

/** noble's types do not say that its arrays use unshared memory. @param {Uint8Array} data */
const bytes = (data) => /** @type {Bytes} */ (data);

/** @param {Uint8Array} data */
export function sha256(data) {
  return bytes(nobleSha256(data));
}

/** @param {Uint8Array} key @param {Uint8Array} data */
export function hmacSha256(key, data) {
  return bytes(hmac(nobleSha256, key, data));
}

/** RFC 5869 §2.2. @param {Uint8Array} salt @param {Uint8Array} ikm */
export function hkdfExtract(salt, ikm) {
  return bytes(extract(nobleSha256, ikm, salt));
}

/** RFC 5869 §2.3. @param {Uint8Array} prk @param {Uint8Array} info @param {number} [length] */
export function hkdfExpand(prk, info, length = 32) {
  return bytes(expand(nobleSha256, prk, info, length));
}

/**
 * @param {Uint8Array} ikm
 * @param {Uint8Array} salt
 * @param {Uint8Array} info
 * @param {number} length
 */
export function hkdf(ikm, salt, info, length) {
  return hkdfExpand(hkdfExtract(salt, ikm), info, length);
}

/**
 * Whether two byte strings are equal, in constant time.
 * @param {Uint8Array} one
 * @param {Uint8Array} other
 */
export function equal(one, other) {
  let difference = one.length ^ other.length;
  for (let i = 0; i < one.length; i += 1) difference |= one[i] ^ other[i];
  return difference === 0;
}
