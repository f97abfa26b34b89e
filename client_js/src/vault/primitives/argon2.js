/**
 * Argon2id (RFC 9106): hash-wasm, or noble where a Content-Security-Policy forbids WebAssembly.
 *
 * noble takes about 4 times as long (decision 0110).
 */
import { argon2idAsync } from '@noble/hashes/argon2.js';
import { argon2id as wasmArgon2id } from 'hash-wasm';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {{ memoryKib: number, passes: number, lanes: number }} Kdf */

let isForbidden = false;

/**
 * @param {Bytes} password
 * @param {Bytes} salt
 * @param {Kdf} kdf
 * @param {number} length
 * @returns {Promise<Bytes>}
 */
export async function argon2id(password, salt, { memoryKib, passes, lanes }, length) {
  if (!isForbidden) {
    try {
      const options = { password, salt, memorySize: memoryKib, iterations: passes, parallelism: lanes, hashLength: length };
      return /** @type {Bytes} */ (await wasmArgon2id({ ...options, outputType: 'binary' }));
    } catch {
      isForbidden = true;
    }
  }
  return /** @type {Bytes} */ (await argon2idAsync(password, salt, { m: memoryKib, t: passes, p: lanes, dkLen: length }));
}
