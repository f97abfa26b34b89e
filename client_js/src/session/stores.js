/**
 * Stores for a session between two loads of a page.
 *
 * A store has one session for each gateway. `remove` names a token, so that a newer session of another tab
 * stays. Tabs share a store, so `change` reads and writes in one step.
 */
import { decodeBytes, encodeBytes, isJsonObject, parseJsonObject, serializeJson, utf8, utf8Text } from '../common/codec.js';
import { isKeptSession } from '../engine/keptSession.js';
import { done, transaction } from './indexedDb.js';

/** @typedef {import('../engine/keptSession.js').KeptHardened} KeptHardened */
/** @typedef {import('../engine/keptSession.js').KeptSession} KeptSession */

/**
 * Runs `work` under a lock for this gateway. The work can ask whether it still has the lock.
 * @typedef {<Result>(gateway: string, work: (isAlone: () => Promise<boolean>) => Promise<Result>) => Promise<Result>} Alone
 */

/**
 * Maps the stored session to the new one: null removes it, undefined leaves it unchanged.
 * @typedef {(found: KeptSession | null) => KeptSession | null | undefined} Change
 */

/**
 * @typedef {{
 *   name: 'memory' | 'localStorage' | 'indexedDB' | string,
 *   load: (gateway: string) => Promise<KeptSession | null>,
 *   save: (gateway: string, session: KeptSession) => Promise<void>,
 *   remove: (gateway: string, token: string) => Promise<void>,
 *   change?: (gateway: string, to: Change) => Promise<void>,
 *   alone?: Alone,
 * }} Store
 * `change` and `alone` are for stores that several programs or tabs share. Without `change`, one can undo
 * the changes of another. If `alone` rejects, no ticket is used.
 */

/**
 * @param {Store} store
 * @param {string} gateway
 * @param {Change} to
 */
export async function changeKept(store, gateway, to) {
  if (store.change) return store.change(gateway, to);
  const found = await store.load(gateway);
  const kept = to(found);
  if (kept) await store.save(gateway, kept);
  else if (kept === null && found) await store.remove(gateway, found.token);
}

/** @param {string} token @returns {Change} */
const without = (token) => (found) => (found?.token === token ? null : undefined);

/**
 * A store that stores nothing.
 * @returns {Store}
 */
export function memoryStore() {
  const nothing = async () => {};
  return { name: 'memory', load: async () => null, save: nothing, remove: nothing, change: nothing };
}

/**
 * `value` for JSON: bytes become `{ base64 }`.
 * @param {any} value
 * @returns {any}
 */
function toJson(value) {
  if (value instanceof Uint8Array) return { base64: encodeBytes('base64', value) };
  if (typeof value !== 'object' || value === null) return value;
  if (!isJsonObject(value) || Object.getPrototypeOf(value) !== Object.prototype) {
    throw new TypeError('this value cannot be stored as text');
  }
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, toJson(one)]));
}

/**
 * The inverse of `toJson`.
 * @param {any} value
 * @returns {any}
 */
function fromJson(value) {
  if (!isJsonObject(value)) return value;
  if (typeof value.base64 === 'string') return decodeBytes('base64', value.base64);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, fromJson(one)]));
}

/**
 * @param {Storage} storage
 * @param {Alone} [alone]
 * @returns {Store}
 */
export function localStorageStore(storage, alone) {
  /** @param {string} gateway */
  const name = (gateway) => `certless ${gateway}`;
  /** @param {string} gateway @returns {KeptSession | null} */
  const load = (gateway) => {
    const text = storage.getItem(name(gateway));
    if (text === null) return null;
    try {
      const { privateKey, ...rest } = fromJson(parseJsonObject(utf8(text)));
      // Version 1 stores this key as plain base64.
      const key = typeof privateKey === 'string' ? decodeBytes('base64', privateKey) : privateKey;
      const session = { ...rest, privateKey: key };
      return isKeptSession(session) && (session.version === 2 || key instanceof Uint8Array) ? session : null;
    } catch {
      return null;
    }
  };
  /** @param {string} gateway @param {KeptSession} session */
  const save = (gateway, session) => {
    const { privateKey } = session;
    if (privateKey && !(privateKey instanceof Uint8Array)) throw new TypeError('this key cannot be stored as text');
    const members = toJson(session);
    if (session.version === 1) members.privateKey = members.privateKey.base64;
    storage.setItem(name(gateway), utf8Text(serializeJson(members)) ?? '');
  };
  /** @param {string} gateway @param {Change} to */
  const change = async (gateway, to) => {
    const kept = to(load(gateway));
    if (kept) save(gateway, kept);
    else if (kept === null) storage.removeItem(name(gateway));
  };
  return {
    name: 'localStorage',
    load: async (gateway) => load(gateway),
    save: async (gateway, session) => save(gateway, session),
    remove: (gateway, token) => change(gateway, without(token)),
    change,
    ...(alone && { alone }),
  };
}

/**
 * A store that can also store non-extractable keys of WebCrypto.
 * @param {IDBFactory} factory
 * @param {Alone} [alone]
 * @returns {Store}
 */
export function indexedDbStore(factory, alone) {
  /**
   * @template Result
   * @param {IDBTransactionMode} mode
   * @param {(sessions: IDBObjectStore) => Promise<Result>} work
   */
  const inSessions = (mode, work) => transaction(factory, 'certless', 'sessions', mode, work);
  /** @param {string} gateway @param {Change} to */
  const change = (gateway, to) =>
    inSessions('readwrite', async (sessions) => {
      const found = await done(sessions.get(gateway));
      const kept = to(isKeptSession(found) ? found : null);
      if (kept) await done(sessions.put(kept, gateway));
      else if (kept === null) await done(sessions.delete(gateway));
    });
  return {
    name: 'indexedDB',
    load: async (gateway) => {
      const found = await inSessions('readonly', (sessions) => done(sessions.get(gateway)));
      return isKeptSession(found) ? found : null;
    },
    save: async (gateway, session) => {
      await inSessions('readwrite', (sessions) => done(sessions.put(session, gateway)));
    },
    remove: (gateway, token) => change(gateway, without(token)),
    change,
    ...(alone && { alone }),
  };
}
