/** The features of Node.js: node:crypto, node:zlib, WebSockets of a package, and no storage for a session. */
import { Duplex } from 'node:stream';
import zlib from 'node:zlib';
import { localEngine } from '../engine/engine.js';
import { MAX_SOCKET_MESSAGE_BYTES } from '../engine/socketConnection.js';
import { nodeCrypto } from '../primitives/nodeCrypto.js';

/**
 * Node.js before 22 has no WebSocket, and the one of later versions offers compression and limits no message (decision
 * 91).
 * @type {import('../engine/socketConnection.js').Dial}
 */
async function dial(url) {
  const { WebSocket } = await import('ws');
  return new WebSocket(url, { perMessageDeflate: false, maxPayload: MAX_SOCKET_MESSAGE_BYTES });
}

/** @returns {Promise<import('../engine/engine.js').EngineLink>} */
export async function createEngine() {
  return localEngine(nodeCrypto, dial);
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

/** Node.js has it since version 23. @type {typeof globalThis.CloseEvent} */
export const CloseEvent =
  globalThis.CloseEvent ??
  class extends Event {
    /** @param {string} type @param {CloseEventInit} [init] */
    constructor(type, { wasClean = false, code = 0, reason = '' } = {}) {
      super(type);
      Object.assign(this, { wasClean, code, reason });
    }
  };

export const defaultKeys = 'memory';

/** @returns {string | undefined} */
export function defaultUrl() {
  return undefined;
}
