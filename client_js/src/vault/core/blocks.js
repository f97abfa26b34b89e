/** The sealed block: 16,384 bytes, whatever its data are (VAULT §18.3). */
import { concat, unsigned } from '../../common/bytes.js';
import { GCM_TAG_BYTES } from '../../primitives/contract.js';
import { hkdf } from '../../primitives/hashes.js';
import { KEY_BYTES, label, lp } from './account.js';
import { Alarm, Malformed } from './errors.js';
import { IV_BYTES } from './wraps.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */

export const BLOCK_BYTES = 16_384;
const FORMAT = 1;
const SALT_BYTES = 32;
const LENGTH_BYTES = 4;
const PAYLOAD_BYTES = BLOCK_BYTES - 1 - SALT_BYTES - GCM_TAG_BYTES;
export const MAX_DATA_BYTES = PAYLOAD_BYTES - LENGTH_BYTES;

/** @param {Bytes} blockKey @param {Bytes} salt @param {Bytes} about */
function keyAndIv(blockKey, salt, about) {
  const drawn = hkdf(blockKey, salt, about, KEY_BYTES + IV_BYTES);
  return { key: drawn.slice(0, KEY_BYTES), iv: drawn.slice(KEY_BYTES) };
}

/** @param {Bytes} id */
const nameOf = (id) => concat(label('block'), lp(id));

/**
 * @param {Primitives} primitives
 * @param {Bytes} blockKey K("block")
 * @param {Bytes} id
 * @param {Bytes} data
 * @throws {Malformed} `data` is empty or too long
 */
export async function sealBlock(primitives, blockKey, id, data) {
  if (data.length < 1 || data.length > MAX_DATA_BYTES) throw new Malformed(`A block has 1 to ${MAX_DATA_BYTES} bytes of data.`);
  const payload = new Uint8Array(PAYLOAD_BYTES);
  payload.set(unsigned(data.length, LENGTH_BYTES));
  payload.set(data, LENGTH_BYTES);
  const [salt, about] = [primitives.randomBytes(SALT_BYTES), nameOf(id)];
  const { key, iv } = keyAndIv(blockKey, salt, about);
  return concat(Uint8Array.of(FORMAT), salt, await primitives.aesGcmSeal(key, iv, payload, about));
}

/**
 * The data of a block.
 * @param {Primitives} primitives
 * @param {Bytes} blockKey
 * @param {Bytes} id
 * @param {Bytes} block
 * @throws {Alarm} `forged`
 */
export async function openBlock(primitives, blockKey, id, block) {
  if (block.length !== BLOCK_BYTES || block[0] !== FORMAT) throw new Alarm('forged');
  const [salt, about] = [block.slice(1, 1 + SALT_BYTES), nameOf(id)];
  const { key, iv } = keyAndIv(blockKey, salt, about);
  const payload = await primitives.aesGcmOpen(key, iv, block.slice(1 + SALT_BYTES), about);
  if (!payload) throw new Alarm('forged');
  const length = new DataView(payload.buffer, payload.byteOffset).getUint32(0);
  const isPadded = length >= 1 && length <= MAX_DATA_BYTES && payload.subarray(LENGTH_BYTES + length).every((byte) => byte === 0);
  if (!isPadded) throw new Alarm('forged');
  return payload.slice(LENGTH_BYTES, LENGTH_BYTES + length);
}
