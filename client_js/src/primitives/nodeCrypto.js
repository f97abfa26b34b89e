/** The primitives of node:crypto. */
import crypto, { constants } from 'node:crypto';
import { promisify } from 'node:util';
import { EXPONENT, GCM_TAG_BYTES, KEY_BITS } from './contract.js';
import { privateKeyFrom, keyPairFrom } from './cryptoKeys.js';
import { unpadPkcs1 } from './pkcs1.js';
import { RsaPublicKey } from './rsaPublicKey.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('./contract.js').RsaPadding} RsaPadding */
/** @typedef {import('./contract.js').Primitives} Primitives */
/** @typedef {import('./contract.js').RsaPrivateKey} RsaPrivateKey */

const PADDINGS = {
  'pkcs1-v1.5': { padding: constants.RSA_PKCS1_PADDING },
  'oaep-sha1': { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha1' },
  'oaep-sha256': { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
};
const NOTHING = new Uint8Array();
const generate = promisify(crypto.generateKeyPair);

/** A copy, not a view into Node's buffer pool. @param {Uint8Array[]} parts */
function bytes(...parts) {
  return new Uint8Array(Buffer.concat(parts));
}

/**
 * @param {() => Bytes} open
 */
function orNull(open) {
  try {
    return open();
  } catch {
    return null;
  }
}

class NodePrivateKey {
  #key;
  #publicKey;
  stored;

  /** @param {Bytes} stored */
  constructor(stored) {
    this.stored = stored;
    this.#key = crypto.createPrivateKey({ key: Buffer.from(stored), format: 'der', type: 'pkcs8' });
    const der = crypto.createPublicKey(this.#key).export({ format: 'der', type: 'spki' });
    const publicKey = RsaPublicKey.fromDer(bytes(der));
    if (!publicKey) throw new TypeError('this is not an RSA key');
    this.#publicKey = publicKey;
  }

  /** @type {RsaPrivateKey['unwrap']} */
  async unwrap(wrapped, padding) {
    if (!this.#publicKey.fits(wrapped)) return null;
    // Some versions of Node.js refuse to remove v1.5 padding, others return random bytes on wrong padding.
    const how =
      padding === 'pkcs1-v1.5' ? { padding: constants.RSA_NO_PADDING } : PADDINGS[padding];
    const block = orNull(() => bytes(crypto.privateDecrypt({ key: this.#key, ...how }, wrapped)));
    return block && padding === 'pkcs1-v1.5' ? unpadPkcs1(block) : block;
  }
}

/**
 * @param {string} mode
 * @param {Uint8Array} key
 * @param {Uint8Array} iv
 * @param {Uint8Array} data
 */
function encrypt(mode, key, iv, data) {
  const cipher = crypto.createCipheriv(`aes-256-${mode}`, key, iv);
  return bytes(cipher.update(data), cipher.final());
}

/** @type {Primitives} */
export const nodeCrypto = Object.freeze({
  name: 'nodeCrypto',
  randomBytes: (length) => bytes(crypto.randomBytes(length)),
  md5: (data) => bytes(crypto.createHash('md5').update(data).digest()),
  sha256: async (data) => bytes(crypto.createHash('sha256').update(data).digest()),
  hmacSha256: async (key, data) => bytes(crypto.createHmac('sha256', key).update(data).digest()),
  aesCtr: async (key, iv, data) => encrypt('ctr', key, iv, data),
  aesCbcSeal: async (key, iv, data) => encrypt('cbc', key, iv, data),
  aesCbcOpen: async (key, iv, data) =>
    orNull(() => {
      const decipher = crypto.createDecipheriv('aes-256-cbc', key, iv);
      return bytes(decipher.update(data), decipher.final());
    }),
  aesGcmSeal: async (key, iv, data, aad = NOTHING) => {
    const cipher = crypto.createCipheriv('aes-256-gcm', key, iv).setAAD(aad);
    return bytes(cipher.update(data), cipher.final(), cipher.getAuthTag());
  },
  aesGcmOpen: async (key, iv, data, aad = NOTHING) => {
    if (data.length < GCM_TAG_BYTES) return null;
    const end = data.length - GCM_TAG_BYTES;
    return orNull(() => {
      const decipher = crypto.createDecipheriv('aes-256-gcm', key, iv).setAAD(aad);
      decipher.setAuthTag(data.subarray(end));
      return bytes(decipher.update(data.subarray(0, end)), decipher.final());
    });
  },
  pbkdf2: async (secret, salt, iterations) =>
    bytes(crypto.pbkdf2Sync(secret, salt, iterations, 32, 'sha256')),
  wrap: async (key, secret, padding) => {
    const der = { key: Buffer.from(key.der), format: 'der', type: 'spki' };
    const imported = crypto.createPublicKey(/** @type {crypto.PublicKeyInput} */ (der));
    return bytes(crypto.publicEncrypt({ key: imported, ...PADDINGS[padding] }, secret));
  },
  generateKeyPair: async ({ signal }) => {
    const pair = await generate('rsa', { modulusLength: KEY_BITS, publicExponent: EXPONENT });
    signal?.throwIfAborted();
    const spki = bytes(pair.publicKey.export({ format: 'der', type: 'spki' }));
    const pkcs8 = bytes(pair.privateKey.export({ format: 'der', type: 'pkcs8' }));
    const publicKey = /** @type {RsaPublicKey} */ (RsaPublicKey.fromDer(spki));
    return { publicKey, privateKey: new NodePrivateKey(pkcs8) };
  },
  importPrivateKey: async (stored) => {
    return stored instanceof Uint8Array ? new NodePrivateKey(stored) : privateKeyFrom(crypto.webcrypto.subtle, stored);
  },
  adoptKeyPair: (external) => keyPairFrom(crypto.webcrypto.subtle, external),
});
