/**
 * The index as the server has it: reads it with its checks, and writes changes into it (VAULT §20 to §22).
 *
 * The module is long because a change of the index is one unit: entries, directory, retired blocks and meta.
 */
import { equal, sha256 } from '../primitives/hashes.js';
import { NOTHING } from './core/account.js';
import { parseDirectory, serializeDirectory } from './core/entries.js';
import { Epochs } from './core/epochs.js';
import { Alarm } from './core/errors.js';
import { isSame, mergeEntry } from './core/merging.js';
import { bucketToWrite, isToRenew } from './core/expiry.js';
import { hexOf, nextEpoch, openMeta, sealMeta, writtenBy } from './core/metas.js';
import { named, splice } from './core/plans.js';
import { isNews, rememberedOf } from './core/remembered.js';
import { MAX_RETIRED, isDue, parseRetired, serializeRetired } from './core/retired.js';
import { EMPTY, difference, serializeStream, sizeOf } from './core/streams.js';
import { allBytes, upload } from './transfers.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./core/account.js').AccountKey} AccountKey */
/** @typedef {import('./core/entries.js').Entries} Entries */
/** @typedef {import('./core/entries.js').Entry} Entry */
/** @typedef {import('./core/metas.js').Meta} Meta */
/** @typedef {import('./core/retired.js').Retired} Retired */
/** @typedef {import('./core/streams.js').Extent} Extent */
/** @typedef {import('./core/streams.js').Stream} Stream */
/** @typedef {import('./waiting.js').Change} Change */
/** @typedef {import('./waiting.js').Changes} Changes */
/** @typedef {{ meta: Meta, root: Bytes, digest: Bytes, data: Bytes, entries: Entries }} State `data`: the bytes of the directory */
/** @typedef {{ renewed?: number, keys?: Meta['keys'], isNewDirectory?: boolean }} Settings */

const TRIES = 10;
const MAX_COVER_BLOCKS = 16;
const ID_BYTES = 16;
const DAY_MS = 86_400_000;

export class VaultIndex {
  #primitives;
  #api;
  #store;
  #memory;
  #use;
  #now;
  /** @type {State | null} */
  #state = null;
  /** @type {Alarm | null} */
  #alarm = null;

  /**
   * @param {Primitives} primitives
   * @param {import('./blockApi.js').BlockApi} api
   * @param {import('./blockStore.js').BlockStore} store
   * @param {import('./deviceMemory.js').DeviceMemory} memory
   * @param {() => AccountKey} use
   * @param {() => number} now ms since 1970
   */
  constructor(primitives, api, store, memory, use, now) {
    this.#primitives = primitives;
    this.#api = api;
    this.#store = store;
    this.#memory = memory;
    this.#use = use;
    this.#now = now;
  }

  /** @returns {Entries} */
  get entries() {
    return this.#state?.entries ?? new Map();
  }

  get meta() {
    return this.#state?.meta ?? null;
  }

  /** The digest that the four words write, or null. */
  get root() {
    return this.#state?.root ?? null;
  }

