/** From a password to the secrets of SPAKE2+ and to the key of a wrap (VAULT §3.2). */
import { concat, unsigned } from '../../common/bytes.js';
import { utf8 } from '../../common/codec.js';
import { hkdf } from '../../primitives/hashes.js';
import { ORDER, encodePoint, ofGenerator } from '../../primitives/p256.js';
import { argon2id } from '../primitives/argon2.js';
import { KEY_BYTES, NOTHING, label } from './account.js';
import { Malformed, WeakKdf } from './errors.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('./account.js').Owner} Owner */

export const SALT_BYTES = 16;
export const STRONGEST_KDF = 1;
const MAX_PASSWORD_CHARS = 1024;
const ROOT_BYTES = 64;
const HALF_BYTES = 40;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** @type {ReadonlyMap<number, import('../primitives/argon2.js').Kdf>} */
export const KDFS = new Map([
  [1, { memoryKib: 65_536, passes: 3, lanes: 4 }],
  [2, { memoryKib: 19_456, passes: 2, lanes: 1 }],
]);

/** `data` after its length as u64, little-endian (RFC 9383 §3.2). @param {Uint8Array} data */
export const le = (data) => concat(unsigned(data.length, 8).reverse(), data);

/** UTF-8 of the normalisation form NFC. @param {string} password @throws {Malformed} */
export function passwordBytes(password) {
  const text = password.normalize('NFC');
  const { length } = [...text];
  if (!length || length > MAX_PASSWORD_CHARS) throw new Malformed(`A password has 1 to ${MAX_PASSWORD_CHARS} characters.`);
  if (LONE_SURROGATE.test(text)) throw new Malformed('The password has half of a surrogate pair.');
  return utf8(text);
}

/** 64 bytes by Argon2id. @param {Bytes} data @param {Bytes} salt @param {number} number @throws {WeakKdf} */
export async function stretched(data, salt, number) {
  const kdf = KDFS.get(number);
  if (!kdf) throw new WeakKdf();
  return argon2id(data, salt, kdf, ROOT_BYTES);
}

/** @typedef {{ w0: bigint, w1: bigint, kek: Bytes }} PasswordSecrets w0 and w1 are from 0 to n - 1 */

/**
 * @param {string} password
 * @param {Bytes} salt 16 bytes
 * @param {number} kdf
 * @param {Owner} owner
 * @returns {Promise<PasswordSecrets>}
 * @throws {Malformed | WeakKdf}
 */
export async function passwordSecrets(password, salt, kdf, owner) {
  const data = concat(...[passwordBytes(password), owner.prover, owner.verifier].map(le));
  const root = await stretched(data, salt, kdf);
  const halves = hkdf(root, NOTHING, label('password verifier'), 2 * HALF_BYTES);
  return {
    w0: numberOf(halves.subarray(0, HALF_BYTES)) % ORDER,
    w1: numberOf(halves.subarray(HALF_BYTES)) % ORDER,
    kek: hkdf(root, NOTHING, label('password key'), KEY_BYTES),
  };
}

/** w0 (32 bytes) and L (65 bytes), for the server. @param {PasswordSecrets} secrets */
export function verifierOf({ w0, w1 }) {
  return { w0: unsigned(w0, 32), l: encodePoint(ofGenerator(w1)) };
}

/** @param {Uint8Array} data big-endian */
function numberOf(data) {
  return data.reduce((number, byte) => (number << 8n) | BigInt(byte), 0n);
}
