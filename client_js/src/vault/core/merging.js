/** Merging the changes of two devices, so that none is lost (VAULT §21.2). */
import { equal } from '../../primitives/hashes.js';
import { MAX_VERSIONS, serializeEntry } from './entries.js';
import { hexOf } from './metas.js';

/** @typedef {import('./entries.js').Entries} Entries */
/** @typedef {import('./entries.js').Entry} Entry */
/** @typedef {import('./entries.js').Version} Version */

/** @param {Entry | null} one @param {Entry | null} other */
export function isSame(one, other) {
  if (!one || !other) return one === other;
  return equal(serializeEntry(one), serializeEntry(other));
}

/**
 * One entry after the changes of both. Null stands for an entry that is not there.
 * @param {Entry | null} base the one on which ours is based
 * @param {Entry | null} ours
 * @param {Entry | null} theirs that of the server
 * @returns {Entry | null}
 */
export function mergeEntry(base, ours, theirs) {
  if (isSame(ours, base) || isSame(ours, theirs)) return theirs;
  if (isSame(theirs, base)) return ours;
  if (!ours || !theirs) return ours ?? theirs;
  const old = new Map(base?.versions.map((version) => [hexOf(version.id), version]));
  const [mine, other] = [ours, theirs].map(({ versions }) => new Map(versions.map((version) => [hexOf(version.id), version])));
  const isReplaced = (/** @type {string} */ id) => old.has(id) && !(mine.has(id) && other.has(id));
  // What ours has not changed can be newer in theirs: the same data in other blocks.
  const changed = [...mine].filter(([id, version]) => !isSameVersion(version, old.get(id)));
  const all = [...new Map([...mine, ...other, ...changed])];
  const left = all.filter(([id]) => !isReplaced(id));
  // Each device can have left out what the other one has kept.
  const both = (left.length ? left : all).map(([, version]) => version);
  return { ...theirs, name: theirs.name === base?.name ? ours.name : theirs.name, versions: inOrder(newest(both)) };
}

/** @param {Version} one @param {Version | undefined} other */
function isSameVersion(one, other) {
  const entryOf = (/** @type {Version} */ version) => serializeEntry({ id: one.id, kind: 'note', name: '', versions: [version] });
  return other !== undefined && equal(entryOf(one), entryOf(other));
}

/** @param {Version[]} versions */
const inOrder = (versions) => [...versions].sort((one, other) => (hexOf(one.id) < hexOf(other.id) ? -1 : 1));

/** The versions with the largest day and id, if there are too many. @param {Version[]} versions */
function newest(versions) {
  const byDay = inOrder(versions).sort((one, other) => one.day - other.day);
  return byDay.slice(-MAX_VERSIONS);
}
