/**
 * Where a session is kept between two loads of a page.
 *
 * A store has one session for a gateway. `remove` names the token it means: a newer session that
 * another tab has put there stays.
 *
 * Tabs share it, so what is made of what is kept there is made in one step: `change`.
 */
import { decodeBytes, encodeBytes, isJsonObject, parseJsonObject, serializeJson, utf8, utf8Text } from '../common/codec.js';
import { isKeptSession } from '../engine/keptSession.js';
import { done, transaction } from './indexedDb.js';

/** @typedef {import('../engine/keptSession.js').KeptHardened} KeptHardened */
/** @typedef {import('../engine/keptSession.js').KeptSession} KeptSession */

/**
 * Does `work` while no other user of the store does any for this gateway; the work can ask whether
 * that still holds.
 * @typedef {<Result>(gateway: string, work: (isAlone: () => Promise<boolean>) => Promise<Result>) => Promise<Result>} Alone
 */

/**
 * What is to be kept in place of what is found: null is nothing, undefined leaves it as it is.
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
 * `change` and `alone` are for stores that several programs or tabs share: without `change` two of
 * them may undo each other's; where `alone` rejects, no ticket is used.
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
 * Nothing is kept.
 * @returns {Store}
 */
export function memoryStore() {
  const nothing = async () => {};
  return { name: 'memory', load: async () => null, save: nothing, remove: nothing, change: nothing };
}

/**
 * `value` with bytes as `{ base64 }`, for JSON.
 * @param {any} value
 * @returns {any}
 */
function written(value) {
  if (value instanceof Uint8Array) return { base64: encodeBytes('base64', value) };
  if (typeof value !== 'object' || value === null) return value;
  if (!isJsonObject(value) || Object.getPrototypeOf(value) !== Object.prototype) {
    throw new TypeError('this cannot be written as text');
  }
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, written(one)]));
}

/**
 * What `written` was given.
 * @param {any} value
 * @returns {any}
 */
function read(value) {
  if (!isJsonObject(value)) return value;
  if (typeof value.base64 === 'string') return decodeBytes('base64', value.base64);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, read(one)]));
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
      const { privateKey, ...rest } = read(parseJsonObject(utf8(text)));
      // Version 1 has this one as plain base64.
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
    if (privateKey && !(privateKey instanceof Uint8Array)) throw new TypeError('this key cannot be written');
    const members = written(session);
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
 * Keys that WebCrypto does not let out stay what they are here.
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
