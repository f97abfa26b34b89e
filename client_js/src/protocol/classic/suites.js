/**
 * The classic suite: how a secret is wrapped and a payload encrypted (PROTOCOL §3.2.3, §3.4).
 *
 * `Classic` is the suite of the 2016 article in one of its dialects. `unwrap` and `open` return null for
 * every fault and do not say which.
 */
import { decodeBytes, encodeBytes, utf8 } from '../../common/codec.js';
import { GCM_TAG_BYTES } from '../../primitives/contract.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('./dialects.js').Dialect} Dialect */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('../../primitives/contract.js').RsaPrivateKey} RsaPrivateKey */
/** @typedef {import('../../primitives/rsaPublicKey.js').RsaPublicKey} RsaPublicKey */

const PASSPHRASE_CHARS = 32;
const IV_CHARS = 16;
const GCM_IV_CHARS = 12;

// The low six bits of a byte select the character.
const ALPHABET = utf8('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
const EVP_BLOCKS = 3;
const MD5_BYTES = 16;

/** Moves the bytes before `at` to the end. @param {Bytes} data @param {number} at */
function rotated(data, at) {
  const out = new Uint8Array(data.length);
  const rest = data.subarray(at);
  out.set(rest);
  out.set(data.subarray(0, at), rest.length);
  return out;
}

/** The classic suite in one dialect. */
export class Classic {
  #primitives;

  /** @param {Dialect} dialect @param {Primitives} primitives */
  constructor(dialect, primitives) {
    this.dialect = dialect;
    this.#primitives = primitives;
  }

  get name() {
    return `classic/${this.dialect.name}`;
  }

  /** @param {number} length */
  #randomText(length) {
    return this.#primitives.randomBytes(length).map((byte) => ALPHABET[byte & 63]);
  }

  /** @param {Uint8Array} data */
  #md5Hex(data) {
    return utf8(encodeBytes('hex', this.#primitives.md5(data)));
  }

  /** The passphrase for `code`: its MD5 in hex, or the code itself. @param {string} code */
  codePassphrase(code) {
    return this.dialect.codePassphrase === 'md5hex' ? this.#md5Hex(utf8(code)) : utf8(code);
  }

  /** 32 random characters from an alphabet of 64: 192 bits. */
  newPassphrase() {
    return this.#randomText(PASSPHRASE_CHARS);
  }

  /**
   * The `iv` member: 12 random characters for GCM, else null. Each key encrypts one message, so a
   * constant IV never repeats a pair of key and IV.
   */
  newIv() {
    return this.dialect.aes === 'gcm' ? String.fromCharCode(...this.#randomText(GCM_IV_CHARS)) : null;
  }

  newNonce() {
    return encodeBytes('hex', this.#primitives.randomBytes(16));
  }

  /** `passphrase` encrypted to `key`, as text. @param {RsaPublicKey} key @param {Bytes} passphrase */
  async wrap(key, passphrase) {
    const { encoding, rsaPadding } = this.dialect;
    return encodeBytes(encoding, await this.#primitives.wrap(key, passphrase, rsaPadding));
  }

  /**
   * The passphrase (32 printable ASCII characters), or null.
   * @param {RsaPrivateKey} key
   * @param {string} wrapped
   */
  async unwrap(key, wrapped) {
    const number = decodeBytes(this.dialect.encoding, wrapped);
    const secret = number && (await key.unwrap(number, this.dialect.rsaPadding));
    if (secret?.length !== PASSPHRASE_CHARS) return null;
    return secret.every((byte) => byte >= 0x20 && byte < 0x7f) ? secret : null;
  }

  /** OpenSSL's EVP_BytesToKey with MD5, one round and no salt. @param {Bytes} passphrase */
  #evpBytesToKey(passphrase) {
    const out = new Uint8Array(EVP_BLOCKS * MD5_BYTES);
    let block = new Uint8Array();
    for (let i = 0; i < EVP_BLOCKS; i += 1) {
      const input = new Uint8Array(block.length + passphrase.length);
      input.set(block);
      input.set(passphrase, block.length);
      block = this.#primitives.md5(input);
      out.set(block, i * MD5_BYTES);
    }
    return { key: out.slice(0, 32), ivBytes: out.slice(32) };
  }

  /** @param {Bytes} passphrase @param {string | null} iv */
  #keyAndIv(passphrase, iv) {
    const { aes, keyDerivation } = this.dialect;
    if (keyDerivation === 'evp-bytes-to-key') return this.#evpBytesToKey(passphrase);
    const key = keyDerivation === 'md5hex' ? this.#md5Hex(passphrase) : passphrase;
    if (iv === null) return aes === 'gcm' ? null : { key, ivBytes: utf8('0'.repeat(IV_CHARS)) };
    const ivBytes = utf8(iv);
    const chars = aes === 'gcm' ? GCM_IV_CHARS : IV_CHARS;
    // A character outside ASCII has more than one byte.
    return iv.length === chars && ivBytes.length === chars ? { key, ivBytes } : null;
  }

  /**
   * `plaintext` encrypted with `passphrase`, as text; `iv` from `newIv`.
   * @param {Bytes} passphrase
   * @param {Uint8Array} plaintext
   * @param {string | null} iv
   */
  async seal(passphrase, plaintext, iv) {
    const made = this.#keyAndIv(passphrase, iv);
    if (!made) throw new TypeError('the iv has the wrong form for this dialect');
    const { aesCtr, aesCbcSeal, aesGcmSeal } = this.#primitives;
    const seal = { ctr: aesCtr, cbc: aesCbcSeal, gcm: aesGcmSeal }[this.dialect.aes];
    const sealed = await seal(made.key, made.ivBytes, plaintext);
    const first = this.dialect.tag === 'first';
    return encodeBytes(this.dialect.encoding, first ? rotated(sealed, -GCM_TAG_BYTES) : sealed);
  }

  /**
   * The plaintext, or null.
   * @param {Bytes} passphrase
   * @param {string} payload
   * @param {string | null} iv
   * @returns {Promise<Bytes | null>}
   */
  async open(passphrase, payload, iv) {
    const made = this.#keyAndIv(passphrase, iv);
    const data = decodeBytes(this.dialect.encoding, payload);
    if (!made || !data) return null;
    const { aesCtr, aesCbcOpen, aesGcmOpen } = this.#primitives;
    const open = { ctr: aesCtr, cbc: aesCbcOpen, gcm: aesGcmOpen }[this.dialect.aes];
    const first = this.dialect.tag === 'first';
    return open(made.key, made.ivBytes, first ? rotated(data, GCM_TAG_BYTES) : data);
  }
}
