/** The meta: the root of the index, signed and sealed (VAULT §20.2). */
import { concat } from '../../common/bytes.js';
import { equal, sha256 } from '../../primitives/hashes.js';
import { sign } from '../primitives/ed25519.js';
import { KEY_BYTES, label, lp } from './account.js';
import { serialize, whole } from './bodies.js';
import { Alarm, Malformed, Tampered, TooLarge } from './errors.js';
import { MAX_RETIRED, parseRetired, serializeRetired } from './retired.js';
import { padded, unpadded } from './sealedValues.js';
import { MAX_EXTENTS, parseStream, serializeStream } from './streams.js';
import { OVERHEAD_BYTES, seal, unseal } from './wraps.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./account.js').AccountKey} AccountKey */
/** @typedef {{ id: Bytes, count: number }} Writer */
/** @typedef {{ epoch: number, n: Bytes }} EarlierKey */
/**
 * `renewed`: every block has this bucket or a later one.
 * @typedef {{
 *   sequence: number, epoch: number, renewed: number, writers: Writer[], keys: EarlierKey[],
 *   directory: import('./streams.js').Stream, retired: import('./retired.js').Retired[],
 * }} Meta
 */

const PADDED_BYTES = 12_288;
export const META_BYTES = OVERHEAD_BYTES + PADDED_BYTES;
export const WRITER_ID_BYTES = 8;
export const MAX_WRITERS = 64;
const MAX_EARLIER_KEYS = 16;
const MAX_EPOCH = 0xffff;
const MAX_U32 = 0xffff_ffff;
const MAX_STREAM_BYTES = 3 + 58 * MAX_EXTENTS;
const SIGNATURE_BYTES = 64;

/** @param {AccountKey} key */
const aadOf = (key) => concat(label('meta'), lp(key.account));
/** @param {AccountKey} key @param {Bytes} body */
const statementOf = (key, body) => concat(label('meta'), lp(key.account), lp(body));

/** Whether each value is larger than the one before. @param {readonly string[]} texts */
export const isAscending = (texts) => texts.every((text, i) => i === 0 || texts[i - 1] < text);

/** Bytes as text that sorts as they do. @param {Uint8Array} bytes */
export const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');

/** @param {Meta} meta @returns {Bytes} */
export function serializeMeta({ sequence, epoch, renewed, writers, keys, directory, retired }) {
  const members = { sequence, epoch, renewed, writers, keys };
  return serialize({ ...members, directory: serializeStream(directory), retired: serializeRetired(retired) });
}

/** @param {Bytes} body @returns {Meta} @throws {Malformed} */
export function parseMeta(body) {
  const meta = whole(body, (members) => ({
    sequence: members.number('sequence', Number.MAX_SAFE_INTEGER),
    epoch: members.number('epoch', MAX_EPOCH),
    renewed: members.number('renewed', MAX_U32),
    writers: members.list('writers', MAX_WRITERS).map((writer) => {
      const read = { id: writer.raw('id', WRITER_ID_BYTES), count: writer.number('count', MAX_U32) };
      writer.end();
      return read;
    }),
    keys: members.list('keys', MAX_EARLIER_KEYS).map((key) => {
      const read = { epoch: key.number('epoch', MAX_EPOCH), n: key.raw('n', KEY_BYTES) };
      key.end();
      return read;
    }),
    directory: parseStream(members.raw('directory', { least: 0, most: MAX_STREAM_BYTES })),
    retired: parseRetired(members.raw('retired', { least: 0, most: MAX_U32 })),
  }));
  if (meta.retired.length > MAX_RETIRED) throw new TooLarge(`An index has at most ${MAX_RETIRED} retired blocks.`);
  const areOrdered =
    isAscending(meta.writers.map(({ id }) => hexOf(id))) &&
    meta.keys.every(({ epoch }, i) => epoch > (meta.keys[i - 1]?.epoch ?? 0) && epoch < meta.epoch);
  const areCounted = meta.sequence > 0 && meta.epoch > 0 && meta.writers.length > 0 && meta.writers.every(({ count }) => count > 0);
  if (!areOrdered || !areCounted) throw new Malformed('The index has no order, or a number that it cannot have.');
  return meta;
}

/** The writers after `writer` has written a meta. @param {readonly Writer[]} writers @param {Writer} writer */
export function writtenBy(writers, writer) {
  const byCount = (/** @type {Writer} */ one, /** @type {Writer} */ other) => one.count - other.count || compare(one, other);
  const compare = (/** @type {Writer} */ one, /** @type {Writer} */ other) => (hexOf(one.id) < hexOf(other.id) ? -1 : 1);
  const others = writers.filter(({ id }) => !equal(id, writer.id)).sort(byCount);
  return [...others.slice(Math.max(0, others.length - MAX_WRITERS + 1)), writer].sort(compare);
}

/** The name of one state of the index (32 bytes). @param {AccountKey} key @param {Bytes} body */
const rootOf = (key, body) => sha256(statementOf(key, body));

/** The meta that a rekey seals under the next account key. @param {Meta} meta @param {AccountKey} old @param {Writer} writer @returns {Meta} @throws {TooLarge} */
export function nextEpoch(meta, old, writer) {
  if (meta.keys.length === MAX_EARLIER_KEYS || meta.epoch === MAX_EPOCH) {
    throw new TooLarge('Data of 16 earlier keys is not written again yet. Synchronise first.');
  }
  const keys = [...meta.keys, { epoch: meta.epoch, n: old.n.slice() }];
  return { ...meta, sequence: meta.sequence + 1, epoch: meta.epoch + 1, keys, writers: writtenBy(meta.writers, writer) };
}

/** Seals and signs. @param {Primitives} primitives @param {AccountKey} key @param {Meta} meta */
export async function sealMeta(primitives, key, meta) {
  const body = serializeMeta(meta);
  const text = concat(sign(key.headSeed, statementOf(key, body)), body);
  const plaintext = padded(meta.sequence, text, PADDED_BYTES);
  if (plaintext.length !== PADDED_BYTES) throw new TooLarge('The index has more devices or earlier keys than it can have.');
  return { sealed: await seal(primitives, key.derived('index'), plaintext, aadOf(key)), root: rootOf(key, body) };
}

/**
 * @param {Primitives} primitives
 * @param {AccountKey} key
 * @param {Bytes} sealed
 * @throws {Alarm} `forged`
 */
export async function openMeta(primitives, key, sealed) {
  try {
    if (sealed.length !== META_BYTES) throw new Malformed(`A meta has ${META_BYTES} bytes.`);
    const plaintext = await unseal(primitives, key.derived('index'), sealed, aadOf(key));
    if (plaintext) {
      const { sequence, text } = unpadded(plaintext, PADDED_BYTES);
      const [signature, body] = [text.slice(0, SIGNATURE_BYTES), text.slice(SIGNATURE_BYTES)];
      // A signature of Ed25519 is the same each time, so its owner need not verify it.
      const isSigned = equal(signature, sign(key.headSeed, statementOf(key, body)));
      const meta = parseMeta(body);
      if (isSigned && meta.sequence === sequence) return { meta, root: rootOf(key, body) };
    }
  } catch (error) {
    if (!(error instanceof Malformed || error instanceof Tampered)) throw error;
  }
  throw new Alarm('forged');
}
