/**
 * Values that only the owner of an account can read: the note and device records (VAULT §10, §11).
 *
 * Zeros pad each value, so that its length shows only in steps.
 */
import { concat, unsigned } from '../../common/bytes.js';
import { utf8, utf8Text } from '../../common/codec.js';
import { MalformedMessage } from '../../common/errors.js';
import { equal } from '../../primitives/hashes.js';
import { Members, serializeMembers } from '../../protocol/envelopes.js';
import { label, lp } from './account.js';
import { Malformed, Tampered } from './errors.js';
import { OVERHEAD_BYTES, seal, unseal } from './wraps.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./account.js').AccountKey} AccountKey */

export const MAX_NOTE_BYTES = 65_536;
const MAX_RECORD_BYTES = 200;
const PAGE_BYTES = 4096;
const RECORD_BYTES = 256;
const HEAD_BYTES = 12;
const MAX_DAY = 0xffff_ffff;
export const SEALED_RECORD_BYTES = OVERHEAD_BYTES + RECORD_BYTES;
export const MAX_SEALED_NOTE_BYTES = OVERHEAD_BYTES + MAX_NOTE_BYTES + PAGE_BYTES;

/** u64(sequence) ‖ u32(length) ‖ text ‖ zeros, to a multiple of `step` bytes. @param {number} sequence @param {Uint8Array} text @param {number} [step] */
export function padded(sequence, text, step = PAGE_BYTES) {
  const whole = concat(unsigned(sequence, 8), lp(text));
  return concat(whole, new Uint8Array((step - (whole.length % step)) % step));
}

/**
 * The sequence and the text of `padded`.
 * @param {Bytes} data
 * @param {number} [step]
 * @throws {Tampered} any other form
 */
export function unpadded(data, step = PAGE_BYTES) {
  if (data.length >= HEAD_BYTES) {
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const sequence = Number(view.getBigUint64(0));
    const text = data.slice(HEAD_BYTES, HEAD_BYTES + view.getUint32(8));
    if (Number.isSafeInteger(sequence) && equal(padded(sequence, text, step), data)) return { sequence, text };
  }
  throw new Tampered('A sealed value does not have the padding of this version.');
}

/** UTF-8. @param {string} text @param {string} what */
export function textBytes(text, what) {
  const data = utf8(text);
  if (utf8Text(data) !== text) throw new Malformed(`${what} has half of a surrogate pair.`);
  return data;
}

/** @param {AccountKey} key */
const noteAad = (key) => concat(label('note'), lp(key.account));
/** @param {AccountKey} key @param {Bytes} id */
const recordAad = (key, id) => concat(label('device record'), lp(key.account), lp(id));

/** @typedef {{ sequence: number, text: string }} Note the sequence is 1 for the first note, and one more at each change */

/** @param {Primitives} primitives @param {AccountKey} key @param {Note} note @throws {Malformed} */
export async function sealNote(primitives, key, { sequence, text }) {
  const data = textBytes(text, 'The note');
  if (data.length > MAX_NOTE_BYTES) throw new Malformed(`A note has at most ${MAX_NOTE_BYTES} bytes.`);
  if (!Number.isSafeInteger(sequence) || sequence < 1) throw new Malformed('The sequence of a note is from 1.');
  return seal(primitives, key.derived('note'), padded(sequence, data), noteAad(key));
}

/** @param {Primitives} primitives @param {AccountKey} key @param {Bytes} sealed @returns {Promise<Note>} @throws {Malformed | Tampered} */
export async function openNote(primitives, key, sealed) {
  const plaintext = await unseal(primitives, key.derived('note'), sealed, noteAad(key));
  if (!plaintext) throw new Tampered('The note of the service was not sealed by this account.');
  const { sequence, text: data } = unpadded(plaintext);
  const text = utf8Text(data);
  if (text === null || data.length > MAX_NOTE_BYTES || sequence === 0) {
    throw new Tampered('The note is not text, or too long, or has no sequence.');
  }
  return { sequence, text };
}

/** @typedef {{ name: string, kind: string, day: number }} DeviceRecord `day` is days since 1970 */

/** @param {Primitives} primitives @param {AccountKey} key @param {Bytes} id @param {DeviceRecord} record @throws {Malformed} */
export async function sealRecord(primitives, key, id, { name, kind, day }) {
  textBytes(name + kind, 'The name');
  if (!(day >= 0 && day <= MAX_DAY)) throw new Malformed(`The day of a device is from 0 to ${MAX_DAY}.`);
  const text = serializeMembers('msgpack', { name, kind, day });
  if (text.length > MAX_RECORD_BYTES) throw new Malformed(`The record of a device has at most ${MAX_RECORD_BYTES} bytes.`);
  return seal(primitives, key.derived('devices'), padded(0, text, RECORD_BYTES), recordAad(key, id));
}

/** @param {Primitives} primitives @param {AccountKey} key @param {Bytes} id @param {Bytes} sealed @returns {Promise<DeviceRecord>} @throws {Malformed | Tampered} */
export async function openRecord(primitives, key, id, sealed) {
  if (sealed.length !== SEALED_RECORD_BYTES) throw new Malformed(`A sealed record has ${SEALED_RECORD_BYTES} bytes.`);
  const plaintext = await unseal(primitives, key.derived('devices'), sealed, recordAad(key, id));
  if (!plaintext) throw new Tampered('The record of a device was not sealed by this account.');
  const { sequence, text } = unpadded(plaintext, RECORD_BYTES);
  if (sequence || text.length > MAX_RECORD_BYTES) throw new Tampered('The record of a device has another length or sequence.');
  try {
    const members = new Members('msgpack', text);
    const record = { name: members.text('name'), kind: members.text('kind'), day: members.number('day', MAX_DAY) };
    members.end();
    return record;
  } catch (error) {
    if (error instanceof MalformedMessage) throw new Tampered('The record of a device is not a record.');
    throw error;
  }
}
