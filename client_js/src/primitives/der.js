/**
 * The DER of RSA keys: SubjectPublicKeyInfo and PKCS#8 (RFC 8017 §A.1, RFC 5280 §4.1, RFC 5958).
 *
 * The reader accepts lengths and integers in their shortest form only. To check that an encoding is
 * canonical, write the numbers again and compare.
 */
import { hexToNumber, numberToBytes } from 'micro-rsa-dsa-dh/utils.js';
import { concat } from '../common/bytes.js';
import { decodeBytes, encodeBytes } from '../common/codec.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */

const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const SEQUENCE = 0x30;

// A key of 4096 bits has 2.4 kB. Longer numbers would keep a Worker busy for hours.
const MAX_PRIVATE_KEY_BYTES = 2400;

// SEQUENCE { OBJECT IDENTIFIER rsaEncryption, NULL }
const ALGORITHM = /** @type {Bytes} */ (decodeBytes('hex', '300d06092a864886f70d0101010500'));

/** @param {number} tag @param {Uint8Array[]} parts */
export function write(tag, ...parts) {
  const content = concat(...parts);
  const size = content.length;
  const long = size < 0x80 ? [] : [...numberToBytes(size)];
  const length = size < 0x80 ? [size] : [0x80 | long.length, ...long];
  return concat(Uint8Array.from([tag, ...length]), content);
}

/** @param {bigint} value not negative */
export function writeInteger(value) {
  const bytes = numberToBytes(value);
  return write(INTEGER, bytes[0] & 0x80 ? concat(new Uint8Array(1), bytes) : bytes);
}

/** Reads DER from start to end; throws a RangeError if the next element is not the requested one. */
export class Reader {
  #data;
  #at = 0;

  /** @param {Uint8Array} data */
  constructor(data) {
    this.#data = data;
  }

  get isAtEnd() {
    return this.#at === this.#data.length;
  }

  #byte() {
    if (this.isAtEnd) throw new RangeError('DER ends early');
    return this.#data[this.#at++];
  }

  #length() {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count < 1 || count > 3) throw new RangeError('DER length');
    let length = 0;
    for (let i = 0; i < count; i += 1) length = length * 256 + this.#byte();
    if (length < 0x80 || length < 256 ** (count - 1)) throw new RangeError('DER length not minimal');
    return length;
  }

  /** @param {number} tag */
  content(tag) {
    if (this.#byte() !== tag) throw new RangeError('DER tag');
    const length = this.#length();
    if (this.#at + length > this.#data.length) throw new RangeError('DER ends early');
    this.#at += length;
    return this.#data.subarray(this.#at - length, this.#at);
  }

  /** @param {number} tag */
  inside(tag) {
    return new Reader(this.content(tag));
  }

  integer() {
    const bytes = this.content(INTEGER);
    if (!bytes.length || bytes[0] & 0x80) throw new RangeError('DER integer');
    if (bytes[0] === 0 && bytes[1] < 0x80) throw new RangeError('DER integer not minimal');
    return hexToNumber(encodeBytes('hex', bytes));
  }
}

/** @param {bigint} n @param {bigint} e */
export function writePublicKey(n, e) {
  return subjectPublicKeyInfo(write(SEQUENCE, writeInteger(n), writeInteger(e)));
}

/** Wraps an RSAPublicKey (PKCS#1) in a SubjectPublicKeyInfo. @param {Uint8Array} key */
export function subjectPublicKeyInfo(key) {
  return write(SEQUENCE, ALGORITHM, write(BIT_STRING, new Uint8Array(1), key));
}

/**
 * The numbers of an RSA SubjectPublicKeyInfo in canonical form, or null.
 * @param {Uint8Array} der
 */
export function readPublicKey(der) {
  try {
    const info = new Reader(der).inside(SEQUENCE);
    info.content(SEQUENCE);
    const key = new Reader(info.content(BIT_STRING).subarray(1)).inside(SEQUENCE);
    const [n, e] = [key.integer(), key.integer()];
    const same = writePublicKey(n, e);
    const isSame = same.length === der.length && same.every((byte, i) => byte === der[i]);
    return isSame ? { n, e } : null;
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/**
 * @typedef {{ n: bigint, e: bigint, d: bigint, p: bigint, q: bigint,
 *   dP: bigint, dQ: bigint, qInv: bigint }} PrivateNumbers
 */

/** @param {PrivateNumbers} numbers PKCS#8, unencrypted */
export function writePrivateKey(numbers) {
  const { n, e, d, p, q, dP, dQ, qInv } = numbers;
  const key = write(SEQUENCE, ...[0n, n, e, d, p, q, dP, dQ, qInv].map(writeInteger));
  return write(SEQUENCE, writeInteger(0n), ALGORITHM, write(OCTET_STRING, key));
}

/**
 * The numbers as written. The caller must check that they belong together.
 * @param {Uint8Array} der PKCS#8 of an RSA key of at most 4096 bits
 * @returns {PrivateNumbers}
 * @throws {RangeError}
 */
export function readPrivateKey(der) {
  if (der.length > MAX_PRIVATE_KEY_BYTES) throw new RangeError('the key is too large');
  const whole = new Reader(der);
  const info = whole.inside(SEQUENCE);
  if (!whole.isAtEnd) throw new RangeError('data follows the DER');
  info.integer();
  info.content(SEQUENCE);
  const key = new Reader(info.content(OCTET_STRING)).inside(SEQUENCE);
  key.integer();
  const [n, e, d, p, q, dP, dQ, qInv] = Array.from({ length: 8 }, () => key.integer());
  return { n, e, d, p, q, dP, dQ, qInv };
}
