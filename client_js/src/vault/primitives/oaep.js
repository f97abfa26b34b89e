/** RSA-OAEP with a label, by WebCrypto: a private key that no script can export (VAULT §26). Secure contexts only. */

/** @typedef {import('../../common/codec.js').Bytes} Bytes */

const ALGORITHM = { name: 'RSA-OAEP', hash: 'SHA-256' };
const BITS = 3072;
const EXPONENT = '1,0,1';

/** A new pair of a device. IndexedDB can store `privateKey`. @returns {Promise<{ privateKey: CryptoKey, publicKey: Bytes }>} */
export async function generateDevicePair() {
  const { subtle } = globalThis.crypto;
  const parameters = { ...ALGORITHM, modulusLength: BITS, publicExponent: Uint8Array.of(1, 0, 1) };
  const { privateKey, publicKey } = await subtle.generateKey(parameters, false, ['encrypt', 'decrypt']);
  return { privateKey, publicKey: new Uint8Array(await subtle.exportKey('spki', publicKey)) };
}

/** The key in canonical DER, or null if it is not RSA with 3,072 bits and e = 65537. @param {Bytes} spki */
export async function deviceKeyFrom(spki) {
  const { subtle } = globalThis.crypto;
  try {
    const key = await subtle.importKey('spki', spki, ALGORITHM, true, ['encrypt']);
    const { modulusLength, publicExponent } = /** @type {RsaHashedKeyAlgorithm} */ (key.algorithm);
    const written = new Uint8Array(await subtle.exportKey('spki', key));
    const isCanonical = written.length === spki.length && written.every((byte, at) => byte === spki[at]);
    return isCanonical && modulusLength === BITS && String(publicExponent) === EXPONENT ? key : null;
  } catch {
    // A DataError: these bytes are not a key.
    return null;
  }
}

/** @param {CryptoKey} key @param {Bytes} secret @param {Bytes} label @returns {Promise<Bytes>} 384 bytes */
export async function wrapOaepLabelled(key, secret, label) {
  return new Uint8Array(await globalThis.crypto.subtle.encrypt({ name: 'RSA-OAEP', label }, key, secret));
}

/** The secret, or null. @param {CryptoKey} key @param {Bytes} wrapped @param {Bytes} label @returns {Promise<Bytes | null>} */
export async function unwrapOaepLabelled(key, wrapped, label) {
  // Node.js would accept a number without its leading zeros (RFC 8017 §7.1.2).
  if (wrapped.length !== BITS / 8) return null;
  try {
    return new Uint8Array(await globalThis.crypto.subtle.decrypt({ name: 'RSA-OAEP', label }, key, wrapped));
  } catch {
    // An OperationError says only that decryption failed.
    return null;
  }
}
