/** Ed25519 (RFC 8032), by noble: no page has it without `crypto.subtle`, and some browsers lack it there. */
import { ed25519 } from '@noble/curves/ed25519.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */

/** @param {Bytes} seed 32 bytes @returns {Bytes} 32 bytes */
export function publicKey(seed) {
  return /** @type {Bytes} */ (ed25519.getPublicKey(seed));
}

/** @param {Bytes} seed 32 bytes @param {Bytes} data @returns {Bytes} 64 bytes */
export function sign(seed, data) {
  return /** @type {Bytes} */ (ed25519.sign(data, seed));
}

/** Whether `key` (32 bytes) is canonical and not of small order (VAULT §2). @param {Bytes} key */
export function isPublicKey(key) {
  try {
    // Not zip215: an encoding that is not canonical is refused.
    return !ed25519.Point.fromBytes(key, false).isSmallOrder();
  } catch {
    return false;
  }
}

/** Whether `signature` is that of `data` by the key with the public half `key` (VAULT §2). @param {Bytes} key @param {Bytes} signature @param {Bytes} data */
export function isSignature(key, signature, data) {
  try {
    return isPublicKey(key) && ed25519.verify(signature, data, key, { zip215: false });
  } catch {
    // A signature of another length.
    return false;
  }
}