  get today() {
    return Math.floor(this.#now() / DAY_MS);
  }

  /** Drops what was read. The next call reads it again. */
  drop() {
    this.#state = null;
    this.#store.lock();
  }

  /** After an alarm: takes what the server has as right. Only the user can decide this. */
  async forget() {
    this.#alarm = null;
    this.drop();
    await this.#memory.forget();
  }

  /** Reads the index, if the server has another one. After an alarm it fails until `forget`. @throws {Alarm} */
  async pull() {
    if (this.#alarm) throw this.#alarm;
    try {
      await this.#read();
    } catch (error) {
      // A lock in the meantime has overwritten the key, so nothing opens. That is no alarm.
      this.#use();
      if (error instanceof Alarm) this.#alarm = error;
      throw error;
    }
  }

  async #read() {
    const key = this.#use();
    this.#memory.open(key.account);
    const sealed = await this.#api.meta();
    const read = sealed && (await openMeta(this.#primitives, key, sealed));
    const { remembered } = await this.#memory.read();
    const isNew = isNews(remembered, read);
    if (!read || !sealed) {
      this.#store.use(new Epochs(key, 1));
      return;
    }
    const { meta, root } = read;
    if (!isNew && this.#state) {
      this.#state = { ...this.#state, digest: sha256(sealed) };
      return;
    }
    this.#store.use(new Epochs(key, meta.epoch, meta.keys));
    const data = await allBytes(this.#store, meta.directory);
    this.#state = { meta, root, digest: sha256(sealed), data, entries: parseDirectory(data) };
    await this.#memory.remember(rememberedOf(meta, root));
  }

  /**
   * Writes changes into the index, merged with the changes of other devices.
   * @param {Changes} changes
   * @param {Settings} [settings]
   * @throws {Alarm | import('./api.js').VaultRefused}
   */
  async commit(changes, settings = {}) {
    for (let tries = 1; ; tries += 1) {
      await this.pull();
      const { next, gone, used, isChanged } = await this.#merged(changes);
      if (!isChanged && !Object.keys(settings).length) return;
      try {
        await this.#write(next, gone, used, settings);
        return;
      } catch (error) {
        if (/** @type {any} */ (error)?.code !== 'conflict' || tries === TRIES) throw error;
      }
    }
  }

  /** The entries after the changes, and the blocks that only the old or only the new ones use. @param {Changes} changes */
  async #merged(changes) {
    const entries = this.entries;
    /** @type {Entries} */
    let next = entries;
    /** @type {Map<string, Extent>} */
    const gone = new Map();
    /** @type {Set<string>} */
    const used = new Set();
    for (const [id, change] of changes) {
      const theirs = entries.get(id) ?? null;
      const merged = mergeEntry(change.base, await this.#written(change, theirs), theirs);
      if (isSame(merged, theirs)) continue;
      if (next === entries) next = new Map(entries);
      if (merged) next.set(id, merged);
      else next.delete(id);
      const [before, after] = [streamsOf(theirs), streamsOf(merged)];
      for (const [form, stream] of before) if (!after.has(form)) for (const extent of await this.blocksOf(stream)) gone.set(hexOf(extent.id), extent);
      for (const [form, stream] of after) if (!before.has(form)) for (const { id: block } of await this.blocksOf(stream)) used.add(hexOf(block));
    }
    for (const id of used) gone.delete(id);
    return { next, gone: [...gone.values()], used, isChanged: next !== entries };
  }

  /** Ours, with a stream for its text. @param {Change} change @param {Entry | null} theirs @returns {Promise<Entry | null>} */
  async #written(change, theirs) {
    const { base, ours, text, version } = change;
    if (!ours || !text || !version) return ours;
    const isIt = (/** @type {{ id: Bytes }} */ one) => equal(one.id, version);
    // The server can have got it in a request whose answer was lost.
    const known = theirs?.versions.find(isIt)?.stream;
    const stream = known ?? (await this.#textStream(text, base, theirs));
    return { ...ours, versions: ours.versions.map((one) => (isIt(one) ? { ...one, stream } : one)) };
  }

  /** A stream with `text`. It keeps blocks of a version of base that is still in the index. @param {Bytes} text @param {Entry | null} base @param {Entry | null} theirs */
  async #textStream(text, base, theirs) {
    const before = theirs?.versions.find(({ id }) => base?.versions.some((one) => equal(one.id, id)))?.stream;
    if (!before) return upload(this.#store, text);
    const { start, end, data } = difference(await allBytes(this.#store, before), text);
    return this.#store.run(splice(before, start, end, data));
  }

  /** All blocks of a stream. @param {Stream} stream @returns {Promise<Extent[]>} */
  async blocksOf(stream) {
    return this.#store.run(named(stream));
  }

  /** @param {Entries} entries @param {Extent[]} gone @param {Set<string>} used @param {Settings} settings */
  async #write(entries, gone, used, settings) {
    const key = this.#use();
    const { meta, data, digest } = this.#state ?? (await this.#first());
    const next = new Map(entries);
    if (!this.#state) next.set(...(await this.#cover()));
    let retired = await this.#tidied(next, [...meta.retired, ...gone.map((block) => this.#retiredNow(block))], used);
    let [directory, bytes] = [meta.directory, data];
    for (let isWritten = false; !isWritten; ) {
      if (retired.length > MAX_RETIRED - 2 * directory.extents.length) retired = await this.#moved(next, retired);
      const after = serializeDirectory(next);
      const before = await this.blocksOf(directory);
      const change = settings.isNewDirectory ? { start: 0, end: bytes.length, data: after } : difference(bytes, after);
      const { start, end, data: replacement } = change;
      directory = await this.#store.run(splice(directory, start, end, replacement));
      bytes = after;
      const kept = new Set((await this.blocksOf(directory)).map(({ id }) => hexOf(id)));
      retired.push(...before.filter(({ id }) => !kept.has(hexOf(id))).map((block) => this.#retiredNow(block)));
      isWritten = retired.length <= MAX_RETIRED;
      settings = { ...settings, isNewDirectory: false };
    }
    const { id } = (await this.#memory.read()).writer;
    const counted = meta.writers.find((writer) => equal(writer.id, id))?.count ?? 0;
    const writer = await this.#memory.nextWriter(counted);
    const known = (await this.#memory.read()).remembered?.sequence ?? 0;
    /** @type {Meta} */
    const written = {
      sequence: Math.max(meta.sequence, known) + 1,
      epoch: meta.epoch,
      renewed: settings.renewed ?? meta.renewed,
      writers: writtenBy(meta.writers, writer),
      keys: settings.keys ?? meta.keys,
      directory,
      retired,
    };
    const { sealed, root } = await sealMeta(this.#primitives, key, written);
    await this.#api.putMeta(digest, sealed);
    this.#state = { meta: written, root, digest: sha256(sealed), data: bytes, entries: next };
    await this.#memory.remember(rememberedOf(written, root));
  }

  /** What the first meta is based on. @returns {Promise<Pick<State, 'meta' | 'data' | 'digest'>>} */
  async #first() {
    const bucket = bucketToWrite(await this.#api.parameters(), this.#now());
    return { meta: { sequence: 0, epoch: 1, renewed: bucket, writers: [], keys: [], directory: EMPTY, retired: [] }, data: NOTHING, digest: NOTHING };
  }

  /** The entry that hides how many blocks the account uses. @returns {Promise<[string, Entry]>} */
  async #cover() {
    const count = 1 + (this.#primitives.randomBytes(1)[0] % MAX_COVER_BLOCKS);
    const extents = await this.#store.seal(Array.from({ length: count }, () => ({ data: Uint8Array.of(0), size: 1 })));
    return this.#newEntry('cover', { depth: 0, extents });
  }

  /** @param {import('./core/entries.js').EntryKind} kind @param {Stream} stream @returns {Promise<[string, Entry]>} */
  async #newEntry(kind, stream) {
    const [id, version] = [ID_BYTES, ID_BYTES].map((length) => this.#primitives.randomBytes(length));
    const { writer } = await this.#memory.read();
    return [hexOf(id), { id, kind, name: '', versions: [{ id: version, writer: writer.id, day: this.today, stream }] }];
  }

  /** @param {Extent} block @returns {Retired} */
  #retiredNow({ id, epoch }) {
    return { id, epoch, day: this.today };
  }

  /**
   * Deletes the blocks whose time has come, also those of entries `retired`, and leaves out blocks that are used again.
   * @param {Entries} next its entries `retired` change
   * @param {Retired[]} records
   * @param {Set<string>} used
   * @returns {Promise<Retired[]>}
   */
  async #tidied(next, records, used) {
    const left = await this.#withoutDue(records, used);
    /** @type {Set<string> | null} */
    let needed = null;
    for (const [id, entry] of [...next].filter(([, { kind }]) => kind === 'retired')) {
      const stored = await this.#records(entry);
      // A merge by another client can have brought back a block, and have left its record here.
      if (stored.some((record) => isDue(record, this.today))) needed ??= await this.#needed(next);
      const rest = await this.#withoutDue(stored, needed ? new Set([...used, ...needed]) : used);
      if (rest.length === stored.length) continue;
      next.delete(id);
      for (const { stream } of entry.versions) left.push(...(await this.blocksOf(stream)).map((block) => this.#retiredNow(block)));
      if (rest.length) next.set(...(await this.#newEntry('retired', await upload(this.#store, serializeRetired(rest)))));
    }
    return left;
  }

  /** The blocks of all entries. @param {Entries} entries */
  async #needed(entries) {
    /** @type {Set<string>} */
    const ids = new Set();
    for (const { versions } of entries.values()) for (const { stream } of versions) for (const { id } of await this.blocksOf(stream)) ids.add(hexOf(id));
    return ids;
  }

  /** @param {Retired[]} records @param {Set<string>} used */
  async #withoutDue(records, used) {
    const wanted = records.filter(({ id }) => !used.has(hexOf(id)));
    const due = wanted.filter((record) => isDue(record, this.today));
    await this.#store.retire(due);
    return wanted.filter((record) => !due.includes(record));
  }

  /** The records in an entry `retired`. @param {Entry} entry */
  async #records({ versions }) {
    /** @type {Retired[]} */
    const records = [];
    for (const { stream } of versions) records.push(...parseRetired(await allBytes(this.#store, stream)));
    return records;
  }

  /** Moves records into an entry. @param {Entries} next @param {Retired[]} records @returns {Promise<Retired[]>} */
  async #moved(next, records) {
    if (records.length) next.set(...(await this.#newEntry('retired', await upload(this.#store, serializeRetired(records)))));
    return [];
  }

  /** Every block that the index names. `isUsed`: a stream needs it. */
  async #all() {
    const state = /** @type {State} */ (this.#state);
    /** @type {{ id: Bytes, epoch: number, isUsed: boolean }[]} */
    const found = [];
    const streams = [...state.entries.values()].flatMap(({ versions }) => versions.map(({ stream }) => stream));
    for (const stream of [...streams, state.meta.directory]) for (const { id, epoch } of await this.blocksOf(stream)) found.push({ id, epoch, isUsed: true });
    const records = [...state.meta.retired];
    for (const entry of state.entries.values()) if (entry.kind === 'retired') records.push(...(await this.#records(entry)));
    return [...found, ...records.map(({ id, epoch }) => ({ id, epoch, isUsed: false }))];
  }

  /** Renews all blocks, if that is due. Whether it was. @throws {Alarm} `missing` */
  async renew() {
    const bucket = bucketToWrite(await this.#api.parameters(), this.#now());
    await this.pull();
    if (!this.#state || !isToRenew(this.#state.meta.renewed, bucket)) return false;
    const blocks = await this.#all();
    const renewed = await this.#store.renew(blocks);
    if (blocks.some(({ isUsed }, i) => isUsed && !renewed[i])) {
      this.#alarm = new Alarm('missing');
      throw this.#alarm;
    }
    await this.commit(new Map(), { renewed: bucket });
    return true;
  }

  /** Asks for proof that the server still has 32 of the blocks. How many could be compared. @throws {Alarm} */
  async check() {
    await this.pull();
    const state = this.#state;
    if (!state) return 0;
    const extents = [...state.meta.directory.extents, ...[...state.entries.values()].flatMap(({ versions }) => versions.flatMap(({ stream }) => stream.extents))];
    const chosen = extents.map((extent) => ({ extent, order: hexOf(this.#primitives.randomBytes(8)) })).sort((one, other) => (one.order < other.order ? -1 : 1));
    return this.#store.check(chosen.slice(0, 32).map(({ extent }) => extent));
  }

  /** The entries with blocks under an earlier account key. */
  async old() {
    const { meta, entries } = this.#state ?? {};
    /** @type {[string, Entry][]} */
    const found = [];
    if (!meta?.keys.length) return found;
    for (const [id, entry] of entries ?? []) {
      const blocks = await Promise.all(entry.versions.map(({ stream }) => this.blocksOf(stream)));
      if (blocks.flat().some(({ epoch }) => epoch !== meta.epoch)) found.push([id, entry]);
    }
    return found;
  }

  /** Writes the directory under the present account key, and leaves out account keys that no block needs. */
  async leaveOutKeys() {
    const { meta } = this.#state ?? {};
    if (!meta?.keys.length) return;
    const directory = await this.blocksOf(meta.directory);
    if (directory.some(({ epoch }) => epoch !== meta.epoch)) await this.commit(new Map(), { isNewDirectory: true });
    const epochs = new Set((await this.#all()).map(({ epoch }) => epoch));
    const keys = (this.meta?.keys ?? []).filter(({ epoch }) => epochs.has(epoch));
    if (keys.length < (this.meta?.keys.length ?? 0)) await this.commit(new Map(), { keys });
  }

  /** The parts of a rekey: the index under the next account key (VAULT §9). @param {AccountKey} next */
  async rekeyed(next) {
    await this.pull();
    if (!this.#state) return {};
    const { meta, digest } = this.#state;
    const { id } = (await this.#memory.read()).writer;
    const writer = await this.#memory.nextWriter(meta.writers.find((one) => equal(one.id, id))?.count ?? 0);
    const { sealed } = await sealMeta(this.#primitives, next, nextEpoch(meta, this.#use(), writer));
    return { previous_meta: digest, meta: sealed };
  }
}

/** The streams of an entry, each under its bytes in hex. @param {Entry | null} entry @returns {Map<string, Stream>} */
function streamsOf(entry) {
  return new Map(entry?.versions.filter(({ stream }) => sizeOf(stream.extents)).map(({ stream }) => [hexOf(serializeStream(stream)), stream]));
}
