/** What a head key or a proof key signs. Each statement names its purpose (VAULT §6.2, §7 to §9). */
import { concat } from '../../common/bytes.js';
import { utf8 } from '../../common/codec.js';
import { sha256 } from '../../primitives/hashes.js';
import { NOTHING, label, lp } from './account.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('./wraps.js').Kind} Kind */

/**
 * By a proof key: release the wrap of this kind.
 * @param {Bytes} exported e of the session
 * @param {Bytes} account
 * @param {Kind} kind
 * @param {Bytes} [subject]
 */
export const proofStatement = (exported, account, kind, subject = NOTHING) =>
  concat(label('proof'), lp(exported), lp(account), lp(utf8(kind)), lp(subject));

/**
 * By the head key: this request, in this session.
 * @param {Bytes} exported
 * @param {Bytes} account
 * @param {string} method
 * @param {string} target
 * @param {Bytes} body
 */
export const requestStatement = (exported, account, method, target, body) =>
  concat(label('request'), lp(exported), lp(account), lp(utf8(method)), lp(utf8(target)), sha256(body));

/** By the new head key, and by the proof key of the code that was typed back. @param {Bytes} exported @param {Bytes} account @param {Bytes} head @param {Bytes} proof */
export const creationStatement = (exported, account, head, proof) =>
  concat(label('create'), lp(exported), lp(account), lp(head), lp(proof));

/** By the proof key of a new recovery code that was typed back. @param {Bytes} exported @param {Bytes} account @param {Bytes} proof */
export const typedStatement = (exported, account, proof) => concat(label('typed'), lp(exported), lp(account), lp(proof));

/** By the new head key: it becomes the head after `revision`. @param {Bytes} account @param {Bytes} revision @param {Bytes} head */
export const rekeyStatement = (account, revision, head) => concat(label('rekey'), lp(account), lp(revision), lp(head));
