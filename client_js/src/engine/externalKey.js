/**
 * An RSA key pair that the caller has made with WebCrypto, with a non-extractable private key.
 *
 * `checkKeyPair` checks the attributes of the pair when it is passed. `adoptKeyPair` checks the numbers, in
 * the engine. Both happen before anything is sent.
 */
import { CertlessError, ProtocolError } from '../common/errors.js';
import { CEK_BYTES } from '../protocol/hardened/sealedMessages.js';
import { EXPONENT } from '../primitives/contract.js';
import { equal } from '../primitives/hashes.js';
import { isCryptoKey } from '../primitives/cryptoKeys.js';
import { MAX_BITS, MIN_BITS, validatePublicKeyDer } from '../protocol/rsaKeys.js';

/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('../primitives/contract.js').RsaKeyPair} RsaKeyPair */

const PADDING = 'oaep-sha256';
const NO_PAIR =
  'rsaKey must be a CryptoKeyPair of crypto.subtle, which exists in Node.js, and on pages over https or on localhost';

/**
 * `given`, if its attributes are right for `rsa-gcm`.
 * @param {CryptoKeyPair} given
 * @returns {CryptoKeyPair}
 * @throws {TypeError}
 */
export function checkKeyPair(given) {
  const { publicKey, privateKey } = given ?? {};
  if (!isCryptoKey(publicKey) || !isCryptoKey(privateKey)) throw new TypeError(NO_PAIR);
  if (publicKey.type !== 'public' || privateKey.type !== 'private') throw new TypeError(NO_PAIR);
  for (const { algorithm } of [publicKey, privateKey]) {
    const { name, hash, modulusLength, publicExponent } = /** @type {RsaHashedKeyAlgorithm} */ (algorithm);
    if (name !== 'RSA-OAEP' || hash.name !== 'SHA-256') {
      throw new TypeError(`rsaKey must be for RSA-OAEP with SHA-256, not for ${name} with ${hash?.name}`);
    }
    if (modulusLength < MIN_BITS || modulusLength > MAX_BITS) {
      throw new TypeError(`rsaKey has ${modulusLength} bits: make one of ${MIN_BITS} to ${MAX_BITS}`);
    }
    if (publicExponent.reduce((value, byte) => value * 256 + byte, 0) !== EXPONENT) {
      throw new TypeError('rsaKey must have publicExponent: Uint8Array.of(1, 0, 1)');
    }
  }
  if (!publicKey.extractable) throw new TypeError('rsaKey.publicKey must be extractable');
  if (privateKey.extractable) throw new TypeError('rsaKey.privateKey must not be extractable');
  if (!privateKey.usages.includes('decrypt')) throw new TypeError('rsaKey.privateKey must have the usage decrypt');
  return { publicKey, privateKey };
}

/** @param {string} why @param {unknown} [cause] */
const unusable = (why, cause) =>
  new CertlessError('rsa_key', `rsaKey cannot be used: ${why}. Make a new pair.`, { cause });

/**
 * The pair for an engine. Takes about 20 ms.
 * @param {Primitives} primitives
 * @param {CryptoKeyPair} given
 * @returns {Promise<RsaKeyPair>}
 * @throws {CertlessError} `rsa_key`: no gateway accepts the key, or its halves are from two pairs
 */
export async function adoptKeyPair(primitives, given) {
  const pair = await primitives.adoptKeyPair(given);
  try {
    validatePublicKeyDer(pair.publicKey.der);
  } catch (error) {
    throw error instanceof ProtocolError ? unusable(error.message, error) : error;
  }
  const secret = primitives.randomBytes(CEK_BYTES);
  const opened = await pair.privateKey.unwrap(await primitives.wrap(pair.publicKey, secret, PADDING), PADDING);
  if (!opened || !equal(opened, secret)) throw unusable('its public and private key do not match');
  return pair;
}
