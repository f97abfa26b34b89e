/**
 * What this browser remembers of an account: the last meta, the count of its own metas, and sealed changes that
 * wait for a connection (VAULT §21.1). It is in IndexedDB, else in memory. Only ids, counters and digests are not sealed.
 */
import { done, transaction } from '../session/indexedDb.js';
import { equal } from '../primitives/hashes.js';
import { WRITER_ID_BYTES, hexOf } from './core/metas.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('./core/remembered.js').Remembered} Remembered */
/** @typedef {import('./core/metas.js').Writer} Writer */
/** @typedef {{ remembered: Remembered | null, writer: Writer }} MemoryRecord */

const [DATABASE, STORE] = ['certless-vault', 'accounts'];

/** The part of an object store that is used here. */
class MapStore {
  /** @type {Map<string, unknown>} */
  #values = new Map();

  /** @param {string} key @returns {Promise<any>} */
  async get(key) {
    return structuredClone(this.#values.get(key));
  }

  /** @param {string} key @param {unknown} value */
  async put(key, value) {
    this.#values.set(key, structuredClone(value));
  }

  /** @param {string} key */
  async delete(key) {
    this.#values.delete(key);
  }

  async keys() {
    return [...this.#values.keys()];
  }
}

export class DeviceMemory {
  #factory;
  #randomBytes;
  #map = new MapStore();
  #name = '';
  #site;
  /** The page: changes that wait are kept under its name. */
  #here = '';

  /** @param {IDBFactory | undefined} factory @param {(length: number) => Bytes} randomBytes @param {string} site as in VaultOptions */
  constructor(factory, randomBytes, site) {
    this.#site = site;
    this.#factory = factory;
    this.#randomBytes = randomBytes;
    this.turnPage();
  }

  /** From now on, what was kept so far is that of an earlier page. Nothing overwrites it. */
  turnPage() {
    this.#here = hexOf(this.#randomBytes(WRITER_ID_BYTES));
  }

  /** @param {Bytes} account whose memory this is from now on */
  open(account) {
    this.#name = this.#site + hexOf(account);
  }

  /** @returns {Promise<MemoryRecord>} */
  async read() {
    return this.#change((record) => record);
  }

  /** Counts the own metas up. The count is kept before the meta is sent. @param {number} least @returns {Promise<Writer>} */
  async nextWriter(least) {
    const { writer } = await this.#change((record) => {
      const { id, count } = record.writer;
      return { ...record, writer: { id, count: Math.max(count, least) + 1 } };
    });
    return writer;
  }

  /** Remembers a meta, unless another tab remembers a later one. @param {Remembered} remembered */
  async remember(remembered) {
    await this.#change((record) => ((record.remembered?.sequence ?? 0) > remembered.sequence ? record : { ...record, remembered }));
  }

  /** Forgets the last meta. Changes that wait stay. */
  async forget() {
    await this.#change((record) => ({ ...record, remembered: null }));
  }

  /** Keeps the changes that wait, or none. @param {Bytes | null} sealed */
  async keepWaiting(sealed) {
    await this.#with(async (store) => void (sealed ? await store.put(this.#waitingName(this.#here), sealed) : await store.delete(this.#waitingName(this.#here))));
  }

  /** The waiting changes of earlier pages, each under its key. @returns {Promise<Map<string, Bytes>>} */
  async waiting() {
    return this.#with(async (store) => {
      const names = (await store.keys()).filter((name) => name.startsWith(this.#waitingName('')) && name !== this.#waitingName(this.#here));
      /** @type {Map<string, Bytes>} */
      const found = new Map();
      for (const name of names) found.set(name, await store.get(name));
      return found;
    });
  }

  /** Drops changes of `waiting`, unless their page has kept others meanwhile. @param {Map<string, Bytes>} sent */
  async dropWaiting(sent) {
    await this.#with(async (store) => {
      for (const [name, sealed] of sent) {
        const kept = await store.get(name);
        if (kept && equal(kept, sealed)) await store.delete(name);
      }
    });
  }

  /** @param {string} page */
  #waitingName(page) {
    return `${this.#name} waiting ${page}`;
  }

  /** @param {(record: MemoryRecord) => MemoryRecord} change @returns {Promise<MemoryRecord>} */
  async #change(change) {
    return this.#with(async (store) => {
      /** @type {MemoryRecord} */
      const record = (await store.get(this.#name)) ?? { remembered: null, writer: { id: this.#randomBytes(WRITER_ID_BYTES), count: 0 } };
      const next = change(record);
      await store.put(this.#name, next);
      return next;
    });
  }

  /**
   * In one transaction.
   * @template Result
   * @param {(store: Pick<MapStore, 'get' | 'put' | 'delete' | 'keys'>) => Promise<Result>} work
   * @returns {Promise<Result>}
   */
  async #with(work) {
    const factory = this.#factory;
    if (!factory) return work(this.#map);
    let isOpen = false;
    try {
      return await transaction(factory, DATABASE, STORE, 'readwrite', async (store) => {
        isOpen = true;
        return work({
          get: (key) => done(store.get(key)),
          put: async (key, value) => void (await done(store.put(value, key))),
          delete: async (key) => void (await done(store.delete(key))),
          keys: async () => (await done(store.getAllKeys())).map(String),
        });
      });
    } catch (error) {
      if (isOpen) throw error;
      // Some browsers have IndexedDB and forbid it, for instance in private windows.
      this.#factory = undefined;
      return work(this.#map);
    }
  }
}
