/** The bodies of the responses about blocks and the meta (VAULT §14). */
import { BLOCK_BYTES } from './blocks.js';
import { Malformed, TooLarge } from './errors.js';
import { whole } from './bodies.js';
import { META_BYTES } from './metas.js';
import { BLOCK_ID_BYTES } from './tokens.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */

const HASH_BYTES = 32;
const PERMIT_BYTES = 16;
const MAX_U32 = 0xffff_ffff;
/** The most blocks in one request of put, get or check. */
export const MAX_BLOCKS = 32;
/** The most ids in one reservation. */
export const MAX_IDS = 100;
/** The most blocks in one request of renew or retire. */
export const MAX_TOKENS = 128;
const MAX_BODY_BYTES = 1_048_576;

/** @template Item @param {Item[]} items @param {number} count @returns {Item[]} */
function exactly(items, count) {
  if (!items.length || items.length !== count) throw new Malformed('The service answered about another number of blocks.');
  return items;
}

/** GET /meta: the sealed meta, or null. @param {Bytes} data @throws {Malformed} */
export const parseStoredMeta = (data) => whole(data, (body) => (body.has('meta') ? body.raw('meta', META_BYTES) : null));

/** GET /blocks. @param {Bytes} data @throws {Malformed} */
export function parseBlockParameters(data) {
  const parameters = whole(data, (body) => ({ frameS: body.number('frame_s', MAX_U32), bucket: body.number('bucket', MAX_U32) }));
  if (!parameters.frameS) throw new Malformed('The service names no time for which it keeps blocks.');
  return parameters;
}

/** @typedef {{ id: Bytes, permit: Bytes }} Permitted */

/** POST /blocks/reserve. @param {Bytes} data @param {number} count @returns {Permitted[]} @throws {Malformed} */
export function parseReserved(data, count) {
  const items = whole(data, (body) => body.list('ids', MAX_IDS).map(permitted));
  return exactly(items, count);
}

/** @param {import('./bodies.js').Body} body @returns {Permitted} */
function permitted(body) {
  const one = { id: body.raw('id', BLOCK_ID_BYTES), permit: body.raw('permit', PERMIT_BYTES) };
  body.end();
  return one;
}

/** POST /blocks/put. @param {Bytes} data @param {number} count @throws {Malformed} */
export const parseReceipts = (data, count) => exactly(whole(data, (body) => body.values('receipts', MAX_BLOCKS, (item, name) => item.raw(name, HASH_BYTES))), count);

/**
 * POST /blocks/get: null for a block that is not there.
 * @param {Bytes} data
 * @param {number} count
 * @returns {(Bytes | null)[]}
 * @throws {Malformed}
 */
export function parseFoundBlocks(data, count) {
  if (data.length > MAX_BODY_BYTES) throw new TooLarge(`A body has at most ${MAX_BODY_BYTES} bytes.`);
  return whole(data, (body) => exactly(body.values('blocks', MAX_BLOCKS, (item, name) => emptyOr(item.raw(name, { least: 0, most: BLOCK_BYTES }), BLOCK_BYTES)), count));
}

/** POST /blocks/renew. @param {Bytes} data @param {number} count @throws {Malformed} */
export const parseRenewedBlocks = (data, count) => exactly(whole(data, (body) => body.values('renewed', MAX_TOKENS, (item, name) => item.number(name, 1) === 1)), count);

/** POST /blocks/check: null for a block that is not there. @param {Bytes} data @param {number} count @throws {Malformed} */
export function parseCheckedBlocks(data, count) {
  return whole(data, (body) => exactly(body.values('digests', MAX_BLOCKS, (item, name) => emptyOr(item.raw(name, { least: 0, most: HASH_BYTES }), HASH_BYTES)), count));
}

/** @param {Bytes} value @param {number} length */
function emptyOr(value, length) {
  if (value.length && value.length !== length) throw new Malformed(`The service gave a value of ${value.length} bytes.`);
  return value.length ? value : null;
}
