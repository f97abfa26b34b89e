/** Recovery codes, temporary keys and device secrets: keys, and codes as text (VAULT §3.3, §4). */
import { concat, unsigned } from '../../common/bytes.js';
import { hkdf, sha256 } from '../../primitives/hashes.js';
import { publicKey, sign } from '../primitives/ed25519.js';
import { KEY_BYTES, label, lp } from './account.js';
import { Malformed, WrongSecret } from './errors.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {'recovery' | 'temporary' | 'device'} SecretKind */
/** @typedef {'recovery' | 'temporary'} CodeKind */

/** @type {Readonly<Record<SecretKind, number>>} */
export const SECRET_BYTES = { recovery: 20, temporary: 16, device: 32 };
export const DEVICE_ID_BYTES = 16;

/** @type {Readonly<Record<CodeKind, number>>} */
const CHECK_BITS = { recovery: 20, temporary: 12 };
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const CHAR_BITS = 5;

/** A random secret of `account` that opens one wrap. */
export class UnlockSecret {
  #secret;

  /** @param {Bytes} account @param {SecretKind} kind @param {Bytes} secret 16 to 32 bytes, as the kind says */
  constructor(account, kind, secret) {
    this.account = account;
    this.kind = kind;
    this.#secret = secret;
  }

  /** The key of the wrap (32 bytes). */
  get kek() {
    return this.#derived('key');
  }

  /** The public half of the proof key (32 bytes). */
  get proof() {
    return publicKey(this.#derived('proof'));
  }

  /** A signature by the proof key (64 bytes). @param {Bytes} statement */
  sign(statement) {
    return sign(this.#derived('proof'), statement);
  }

  /** @param {string} purpose */
  #derived(purpose) {
    return hkdf(this.#secret, this.account, label(`${this.kind} ${purpose}`), KEY_BYTES);
  }
}

/** `secret` as a code: 36 characters for a recovery code, 28 for a temporary key. @param {CodeKind} kind @param {Bytes} secret */
export function codeOf(kind, secret) {
  return unbroken(kind, secret).replace(/.{4}(?=.)/g, '$&-');
}

/** @param {CodeKind} kind @param {Bytes} secret */
function unbroken(kind, secret) {
  const checkBits = CHECK_BITS[kind];
  const digest = sha256(concat(label(`${kind} code`), lp(secret)));
  const bits = [...secret, ...digest].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const used = bits.slice(0, 8 * secret.length + checkBits);
  return used.replace(/.{5}/g, (five) => ALPHABET[parseInt(five, 2)]);
}

/**
 * The secret in a code that a person typed.
 * @param {CodeKind} kind
 * @param {string} typed
 * @throws {Malformed} it is not a code of this kind
 * @throws {WrongSecret} a character is wrong
 */
export function readCode(kind, typed) {
  // Case and white space are those of ASCII, so that each language reads the same texts.
  const meant = typed
    .replace(/[\t-\r \u00a0-]/g, '')
    .replace(/[a-z]/g, (char) => char.toUpperCase())
    .replaceAll('O', '0')
    .replace(/[IL]/g, '1');
  const chars = (8 * SECRET_BYTES[kind] + CHECK_BITS[kind]) / CHAR_BITS;
  const values = [...meant].map((char) => ALPHABET.indexOf(char));
  if (values.length !== chars || values.includes(-1)) throw new Malformed(`A ${kind} code has ${chars} letters and digits.`);
  const number = values.reduce((sum, value) => (sum << BigInt(CHAR_BITS)) | BigInt(value), 0n);
  const secret = unsigned(number >> BigInt(CHECK_BITS[kind]), SECRET_BYTES[kind]);
  if (unbroken(kind, secret) !== meant) {
    throw new WrongSecret('A character of this code is wrong. Compare it with what you wrote down.');
  }
  return secret;
}
