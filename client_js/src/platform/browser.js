/** The features of a browser: WebCrypto, Workers and storage, if they are available. */
import { localEngine } from '../engine/engine.js';
import { pure } from '../primitives/pure.js';
import { webCrypto } from '../primitives/webCrypto.js';
import { WORKER_NAME, workerEngine } from '../engine/workerEngine.js';
import { serveEngine } from '../engine/serveWorker.js';

/** @typedef {import('../engine/engine.js').EngineLink} EngineLink */

/** WebCrypto if there is `crypto.subtle`; pages over plain HTTP do not have it. */
function bestPrimitives() {
  return globalThis.crypto?.subtle ? webCrypto : pure;
}

/**
 * An engine in a Worker. If no Worker can be started (no bundle, or a Content-Security-Policy without
 * `worker-src blob:`), an engine in this thread, which works in slices.
 * @returns {Promise<EngineLink>}
 */
export async function createEngine() {
  if (typeof certlessBundle === 'function' && typeof Worker === 'function') {
    try {
      return await workerEngine(`(${certlessBundle})()`);
    } catch {
      // The page pauses during each operation, but everything works.
    }
  }
  return localEngine(bestPrimitives());
}

/**
 * Where a session can be kept: IndexedDB, or localStorage if the browser has no IndexedDB.
 * @returns {{ indexedDB?: IDBFactory, localStorage?: Storage }}
 */
export function storage() {
  try {
    const { indexedDB } = globalThis;
    return indexedDB ? { indexedDB } : { localStorage: globalThis.localStorage };
  } catch {
    // A browser that is set to store nothing throws on mere access.
    return {};
  }
}

/**
 * A decoder for a content coding. Most browsers have none for br and zstd.
 * @param {string} coding
 * @throws {TypeError}
 */
export function decompressor(coding) {
  return new DecompressionStream(/** @type {CompressionFormat} */ (coding === 'br' ? 'brotli' : coding));
}

export const { CloseEvent } = globalThis;

export const defaultKeys = 'persistent';

/** @returns {string | undefined} */
export function defaultUrl() {
  return globalThis.location?.origin;
}

/** Serves the engine if this is a Worker that `createEngine` started. */
export function serveIfWorker() {
  const scope = /** @type {any} */ (globalThis);
  const isWorker = typeof document === 'undefined' && scope.name === WORKER_NAME;
  if (isWorker) serveEngine(scope, bestPrimitives());
  return isWorker;
}
