/** A note as a file that only a passphrase opens (VAULT §13). */
import { concat } from '../../common/bytes.js';
import { utf8, utf8Text } from '../../common/codec.js';
import { GCM_TAG_BYTES } from '../../primitives/contract.js';
import { equal, hkdf } from '../../primitives/hashes.js';
import { KEY_BYTES, NOTHING, label } from './account.js';
import { Malformed, Tampered, WrongSecret } from './errors.js';
import { SALT_BYTES, le, passwordBytes, stretched } from './password.js';
import { MAX_NOTE_BYTES, padded, textBytes, unpadded } from './sealedValues.js';
import { IV_BYTES } from './wraps.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */

const MAGIC = utf8('certless-vault/1 export\n');
const AAD_BYTES = MAGIC.length + 1 + SALT_BYTES;
const LEAST_BYTES = AAD_BYTES + IV_BYTES + GCM_TAG_BYTES;
const MAX_EXPORT_BYTES = LEAST_BYTES + MAX_NOTE_BYTES + 4096;

/** @param {Primitives} primitives @param {string} text @param {string} passphrase @param {number} kdf @throws {Malformed} */
export async function sealExport(primitives, text, passphrase, kdf) {
  const [salt, iv] = [primitives.randomBytes(SALT_BYTES), primitives.randomBytes(IV_BYTES)];
  const aad = concat(MAGIC, Uint8Array.of(kdf), salt);
  const note = textBytes(text, 'The note');
  if (note.length > MAX_NOTE_BYTES) throw new Malformed(`A note has at most ${MAX_NOTE_BYTES} bytes.`);
  const key = await keyOf(passphrase, salt, kdf);
  return concat(aad, iv, await primitives.aesGcmSeal(key, iv, padded(0, note), aad));
}

/** @param {Primitives} primitives @param {Bytes} data @param {string} passphrase @throws {Malformed | WrongSecret} */
export async function openExport(primitives, data, passphrase) {
  const isExport = data.length >= LEAST_BYTES && data.length <= MAX_EXPORT_BYTES && equal(data.subarray(0, MAGIC.length), MAGIC);
  if (!isExport) throw new Malformed('This is not an export of this version of the vault.');
  const aad = data.slice(0, AAD_BYTES);
  const key = await keyOf(passphrase, aad.slice(-SALT_BYTES), aad[MAGIC.length]);
  const iv = data.slice(AAD_BYTES, AAD_BYTES + IV_BYTES);
  const plaintext = await primitives.aesGcmOpen(key, iv, data.slice(AAD_BYTES + IV_BYTES), aad);
  if (!plaintext) throw new WrongSecret('The passphrase is wrong, or the file was changed.');
  const { sequence, text: note } = unpadded(plaintext);
  const text = utf8Text(note);
  if (sequence || text === null || note.length > MAX_NOTE_BYTES) throw new Tampered('The export is not a note.');
  return text;
}

/** @param {string} passphrase @param {Bytes} salt @param {number} kdf */
async function keyOf(passphrase, salt, kdf) {
  const root = await stretched(le(passwordBytes(passphrase)), salt, kdf);
  return hkdf(root, NOTHING, label('export key'), KEY_BYTES);
}
