/**
 * Plans that read a stream, write one, and change a part of one (VAULT §19).
 *
 * A plan is a generator. It yields `load`, the extents whose data it needs, or `seal`, the data of new blocks, and
 * gets the data or the new extents. So a plan needs no connection, and its caller can load many blocks at once.
 */
import { concat } from '../../common/bytes.js';
import { NOTHING } from './account.js';
import { MAX_DATA_BYTES } from './blocks.js';
import { Alarm, Malformed, TooLarge } from './errors.js';
import { EMPTY, FILLED_NODE_EXTENTS, MAX_DEPTH, MAX_EXTENTS, cut, nodesOf, parseNode, placed, serializeExtents, sizeOf, within } from './streams.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('./streams.js').Extent} Extent */
/** @typedef {import('./streams.js').Part} Part */
/** @typedef {import('./streams.js').Stream} Stream */
/** @typedef {{ data: Bytes, size: number }} Piece the data of a new block, and the `size` of its extent */
/** @typedef {{ load: Extent[] } | { seal: Piece[] }} Step */
/** @template Result @typedef {Generator<Step, Result, any>} Plan */

/** @param {readonly Part[]} parts @returns {Plan<Bytes[]>} */
function* load(parts) {
  return parts.length ? yield { load: parts.map(({ extent }) => extent) } : [];
}

/** @param {Piece[]} pieces @returns {Plan<Extent[]>} */
function* seal(pieces) {
  return pieces.length ? yield { seal: pieces } : [];
}

/** @param {readonly Part[]} parts of nodes @returns {Plan<Part[]>} */
function* children(parts) {
  const data = yield* load(parts);
  return parts.flatMap(({ at, extent }, i) => placed(parseNode(extent, data[i]), at));
}

/** The blocks of data with a byte from `start` to `end`. @param {Stream} stream @param {number} start @param {number} end @returns {Plan<Part[]>} @throws {Alarm} */
export function* leaves({ depth, extents }, start, end) {
  let parts = within(placed(extents), start, end);
  for (let level = depth; level > 0; level -= 1) parts = within(yield* children(parts), start, end);
  return parts;
}

/** The blocks of all levels. @param {Stream} stream @returns {Plan<Extent[]>} @throws {Alarm} */
export function* named({ depth, extents }) {
  const found = [...extents];
  let parts = placed(extents);
  for (let level = depth; level > 0; level -= 1) {
    parts = yield* children(parts);
    for (const { extent } of parts) found.push(extent);
  }
  return found;
}

/** `data`, if it has the bytes that `extent` names. @param {Extent} extent @param {Bytes} data @throws {Alarm} */
export function checkLeaf({ size }, data) {
  if (data.length !== size) throw new Alarm('forged');
  return data;
}

/** @param {Extent[]} extents @returns {Plan<Extent[]>} */
const nodesAbove = (extents) => seal(nodesOf(extents).map((node) => ({ data: serializeExtents(node), size: sizeOf(node) })));

/** Writes a new stream from its first block to its last one. It keeps at most 256 extents of each level. */
export class StreamWriter {
  /** @type {Extent[][]} */
  #levels = Array.from({ length: MAX_DEPTH + 1 }, () => []);

  /** The next blocks of data. @param {Extent[]} extents @returns {Plan<void>} @throws {TooLarge} */
  *add(extents) {
    this.#levels[0].push(...extents);
    for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
      while (this.#levels[depth].length >= FILLED_NODE_EXTENTS) yield* this.#close(depth, FILLED_NODE_EXTENTS);
    }
    if (this.#levels[MAX_DEPTH].length > MAX_EXTENTS) throw new TooLarge('The data is longer than a stream can be.');
  }

  /** @returns {Plan<Stream>} @throws {TooLarge} */
  *finish() {
    for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
      const level = this.#levels[depth];
      const isTop = this.#levels.slice(depth + 1).every(({ length }) => length === 0);
      if (isTop && level.length <= MAX_EXTENTS) return { depth, extents: level };
      yield* this.#close(depth, level.length);
    }
    yield* this.add([]);
    return { depth: MAX_DEPTH, extents: this.#levels[MAX_DEPTH] };
  }

  /** @param {number} depth @param {number} count @returns {Plan<void>} */
  *#close(depth, count) {
    const extents = this.#levels[depth].splice(0, count);
    this.#levels[depth + 1].push(...(yield* seal(extents.length ? [{ data: serializeExtents(extents), size: sizeOf(extents) }] : [])));
  }
}

