import { bytesToNumber } from 'micro-rsa-dsa-dh/utils.js';
import { encodeBytes } from '../common/codec.js';
import { readPublicKey, writePublicKey } from './der.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */

const PEM_LINE = /.{1,64}/g;

/** An RSA public key that may be encrypted to: admitted, or made here. */
export class RsaPublicKey {
  /** @param {bigint} n @param {bigint} e @param {Bytes} der */
  constructor(n, e, der) {
    this.n = n;
    this.e = e;
    this.der = der;
  }

  get bits() {
    return this.n.toString(2).length;
  }

  /** The bytes of a number below the modulus. */
  get size() {
    return Math.ceil(this.bits / 8);
  }

  /** @param {bigint} n @param {bigint} e */
  static fromNumbers(n, e) {
    return new RsaPublicKey(n, e, writePublicKey(n, e));
  }

  /**
   * The RSA key in `der`, or null where there is none in its one canonical form.
   * @param {Bytes} der
   */
  static fromDer(der) {
    const numbers = readPublicKey(der);
    return numbers && new RsaPublicKey(numbers.n, numbers.e, der);
  }

  /** SubjectPublicKeyInfo PEM. Source: RFC 7468 §13. */
  toPem() {
    const lines = encodeBytes('base64', this.der).match(PEM_LINE) ?? [];
    return ['-----BEGIN PUBLIC KEY-----', ...lines, '-----END PUBLIC KEY-----', ''].join('\n');
  }

  /**
   * Whether `wrapped` is a number below the modulus in its full length (RFC 8017 §7.1.2, §7.2.2).
   * @param {Uint8Array} wrapped
   */
  fits(wrapped) {
    return wrapped.length === this.size && bytesToNumber(wrapped) < this.n;
  }
}
