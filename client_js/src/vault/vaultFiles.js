/**
 * Notes and files of a vault: read, write, merge, and keep them alive (VAULT §18 to §22).
 *
 * The module is long because it is the whole interface. What it uses is in vaultIndex.js and transfers.js.
 */
import { utf8Text } from '../common/codec.js';
import { equal } from '../primitives/hashes.js';
import { AccountKey } from './core/account.js';
import { VaultError } from './core/errors.js';
import { ENTRY_ID_BYTES, checkName } from './core/entries.js';
import { bucketToWrite, clocksDiffer, isToRenew, safeUntilMs } from './core/expiry.js';
import { isSame, mergeEntry } from './core/merging.js';
import { hexOf } from './core/metas.js';
import { textBytes } from './core/sealedValues.js';
import { EMPTY, sizeOf } from './core/streams.js';
import { wordsOf } from './core/words.js';
import { BlockApi, isOffline } from './blockApi.js';
import { BlockCache } from './blockCache.js';
import { BlockStore } from './blockStore.js';
import { DeviceMemory } from './deviceMemory.js';
import { allBytes, download, upload } from './transfers.js';
import { VaultIndex } from './vaultIndex.js';
import { openWaiting, sealWaiting } from './waiting.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./core/entries.js').Entries} Entries */
/** @typedef {import('./core/entries.js').Entry} Entry */
/** @typedef {import('./core/entries.js').Version} Version */
/** @typedef {import('./transfers.js').OnProgress} OnProgress */
/** @typedef {import('./waiting.js').Change} Change */

/** `bytes` is null if the version waits for a connection. @typedef {{ id: string, day: number, bytes: number | null }} ListedVersion */
/** @typedef {{ id: string, kind: 'note' | 'file', name: string, versions: ListedVersion[] }} Listed */
/** @typedef {{ id: string, name: string, what: 'added' | 'changed' | 'removed' | 'conflict' }} Changed */
/** `isSynced`: the change is in the index. Else it waits for a connection. @typedef {{ id: string, isSynced: boolean, changes: Changed[] }} Outcome */

const TEXT_BYTES = 4 * 1024 * 1024;

export class VaultFiles {
  #primitives;
  #memory;
  #store;
  #index;
  #api;
  #use;
  #now;
  /** @type {import('./waiting.js').Changes | null} */
  #waiting = null;
  /** Sealed changes of earlier pages that are in `#waiting`, by their names in the memory. @type {Map<string, Bytes>} */
  #adopted = new Map();
  /** Those that are not, because another key seals them or another change of the same entry waits. @type {Map<string, Bytes>} */
  #earlier = new Map();
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();

  /**
   * @param {Primitives} primitives
   * @param {import('./api.js').VaultApi} api
   * @param {() => AccountKey} use throws if the vault is locked
   * @param {{ indexedDB?: IDBFactory, site?: string, now?: () => number }} options
   */
  constructor(primitives, api, use, { indexedDB, site = '', now = Date.now }) {
    this.#primitives = primitives;
    this.#use = use;
    this.#now = now;
    this.#api = new BlockApi(api, use);
    this.#memory = new DeviceMemory(indexedDB, primitives.randomBytes, site);
    this.#store = new BlockStore(primitives, this.#api, new BlockCache(indexedDB));
    this.#index = new VaultIndex(primitives, this.#api, this.#store, this.#memory, use, now);
  }

  /** Drops keys and plaintext. */
  lock() {
    this.#index.drop();
    this.#memory.turnPage();
    this.#waiting = null;
    this.#adopted = new Map();
    this.#earlier = new Map();
  }

  /** For a new account: forgets what an earlier account of the user had. @param {AccountKey} key */
  async begin(key) {
    this.#memory.open(key.account);
    await this.#index.forget();
  }

  /** Notes and files, in the order of their names, with the changes that wait. @returns {Promise<Listed[]>} */
  async list() {
    return this.#alone(async () => {
      await this.#ready();
      const shown = [...this.#view().values()].filter(({ kind }) => kind === 'note' || kind === 'file');
      return shown.map((entry) => this.#listed(entry)).sort((one, other) => one.name.localeCompare(other.name) || (one.id < other.id ? -1 : 1));
    });
  }

  /**
   * Reads the index, and sends the changes that wait. Resolves to what is different from before.
   * @returns {Promise<Changed[]>}
   * @throws {import('./core/errors.js').Alarm}
   */
  async sync() {
    return this.#alone(() => this.#sync());
  }

  /** The entries with changes that wait for a connection. @returns {Promise<string[]>} */
  async waiting() {
    return this.#alone(async () => [...(await this.#changes()).keys()]);
  }

