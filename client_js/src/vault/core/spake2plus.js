/**
 * The client's side of SPAKE2+ on P-256 (RFC 9383, P256-SHA256-HKDF-HMAC): it proves that it knows the
 * password, and the server keeps w0 and L.
 *
 *     shareP = x*G + w0*M     Z = x*(shareV - w0*N)     V = w1*(shareV - w0*N)
 *     K_main = SHA-256(TT)    TT = context, idP, idV, M, N, shareP, shareV, Z, V, w0
 *     K_confirmP ‖ K_confirmV = HKDF(K_main, "ConfirmationKeys")
 *     confirmV = HMAC(K_confirmV, shareP)     confirmP = HMAC(K_confirmP, shareV)
 */
import { concat, unsigned } from '../../common/bytes.js';
import { utf8 } from '../../common/codec.js';
import { hkdf, hmacSha256, sha256 } from '../../primitives/hashes.js';
import { encodePoint, ofGenerator } from '../../primitives/p256.js';
import { M, N, admitShare } from '../../protocol/hardened/spake2.js';
import { NOTHING, label, lp } from './account.js';
import { Malformed } from './errors.js';
import { le } from './password.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('./account.js').Owner} Owner */
/** @typedef {{ context: Bytes, prover: Bytes, verifier: Bytes }} Transcript */

/**
 * What both sides know before the run (VAULT §6.1).
 * @param {Owner} owner
 * @param {Bytes} exported e of the session
 * @param {number} kdf
 * @param {Bytes} salt
 * @returns {Transcript}
 */
export function transcriptOf(owner, exported, kdf, salt) {
  const parts = [exported, owner.account, Uint8Array.of(kdf), salt];
  return { context: concat(label('unlock'), ...parts.map(lp)), prover: owner.prover, verifier: owner.verifier };
}

/** shareP (65 bytes). @param {bigint} w0 @param {bigint} x from 1 to n - 1 */
export function proverShare(w0, x) {
  return encodePoint(ofGenerator(x).add(M.point.multiply(w0)));
}

/**
 * confirmP, confirmV and K_shared (32 bytes each).
 * @param {Transcript} transcript
 * @param {import('./password.js').PasswordSecrets} secrets
 * @param {bigint} x
 * @param {Bytes} shareP the own share
 * @param {Bytes} shareV
 * @throws {Malformed}
 */
export function proverConfirmations(transcript, { w0, w1 }, x, shareP, shareV) {
  const point = admitShare(shareV);
  const unblinded = point?.subtract(N.point.multiply(w0));
  if (!unblinded || unblinded.is0()) throw new Malformed('The share of the service is not a point of P-256.');
  const [z, v] = [x, w1].map((factor) => encodePoint(unblinded.multiply(factor)));
  const { context, prover, verifier } = transcript;
  const parts = [context, prover, verifier, M.bytes, N.bytes, shareP, shareV, z, v, unsigned(w0, 32)];
  const main = sha256(concat(...parts.map(le)));
  const keys = hkdf(main, NOTHING, utf8('ConfirmationKeys'), 64);
  return {
    prover: hmacSha256(keys.subarray(0, 32), shareV),
    verifier: hmacSha256(keys.subarray(32), shareP),
    shared: hkdf(main, NOTHING, utf8('SharedKey'), 32),
  };
}
