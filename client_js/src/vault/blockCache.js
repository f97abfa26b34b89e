/**
 * Copies of sealed blocks in IndexedDB, which insecure pages have too. They are as the server has them.
 *
 * There are two generations. New copies, and old ones that were used, go into the present one. When it is full, the
 * other one is emptied and becomes the present one. So the size is bounded, and used copies stay.
 */
import { done, transaction } from '../session/indexedDb.js';
import { hexOf } from './core/metas.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {{ id: Bytes, block: Bytes }} Copy */

const STORE = 'blocks';
const nameOf = (/** @type {number} */ generation) => `certless-vault-blocks-${generation}`;
/** 32 MiB of blocks. The cache has two generations, so at most 64 MiB and one batch. */
const GENERATION_BLOCKS = 2048;

export class BlockCache {
  #factory;
  #most;
  /** @type {Promise<number> | null} */
  #present = null;

  /** @param {IDBFactory | undefined} factory without one, nothing is kept @param {number} [most] */
  constructor(factory, most = GENERATION_BLOCKS) {
    this.#factory = factory;
    this.#most = most;
  }

  /** The copies, each or null. @param {Bytes[]} ids @returns {Promise<(Bytes | null)[]>} */
  async get(ids) {
    /** @type {(Bytes | null)[]} */
    const none = ids.map(() => null);
    if (!ids.length) return none;
    return this.#try(none, async (factory) => {
      const present = await this.#generation(factory);
      const [now, before] = await Promise.all([present, 1 - present].map((one) => this.#read(factory, one, ids)));
      const used = ids.flatMap((id, i) => (!now[i] && before[i] ? [{ id, block: before[i] }] : []));
      if (used.length) await this.put(used);
      return ids.map((_, i) => now[i] ?? before[i]);
    });
  }

  /** @param {readonly Copy[]} copies */
  async put(copies) {
    if (!copies.length) return;
    await this.#try(undefined, async (factory) => {
      const present = await this.#generation(factory);
      const count = await transaction(factory, nameOf(present), STORE, 'readwrite', async (store) => {
        for (const { id, block } of copies) store.put(block, hexOf(id));
        return done(store.count());
      });
      if (count >= this.#most) this.#present = this.#emptied(factory, 1 - present);
    });
  }

  /** @param {IDBFactory} factory @param {number} generation @param {Bytes[]} ids @returns {Promise<(Bytes | null)[]>} */
  async #read(factory, generation, ids) {
    return transaction(factory, nameOf(generation), STORE, 'readonly', async (store) => Promise.all(ids.map(async (id) => (await done(store.get(hexOf(id)))) ?? null)));
  }

  /** @param {IDBFactory} factory */
  async #generation(factory) {
    this.#present ??= this.#first(factory);
    return this.#present;
  }

  /** The generation that is not full. @param {IDBFactory} factory */
  async #first(factory) {
    for (const one of [0, 1]) {
      const count = await transaction(factory, nameOf(one), STORE, 'readonly', (store) => done(store.count()));
      if (count < this.#most) return one;
    }
    return this.#emptied(factory, 0);
  }

  /** @param {IDBFactory} factory @param {number} generation */
  async #emptied(factory, generation) {
    await transaction(factory, nameOf(generation), STORE, 'readwrite', (store) => done(store.clear()));
    return generation;
  }

  /**
   * A cache that fails is as an empty one: the disk can be full, or the browser can forbid it.
   * @template Result
   * @param {Result} otherwise
   * @param {(factory: IDBFactory) => Promise<Result>} work
   */
  async #try(otherwise, work) {
    if (!this.#factory) return otherwise;
    try {
      return await work(this.#factory);
    } catch {
      return otherwise;
    }
  }
}