  /**
   * Writes a new file or note.
   * @param {string} name
   * @param {import('./transfers.js').Source} source
   * @param {{ kind?: 'note' | 'file', onProgress?: OnProgress }} [options]
   * @returns {Promise<string>} its id
   */
  async put(name, source, { kind = 'file', onProgress } = {}) {
    checkName(name);
    await this.#alone(() => this.#ready());
    const stream = await upload(this.#store, source, onProgress);
    const id = this.#primitives.randomBytes(ENTRY_ID_BYTES);
    const version = { ...(await this.#newVersion()), stream };
    await this.#alone(() => this.#commit(hexOf(id), null, { id, kind, name, versions: [version] }));
    return hexOf(id);
  }

  /** A new note. Without a connection it waits. @param {string} name @param {string} text @returns {Promise<Outcome>} */
  async putNote(name, text) {
    checkName(name);
    const data = textBytes(text, 'The note');
    const id = this.#primitives.randomBytes(ENTRY_ID_BYTES);
    return this.#alone(async () => {
      const version = await this.#newVersion();
      return this.#wait(hexOf(id), { base: null, ours: { id, kind: 'note', name, versions: [version] }, text: data, version: version.id });
    });
  }

  /**
   * Replaces the text of a note. Without a connection the change waits.
   * @param {string} id
   * @param {string} text
   * @param {{ name?: string, replaces?: string[] }} [options] `replaces`: the versions that the user has read, all unless set
   * @returns {Promise<Outcome>}
   */
  async edit(id, text, { name, replaces } = {}) {
    if (name !== undefined) checkName(name);
    const data = textBytes(text, 'The note');
    return this.#alone(async () => {
      const entry = await this.#entry(id);
      const version = await this.#newVersion();
      const kept = replaces ? entry.versions.filter((one) => !replaces.includes(hexOf(one.id))) : [];
      const versions = [...kept, version].sort((one, other) => (hexOf(one.id) < hexOf(other.id) ? -1 : 1));
      const { base } = (await this.#changes()).get(id) ?? { base: this.#index.entries.get(id) ?? null };
      return this.#wait(id, { base, ours: { ...entry, name: name ?? entry.name, versions }, text: data, version: version.id });
    });
  }

  /** @param {string} id @param {string} name */
  async rename(id, name) {
    checkName(name);
    return this.#edited(id, (entry) => ({ ...entry, name }));
  }

  /** Keeps one of several versions. @param {string} id @param {string} version */
  async resolve(id, version) {
    return this.#edited(id, (entry) => ({ ...entry, versions: [versionOf(entry, version)] }));
  }

