/**
 * Where a session is kept between two loads of a page.
 *
 * A store has one session for a gateway. `remove` names the token it means: a newer session that
 * another tab has put there stays.
 */
import { decodeBytes, encodeBytes, parseJsonObject, serializeJson, utf8, utf8Text } from './codec.js';

/** @typedef {import('./dialects.js').Dialect} Dialect */
/** @typedef {import('./primitives/contract.js').StoredKey} StoredKey */

/**
 * What is kept of a session.
 * @typedef {{
 *   version: 1,
 *   username: string,
 *   dialect: Dialect,
 *   token: string,
 *   serverKey: string,
 *   privateKey: StoredKey,
 *   expiresMs: number,
 * }} KeptSession
 */

/**
 * @typedef {{
 *   name: 'memory' | 'localStorage' | 'indexedDB' | string,
 *   load: (gateway: string) => Promise<KeptSession | null>,
 *   save: (gateway: string, session: KeptSession) => Promise<void>,
 *   remove: (gateway: string, token: string) => Promise<void>,
 * }} Store
 */

/**
 * Whether `value` has the form of a kept session. Anything else there counts as nothing.
 * @param {any} value
 * @returns {value is KeptSession}
 */
function isKeptSession(value) {
  return (
    value?.version === 1 &&
    ['username', 'token', 'serverKey'].every((name) => typeof value[name] === 'string') &&
    ['dialect', 'privateKey'].every((name) => typeof value[name] === 'object' && value[name]) &&
    typeof value.expiresMs === 'number'
  );
}

/**
 * Nothing is kept.
 * @returns {Store}
 */
export function memoryStore() {
  return { name: 'memory', load: async () => null, save: async () => {}, remove: async () => {} };
}

/**
 * @param {Storage} storage
 * @returns {Store}
 */
export function localStorageStore(storage) {
  /** @param {string} gateway */
  const name = (gateway) => `certless ${gateway}`;
  /** @type {Store['load']} */
  const load = async (gateway) => {
    const text = storage.getItem(name(gateway));
    if (text === null) return null;
    try {
      const { privateKey, ...rest } = parseJsonObject(utf8(text));
      const session = { ...rest, privateKey: decodeBytes('base64', String(privateKey)) };
      return isKeptSession(session) && session.privateKey ? session : null;
    } catch {
      return null;
    }
  };
  return {
    name: 'localStorage',
    load,
    save: async (gateway, session) => {
      if (!(session.privateKey instanceof Uint8Array)) throw new TypeError('this key cannot be written');
      const members = { ...session, privateKey: encodeBytes('base64', session.privateKey) };
      storage.setItem(name(gateway), utf8Text(serializeJson(/** @type {any} */ (members))) ?? '');
    },
    remove: async (gateway, token) => {
      if ((await load(gateway))?.token === token) storage.removeItem(name(gateway));
    },
  };
}

/**
 * @template Result
 * @param {IDBRequest<Result>} request
 * @returns {Promise<Result>}
 */
function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * Keys that WebCrypto does not let out stay what they are here.
 * @param {IDBFactory} factory
 * @returns {Store}
 */
export function indexedDbStore(factory) {
  /**
   * @template Result
   * @param {IDBTransactionMode} mode
   * @param {(sessions: IDBObjectStore) => Promise<Result>} work
   */
  const transaction = async (mode, work) => {
    const opening = factory.open('certless', 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore('sessions');
    const database = await done(opening);
    try {
      return await work(database.transaction('sessions', mode).objectStore('sessions'));
    } finally {
      database.close();
    }
  };
  return {
    name: 'indexedDB',
    load: async (gateway) => {
      const found = await transaction('readonly', (sessions) => done(sessions.get(gateway)));
      return isKeptSession(found) ? found : null;
    },
    save: async (gateway, session) => {
      await transaction('readwrite', (sessions) => done(sessions.put(session, gateway)));
    },
    remove: async (gateway, token) => {
      await transaction('readwrite', async (sessions) => {
        const found = await done(sessions.get(gateway));
        if (isKeptSession(found) && found.token === token) await done(sessions.delete(gateway));
      });
    },
  };
}
