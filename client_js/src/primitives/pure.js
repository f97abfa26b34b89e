/**
 * The primitives in plain JavaScript, for pages without `crypto.subtle`.
 *
 * noble provides AES and hashes, micro-rsa-dsa-dh provides arithmetic, primality tests and OAEP (decision
 * 0007). The browser must provide `crypto.getRandomValues` and BigInt.
 */
import { cbc, ctr, gcm } from '@noble/ciphers/aes.js';
import { hmac } from '@noble/hashes/hmac.js';
import { md5, sha1 } from '@noble/hashes/legacy.js';
import { pbkdf2 } from '@noble/hashes/pbkdf2.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { isProbablePrimeRSA } from 'micro-rsa-dsa-dh/primality.js';
import { OAEP, mgf1 } from 'micro-rsa-dsa-dh/rsa.js';
import {
  I2OSP,
  bytesToNumber,
  gcd,
  invert,
  mod,
  pow,
  randomBits,
  sqrt,
} from 'micro-rsa-dsa-dh/utils.js';
import { AES_BLOCK_BYTES, EXPONENT, GCM_TAG_BYTES, KEY_BITS } from './contract.js';
import { readPrivateKey, writePrivateKey } from './der.js';
import { padPkcs1, unpadPkcs1 } from './pkcs1.js';
import { RsaPublicKey } from './rsaPublicKey.js';
import { yieldToEventLoop } from './eventLoop.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('./contract.js').Primitives} Primitives */
/** @typedef {import('./contract.js').RsaPrivateKey} RsaPrivateKey */
/** @typedef {import('./contract.js').GenerateOptions} GenerateOptions */
/** @typedef {import('./der.js').PrivateNumbers} PrivateNumbers */

const E = BigInt(EXPONENT);
// Around 2^1024, one odd number in 355 is prime; two primes are needed.
const USUAL_CANDIDATES = 2 * 355;
const PROGRESS_EVERY_MS = 100;
// The limit of one call of getRandomValues.
const MAX_RANDOM_BYTES = 65536;

const OAEPS = {
  'oaep-sha1': OAEP(sha1, mgf1(sha1)),
  'oaep-sha256': OAEP(sha256, mgf1(sha256)),
};

/** noble's types do not say that its arrays use unshared memory. @param {Uint8Array} data */
const bytes = (data) => /** @type {Bytes} */ (data);

/** @param {number} length */
export function randomBytes(length) {
  const out = new Uint8Array(length);
  for (let at = 0; at < length; at += MAX_RANDOM_BYTES) {
    globalThis.crypto.getRandomValues(out.subarray(at, at + MAX_RANDOM_BYTES));
  }
  return out;
}

/** @param {Uint8Array} data */
export function pureMd5(data) {
  return bytes(md5(data));
}

/**
 * @param {() => Uint8Array} open
 * @returns {Bytes | null}
 */
function orNull(open) {
  try {
    return bytes(open());
  } catch {
    return null;
  }
}

/** @type {Primitives['wrap']} */
export async function pureWrap(key, secret, padding) {
  if (padding !== 'pkcs1-v1.5') return bytes(OAEPS[padding].encrypt({ n: key.n, e: key.e }, secret));
  const block = bytesToNumber(padPkcs1(secret, key.size, randomBytes));
  return bytes(I2OSP(pow(block, key.e, key.n), key.size));
}

/**
 * c^d mod n with the Chinese remainder theorem, on a blinded number so that the time does not depend on
 * c. Null if the result is wrong: one wrong remainder would reveal the primes.
 * @param {PrivateNumbers} key
 * @param {bigint} c
 */
function privatePower({ n, e, p, q, dP, dQ, qInv }, c) {
  const blind = mod(randomBits(n.toString(2).length, randomBytes), n - 2n) + 2n;
  const blinded = (c * pow(blind, e, n)) % n;
  const [a, b] = [pow(blinded % p, dP, p), pow(blinded % q, dQ, q)];
  const power = b + q * mod((a - b) * qInv, p);
  const root = (power * invert(blind, n)) % n;
  return pow(root, e, n) === c ? root : null;
}

class PurePrivateKey {
  #numbers;
  #publicKey;
  stored;

  /** @param {PrivateNumbers} numbers @param {Bytes} stored */
  constructor(numbers, stored) {
    this.#numbers = numbers;
    this.#publicKey = RsaPublicKey.fromNumbers(numbers.n, numbers.e);
    this.stored = stored;
  }