  /** Gives one of several versions an entry of its own. @param {string} id @param {string} version @param {string} name @returns {Promise<string>} the id of the new entry */
  async split(id, version, name) {
    checkName(name);
    return this.#alone(async () => {
      await this.#sync();
      const entry = this.#known(id);
      const chosen = versionOf(entry, version);
      const other = this.#primitives.randomBytes(ENTRY_ID_BYTES);
      const ours = { ...entry, versions: entry.versions.filter((one) => one !== chosen) };
      if (!ours.versions.length) throw new VaultError('not_found', 'This is the only version.');
      await this.#index.commit(
        new Map([
          [id, { base: entry, ours, text: null, version: null }],
          [hexOf(other), { base: null, ours: { ...entry, id: other, name, versions: [chosen] }, text: null, version: null }],
        ]),
      );
      return hexOf(other);
    });
  }

  /** Deletes a note or a file, with all its versions. Without a connection this waits. @param {string} id @returns {Promise<Outcome>} */
  async remove(id) {
    return this.#alone(async () => {
      await this.#entry(id);
      const { base } = (await this.#changes()).get(id) ?? { base: this.#index.entries.get(id) ?? null };
      return this.#wait(id, { base, ours: null, text: null, version: null });
    });
  }

  /** The text of a note. @param {string} id @param {string} [version] @throws {import('./core/errors.js').Alarm} */
  async text(id, version) {
    return this.#alone(async () => {
      const entry = await this.#entry(id);
      const chosen = versionOf(entry, version);
      const waiting = (await this.#changes()).get(id);
      const isWaiting = waiting?.text && waiting.version && equal(waiting.version, chosen.id);
      if (!isWaiting && sizeOf(chosen.stream.extents) > TEXT_BYTES) throw new VaultError('too_large', 'This is too long for a note. Download it as a file.');
      const text = utf8Text(isWaiting ? /** @type {Bytes} */ (waiting.text) : await allBytes(this.#store, chosen.stream));
      if (text === null) throw new VaultError('not_text', 'This is not text. Download it as a file.');
      return text;
    });
  }

  /**
   * The bytes from `start` to `end`.
   * @param {string} id
   * @param {{ version?: string, start?: number, end?: number }} [options]
   * @throws {import('./core/errors.js').Alarm}
   */
  async read(id, { version, start, end } = {}) {
    const stream = await this.#streamOf(id, version);
    const parts = [];
    for await (const part of download(this.#store, stream, start, Math.min(end ?? Infinity, sizeOf(stream.extents)))) parts.push(part);
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  }

  /**
   * All bytes as a Blob. The browser can keep it on the disk, so a large file does not need memory.
   * @param {string} id
   * @param {{ version?: string, onProgress?: OnProgress }} [options]
   * @throws {import('./core/errors.js').Alarm}
   */
  async get(id, { version, onProgress = () => {} } = {}) {
    const stream = await this.#streamOf(id, version);
    const total = sizeOf(stream.extents);
    /** @type {Blob[]} */
    const parts = [];
    let done = 0;
    for await (const part of download(this.#store, stream)) {
      parts.push(new Blob([part]));
      done += part.length;
      await onProgress({ done, total });
    }
    return new Blob(parts);
  }

  /**
   * What a user must know. `safeUntilMs` is null if there are no blocks yet. `words` name the state of the vault.
   * `isOld`: blocks are under an earlier account key, call `migrate`.
   */
  async status() {
    return this.#alone(async () => {
      await this.#ready();
      const told = await this.#api.parameters();
      const { frameS, bucket } = told;
      const { meta, root } = this.#index;
      return {
        safeUntilMs: meta && safeUntilMs(meta.renewed, frameS),
        isToRenew: meta !== null && isToRenew(meta.renewed, bucketToWrite(told, this.#now())),
        clocksDiffer: clocksDiffer(bucket, this.#now(), frameS),
        words: root && wordsOf(root),
        isOld: (meta?.keys.length ?? 0) > 0,
      };
    });
  }

  /** Renews all blocks, if that is due. Whether it was. */
  async renew() {
    return this.#alone(() => this.#index.renew());
  }

  /** Asks for proof that the server still has some of the blocks. Resolves to how many were compared. @throws {import('./core/errors.js').Alarm} */
  async check() {
    return this.#alone(() => this.#index.check());
  }

  /** Writes the data of earlier account keys again under the present one. It can stop and go on at any time. @param {(progress: { done: number, total: number }) => unknown} [onProgress] */
  async migrate(onProgress = () => {}) {
    const old = await this.#alone(async () => {
      await this.#sync();
      return this.#index.old();
    });
    for (const [done, [id, entry]] of old.entries()) {
      await onProgress({ done, total: old.length });
      /** @type {Version[]} */
      const versions = [];
      for (const version of entry.versions) versions.push({ ...version, stream: await upload(this.#store, download(this.#store, version.stream)) });
      await this.#alone(() => this.#index.commit(new Map([[id, { base: entry, ours: { ...entry, versions }, text: null, version: null }]])));
    }
    await this.#alone(() => this.#index.leaveOutKeys());
    await onProgress({ done: old.length, total: old.length });
  }

  /** After an alarm: takes what the service has now as right. Only the user can decide this. */
  async forget() {
    await this.#alone(() => this.#index.forget());
  }

  /** The parts of a rekey. @param {AccountKey} next */
  async rekeyed(next) {
    return this.#alone(async () => {
      await this.#sync();
      return this.#index.rekeyed(next);
    });
  }

  /** @param {string} id @param {(entry: Entry) => Entry} change */
  async #edited(id, change) {
    return this.#alone(async () => {
      await this.#sync();
      const base = this.#known(id);
      await this.#commit(id, base, change(base));
    });
  }

  /** @param {string} id @param {Entry | null} base @param {Entry} ours */
  async #commit(id, base, ours) {
    await this.#index.commit(new Map([[id, { base, ours, text: null, version: null }]]));
  }

  /** Keeps a change until it is in the index. @param {string} id @param {Change} change @returns {Promise<Outcome>} */
  async #wait(id, change) {
    const waiting = await this.#changes();
    waiting.set(id, change);
    await this.#keep();
    try {
      return { id, isSynced: true, changes: await this.#sync() };
    } catch (error) {
      if (!isOffline(error)) throw error;
      return { id, isSynced: false, changes: [] };
    }
  }

  /** @returns {Promise<Changed[]>} */
  async #sync() {
    const before = this.#index.entries;
    const waiting = await this.#changes();
    do {
      if (waiting.size) await this.#index.commit(waiting);
      else await this.#index.pull();
      if (waiting.size) {
        waiting.clear();
        await this.#keep();
      }
      if (this.#adopted.size) await this.#memory.dropWaiting(this.#adopted);
      this.#adopted.clear();
      // The index names the keys from before a rekey.
    } while (await this.#adopt(waiting, this.#index.meta?.keys ?? []));
    return changed(before, this.#index.entries);
  }

  /** Reads the index once. Without a connection, what is known is enough. */
  async #ready() {
    await this.#changes();
    if (!this.#index.meta) await this.#index.pull();
  }

  /** The changes that wait, with those of earlier pages. */
  async #changes() {
    const key = this.#use();
    if (this.#waiting) return this.#waiting;
    this.#memory.open(key.account);
    /** @type {import('./waiting.js').Changes} */
    const found = new Map();
    this.#earlier = await this.#memory.waiting();
    this.#waiting = found;
    await this.#adopt(found, []);
    return found;
  }

  /**
   * Takes over what waits since an earlier page, if a key opens it and no other change of the same entry waits. Whether
   * there was any.
   * @param {import('./waiting.js').Changes} waiting
   * @param {readonly { n: Bytes }[]} before earlier account keys
   */
  async #adopt(waiting, before) {
    const key = this.#use();
    const keys = [key, ...before.map(({ n }) => new AccountKey(key.account, n))];
    const count = this.#adopted.size;
    for (const [name, sealed] of this.#earlier) {
      for (const one of keys) {
        const changes = await openWaiting(this.#primitives, one, sealed);
        if (!changes || [...changes.keys()].some((id) => waiting.has(id))) continue;
        for (const [id, change] of changes) waiting.set(id, change);
        this.#earlier.delete(name);
        this.#adopted.set(name, sealed);
        break;
      }
    }
    if (this.#adopted.size > count) await this.#keep();
    return this.#adopted.size > count;
  }

  async #keep() {
    const waiting = await this.#changes();
    await this.#memory.keepWaiting(waiting.size ? await sealWaiting(this.#primitives, this.#use(), waiting) : null);
  }

  /** The entries with the changes that wait. @returns {Entries} */
  #view() {
    const view = new Map(this.#index.entries);
    for (const [id, { base, ours }] of this.#waiting ?? []) {
      const merged = mergeEntry(base, ours, view.get(id) ?? null);
      if (merged) view.set(id, merged);
      else view.delete(id);
    }
    return view;
  }

  /** @param {string} id */
  async #entry(id) {
    await this.#ready();
    return found(this.#view().get(id));
  }

  /** The entry in the index, without changes that wait. @param {string} id */
  #known(id) {
    return found(this.#index.entries.get(id));
  }

  /** @param {string} id @param {string} [version] */
  async #streamOf(id, version) {
    return this.#alone(async () => versionOf(await this.#entry(id), version).stream);
  }

  /** @returns {Promise<Version>} */
  async #newVersion() {
    const { writer } = await this.#memory.read();
    return { id: this.#primitives.randomBytes(ENTRY_ID_BYTES), writer: writer.id, day: this.#index.today, stream: EMPTY };
  }

  /** @param {Entry} entry @returns {Listed} */
  #listed({ id, kind, name, versions }) {
    const waiting = this.#waiting?.get(hexOf(id));
    const isWaiting = (/** @type {Version} */ one) => waiting?.version && equal(waiting.version, one.id);
    const listed = versions.map((one) => ({ id: hexOf(one.id), day: one.day, bytes: isWaiting(one) ? null : sizeOf(one.stream.extents) }));
    return { id: hexOf(id), kind: /** @type {'note' | 'file'} */ (kind), name, versions: listed };
  }

  /**
   * One call after the other.
   * @template Result
   * @param {() => Promise<Result>} work
   * @returns {Promise<Result>}
   */
  async #alone(work) {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}

/** @param {Entry | undefined} entry @returns {Entry} */
function found(entry) {
  if (!entry) throw new VaultError('not_found', 'The vault does not have this any more.');
  return entry;
}

/** @param {Entry} entry @param {string} [id] the newest one unless set */
function versionOf({ versions }, id) {
  const byDay = [...versions].sort((one, other) => one.day - other.day);
  const chosen = id === undefined ? byDay[byDay.length - 1] : versions.find((one) => hexOf(one.id) === id);
  if (!chosen) throw new VaultError('not_found', 'The vault does not have this version any more.');
  return chosen;
}

/** @param {Entries} before @param {Entries} after @returns {Changed[]} */
function changed(before, after) {
  /** @type {Changed[]} */
  const list = [];
  for (const id of new Set([...before.keys(), ...after.keys()])) {
    const [old, now] = [before.get(id) ?? null, after.get(id) ?? null];
    const { name, kind } = /** @type {Entry} */ (now ?? old);
    if (isSame(old, now) || !['note', 'file'].includes(kind)) continue;
    const what = !now ? 'removed' : now.versions.length > 1 ? 'conflict' : old ? 'changed' : 'added';
    list.push({ id, name, what });
  }
  return list;
}
