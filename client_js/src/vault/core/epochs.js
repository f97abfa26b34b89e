/** The keys of blocks, for each epoch of the account key (VAULT §18.1, §18.3, §20.1). */
import { AccountKey } from './account.js';
import { Tampered } from './errors.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {'block' | 'write' | 'read' | 'renew'} Purpose */

/** The account keys of all epochs, and what is derived from them. A derived key is computed once. */
export class Epochs {
  /** @type {Map<number, AccountKey>} */
  #keys;
  /** @type {Map<string, Bytes>} */
  #derived = new Map();

  /**
   * @param {AccountKey} key of the present epoch
   * @param {number} epoch the present one
   * @param {readonly { epoch: number, n: Bytes }[]} [earlier]
   */
  constructor(key, epoch, earlier = []) {
    this.epoch = epoch;
    this.#keys = new Map([[epoch, key]]);
    for (const one of earlier) this.#keys.set(one.epoch, new AccountKey(key.account, one.n));
  }

  /** K(purpose) of an epoch. @param {Purpose} purpose @param {number} [epoch] @throws {Tampered} */
  derived(purpose, epoch = this.epoch) {
    const name = `${purpose} ${epoch}`;
    const known = this.#derived.get(name);
    if (known) return known;
    const key = this.#keys.get(epoch);
    if (!key) throw new Tampered('A block names an account key that the index does not have.');
    const derived = key.derived(purpose);
    this.#derived.set(name, derived);
    return derived;
  }

  /** Overwrites all keys except the present account key, which belongs to the caller. */
  forget() {
    for (const derived of this.#derived.values()) derived.fill(0);
    for (const [epoch, key] of this.#keys) if (epoch !== this.epoch) key.n.fill(0);
    this.#derived.clear();
    this.#keys.clear();
  }
}
