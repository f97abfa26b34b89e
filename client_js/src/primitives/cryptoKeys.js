/** RSA-OAEP with non-extractable CryptoKeys; `subtle` is the platform's SubtleCrypto. */
import { RsaPublicKey } from './rsaPublicKey.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('./contract.js').RsaKeyPair} RsaKeyPair */
/** @typedef {import('./contract.js').RsaPrivateKey} RsaPrivateKey */
/** @typedef {Pick<SubtleCrypto, 'decrypt' | 'exportKey'>} Subtle */

/**
 * Works also if CryptoKey is not a global (Node.js 18) or the key is from another window.
 * @param {unknown} value
 * @returns {value is CryptoKey}
 */
export const isCryptoKey = (value) => Object.prototype.toString.call(value) === '[object CryptoKey]';

/**
 * The unwrapped secret, or null.
 * @param {Subtle} subtle
 * @param {CryptoKey} key
 * @param {Uint8Array} wrapped
 * @returns {Promise<Bytes | null>}
 */
export async function unwrapOaep(subtle, key, wrapped) {
  const { modulusLength } = /** @type {RsaHashedKeyAlgorithm} */ (key.algorithm);
  // Node.js would accept a number without its leading zeros (RFC 8017 §7.1.2).
  if (wrapped.length !== Math.ceil(modulusLength / 8)) return null;
  try {
    return new Uint8Array(await subtle.decrypt({ name: 'RSA-OAEP' }, key, /** @type {Bytes} */ (wrapped)));
  } catch {
    // An OperationError says only that decryption failed.
    return null;
  }
}

/**
 * A private key for OAEP with SHA-256 only.
 * @param {Subtle} subtle
 * @param {CryptoKey} key possibly read from a store
 * @returns {RsaPrivateKey}
 */
export function privateKeyFrom(subtle, key) {
  if (!isCryptoKey(key)) throw new TypeError('this is not a private key');
  return {
    stored: key,
    unwrap: async (wrapped, padding) => (padding === 'oaep-sha256' ? unwrapOaep(subtle, key, wrapped) : null),
  };
}

/**
 * @param {Subtle} subtle
 * @param {CryptoKeyPair} external
 * @returns {Promise<RsaKeyPair>}
 */
export async function keyPairFrom(subtle, external) {
  const der = new Uint8Array(await subtle.exportKey('spki', external.publicKey));
  const publicKey = RsaPublicKey.fromDer(der);
  if (!publicKey) throw new TypeError('rsaKey.publicKey is not an RSA key');
  return { publicKey, privateKey: privateKeyFrom(subtle, external.privateKey), external };
}
