/** The features of Node.js: node:crypto, and no storage for a session. */
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

export const defaultKeys = 'memory';

/** @returns {string | undefined} */
export function defaultUrl() {
  return undefined;
}
