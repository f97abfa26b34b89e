/** What a browser has: perhaps WebCrypto, perhaps Workers, perhaps a place to keep a session. */
import { tabLock } from '../session/tabLock.js';
import { localEngine } from '../engine/engine.js';
import { pure } from '../primitives/pure.js';
import { webCrypto } from '../primitives/webCrypto.js';
import { indexedDbStore, localStorageStore, memoryStore } from '../session/stores.js';
import { WORKER_NAME, workerEngine } from '../engine/workerEngine.js';
import { serveEngine } from '../engine/serveWorker.js';

/** @typedef {import('../engine/engine.js').EngineLink} EngineLink */
/** @typedef {import('../session/stores.js').Store} Store */

/** Pages over plain HTTP have no `crypto.subtle`. */
export function bestPrimitives() {
  return globalThis.crypto?.subtle ? webCrypto : pure;
}

/**
 * An engine in a Worker, or where none can be started (no bundle, or a Content-Security-Policy
 * without `worker-src blob:`) in this thread, in slices.
 * @returns {Promise<EngineLink>}
 */
export async function createEngine() {
  if (typeof certlessBundle === 'function' && typeof Worker === 'function') {
    try {
      return await workerEngine(`(${certlessBundle})()`);
    } catch {
      // Slower, and every operation is a pause of the page; but it works.
    }
  }
  return localEngine(bestPrimitives());
}

/** Where tabs cannot be told apart, a code is asked for. @type {import('../session/stores.js').Alone} */
const neverAlone = async () => {
  throw new Error('no IndexedDB');
};

/** @returns {Store} */
export function persistentStore() {
  try {
    if (globalThis.indexedDB) return indexedDbStore(indexedDB, tabLock(indexedDB));
    if (globalThis.localStorage) return localStorageStore(localStorage, neverAlone);
  } catch {
    // A browser set to keep nothing throws at the mere look.
  }
  return memoryStore();
}

export const defaultKeys = 'persistent';

/** @returns {string | undefined} */
export function defaultUrl() {
  return globalThis.location?.origin;
}

/** In a Worker that `createEngine` started: serve, and say so. */
export function serveIfWorker() {
  const scope = /** @type {any} */ (globalThis);
  const isWorker = typeof document === 'undefined' && scope.name === WORKER_NAME;
  if (isWorker) serveEngine(scope, bestPrimitives());
  return isWorker;
}
