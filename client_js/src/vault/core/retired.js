/** Records of blocks that no stream needs any more (VAULT §20.4). */
import { concat, unsigned } from '../../common/bytes.js';
import { Malformed } from './errors.js';
import { BLOCK_ID_BYTES } from './tokens.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {{ id: Bytes, epoch: number, day: number }} Retired `day`: days since 1970 */

const RETIRED_BYTES = BLOCK_ID_BYTES + 2 + 4;
/** The most records that a meta has. */
export const MAX_RETIRED = 256;
const GRACE_DAYS = 7;

/** @param {readonly Retired[]} records @returns {Bytes} */
export const serializeRetired = (records) => concat(...records.flatMap(({ id, epoch, day }) => [id, unsigned(epoch, 2), unsigned(day, 4)]));

/** @param {Bytes} data @returns {Retired[]} @throws {Malformed} */
export function parseRetired(data) {
  if (data.length % RETIRED_BYTES) throw new Malformed(`A record of a retired block has ${RETIRED_BYTES} bytes.`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Array.from({ length: data.length / RETIRED_BYTES }, (_, place) => {
    const at = place * RETIRED_BYTES;
    return { id: data.slice(at, at + BLOCK_ID_BYTES), epoch: view.getUint16(at + BLOCK_ID_BYTES), day: view.getUint32(at + BLOCK_ID_BYTES + 2) };
  });
}

/** Whether no other device can still read the block. @param {Retired} record @param {number} today */
export const isDue = ({ day }, today) => today - day > GRACE_DAYS;
