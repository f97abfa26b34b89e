/** RSA-OAEP by a private key that WebCrypto holds; `subtle` is that of the platform. */
import { RsaPublicKey } from './rsaPublicKey.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('./contract.js').RsaKeyPair} RsaKeyPair */
/** @typedef {import('./contract.js').RsaPrivateKey} RsaPrivateKey */
/** @typedef {Pick<SubtleCrypto, 'decrypt' | 'exportKey'>} Subtle */

/**
 * Also where CryptoKey is no global (Node.js 18), or is another window's.
 * @param {unknown} value
 * @returns {value is CryptoKey}
 */
export const isCryptoKey = (value) => Object.prototype.toString.call(value) === '[object CryptoKey]';

/**
 * What was wrapped, or null.
 * @param {Subtle} subtle
 * @param {CryptoKey} key
 * @param {Uint8Array} wrapped
 * @returns {Promise<Bytes | null>}
 */
export async function unwrapOaep(subtle, key, wrapped) {
  const { modulusLength } = /** @type {RsaHashedKeyAlgorithm} */ (key.algorithm);
  // Node's would take a number that lost its leading zeros (RFC 8017 §7.1.2).
  if (wrapped.length !== Math.ceil(modulusLength / 8)) return null;
  try {
    return new Uint8Array(await subtle.decrypt({ name: 'RSA-OAEP' }, key, /** @type {Bytes} */ (wrapped)));
  } catch {
    // An OperationError says no more than that it did not open.
    return null;
  }
}

/**
 * A key for OAEP with SHA-256, and for nothing else.
 * @param {Subtle} subtle
 * @param {CryptoKey} key perhaps as it was kept
 * @returns {RsaPrivateKey}
 */
export function heldKey(subtle, key) {
  if (!isCryptoKey(key)) throw new TypeError('this is no private key');
  return {
    stored: key,
    unwrap: async (wrapped, padding) => (padding === 'oaep-sha256' ? unwrapOaep(subtle, key, wrapped) : null),
  };
}

/**
 * @param {Subtle} subtle
 * @param {CryptoKeyPair} held
 * @returns {Promise<RsaKeyPair>}
 */
export async function heldPair(subtle, held) {
  const der = new Uint8Array(await subtle.exportKey('spki', held.publicKey));
  const publicKey = RsaPublicKey.fromDer(der);
  if (!publicKey) throw new TypeError('rsaKey.publicKey is no RSA key');
  return { publicKey, privateKey: heldKey(subtle, held.privateKey), held };
}
