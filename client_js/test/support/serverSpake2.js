/** SPAKE2 at the server: its share, and the secret from the client's (RFC 9382). */
import { encodePoint, ofGenerator } from '../../src/primitives/p256.js';
import { M, N, multiple } from '../../src/protocol/hardened/spake2.js';

/** pB. @param {bigint} w @param {bigint} y each from 1 to n - 1 */
export function serverShare(w, y) {
  return encodePoint(ofGenerator(y).add(N.point.multiply(w)));
}

/** K (65 bytes) from pA, or null if it is infinity. @param {bigint} w @param {bigint} y @param {import('../../src/primitives/p256.js').P256Point} share */
export function serverSecret(w, y, share) {
  return multiple(share.subtract(M.point.multiply(w)), y);
}