/**
 * The stream with `data` in place of the bytes from `start` to `end`. All blocks that do not change stay.
 * @param {Stream} stream
 * @param {number} start
 * @param {number} end
 * @param {Bytes} data
 * @returns {Plan<Stream>}
 * @throws {Malformed | TooLarge | Alarm} Malformed: the range is not inside the stream
 */
export function* splice(stream, start, end, data) {
  if (!(start >= 0 && start <= end && end <= sizeOf(stream.extents))) throw new Malformed('The range is not inside the stream.');
  if (start === end && !data.length) return stream;
  const around = yield* leaves(stream, start - 1, end + 1);
  let left = around.find((part) => part.at < start && start <= part.end);
  let right = around.find((part) => part.at <= end && end < part.end);
  const isCutLeft = left !== undefined && left.end > start;
  const isCutRight = right !== undefined && (right.at < end || (right === left && isCutLeft));
  let [before, after] = [left ? start - left.at : 0, right ? right.end - end : 0];
  let total = data.length + (isCutLeft ? before : 0) + (isCutRight ? after : 0);
  const joins = (/** @type {number} */ bytes) => total > 0 && total + bytes <= MAX_DATA_BYTES;
  // A whole neighbour joins a small new block. So a stream that grows byte by byte does not get a block for each byte.
  if (!isCutLeft && left && joins(before)) total += before;
  else if (!isCutLeft) [left, before] = [undefined, 0];
  if (!isCutRight && !(right && joins(after))) [right, after] = [undefined, 0];
  const edges = [...new Set([left, right])].filter((part) => part !== undefined);
  const loaded = yield* load(edges);
  const held = new Map(edges.map((part, i) => [part, checkLeaf(part.extent, loaded[i])]));
  const head = left ? /** @type {Bytes} */ (held.get(left)).slice(0, before) : NOTHING;
  const tail = right && after ? /** @type {Bytes} */ (held.get(right)).slice(-after) : NOTHING;
  const change = { start: left ? left.at : start, end: right ? right.end : end, pieces: cut(concat(head, data, tail)) };
  return yield* replaced(stream, change);
}

/** @typedef {{ start: number, end: number, pieces: Bytes[] }} Change blocks begin or end at `start` and at `end` */

/** @param {Stream} stream @param {Change} change @returns {Plan<Stream>} */
function* replaced(stream, change) {
  // Nothing of the old tree stays.
  const { depth: before, extents: top } = change.start === 0 && change.end === sizeOf(stream.extents) ? EMPTY : stream;
  let extents = yield* level(placed(top), before, change);
  let depth = extents.length ? before : 0;
  while (extents.length > MAX_EXTENTS) {
    extents = yield* nodesAbove(extents);
    depth += 1;
  }
  if (depth > MAX_DEPTH) throw new TooLarge('The data is longer than a stream can be.');
  return { depth, extents };
}

/** The extents of one level after `change`. @param {Part[]} parts @param {number} depth @param {Change} change @returns {Plan<Extent[]>} */
function* level(parts, depth, change) {
  const { start, end, pieces } = change;
  if (depth === 0) {
    const kept = (/** @type {(part: Part) => boolean} */ is) => parts.filter(is).map(({ extent }) => extent);
    const made = yield* seal(pieces.map((data) => ({ data, size: data.length })));
    return [...kept((part) => part.at < start), ...made, ...kept((part) => part.at >= end)];
  }
  // An insertion between two nodes goes into the first of them.
  const first = parts.findIndex((part) => start < part.end || (start === end && part.end === end));
  let last = first;
  while (parts[last].end < end) last += 1;
  const run = parts.slice(first, last + 1);
  // A node that the change covers need not be loaded.
  const inner = yield* children(run.filter((part) => !(start <= part.at && part.end <= end)));
  const middle = yield* nodesAbove(yield* level(inner, depth - 1, change));
  const rest = (/** @type {Part[]} */ others) => others.map(({ extent }) => extent);
  return [...rest(parts.slice(0, first)), ...middle, ...rest(parts.slice(last + 1))];
}
