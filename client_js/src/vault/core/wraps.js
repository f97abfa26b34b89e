/** The account key under the key of one secret (VAULT §5), and sealed values of an account. */
import { concat } from '../../common/bytes.js';
import { utf8 } from '../../common/codec.js';
import { GCM_TAG_BYTES } from '../../primitives/contract.js';
import { AccountKey, KEY_BYTES, NOTHING, label, lp } from './account.js';
import { Malformed, WrongSecret } from './errors.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */
/** @typedef {'password' | 'recovery' | 'temporary' | 'device' | 'passkey'} Kind */

export const IV_BYTES = 12;
/** The format byte, the IV and the tag. */
export const OVERHEAD_BYTES = 1 + IV_BYTES + GCM_TAG_BYTES;
export const WRAP_BYTES = OVERHEAD_BYTES + KEY_BYTES;
const FORMAT = 1;

/**
 * u8(1) ‖ iv ‖ AES-256-GCM; 29 bytes longer than `plaintext`.
 * @param {Primitives} primitives
 * @param {Bytes} key
 * @param {Bytes} plaintext
 * @param {Bytes} aad
 */
export async function seal(primitives, key, plaintext, aad) {
  const iv = primitives.randomBytes(IV_BYTES);
  return concat(Uint8Array.of(FORMAT), iv, await primitives.aesGcmSeal(key, iv, plaintext, aad));
}

/**
 * The plaintext, or null if `key` and `aad` do not open it.
 * @param {Primitives} primitives
 * @param {Bytes} key
 * @param {Bytes} sealed
 * @param {Bytes} aad
 * @throws {Malformed}
 */
export async function unseal(primitives, key, sealed, aad) {
  if (sealed.length < OVERHEAD_BYTES || sealed[0] !== FORMAT) {
    throw new Malformed('This is not a sealed value of format 1. Update this client.');
  }
  return primitives.aesGcmOpen(key, sealed.slice(1, 1 + IV_BYTES), sealed.slice(1 + IV_BYTES), aad);
}

/** @param {Bytes} account @param {Kind} kind @param {Bytes} subject */
const aadOf = (account, kind, subject) => concat(label('wrap'), lp(account), lp(utf8(kind)), lp(subject));

/**
 * The wrap of `key` (61 bytes).
 * @param {Primitives} primitives
 * @param {Bytes} kek
 * @param {AccountKey} key
 * @param {Kind} kind
 * @param {Bytes} [subject] the id of a device or passkey
 */
export async function wrap(primitives, kek, key, kind, subject = NOTHING) {
  return seal(primitives, kek, key.n, aadOf(key.account, kind, subject));
}

/**
 * The account key in `wrapped`.
 * @param {Primitives} primitives
 * @param {Bytes} kek
 * @param {Bytes} wrapped
 * @param {Bytes} account
 * @param {Kind} kind
 * @param {Bytes} [subject]
 * @throws {Malformed | WrongSecret}
 */
export async function unwrap(primitives, kek, wrapped, account, kind, subject = NOTHING) {
  if (wrapped.length !== WRAP_BYTES) throw new Malformed(`A wrap has ${WRAP_BYTES} bytes.`);
  const n = await unseal(primitives, kek, wrapped, aadOf(account, kind, subject));
  if (!n) throw new WrongSecret('This secret does not open the account key.');
  return new AccountKey(account, n);
}
