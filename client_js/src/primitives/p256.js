/**
 * Points of P-256, for SPAKE2 and for resumption (decision 0030).
 *
 * WebCrypto and node:crypto cannot add points, so all platforms use noble. Its multiplication takes the
 * same steps for every factor, but BigInt arithmetic is not constant-time. Each factor is used in one
 * login or one resumption only.
 */
import { weierstrass } from '@noble/curves/abstract/weierstrass.js';
import { bytesToNumber } from 'micro-rsa-dsa-dh/utils.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {InstanceType<typeof Point>} P256Point */

export const POINT_BYTES = 65;
export const SCALAR_SEED_BYTES = 48;

const UNCOMPRESSED = 4;

// Source: SEC 2 §2.4.2.
export const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const Point = weierstrass({
  p: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
  n: ORDER,
  h: 1n,
  a: 0xffffffff00000001000000000000000000000000fffffffffffffffffffffffcn,
  b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  Gx: 0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
  Gy: 0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
});

/**
 * A number from 1 to n - 1, each equally likely.
 * @param {Uint8Array} seed 48 random bytes
 */
export function scalar(seed) {
  return (bytesToNumber(seed) % (ORDER - 1n)) + 1n;
}

/** @param {bigint} factor 1 to n - 1 */
export function ofGenerator(factor) {
  return Point.BASE.multiply(factor);
}

/**
 * The point (not infinity) that `data` encodes in 65 bytes, or null.
 * @param {Uint8Array} data
 * @returns {P256Point | null}
 */
export function decodePoint(data) {
  // The library would also accept the compressed form.
  if (data.length !== POINT_BYTES || data[0] !== UNCOMPRESSED) return null;
  try {
    return Point.fromBytes(data);
  } catch {
    return null;
  }
}

/** `04`, x, y. @param {P256Point} point any but infinity */
export function encodePoint(point) {
  return /** @type {Bytes} */ (point.toBytes(false));
}

/**
 * The shared secret of ECDH (32 bytes), or null if the peer's bytes are not a point.
 * @param {bigint} secret
 * @param {Uint8Array} peer
 * @returns {Bytes | null}
 */
export function ecdh(secret, peer) {
  const point = decodePoint(peer);
  return point && encodePoint(point.multiply(secret)).slice(1, 33);
}
