/** Seals and opens the blocks of an account, and runs plans with them (VAULT §18). */
import { equal, sha256 } from '../primitives/hashes.js';
import { checkOf, receiptOf, tokenOf } from './core/tokens.js';
import { sealBlock } from './core/blocks.js';
import { MAX_BLOCKS } from './core/blockBodies.js';
import { Epochs } from './core/epochs.js';
import { Alarm, VaultError } from './core/errors.js';
import { openExtent } from './core/streams.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./core/plans.js').Piece} Piece */
/** @typedef {import('./core/streams.js').Extent} Extent */
/** @typedef {import('./core/tokens.js').Use} Use */
/** @typedef {{ id: Bytes, epoch: number }} Named */

/** Ids are reserved in this number at least. */
const FEWEST_IDS = 10;
const NONCE_BYTES = 16;

export class BlockStore {
  #primitives;
  #api;
  #cache;
  /** @type {import('./core/blockBodies.js').Permitted[]} */
  #permitted = [];
  /** @type {Promise<unknown>} */
  #reserving = Promise.resolve();
  /** Blocks that will be written soon. */
  #expected = 0;
  /** @type {Epochs | null} */
  #epochs = null;

  /**
   * @param {Primitives} primitives
   * @param {import('./blockApi.js').BlockApi} api
   * @param {import('./blockCache.js').BlockCache} cache
   */
  constructor(primitives, api, cache) {
    this.#primitives = primitives;
    this.#api = api;
    this.#cache = cache;
  }

  /** @param {Epochs} epochs */
  use(epochs) {
    this.#epochs?.forget();
    this.#epochs = epochs;
  }

  /** Drops all keys. */
  lock() {
    this.#epochs?.forget();
    this.#epochs = null;
    this.#permitted = [];
  }

  /** @param {number} count of blocks that will be written soon, so that fewer requests reserve ids */
  expect(count) {
    this.#expected = count;
  }

  /**
   * The result of a plan.
   * @template Result
   * @param {import('./core/plans.js').Plan<Result>} plan
   * @returns {Promise<Result>}
   */
  async run(plan) {
    let step = plan.next();
    while (!step.done) step = plan.next('load' in step.value ? await this.load(step.value.load) : await this.seal(step.value.seal));
    return step.value;
  }

