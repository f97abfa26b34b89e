/** The entries of the directory: notes, files, and what hides and retires blocks (VAULT §20.3). */
import { concat } from '../../common/bytes.js';
import { utf8 } from '../../common/codec.js';
import { lp } from './account.js';
import { serialize, whole } from './bodies.js';
import { Alarm, Malformed } from './errors.js';
import { WRITER_ID_BYTES, hexOf, isAscending } from './metas.js';
import { textBytes } from './sealedValues.js';
import { MAX_EXTENTS, parseStream, serializeStream } from './streams.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('./streams.js').Stream} Stream */
/** @typedef {'note' | 'file' | 'cover' | 'retired'} EntryKind */
/** @typedef {{ id: Bytes, writer: Bytes, day: number, stream: Stream }} Version */
/** @typedef {{ id: Bytes, kind: EntryKind, name: string, versions: Version[] }} Entry */
/** All entries, each under its id in hex. @typedef {Map<string, Entry>} Entries */

export const ENTRY_ID_BYTES = 16;
export const MAX_VERSIONS = 16;
const MAX_NAME_BYTES = 255;
const KINDS = ['note', 'file', 'cover', 'retired'];
const MAX_DAY = 0xffff_ffff;
const LENGTH_BYTES = 4;
const MAX_STREAM_BYTES = 3 + 58 * MAX_EXTENTS;

/** @param {string} name @throws {Malformed} */
export function checkName(name) {
  if (textBytes(name, 'The name').length > MAX_NAME_BYTES) throw new Malformed(`A name has at most ${MAX_NAME_BYTES} bytes.`);
}

/** @param {Entry} entry @returns {Bytes} */
export function serializeEntry({ id, kind, name, versions }) {
  const listed = versions.map(({ stream, ...version }) => ({ id: version.id, writer: version.writer, day: version.day, stream: serializeStream(stream) }));
  return serialize({ id, kind, name, versions: listed });
}

/** @param {Bytes} data @returns {Entry} @throws {Malformed} */
export function parseEntry(data) {
  const entry = whole(data, (members) => ({
    id: members.raw('id', ENTRY_ID_BYTES),
    kind: /** @type {EntryKind} */ (members.text('kind')),
    name: members.text('name'),
    versions: members.list('versions', MAX_VERSIONS).map((version) => {
      const read = {
        id: version.raw('id', ENTRY_ID_BYTES),
        writer: version.raw('writer', WRITER_ID_BYTES),
        day: version.number('day', MAX_DAY),
        stream: parseStream(version.raw('stream', { least: 0, most: MAX_STREAM_BYTES })),
      };
      version.end();
      return read;
    }),
  }));
  const isEntry = KINDS.includes(entry.kind) && utf8(entry.name).length <= MAX_NAME_BYTES && entry.versions.length > 0;
  if (!isEntry || !isAscending(entry.versions.map(({ id }) => hexOf(id)))) throw new Malformed('This is not an entry of this version.');
  return entry;
}

/** The bytes of the directory, in the order of the ids. @param {Entries} entries */
export function serializeDirectory(entries) {
  const ids = [...entries.keys()].sort();
  return concat(...ids.map((id) => lp(serializeEntry(/** @type {Entry} */ (entries.get(id))))));
}

/** @param {Bytes} data @returns {Entries} @throws {Alarm} `forged` */
export function parseDirectory(data) {
  try {
    return entriesIn(data);
  } catch (error) {
    if (error instanceof Malformed) throw new Alarm('forged');
    throw error;
  }
}

/** @param {Bytes} data @returns {Entries} @throws {Malformed} */
function entriesIn(data) {
  /** @type {Entries} */
  const entries = new Map();
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  /** @type {string[]} */
  const ids = [];
  for (let at = 0; at < data.length; ) {
    const start = at + LENGTH_BYTES;
    const end = start <= data.length ? start + view.getUint32(at) : Infinity;
    if (end > data.length) throw new Malformed('The directory ends early.');
    const entry = parseEntry(data.slice(start, end));
    ids.push(hexOf(entry.id));
    entries.set(hexOf(entry.id), entry);
    at = end;
  }
  if (!isAscending(ids)) throw new Malformed('The directory is not in order.');
  return entries;
}
