/** Tokens, receipts and checks of blocks (VAULT §18.1, §18.4). */
import { concat } from '../../common/bytes.js';
import { hmacSha256, sha256 } from '../../primitives/hashes.js';
import { label, lp } from './account.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('./account.js').AccountKey} AccountKey */
/** @typedef {'write' | 'read' | 'renew'} Use */

export const BLOCK_ID_BYTES = 16;

/** The right to use one block (32 bytes). @param {Bytes} useKey K(use) of the epoch of the block @param {Use} use @param {Bytes} id */
export const tokenOf = (useKey, use, id) => hmacSha256(useKey, concat(label(use), lp(id)));

/** The proof that a server got this block. @param {Bytes} id @param {Bytes} block */
export const receiptOf = (id, block) => sha256(concat(label('receipt'), lp(id), lp(block)));

/** The proof that a server still has this block. @param {Bytes} nonce @param {Bytes} block */
export const checkOf = (nonce, block) => sha256(concat(label('check'), lp(nonce), lp(block)));