  /**
   * Writes new blocks under the present account key.
   * @param {Piece[]} pieces
   * @param {{ isKept?: boolean }} [options] `isKept`: a copy goes into the cache
   * @returns {Promise<Extent[]>}
   */
  async seal(pieces, { isKept = true } = {}) {
    /** @type {Extent[]} */
    const extents = [];
    for (let at = 0; at < pieces.length; at += MAX_BLOCKS) extents.push(...(await this.#put(pieces.slice(at, at + MAX_BLOCKS), isKept)));
    return extents;
  }

  /** @param {Piece[]} pieces at most 32 @param {boolean} isKept @returns {Promise<Extent[]>} */
  async #put(pieces, isKept) {
    const permitted = await this.#ids(pieces.length);
    const epochs = this.#keys();
    const made = await Promise.all(
      pieces.map(async ({ data, size }, i) => {
        const { id, permit } = permitted[i];
        const block = await sealBlock(this.#primitives, epochs.derived('block'), id, data);
        const [write, read, renew] = /** @type {Use[]} */ (['write', 'read', 'renew']).map((use) => sha256(tokenOf(epochs.derived(use), use, id)));
        const digest = await this.#primitives.sha256(block);
        return { extent: { id, digest, epoch: epochs.epoch, size }, put: { id, permit, block, write, read, renew } };
      }),
    );
    const blocks = made.map(({ put }) => put);
    await this.#api.put(blocks, blocks.map(({ id, block }) => receiptOf(id, block)));
    this.#expected = Math.max(0, this.#expected - pieces.length);
    if (isKept) await this.#cache.put(blocks);
    return made.map(({ extent }) => extent);
  }

  /**
   * The data of blocks.
   * @param {Extent[]} extents
   * @param {{ isKept?: boolean }} [options] `isKept`: copies come from the cache and go into it
   * @returns {Promise<Bytes[]>}
   * @throws {Alarm} `missing`, `swapped` or `forged`
   */
  async load(extents, { isKept = true } = {}) {
    const known = isKept ? await this.#cache.get(extents.map(({ id }) => id)) : extents.map(() => null);
    const right = await Promise.all(extents.map(async ({ digest }, i) => known[i] !== null && equal(await this.#primitives.sha256(known[i]), digest)));
    const absent = extents.filter((_, i) => !right[i]);
    const got = await this.#got(absent);
    const blocks = extents.map((_, i) => (right[i] ? known[i] : /** @type {Bytes | null} */ (got.shift() ?? null)));
    const data = await Promise.all(extents.map((extent, i) => openExtent(this.#primitives, this.#keys().derived('block', extent.epoch), extent, blocks[i])));
    if (isKept) await this.#cache.put(extents.flatMap(({ id }, i) => (right[i] ? [] : [{ id, block: /** @type {Bytes} */ (blocks[i]) }])));
    return data;
  }

  /** The blocks of the server, each or null. A renewal brings those of the archive back (VAULT §22). @param {Extent[]} extents */
  async #got(extents) {
    const got = await this.#api.get(this.#tokens('read', extents));
    const absent = extents.filter((_, i) => !got[i]);
    const renewed = await this.renew(absent);
    const back = absent.filter((_, i) => renewed[i]);
    const again = await this.#api.get(this.#tokens('read', back));
    return extents.map((extent, i) => got[i] ?? again[back.indexOf(extent)] ?? null);
  }

  /** Whether each block was renewed. @param {Named[]} blocks */
  async renew(blocks) {
    return this.#api.renew(this.#tokens('renew', blocks));
  }

  /** Deletes blocks on the server. @param {Named[]} blocks */
  async retire(blocks) {
    await this.#api.retire(this.#tokens('write', blocks));
  }

  /**
   * Asks for proof that the server still has these blocks. Only blocks with a copy in the cache can be compared.
   * @param {Extent[]} extents at most 32
   * @returns {Promise<number>} how many were compared
   * @throws {Alarm} `missing` or `swapped`
   */
  async check(extents) {
    const copies = await this.#cache.get(extents.map(({ id }) => id));
    const here = extents.map((extent, i) => ({ extent, copy: copies[i] })).filter(({ copy }) => copy !== null);
    if (!here.length) return 0;
    const nonce = this.#primitives.randomBytes(NONCE_BYTES);
    const tokens = this.#tokens('read', here.map(({ extent }) => extent));
    let digests = await this.#api.check(nonce, tokens);
    const absent = here.filter((_, i) => !digests[i]).map(({ extent }) => extent);
    // A renewal brings blocks of the archive back.
    if ((await this.renew(absent)).some(Boolean)) digests = await this.#api.check(nonce, tokens);
    here.forEach(({ copy }, i) => {
      const digest = digests[i];
      if (!digest) throw new Alarm('missing');
      if (!equal(digest, checkOf(nonce, /** @type {Bytes} */ (copy)))) throw new Alarm('swapped');
    });
    return here.length;
  }

  /** @param {Use} use @param {readonly Named[]} blocks */
  #tokens(use, blocks) {
    const epochs = this.#keys();
    return blocks.map(({ id, epoch }) => ({ id, token: tokenOf(epochs.derived(use, epoch), use, id) }));
  }

  #keys() {
    if (!this.#epochs) throw new VaultError('locked', 'The vault was locked. Unlock it first.');
    return this.#epochs;
  }

  /** Ids for new blocks, one caller after the other. @param {number} count @returns {Promise<import('./core/blockBodies.js').Permitted[]>} */
  async #ids(count) {
    const taken = this.#reserving.then(async () => {
      while (this.#permitted.length < count) {
        const wanted = Math.max(count - this.#permitted.length, this.#expected, FEWEST_IDS);
        this.#permitted.push(...(await this.#api.reserve(wanted)));
      }
      return this.#permitted.splice(0, count);
    });
    this.#reserving = taken.catch(() => {});
    return taken;
  }
}
