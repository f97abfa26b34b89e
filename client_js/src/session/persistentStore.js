/** The store for a platform's storage: IndexedDB if there is one, else localStorage, else memory. */
import { storage } from '#platform';
import { indexedDbStore, localStorageStore, memoryStore } from './stores.js';
import { tabLock } from './tabLock.js';

/**
 * localStorage has no transactions, so tabs cannot take turns at a ticket: a new code is asked for instead.
 * @type {import('./stores.js').Alone}
 */
const neverAlone = async () => {
  throw new Error('no IndexedDB');
};

/** @returns {import('./stores.js').Store} */
export function persistentStore() {
  const { indexedDB, localStorage } = storage();
  if (indexedDB) return indexedDbStore(indexedDB, tabLock(indexedDB));
  return localStorage ? localStorageStore(localStorage, neverAlone) : memoryStore();
}
