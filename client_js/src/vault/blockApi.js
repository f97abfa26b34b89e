/** The requests of blocks and of the meta (VAULT §14, §18.4). */
import { equal } from '../primitives/hashes.js';
import {
  MAX_BLOCKS,
  MAX_IDS,
  MAX_TOKENS,
  parseBlockParameters,
  parseCheckedBlocks,
  parseFoundBlocks,
  parseReceipts,
  parseRenewedBlocks,
  parseReserved,
  parseStoredMeta,
} from './core/blockBodies.js';
import { serialize } from './core/bodies.js';
import { Tampered } from './core/errors.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('./core/account.js').AccountKey} AccountKey */
/** @typedef {import('./core/blockBodies.js').Permitted} Permitted */
/** @typedef {{ id: Bytes, token: Bytes }} OneBlock */
/** @typedef {{ id: Bytes, permit: Bytes, block: Bytes, write: Bytes, read: Bytes, renew: Bytes }} NewBlock */

const TRIES = 3;
/** The connection failed. A request can have had its effect. */
const NO_ANSWER = ['no_answer', 'outcome_unknown', 'unavailable'];

/** Whether the service cannot be reached, so that a change waits. @param {any} error */
export const isOffline = (error) => [...NO_ANSWER, 'not_logged_in'].includes(error?.code);

/** @template Item @param {readonly Item[]} list @param {number} most */
function batches(list, most) {
  return Array.from({ length: Math.ceil(list.length / most) }, (_, i) => list.slice(i * most, (i + 1) * most));
}

export class BlockApi {
  #api;
  #use;

  /**
   * @param {import('./api.js').VaultApi} api
   * @param {() => AccountKey} use throws if the vault is locked
   */
  constructor(api, use) {
    this.#api = api;
    this.#use = use;
  }

  /** The present bucket, and the length of a bucket. */
  async parameters() {
    return parseBlockParameters(await this.#send('GET', ''));
  }

  /** The sealed meta, or null. */
  async meta() {
    return parseStoredMeta(await this.#api.signed(this.#use(), 'GET', '/meta'));
  }

  /** @param {Bytes} previous the digest of the meta that is replaced, or empty @param {Bytes} meta @throws {import('./api.js').VaultRefused} `conflict` */
  async putMeta(previous, meta) {
    await this.#api.signed(this.#use(), 'PUT', '/meta', serialize({ previous, meta }));
  }

  /** @param {number} count at most 100 @returns {Promise<Permitted[]>} */
  async reserve(count) {
    return parseReserved(await this.#send('POST', '/reserve', { count: Math.min(count, MAX_IDS) }), Math.min(count, MAX_IDS));
  }

  /** Writes at most 32 blocks, and compares the receipts. @param {NewBlock[]} blocks @param {Bytes[]} receipts @throws {Tampered} */
  async put(blocks, receipts) {
    const got = parseReceipts(await this.#send('POST', '/put', { blocks }), blocks.length);
    if (!got.every((receipt, i) => equal(receipt, receipts[i]))) throw new Tampered('The service gave the receipt of another block.');
  }

  /** The blocks, each or null. @param {OneBlock[]} blocks with read tokens @returns {Promise<(Bytes | null)[]>} */
  async get(blocks) {
    /** @type {(Bytes | null)[]} */
    const found = [];
    for (const batch of batches(blocks, MAX_BLOCKS)) found.push(...parseFoundBlocks(await this.#send('POST', '/get', { blocks: batch }), batch.length));
    return found;
  }

  /** Whether each block was renewed. @param {OneBlock[]} blocks with renew tokens */
  async renew(blocks) {
    /** @type {boolean[]} */
    const renewed = [];
    for (const batch of batches(blocks, MAX_TOKENS)) renewed.push(...parseRenewedBlocks(await this.#send('POST', '/renew', { blocks: batch }), batch.length));
    return renewed;
  }

  /** @param {OneBlock[]} blocks with write tokens */
  async retire(blocks) {
    for (const batch of batches(blocks, MAX_TOKENS)) await this.#send('POST', '/retire', { blocks: batch });
  }

  /** The digests under `nonce`, each or null. @param {Bytes} nonce @param {OneBlock[]} blocks with read tokens, at most 32 */
  async check(nonce, blocks) {
    return parseCheckedBlocks(await this.#send('POST', '/check', { nonce, blocks }), blocks.length);
  }

  /** Sends again what got no answer: the second request has no other effect. @param {string} method @param {string} path @param {import('./core/bodies.js').Members | null} [members] */
  async #send(method, path, members = null) {
    for (let tries = 1; ; tries += 1) {
      this.#use();
      try {
        return await this.#api.plain(method, `/blocks${path}`, members);
      } catch (error) {
        if (tries === TRIES || !NO_ANSWER.includes(/** @type {any} */ (error)?.code)) throw error;
      }
    }
  }
}
