/**
 * SPAKE2 on P-256: from a short shared secret to a strong one (RFC 9382).
 *
 * The ciphersuite is SPAKE2-P256-SHA256-HKDF-HMAC. A is the client, B the server:
 *
 *     pA = x*G + w*M     pB = y*G + w*N     K = x*(pB - w*N) = y*(pA - w*M)
 *     TT = identities, pA, pB, K, w, each behind its length
 *     Ke ‖ Ka = SHA-256(TT)     KcA ‖ KcB = HKDF(Ka, "ConfirmationKeys" ‖ AAD)
 *     cA = HMAC(KcA, TT)     cB = HMAC(KcB, TT)
 *
 * A passive attacker cannot test a guess of w without solving a discrete logarithm. An active attacker
 * can test one guess in each run. The cofactor of P-256 is 1. Both sides compute their shares in the same
 * way, the client with M and the server with N. The server's side, for tests, is in
 * test/support/serverSpake2.js.
 */
import { concat, unsigned } from '../../common/bytes.js';
import { decodeBytes, utf8 } from '../../common/codec.js';
import { equal, hkdf, hmacSha256, sha256 } from '../../primitives/hashes.js';
import { decodePoint, encodePoint, ofGenerator } from '../../primitives/p256.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../../primitives/p256.js').P256Point} P256Point */

// "1.2.840.10045.3.1.7 point generation seed (M)" and "(N)", hashed to the curve (RFC 9382 §4), so that
// nobody knows the discrete logarithm of either point.
const M_HEX =
  '04886e2f97ace46e55ba9dd7242579f2993b64e16ef3dcab95afd497333d8fa12f' +
  '5ff355163e43ce224e0b0e65ff02ac8e5c7be09419c785e0ca547d55a12e2d20';
const N_HEX =
  '04d8bbd6c639c62937b04d997f38c3770719c629d7014d49a24b4f98baa1292b49' +
  '07d60aa6bfade45008a636337f5168c64d9bd36034808cd564490b1e656edbe7';
/** The two points that blind the shares: M the client's, N the server's. */
export const [M, N] = [M_HEX, N_HEX].map((hex) => {
  const bytes = /** @type {Bytes} */ (decodeBytes('hex', hex));
  return { bytes, point: /** @type {P256Point} */ (decodePoint(bytes)) };
});

/**
 * The peer's share (65 bytes), or null if it is not a point of the curve, or if it is M or N. An honest
 * peer never sends M or N.
 * @param {Bytes} data
 */
export function admitShare(data) {
  return [M, N].some(({ bytes }) => equal(bytes, data)) ? null : decodePoint(data);
}

/** pA. @param {bigint} w @param {bigint} x each from 1 to n - 1 */
export function clientShare(w, x) {
  return encodePoint(ofGenerator(x).add(M.point.multiply(w)));
}

/**
 * K (65 bytes) from pB, or null if it is infinity, as for a pB computed from w alone.
 * @param {bigint} w
 * @param {bigint} x
 * @param {P256Point} share
 */
export function clientSecret(w, x, share) {
  return multiple(share.subtract(N.point.multiply(w)), x);
}

/** @param {P256Point} unblinded @param {bigint} factor */
export function multiple(unblinded, factor) {
  return unblinded.is0() ? null : encodePoint(unblinded.multiply(factor));
}

/**
 * idA and idB of this protocol (PROTOCOL §2.4.4).
 * @param {string} username
 * @param {string} realm
 * @returns {[Bytes, Bytes]}
 */
export function identities(username, realm) {
  return [utf8(`client:${username}`), utf8(`server:${realm}`)];
}

/** A part after its length: eight bytes, little-endian, as in the RFC. @param {Uint8Array} part */
const withLength = (part) => concat(unsigned(part.length, 4).reverse(), new Uint8Array(4), part);

/**
 * Ke (16 bytes) and the two confirmations (32 bytes each) over TT. Source: RFC 9382 §3.3, §4.
 * @param {[Bytes, Bytes]} who idA, idB
 * @param {Bytes} pA
 * @param {Bytes} pB
 * @param {Bytes} secret K
 * @param {bigint} w
 * @param {Bytes} aad
 */
export function agree(who, pA, pB, secret, w, aad) {
  const transcript = concat(...[...who, pA, pB, secret, unsigned(w, 32)].map(withLength));
  const digest = sha256(transcript);
  const info = concat(utf8('ConfirmationKeys'), aad);
  const keys = hkdf(digest.slice(16), new Uint8Array(), info, 32);
  return {
    shared: digest.slice(0, 16),
    cA: hmacSha256(keys.slice(0, 16), transcript),
    cB: hmacSha256(keys.slice(16), transcript),
  };
}
