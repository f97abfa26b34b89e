/** The features of Node.js: node:crypto and node:zlib, and no storage for a session. */
import { Duplex } from 'node:stream';
import zlib from 'node:zlib';
import { localEngine } from '../engine/engine.js';
import { nodeCrypto } from '../primitives/nodeCrypto.js';

/** @returns {Promise<import('../engine/engine.js').EngineLink>} */
export async function createEngine() {
  return localEngine(nodeCrypto);
}

/** @returns {{ indexedDB?: IDBFactory, localStorage?: Storage }} */
export function storage() {
  return {};
}

/**
 * A decoder for a content coding. Node.js has zstd since version 22.15.
 * @param {string} coding
 * @returns {{ readable: ReadableStream<Uint8Array>, writable: WritableStream<Uint8Array> }}
 * @throws {TypeError}
 */
export function decompressor(coding) {
  const { createBrotliDecompress, createGunzip, createInflate, createInflateRaw, createZstdDecompress } = /** @type {any} */ (zlib);
  const decoders = { gzip: createGunzip, deflate: createInflate, 'deflate-raw': createInflateRaw, br: createBrotliDecompress, zstd: createZstdDecompress };
  return /** @type {any} */ (Duplex.toWeb(decoders[/** @type {keyof typeof decoders} */ (coding)]()));
}

export const defaultKeys = 'memory';

/** @returns {string | undefined} */
export function defaultUrl() {
  return undefined;
}
