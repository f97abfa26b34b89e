/** Changes that wait until they are in the index: of an edit, or of edits without a connection (VAULT §21.2). */
import { concat } from '../common/bytes.js';
import { label, lp } from './core/account.js';
import { serialize, whole } from './core/bodies.js';
import { parseEntry, serializeEntry } from './core/entries.js';
import { MalformedMessage } from '../common/errors.js';
import { Malformed } from './core/errors.js';
import { hexOf } from './core/metas.js';
import { seal, unseal } from './core/wraps.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./core/account.js').AccountKey} AccountKey */
/** @typedef {import('./core/entries.js').Entry} Entry */

/**
 * A change of one entry from `base` to `ours`; null if there is no such entry. If `text` is there, it is the data of the
 * version `version` of ours, whose stream is not written yet.
 * @typedef {{ base: Entry | null, ours: Entry | null, text: Bytes | null, version: Bytes | null }} Change
 */
/** Each change under the id of its entry, in hex. @typedef {Map<string, Change>} Changes */

const MAX_CHANGES = 128;
const MAX_BYTES = 0xffff_ffff;

/** @param {AccountKey} key */
const aadOf = (key) => concat(label('waiting'), lp(key.account));

/** @param {Primitives} primitives @param {AccountKey} key @param {Changes} changes */
export async function sealWaiting(primitives, key, changes) {
  const listed = [...changes.values()].map(({ base, ours, text, version }) => ({
    ...(base && { base: serializeEntry(base) }),
    ...(ours && { ours: serializeEntry(ours) }),
    ...(text && version && { text, version }),
  }));
  if (listed.length > MAX_CHANGES) throw new Malformed(`At most ${MAX_CHANGES} changes can wait. Connect first.`);
  return seal(primitives, key.derived('index'), serialize({ changes: listed }), aadOf(key));
}

/** The changes, or null if `key` does not open them. @param {Primitives} primitives @param {AccountKey} key @param {Bytes} sealed @returns {Promise<Changes | null>} */
export async function openWaiting(primitives, key, sealed) {
  const data = await unseal(primitives, key.derived('index'), sealed, aadOf(key)).catch((error) => {
    if (error instanceof Malformed || error instanceof MalformedMessage) return null;
    throw error;
  });
  if (!data) return null;
  const listed = whole(data, (body) =>
    body.list('changes', MAX_CHANGES).map((one) => {
      const raw = (/** @type {string} */ name) => (one.has(name) ? one.raw(name, { least: 0, most: MAX_BYTES }) : null);
      const entryOf = (/** @type {Bytes | null} */ bytes) => bytes && parseEntry(bytes);
      const change = { base: entryOf(raw('base')), ours: entryOf(raw('ours')), text: raw('text'), version: raw('version') };
      one.end();
      return change;
    }),
  );
  return new Map(listed.map((change) => [hexOf(/** @type {Entry} */ (change.ours ?? change.base).id), change]));
}
