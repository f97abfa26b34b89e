/**
 * The primitives of `crypto.subtle`. It has no MD5 and no PKCS#1 v1.5 encryption; these come from pure.js.
 */
import { readPublicKey } from './der.js';
import { EXPONENT, KEY_BITS } from './contract.js';
import { keyPairFrom, unwrapOaep } from './cryptoKeys.js';
import { pure, pureMd5, pureWrap, randomBytes } from './pure.js';
import { RsaPublicKey } from './rsaPublicKey.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('./contract.js').RsaPadding} RsaPadding */
/** @typedef {import('./contract.js').Primitives} Primitives */
/** @typedef {import('./contract.js').RsaPrivateKey} RsaPrivateKey */
/** @typedef {import('./contract.js').StoredKey} StoredKey */

/** @param {RsaPadding} padding */
function oaep(padding) {
  return { name: 'RSA-OAEP', hash: padding === 'oaep-sha1' ? 'SHA-1' : 'SHA-256' };
}

/** WebCrypto accepts whole buffers and views; the types do not say so. @param {Uint8Array} data */
const source = (data) => /** @type {Bytes} */ (data);

const { subtle } = globalThis.crypto ?? {};

/**
 * @param {AesCtrParams | AesCbcParams | AesGcmParams} algorithm
 * @param {Uint8Array} key
 * @param {'encrypt' | 'decrypt'} use
 * @param {Uint8Array} data
 */
async function aes(algorithm, key, use, data) {
  const imported = await subtle.importKey('raw', source(key), algorithm.name, false, [use]);
  return new Uint8Array(await subtle[use](algorithm, imported, source(data)));
}

/** @param {Uint8Array} iv @param {Uint8Array} [aad] @returns {AesGcmParams} */
function gcm(iv, aad = new Uint8Array()) {
  return { name: 'AES-GCM', iv: source(iv), additionalData: source(aad) };
}

/** @param {Promise<Bytes>} opened */
async function orNull(opened) {
  try {
    return await opened;
  } catch {
    // An OperationError says only that decryption failed.
    return null;
  }
}

class SubtlePrivateKey {
  stored;
  /** @type {Map<RsaPadding, Promise<CryptoKey>>} */
  #imported = new Map();
  /** @type {Promise<RsaPrivateKey> | undefined} */
  #pure;

  /** @param {StoredKey} stored */
  constructor(stored) {
    this.stored = stored;
  }

  /** @param {RsaPadding} padding */
  #key(padding) {
    const { stored } = this;
    if (!(stored instanceof Uint8Array)) return stored;
    let key = this.#imported.get(padding);
    if (!key) {
      key = subtle.importKey('pkcs8', stored, oaep(padding), false, ['decrypt']);
      this.#imported.set(padding, key);
    }
    return key;
  }

  /** @type {RsaPrivateKey['unwrap']} */
  async unwrap(wrapped, padding) {
    if (padding === 'pkcs1-v1.5') {
      this.#pure ??= pure.importPrivateKey(this.stored);
      return (await this.#pure).unwrap(wrapped, padding);
    }
    return unwrapOaep(subtle, await this.#key(padding), wrapped);
  }
}

/** @type {Primitives} */
export const webCrypto = Object.freeze({
  name: 'webCrypto',
  randomBytes,
  md5: pureMd5,
  sha256: async (data) => new Uint8Array(await subtle.digest('SHA-256', source(data))),
  hmacSha256: async (key, data) => {
    const algorithm = { name: 'HMAC', hash: 'SHA-256' };
    const imported = await subtle.importKey('raw', source(key), algorithm, false, ['sign']);
    return new Uint8Array(await subtle.sign('HMAC', imported, source(data)));
  },
  aesCtr: (key, iv, data) =>
    aes({ name: 'AES-CTR', counter: source(iv), length: 128 }, key, 'encrypt', data),
  aesCbcSeal: (key, iv, data) => aes({ name: 'AES-CBC', iv: source(iv) }, key, 'encrypt', data),
  aesCbcOpen: (key, iv, data) =>
    orNull(aes({ name: 'AES-CBC', iv: source(iv) }, key, 'decrypt', data)),
  aesGcmSeal: (key, iv, data, aad) => aes(gcm(iv, aad), key, 'encrypt', data),
  aesGcmOpen: (key, iv, data, aad) => orNull(aes(gcm(iv, aad), key, 'decrypt', data)),
  pbkdf2: async (secret, salt, iterations) => {
    const algorithm = { name: 'PBKDF2', hash: 'SHA-256', salt: source(salt), iterations };
    const imported = await subtle.importKey('raw', source(secret), 'PBKDF2', false, ['deriveBits']);
    return new Uint8Array(await subtle.deriveBits(algorithm, imported, 256));
  },
  wrap: async (key, secret, padding) => {
    if (padding === 'pkcs1-v1.5') return pureWrap(key, secret, padding);
    const imported = await subtle.importKey('spki', key.der, oaep(padding), false, ['encrypt']);
    return new Uint8Array(await subtle.encrypt({ name: 'RSA-OAEP' }, imported, source(secret)));
  },
  generateKeyPair: async ({ padding, signal }) => {
    const leavesWebCrypto = padding === 'pkcs1-v1.5';
    const exponent = Uint8Array.of(EXPONENT >> 16, (EXPONENT >> 8) & 255, EXPONENT & 255);
    const algorithm = { ...oaep(padding), modulusLength: KEY_BITS, publicExponent: exponent };
    const pair = await subtle.generateKey(algorithm, leavesWebCrypto, ['encrypt', 'decrypt']);
    signal?.throwIfAborted();
    const der = new Uint8Array(await subtle.exportKey('spki', pair.publicKey));
    const { n, e } = /** @type {{ n: bigint, e: bigint }} */ (readPublicKey(der));
    const stored = leavesWebCrypto
      ? new Uint8Array(await subtle.exportKey('pkcs8', pair.privateKey))
      : pair.privateKey;
    return { publicKey: new RsaPublicKey(n, e, der), privateKey: new SubtlePrivateKey(stored) };
  },
  importPrivateKey: async (stored) => {
    // Somebody can have changed stored bytes, but not a CryptoKey.
    if (stored instanceof Uint8Array) await pure.importPrivateKey(stored);
    else if (!(stored instanceof CryptoKey)) throw new TypeError('this is not a private key');
    return new SubtlePrivateKey(stored);
  },
  adoptKeyPair: (external) => keyPairFrom(subtle, external),
});
