/** A private key and what belongs to it. Nothing here returns the key, except under a passphrase. */
import { equal } from '../primitives/hashes.js';
import { pem } from './asn1.js';
import { publicKeyOf } from './certificate.js';
import { IssuingError } from './errors.js';
import { encryptedPrivateKey } from './privateKeyFile.js';
import { certificateRequest, requestParts } from './request.js';

/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./keys.js').KeyKind} KeyKind */
/** @typedef {import('./keys.js').KeySource} KeySource */
/** @typedef {import('./keys.js').SigningKeyPair} SigningKeyPair */
/** @typedef {import('./request.js').Wanted} Wanted */

export class KeyHolder {
  #primitives;
  #keys;
  /** @type {SigningKeyPair | null} */
  #pair = null;

  /** @param {Primitives} primitives @param {KeySource} keys */
  constructor(primitives, keys) {
    this.#primitives = primitives;
    this.#keys = keys;
  }

  /**
   * Makes a new key pair, and resolves to a request for it in PEM. A key from before is forgotten.
   * @param {KeyKind} kind
   * @param {Wanted} wanted
   * @throws {IssuingError}
   */
  async request(kind, wanted) {
    if (kind !== 'P-256' && kind !== 'RSA-3072') throw new IssuingError('input', 'Choose P-256 or RSA-3072.');
    const parts = requestParts(wanted);
    this.#pair = await this.#keys.generate(kind);
    return pem('CERTIFICATE REQUEST', await certificateRequest(this.#pair, parts));
  }

  /** @param {string} certificate PEM @throws {IssuingError} the certificate is for another key */
  async match(certificate) {
    if (!equal(publicKeyOf(certificate), this.#held().publicKey)) {
      throw new IssuingError('mismatch', 'This certificate is for another key. Do not use it, and tell the operator.');
    }
  }

  /** The private key in PEM, under the passphrase. @param {string} passphrase @throws {IssuingError} */
  async encryptedKey(passphrase) {
    return encryptedPrivateKey(this.#primitives, this.#held().privateKey, passphrase);
  }

  /** Drops the key. */
  async forget() {
    this.#pair?.privateKey.fill(0);
    this.#pair = null;
  }

  #held() {
    if (!this.#pair) throw new IssuingError('no_key', 'There is no key. Make a new request.');
    return this.#pair;
  }
}
