/** What binds a passkey to a session and to an account, and the key of its wrap (VAULT §25). */
import { concat } from '../../common/bytes.js';
import { utf8 } from '../../common/codec.js';
import { hkdf, sha256 } from '../../primitives/hashes.js';
import { KEY_BYTES, label, lp } from './account.js';
import { Malformed } from './errors.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */

const PRF_BYTES = 32;

/**
 * The challenge of WebAuthn (32 bytes).
 * @param {Bytes} exported e of the session
 * @param {Bytes} account
 * @param {'register' | 'sign in'} purpose
 * @param {Bytes} nonce 16 bytes of the server, used once
 */
export function passkeyChallenge(exported, account, purpose, nonce) {
  return sha256(concat(label('passkey'), lp(exported), lp(account), lp(utf8(purpose)), lp(nonce)));
}

/** The input of the PRF, `eval.first` (32 bytes). @param {Bytes} account @param {string} rpId */
export const prfSalt = (account, rpId) => sha256(concat(label('passkey prf'), lp(account), lp(utf8(rpId))));

/**
 * The key of the wrap of a passkey.
 * @param {Bytes} prf the output of its PRF, `results.first`
 * @param {Bytes} account
 * @throws {Malformed}
 */
export function passkeyKek(prf, account) {
  if (prf.length !== PRF_BYTES) throw new Malformed(`The PRF of a passkey gives ${PRF_BYTES} bytes.`);
  return hkdf(prf, account, label('passkey key'), KEY_BYTES);
}
