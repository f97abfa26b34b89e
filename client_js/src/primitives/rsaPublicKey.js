import { bytesToNumber } from 'micro-rsa-dsa-dh/utils.js';
import { encodeBytes } from '../common/codec.js';
import { readPublicKey, writePublicKey } from './der.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */

const PEM_LINE = /.{1,64}/g;

/** An RSA public key, validated or created here. */
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

  /** The length of the modulus in bytes. */
  get size() {
    return Math.ceil(this.bits / 8);
  }

  /** @param {bigint} n @param {bigint} e */
  static fromNumbers(n, e) {
    return new RsaPublicKey(n, e, writePublicKey(n, e));
  }

  /**
   * The RSA key in `der`, or null if it is not in canonical form.
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
   * Whether `wrapped` has the length of the modulus and a lower value (RFC 8017 §7.1.2, §7.2.2).
   * @param {Uint8Array} wrapped
   */
  fits(wrapped) {
    return wrapped.length === this.size && bytesToNumber(wrapped) < this.n;
  }
}