  /** @type {RsaPrivateKey['unwrap']} */
  async unwrap(wrapped, padding) {
    const key = this.#publicKey;
    if (!key.fits(wrapped)) return null;
    const power = privatePower(this.#numbers, bytesToNumber(wrapped));
    if (power === null) return null;
    const block = I2OSP(power, key.size);
    if (padding === 'pkcs1-v1.5') return unpadPkcs1(block);
    // The power is already computed (the library has no CRT), so the exponent is 1.
    return orNull(() => OAEPS[padding].decrypt({ n: key.n, d: 1n }, block));
  }
}

/**
 * A private key, new or from a store, after a check that it inverts its public key.
 * @param {PrivateNumbers} numbers
 * @param {Bytes} stored
 * @throws {RangeError} the numbers do not belong together
 */
function checkedPrivateKey(numbers, stored) {
  // Any number will do, because it is blinded.
  if (privatePower(numbers, 2n) === null) throw new RangeError('these numbers are not an RSA key');
  return new PurePrivateKey(numbers, stored);
}

/** @param {bigint} p @param {bigint} q @returns {PrivateNumbers} */
export function numbersOf(p, q) {
  const d = invert(E, ((p - 1n) * (q - 1n)) / gcd(p - 1n, q - 1n));
  return { n: p * q, e: E, d, p, q, dP: d % (p - 1n), dQ: d % (q - 1n), qInv: invert(q, p) };
}

/**
 * Two primes as in FIPS 186-5 §A.1.3. Events can run between two candidates.
 * @param {GenerateOptions} options
 */
async function generateNumbers({ signal, onProgress }) {
  const startedMs = performance.now();
  const least = sqrt(1n << BigInt(KEY_BITS - 1));
  let candidates = 0;
  let reportedMs = startedMs;

  const report = () => {
    const nowMs = performance.now();
    if (nowMs - reportedMs < PROGRESS_EVERY_MS) return;
    reportedMs = nowMs;
    const elapsedMs = nowMs - startedMs;
    onProgress?.({ elapsedMs, usualMs: (elapsedMs / candidates) * USUAL_CANDIDATES });
  };

  /** @param {(candidate: bigint) => boolean} suits */
  const prime = async (suits) => {
    for (;;) {
      await yieldToEventLoop();
      signal?.throwIfAborted();
      const candidate = randomBits(KEY_BITS / 2, randomBytes) | 1n;
      if (candidate < least || !suits(candidate) || gcd(candidate - 1n, E) !== 1n) continue;
      candidates += 1;
      report();
      if (isProbablePrimeRSA(candidate, randomBytes)) return candidate;
    }
  };

  const p = await prime(() => true);
  const apart = 1n << BigInt(KEY_BITS / 2 - 100);
  const q = await prime((candidate) => candidate - p > apart || p - candidate > apart);
  return numbersOf(p, q);
}

/** @type {Primitives} */
export const pure = Object.freeze({
  name: 'pure',
  randomBytes,
  md5: pureMd5,
  sha256: async (data) => bytes(sha256(data)),
  hmacSha256: async (key, data) => bytes(hmac(sha256, key, data)),
  aesCtr: async (key, iv, data) => bytes(ctr(key, iv).encrypt(data)),
  aesCbcSeal: async (key, iv, data) => bytes(cbc(key, iv).encrypt(data)),
  aesCbcOpen: async (key, iv, data) =>
    data.length && data.length % AES_BLOCK_BYTES === 0
      ? orNull(() => cbc(key, iv).decrypt(data))
      : null,
  aesGcmSeal: async (key, iv, data, aad) => bytes(gcm(key, iv, aad).encrypt(data)),
  aesGcmOpen: async (key, iv, data, aad) =>
    data.length >= GCM_TAG_BYTES ? orNull(() => gcm(key, iv, aad).decrypt(data)) : null,
  pbkdf2: async (secret, salt, c) => bytes(pbkdf2(sha256, secret, salt, { c, dkLen: 32 })),
  wrap: pureWrap,
  generateKeyPair: async (options) => {
    const numbers = await generateNumbers(options);
    return {
      publicKey: RsaPublicKey.fromNumbers(numbers.n, numbers.e),
      privateKey: checkedPrivateKey(numbers, writePrivateKey(numbers)),
    };
  },
  importPrivateKey: async (stored) => {
    if (!(stored instanceof Uint8Array)) throw new TypeError('this key can only be used by WebCrypto');
    return checkedPrivateKey(readPrivateKey(stored), stored);
  },
  adoptKeyPair: async () => {
    throw new TypeError('rsaKey needs crypto.subtle');
  },
});
