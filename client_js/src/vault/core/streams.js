/** Streams: a sequence of bytes as a tree of extents, each of which names one block (VAULT §19). */
import { concat, unsigned } from '../../common/bytes.js';
import { equal } from '../../primitives/hashes.js';
import { Alarm, Malformed } from './errors.js';
import { MAX_DATA_BYTES, openBlock } from './blocks.js';
import { BLOCK_ID_BYTES } from './tokens.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */
/** @typedef {{ id: Bytes, digest: Bytes, epoch: number, size: number }} Extent `size`: bytes of the stream below it */
/** @typedef {{ depth: number, extents: Extent[] }} Stream */
/** @typedef {{ at: number, end: number, extent: Extent }} Part an extent and its place in the stream */

const DIGEST_BYTES = 32;
const EPOCH_AT = BLOCK_ID_BYTES + DIGEST_BYTES;
const EXTENT_BYTES = EPOCH_AT + 2 + 8;
const HEAD_BYTES = 3;
export const MAX_EXTENTS = 24;
export const MAX_DEPTH = 3;
const MAX_NODE_EXTENTS = Math.floor(MAX_DATA_BYTES / EXTENT_BYTES);
/** A later insertion does not split a node of this length. */
export const FILLED_NODE_EXTENTS = 256;

/** @type {Stream} */
export const EMPTY = { depth: 0, extents: [] };

/** @param {readonly Extent[]} extents */
export const sizeOf = (extents) => extents.reduce((sum, { size }) => sum + size, 0);

/** The data of a node. @param {readonly Extent[]} extents @returns {Bytes} */
export function serializeExtents(extents) {
  return concat(...extents.flatMap(({ id, digest, epoch, size }) => [id, digest, unsigned(epoch, 2), unsigned(size, 8)]));
}

/** @param {Bytes} data @returns {Extent[]} @throws {Malformed} */
function parseExtents(data) {
  if (data.length % EXTENT_BYTES) throw new Malformed(`An extent has ${EXTENT_BYTES} bytes.`);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Array.from({ length: data.length / EXTENT_BYTES }, (_, place) => {
    const at = place * EXTENT_BYTES;
    const [id, digest] = [data.slice(at, at + BLOCK_ID_BYTES), data.slice(at + BLOCK_ID_BYTES, at + EPOCH_AT)];
    const epoch = view.getUint16(at + EPOCH_AT);
    const size = Number(view.getBigUint64(at + EPOCH_AT + 2));
    if (!epoch || !size) throw new Malformed('An extent has no epoch or no bytes.');
    return { id, digest, epoch, size };
  });
}

/**
 * The data of the block that `extent` names. A plan checks the size.
 * @param {Primitives} primitives
 * @param {Bytes} blockKey K("block") of the epoch of the extent
 * @param {Extent} extent
 * @param {Bytes | null} block what the server gave, null if it has no such block
 * @throws {Alarm} `missing`, `swapped` or `forged`
 */
export async function openExtent(primitives, blockKey, { id, digest }, block) {
  if (!block) throw new Alarm('missing');
  if (!equal(await primitives.sha256(block), digest)) throw new Alarm('swapped');
  return openBlock(primitives, blockKey, id, block);
}

/** The extents in the node that `extent` names. @param {Extent} extent @param {Bytes} data @throws {Alarm} `forged` */
export function parseNode(extent, data) {
  const isNode = data.length > 0 && data.length % EXTENT_BYTES === 0;
  if (isNode) {
    try {
      const extents = parseExtents(data);
      if (sizeOf(extents) === extent.size) return extents;
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
    }
  }
  throw new Alarm('forged');
}

/** @param {Stream} stream @returns {Bytes} */
export const serializeStream = ({ depth, extents }) => concat(Uint8Array.of(depth), unsigned(extents.length, 2), serializeExtents(extents));

/** @param {Bytes} data @returns {Stream} @throws {Malformed} */
export function parseStream(data) {
  if (data.length < HEAD_BYTES) throw new Malformed('A stream ends early.');
  const [depth, count] = [data[0], (data[1] << 8) | data[2]];
  const extents = parseExtents(data.slice(HEAD_BYTES));
  const isStream = depth <= MAX_DEPTH && count <= MAX_EXTENTS && extents.length === count && (count > 0 || depth === 0);
  if (!isStream) throw new Malformed('This is not a stream of this version.');
  // No client can read a longer one: it would have more than 2^49 blocks.
  if (!Number.isSafeInteger(sizeOf(extents))) throw new Malformed('A stream is too long.');
  return { depth, extents };
}

/** @param {readonly Extent[]} extents @param {number} [at] of the first @returns {Part[]} */
export function placed(extents, at = 0) {
  return extents.map((extent) => {
    const part = { at, end: at + extent.size, extent };
    at = part.end;
    return part;
  });
}

/** The parts with a byte from `start` to `end`. @param {readonly Part[]} parts @param {number} start @param {number} end */
export const within = (parts, start, end) => parts.filter((part) => part.at < end && part.end > start);

/**
 * A list in as few parts as can be, which are as equal as can be.
 * @template {Bytes | Extent[]} List
 * @param {List} list
 * @param {number} most of one part
 * @returns {List[]}
 */
function divided(list, most) {
  const count = Math.ceil(list.length / most);
  const bound = (/** @type {number} */ number) => Math.floor((list.length * number) / count);
  return Array.from({ length: count }, (_, i) => /** @type {List} */ (list.slice(bound(i), bound(i + 1))));
}

/** `data` as the data of blocks. @param {Bytes} data */
export const cut = (data) => divided(data, MAX_DATA_BYTES);

/** The nodes above `extents`: one if it can have them all. @param {Extent[]} extents */
export const nodesOf = (extents) => divided(extents, extents.length <= MAX_NODE_EXTENTS ? MAX_NODE_EXTENTS : FILLED_NODE_EXTENTS);

/** What is different: the bytes from `start` to `end` of `before` become `data`. @param {Bytes} before @param {Bytes} after */
export function difference(before, after) {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start += 1;
  let same = 0;
  while (same < most - start && before[before.length - 1 - same] === after[after.length - 1 - same]) same += 1;
  return { start, end: before.length - same, data: after.slice(start, after.length - same) };
}
