/** What a client remembers of the last meta, and the alarms for a meta that does not follow it (VAULT §21.1). */
import { equal } from '../../primitives/hashes.js';
import { Alarm } from './errors.js';
import { MAX_WRITERS, hexOf } from './metas.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('./metas.js').Meta} Meta */
/** @typedef {{ sequence: number, root: Bytes, writers: import('./metas.js').Writer[] }} Remembered */

/** @param {Meta} meta @param {Bytes} root @returns {Remembered} */
export const rememberedOf = ({ sequence, writers }, root) => ({ sequence, root, writers });

/**
 * Whether there is anything new.
 * @param {Remembered | null} remembered
 * @param {{ meta: Meta, root: Bytes } | null} read what the server has
 * @throws {Alarm} `rolled_back` or `forked`
 */
export function isNews(remembered, read) {
  if (!remembered) return read !== null;
  if (!read) throw new Alarm('rolled_back');
  const { meta, root } = read;
  if (meta.sequence < remembered.sequence) throw new Alarm('rolled_back');
  if (equal(root, remembered.root)) return false;
  if (meta.sequence === remembered.sequence) throw new Alarm('forked');
  const counts = new Map(meta.writers.map(({ id, count }) => [hexOf(id), count]));
  for (const { id, count } of remembered.writers) {
    const now = counts.get(hexOf(id));
    // A full list can leave one out.
    if (now === undefined ? meta.writers.length < MAX_WRITERS : now < count) throw new Alarm('forked');
  }
  return true;
}
