/**
 * Where a session is kept between two loads of a page.
 *
 * A store has one session for a gateway. `remove` names the token it means: a newer session that
 * another tab has put there stays.
 *
 * Tabs share it, so what is made of what is kept there is made in one step: `change`.
 */
import { decodeBytes, encodeBytes, isJsonObject, parseJsonObject, serializeJson, utf8, utf8Text } from '../common/codec.js';
import { done, transaction } from './indexedDb.js';

/** @typedef {import('../protocol/hardened/clientSession.js').ClientSession} ClientSession */
/** @typedef {import('../protocol/hardened/clientSession.js').ClientTicket} ClientTicket */
/** @typedef {import('../protocol/classic/dialects.js').Dialect} Dialect */
/** @typedef {import('../protocol/hardened/suites.js').Freshness} Freshness */
/** @typedef {import('../primitives/contract.js').StoredKey} StoredKey */

/**
 * What is kept of a classic session.
 * @typedef {{
 *   version: 1,
 *   username: string,
 *   dialect: Dialect,
 *   token: string,
 *   serverKey: string,
 *   privateKey: StoredKey,
 *   expiresMs: number,
 * }} KeptClassic
 */

/**
 * What is kept of a hardened session. `token` is its id in hex. Without `session` there is a ticket
 * alone, which leads to a new one. `rsaKey` is a pair that the caller gave, for each session.
 * @typedef {{
 *   version: 2,
 *   username: string,
 *   realm: string,
 *   fresh: Freshness,
 *   suite: string,
 *   token: string,
 *   expiresMs: number,
 *   session: ClientSession | null,
 *   ticket: ClientTicket | null,
 *   privateKey: StoredKey | null,
 *   rsaKey?: CryptoKeyPair,
 * }} KeptHardened
 */

/** @typedef {KeptClassic | KeptHardened} KeptSession */

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

/** @param {any} value @param {Record<string, string>} types a name with `?` may be null */
function hasTypes(value, types) {
  return Object.entries(types).every(([name, type]) => {
    const isOptional = name.endsWith('?');
    const member = value[isOptional ? name.slice(0, -1) : name];
    return (isOptional && member === null) || (member !== null && typeof member === type);
  });
}

const TEXTS = { username: 'string', token: 'string', expiresMs: 'number' };
const CLASSIC = { ...TEXTS, serverKey: 'string', dialect: 'object', privateKey: 'object' };
const HARDENED = { ...TEXTS, realm: 'string', suite: 'string', 'session?': 'object', 'ticket?': 'object', 'privateKey?': 'object' };
const SESSION = { suite: 'string', fresh: 'string', offsetMs: 'number', epoch: 'number', epochStartedMs: 'number', sequence: 'number' };

/** @param {any} value @param {string[]} names */
const hasBytes = (value, names) => names.every((name) => value[name] instanceof Uint8Array);

/**
 * Whether `value` has the form of a kept session. Anything else there counts as nothing.
 * @param {any} value
 * @returns {value is KeptSession}
 */
function isKeptSession(value) {
  if (value?.version === 1) return hasTypes(value, CLASSIC);
  if (value?.version !== 2 || !hasTypes(value, HARDENED)) return false;
  const { session, ticket } = value;
  const isSession = !session || (hasTypes(session, SESSION) && hasBytes(session, ['sid', 'c2s', 's2c', 'serverKey']));
  return isSession && (!ticket || (hasTypes(ticket, { expiresMs: 'number' }) && hasBytes(ticket, ['ticket', 'secret'])));
}

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
