/** Writes and reads the data of streams, with the memory of a few requests (VAULT §19). */
import { concat } from '../common/bytes.js';
import { MAX_BLOCKS } from './core/blockBodies.js';
import { MAX_DATA_BYTES } from './core/blocks.js';
import { StreamWriter, checkLeaf, leaves } from './core/plans.js';
import { sizeOf } from './core/streams.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('./blockStore.js').BlockStore} BlockStore */
/** @typedef {import('./core/streams.js').Extent} Extent */
/** @typedef {import('./core/streams.js').Stream} Stream */
/** @typedef {() => Promise<Bytes | null>} Pull gives the next bytes, or null at the end */
/** @typedef {Blob | Uint8Array | string | AsyncIterable<Uint8Array> | Pull} Source */
/** `done` and `total` are in bytes; `total` is null if it is not known. A callback that throws ends the transfer. */
/** @typedef {(progress: { done: number, total: number | null }) => unknown} OnProgress */

const REQUEST_BYTES = MAX_BLOCKS * MAX_DATA_BYTES;
/** Requests that wait for an answer at the same time. */
const AT_ONCE = 2;
/** Parts of a stream whose extents are in memory at the same time. */
const WINDOW_BYTES = 32 * REQUEST_BYTES;
/** Larger streams are not kept in the cache. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024;

/** @param {Source} source @returns {{ pull: Pull, total: number | null }} */
function opened(source) {
  if (typeof source === 'function') return { pull: source, total: null };
  if (source instanceof Blob) {
    let at = 0;
    const pull = async () => {
      const part = source.slice(at, at + REQUEST_BYTES);
      at += REQUEST_BYTES;
      return part.size ? new Uint8Array(await part.arrayBuffer()) : null;
    };
    return { pull, total: source.size };
  }
  if (typeof source === 'string' || source instanceof Uint8Array) return opened(new Blob([/** @type {Bytes | string} */ (source)]));
  const iterator = source[Symbol.asyncIterator]();
  const pull = async () => {
    const { done, value } = await iterator.next();
    return done ? null : /** @type {Bytes} */ (value);
  };
  return { pull, total: null };
}

/** The bytes of `pull` in pieces of one block. @param {Pull} pull @returns {AsyncGenerator<Bytes>} */
async function* pieces(pull) {
  /** @type {Bytes} */
  let rest = new Uint8Array();
  for (let part = await pull(); part; part = await pull()) {
    rest = concat(rest, part);
    let at = 0;
    for (; rest.length - at >= MAX_DATA_BYTES; at += MAX_DATA_BYTES) yield rest.slice(at, at + MAX_DATA_BYTES);
    rest = rest.slice(at);
  }
  if (rest.length) yield rest;
}

/**
 * Writes a new stream.
 * @param {BlockStore} store
 * @param {Source} source
 * @param {OnProgress} [onProgress]
 * @returns {Promise<Stream>}
 */
export async function upload(store, source, onProgress = () => {}) {
  const { pull, total } = opened(source);
  const isKept = total !== null && total <= MAX_KEPT_BYTES;
  const writer = new StreamWriter();
  /** @type {Promise<Extent[]>[]} */
  const sent = [];
  let done = 0;
  const takeFirst = async () => {
    const extents = await /** @type {Promise<Extent[]>} */ (sent.shift());
    await store.run(writer.add(extents));
    done += sizeOf(extents);
    await onProgress({ done, total });
  };
  const send = async (/** @type {Bytes[]} */ batch) => {
    const sealing = store.seal(batch.map((data) => ({ data, size: data.length })), { isKept });
    // If an earlier one fails, nobody waits for this one.
    sealing.catch(() => {});
    sent.push(sealing);
    if (sent.length >= AT_ONCE) await takeFirst();
  };
  if (total !== null) store.expect(Math.ceil(total / MAX_DATA_BYTES));
  /** @type {Bytes[]} */
  let batch = [];
  try {
    for await (const piece of pieces(pull)) {
      batch.push(piece);
      if (batch.length === MAX_BLOCKS) {
        await send(batch);
        batch = [];
      }
    }
    if (batch.length) await send(batch);
    while (sent.length) await takeFirst();
    return await store.run(writer.finish());
  } finally {
    store.expect(0);
  }
}

/**
 * The bytes of a stream from `start` to `end`, in parts.
 * @param {BlockStore} store
 * @param {Stream} stream
 * @param {number} [start]
 * @param {number} [end]
 * @returns {AsyncGenerator<Bytes>}
 * @throws {import('./core/errors.js').Alarm}
 */
export async function* download(store, stream, start = 0, end = sizeOf(stream.extents)) {
  const isKept = sizeOf(stream.extents) <= MAX_KEPT_BYTES;
  for (let from = start; from < end; from += WINDOW_BYTES) {
    const to = Math.min(end, from + WINDOW_BYTES);
    const parts = await store.run(leaves(stream, from, to));
    /** @type {Promise<Bytes>[]} */
    const asked = [];
    const ask = (/** @type {number} */ first) => {
      const some = parts.slice(first, first + MAX_BLOCKS);
      if (!some.length) return;
      const loading = store.load(some.map(({ extent }) => extent), { isKept }).then((data) => {
        const joined = concat(...data.map((one, i) => checkLeaf(some[i].extent, one)));
        return joined.slice(Math.max(0, from - some[0].at), joined.length - Math.max(0, some[some.length - 1].end - to));
      });
      loading.catch(() => {});
      asked.push(loading);
    };
    for (let first = 0; first < AT_ONCE * MAX_BLOCKS; first += MAX_BLOCKS) ask(first);
    for (let next = AT_ONCE * MAX_BLOCKS; asked.length; next += MAX_BLOCKS) {
      const data = await /** @type {Promise<Bytes>} */ (asked.shift());
      ask(next);
      yield data;
    }
  }
}

/** All bytes of a short stream. @param {BlockStore} store @param {Stream} stream */
export async function allBytes(store, stream) {
  const parts = [];
  for await (const part of download(store, stream)) parts.push(part);
  return concat(...parts);
}
