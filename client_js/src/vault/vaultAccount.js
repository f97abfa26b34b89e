/**
 * A user's vault: unlock it, read and write its note, change its secrets (spec/VAULT.md).
 *
 * The account key stays in this object, until `lock` or the lock timer drops it. On a page the object is
 * in a Worker (worker.js), so the page never has the key.
 *
 * The module is long because it is the whole interface, and every call needs the key and the revision. What
 * it makes and checks is in parts.js.
 */
import { equal, sha256 } from '../primitives/hashes.js';
import { SCALAR_SEED_BYTES, scalar } from '../primitives/p256.js';
import { DEFAULT_REALM } from '../protocol/hardened/suites.js';
import { AccountKey, KEY_BYTES, NOTHING, Owner, nextRevision } from './core/account.js';
import {
  parseAccount,
  parseOpened,
  parseParameters,
  parseResetWait,
  parseRevision,
  parseRun,
  parseStaged,
  parseStoredNote,
  serialize,
} from './core/bodies.js';
import { Tampered, VaultError, WrongSecret } from './core/errors.js';
import { openExport, sealExport } from './core/exports.js';
import { STRONGEST_KDF, passwordSecrets } from './core/password.js';
import { openNote, openRecord, sealNote, sealRecord } from './core/sealedValues.js';
import { proverConfirmations, proverShare, transcriptOf } from './core/spake2plus.js';
import { creationStatement, proofStatement, rekeyStatement, typedStatement } from './core/statements.js';
import { DEVICE_ID_BYTES, SECRET_BYTES, UnlockSecret, codeOf, readCode } from './core/unlockSecrets.js';
import { unwrap, wrap } from './core/wraps.js';
import { sign } from './primitives/ed25519.js';
import { VaultApi, VaultRefused } from './api.js';
import { checkPassword, checkRecovery, passwordPart, recoveryPart } from './parts.js';
import { VaultFiles } from './vaultFiles.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./core/bodies.js').Members} Members */
/** @typedef {import('./api.js').Link} Link */

/** @typedef {import('./parts.js').TypeBack} TypeBack */

/**
 * `lockMs`: the vault locks itself after this time without a call, 5 minutes unless set.
 * `realm` is that of the session. `site` separates accounts in IndexedDB if one origin uses the vaults of several sites.
 * `indexedDB` is that of the browser unless set. `now` is for tests.
 * @typedef {{ realm?: string, prefix?: string, lockMs?: number, site?: string, indexedDB?: IDBFactory, now?: () => number }} VaultOptions
 */

/** @typedef {{ id: Bytes, name: string, kind: string, day: number, opens: boolean }} Device */

const DAY_MS = 86_400_000;

/** The vault is locked. */
export class VaultLocked extends VaultError {
  /** @override */
  static kind = 'VaultLocked';

  constructor() {
    super('locked', 'The vault is locked. Unlock it first.');
  }
}

export class VaultAccount {
  #primitives;
  #api;
  #realm;
  #lockMs;
  /** @type {Owner | null} */
  #owner = null;
  /** @type {AccountKey | null} */
  #key = null;
  /** @type {Bytes} */
  #revision = NOTHING;
  /** An unlock is under way, and the vault was not locked meanwhile. */
  #isOpening = false;
  /** The largest sequence of a note that was seen. */
  #sequence = 0;
  /** The digest of the note that the caller knows, NOTHING if it knows that there is none. @type {Bytes | null} */
  #known = null;
  /** The heads that were seen, in hex, the present one last. @type {string[]} */
  #heads = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Called when the vault was locked. @type {(() => void) | null} */
  onlock = null;

  /**
   * @param {Primitives} primitives
   * @param {Link} link
   * @param {VaultOptions} options
   */
  constructor(primitives, link, { realm = DEFAULT_REALM, prefix = '/vault', lockMs = 300_000, site, indexedDB = globalThis.indexedDB, now } = {}) {
    this.#primitives = primitives;
    this.#api = new VaultApi(link, prefix);
    this.#realm = realm;
    this.#lockMs = lockMs;
    /** Notes and files. */
    this.files = new VaultFiles(primitives, this.#api, () => this.#use(), { indexedDB, site, now });
  }

  get isOpen() {
    return this.#key !== null;
  }

  /** Drops the account key. An unlock that is under way then fails with VaultLocked. */
  lock() {
    this.#isOpening = false;
    clearTimeout(this.#timer);
    this.#key?.n.fill(0);
    this.#key = null;
    this.#known = null;
    this.files.lock();
    this.onlock?.();
  }

  /**
   * Creates the account, and opens it.
   * @param {string} password
   * @param {TypeBack} typeBack
   */
  async create(password, typeBack) {
    await this.#parameters();
    const key = this.#newKey();
    const part = await passwordPart(this.#primitives, password, this.#ownerOrFail(), key);
    const { recovery, secret } = await recoveryPart(this.#primitives, key, typeBack);
    const statement = creationStatement(await this.#api.exported(), key.account, key.head, recovery.proof);
    const signature = sign(key.headSeed, statement);
    const members = { head: key.head, password: part, recovery, signature, typed: secret.sign(statement) };
    const revision = parseRevision(await this.#api.plain('PUT', '/account', members));
    this.#expect(revision, nextRevision(NOTHING, serialize(members)));
    // An account that replaces another one has no note and no index yet.
    this.#sequence = 0;
    this.#opened(key, revision);
    await this.files.begin(key);
  }

  /** @param {string} password @throws {WrongSecret} */
  async unlock(password) {
    const { owner, kdf, salt } = await this.#parameters();
    const secrets = await passwordSecrets(password, salt, kdf, owner);
    const transcript = transcriptOf(owner, await this.#api.exported(), kdf, salt);
    const x = scalar(this.#primitives.randomBytes(SCALAR_SEED_BYTES));
    const share = proverShare(secrets.w0, x);
    const { run, share: shareV, confirm } = parseRun(await this.#api.plain('POST', '/unlock/password', { share }));
    const confirmations = proverConfirmations(transcript, secrets, x, share, shareV);
    if (!equal(confirmations.verifier, confirm)) {
      throw new WrongSecret('The password is wrong, or there is no vault, or it waits after wrong attempts.');
    }
    const opened = parseOpened(await this.#api.plain('POST', '/unlock/confirm', { run, confirm: confirmations.prover }));
    await this.#open(opened, secrets.kek, 'password');
  }

  /** @param {string} code @throws {WrongSecret} */
  async recover(code) {
    await this.#unlockBy('recovery', readCode('recovery', code));
  }

  /** @param {string} code a temporary key; it works once @throws {WrongSecret} */
  async unlockTemporarily(code) {
    await this.#unlockBy('temporary', readCode('temporary', code));
  }

  /** @param {Bytes} id @param {Bytes} secret of this device @throws {WrongSecret} */
  async unlockDevice(id, secret) {
    await this.#unlockBy('device', secret, id);
  }

  /** Starts the lock timer again, for instance because the user is typing. */
  keepOpen() {
    this.#use();
  }

  /** The text of the note, or null. */
  async note() {
    const stored = await this.#readNote();
    this.#known = stored?.digest ?? NOTHING;
    return stored?.text ?? null;
  }

  /**
   * Replaces the note. If `note` or `saveNote` was called since the vault was opened, it replaces only that note.
   * @param {string} text
   * @throws {VaultRefused} `conflict`: another device has written the note since
   */
  async saveNote(text) {
    const stored = await this.#readNote();
    if (this.#known && !equal(this.#known, stored?.digest ?? NOTHING)) throw new VaultRefused(409, 'conflict');
    await this.#writeNote(stored, text);
  }

  /** @param {string} next */
  async changePassword(next) {
    const key = this.#use();
    const owner = this.#ownerOrFail();
    const password = await passwordPart(this.#primitives, next, owner, key);
    await this.#change({ password }, async () => checkPassword(this.#primitives, password, next, owner, key));
  }

  /** @param {TypeBack} typeBack */
  async newRecoveryCode(typeBack) {
    const key = this.#use();
    const { recovery, secret } = await recoveryPart(this.#primitives, key, typeBack);
    const typed = secret.sign(typedStatement(await this.#api.exported(), key.account, recovery.proof));
    await this.#change({ recovery, typed }, async () => checkRecovery(this.#primitives, recovery, secret, key));
  }

  /**
   * Gives the account a new key. All devices and temporary keys end.
   * @param {string} password the present one, or a new one
   * @param {TypeBack} typeBack
   */
  async rekey(password, typeBack) {
    const old = this.#use();
    const note = await this.#readNote();
    const key = this.#newKey();
    const { recovery, secret } = await recoveryPart(this.#primitives, key, typeBack);
    const part = await passwordPart(this.#primitives, password, this.#ownerOrFail(), key);
    const typed = secret.sign(typedStatement(await this.#api.exported(), key.account, recovery.proof));
    await this.#refresh();
    const sealed = note && (await sealNote(this.#primitives, key, { sequence: note.sequence, text: note.text }));
    const signature = sign(key.headSeed, rekeyStatement(key.account, this.#revision, key.head));
    const index = await this.files.rekeyed(key);
    const rekey = { head: key.head, signature, previous: note?.digest ?? NOTHING, note: sealed ?? undefined, devices: [], ...index };
    await this.#change({ password: part, recovery, typed, rekey }, async () => {
      await checkPassword(this.#primitives, part, password, this.#ownerOrFail(), key);
      await checkRecovery(this.#primitives, recovery, secret, key);
    });
    if (this.#known && equal(this.#known, note?.digest ?? NOTHING)) this.#known = sealed ? sha256(sealed) : NOTHING;
    old.n.fill(0);
    this.files.lock();
    this.#opened(key, this.#revision);
  }

  /** A new temporary key, as a code. @param {{ lifetimeS?: number }} [options] at most 7 days */
  async temporaryKey({ lifetimeS = 4 * 3600 } = {}) {
    const key = this.#use();
    const secret = this.#primitives.randomBytes(SECRET_BYTES.temporary);
    const unlock = new UnlockSecret(key.account, 'temporary', secret);
    const wrapped = await wrap(this.#primitives, unlock.kek, key, 'temporary');
    await this.#revise('PUT', '/temporary', { proof: unlock.proof, wrap: wrapped, lifetime_s: lifetimeS });
    return codeOf('temporary', secret);
  }

  /**
   * `isToBeReset`: somebody asked for a reset. Show it to the user: `cancelReset` keeps the account.
   * @returns {Promise<{ kdf: number, hasTemporary: boolean, isToBeReset: boolean }>}
   */
  async account() {
    const { kdf, hasTemporary, isToBeReset } = await this.#refresh();
    return { kdf, hasTemporary, isToBeReset };
  }

  /** @returns {Promise<Device[]>} */
  async devices() {
    const key = this.#use();
    const { devices } = await this.#refresh();
    return Promise.all(
      devices.map(async ({ id, record, opens }) => ({ id, opens, ...(await openRecord(this.#primitives, key, id, record)) })),
    );
  }

  /**
   * Adds this device to the list. With `canUnlock` it gets a secret, which it must keep to itself.
   * @param {{ name: string, kind: string, canUnlock?: boolean, id?: Bytes | null }} device `id` (16 bytes) is that of
   *   an earlier call on this device, which it replaces
   */
  async addDevice({ name, kind, canUnlock = false, id: former = null }) {
    const key = this.#use();
    const id = former ?? this.#primitives.randomBytes(DEVICE_ID_BYTES);
    const record = await sealRecord(this.#primitives, key, id, { name, kind, day: Math.floor(Date.now() / DAY_MS) });
    const secret = canUnlock ? this.#primitives.randomBytes(SECRET_BYTES.device) : null;
    const unlock = secret && new UnlockSecret(key.account, 'device', secret);
    const opens = unlock ? { proof: unlock.proof, wrap: await wrap(this.#primitives, unlock.kek, key, 'device', id) } : {};
    await this.#revise('PUT', '/devices', { device: { id, record, ...opens } });
    return { id, secret };
  }

  /** @param {Bytes} id */
  async signOut(id) {
    await this.#revise('DELETE', '/devices', { id });
  }

  /** The note as a file that only `passphrase` opens. @param {string} passphrase */
  async exportNote(passphrase) {
    return sealExport(this.#primitives, (await this.#readNote())?.text ?? '', passphrase, STRONGEST_KDF);
  }

  /** Replaces the note by that of a file. @param {Bytes} file @param {string} passphrase @throws {WrongSecret} */
  async importNote(file, passphrase) {
    await this.saveNote(await openExport(this.#primitives, file, passphrase));
  }

  /** Asks for a new, empty account. Resolves to the hours until it can be created. */
  async reset() {
    return parseResetWait(await this.#api.plain('POST', '/reset'));
  }

  async cancelReset() {
    await this.#revise('DELETE', '/reset', {});
  }

  /** Deletes the account and all its data. */
  async remove() {
    const key = this.#use();
    await this.#refresh();
    await this.#api.signed(key, 'DELETE', '/account', serialize({ revision: this.#revision }));
    this.lock();
  }

  /** The account key, for one call. Starts the lock timer again. */
  #use() {
    if (!this.#key) throw new VaultLocked();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.lock(), this.#lockMs);
    /** @type {{ unref?: () => void }} */ (this.#timer).unref?.();
    return this.#key;
  }

  /** @param {AccountKey} key @param {Bytes} revision */
  #opened(key, revision) {
    const head = [...key.head].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    if (this.#heads.slice(0, -1).includes(head)) throw new Tampered('The service has an older key of the account: rolled back.');
    if (!this.#heads.includes(head)) this.#heads.push(head);
    if (!this.#key && !this.#isOpening) throw new VaultLocked();
    this.#isOpening = false;
    this.#key = key;
    this.#revision = revision;
    this.#use();
  }

  #newKey() {
    return new AccountKey(this.#ownerOrFail().account, this.#primitives.randomBytes(KEY_BYTES));
  }

  /** Every call begins with the parameters, or needs an open vault. */
  #ownerOrFail() {
    if (!this.#owner) throw new VaultLocked();
    return this.#owner;
  }

  async #parameters() {
    this.#isOpening = true;
    const { username, realm, kdf, salt } = parseParameters(await this.#api.plain('GET', '/parameters'));
    if (realm !== this.#realm) throw new Tampered('The service names another realm than that of the session.');
    const owner = new Owner(username, realm);
    this.#owner = owner;
    return { owner, kdf, salt };
  }

  /** @param {import('./core/unlockSecrets.js').SecretKind} kind @param {Bytes} drawn @param {Bytes} [id] of a device */
  async #unlockBy(kind, drawn, id = NOTHING) {
    const { account } = (await this.#parameters()).owner;
    const secret = new UnlockSecret(account, kind, drawn);
    const signature = secret.sign(proofStatement(await this.#api.exported(), account, kind, id));
    const members = kind === 'device' ? { id, signature } : { signature };
    const opened = parseOpened(await this.#api.plain('POST', `/unlock/${kind}`, members));
    await this.#open(opened, secret.kek, kind, id);
  }

  /**
   * @param {{ wrap: Bytes, head: Bytes, revision: Bytes }} opened
   * @param {Bytes} kek
   * @param {import('./core/wraps.js').Kind} kind
   * @param {Bytes} [subject]
   */
  async #open({ wrap: wrapped, head, revision }, kek, kind, subject = NOTHING) {
    const key = await unwrap(this.#primitives, kek, wrapped, this.#ownerOrFail().account, kind, subject);
    key.checkHead(head);
    this.#opened(key, revision);
  }

  /** Reads the account. Nothing is believed but what the head key can confirm later. */
  async #refresh() {
    const key = this.#use();
    const account = parseAccount(await this.#api.signed(key, 'GET', '/account'));
    key.checkHead(account.head);
    this.#revision = account.revision;
    return account;
  }

  /**
   * One signed change.
   * @param {string} method
   * @param {string} path
   * @param {Members} members
   */
  async #revise(method, path, members) {
    await this.#refresh();
    const body = serialize({ revision: this.#revision, ...members });
    const revision = parseRevision(await this.#api.signed(this.#use(), method, path, body));
    this.#expect(revision, nextRevision(this.#revision, body));
    this.#revision = revision;
  }

  /**
   * Stage, check, commit (VAULT §9).
   * @param {Members} parts
   * @param {() => Promise<void>} check opens the new wraps
   */
  async #change(parts, check) {
    if (!parts.rekey) await this.#refresh();
    const key = this.#use();
    const body = serialize({ revision: this.#revision, ...parts });
    const digest = parseStaged(await this.#api.signed(key, 'POST', '/change', body));
    const staged = await this.#api.signed(key, 'GET', '/change');
    if (!equal(sha256(staged), digest) || !equal(sha256(body), digest)) throw new Tampered('The service keeps another change than the one that was sent.');
    await check();
    const commit = serialize({ revision: this.#revision, digest });
    const revision = parseRevision(await this.#api.signed(key, 'POST', '/change/commit', commit));
    this.#expect(revision, nextRevision(this.#revision, commit));
    this.#revision = revision;
  }

  async #readNote() {
    const key = this.#use();
    const sealed = parseStoredNote(await this.#api.signed(key, 'GET', '/note'));
    if (!sealed) {
      if (this.#sequence) throw new Tampered('The service has lost the note: rolled back.');
      return null;
    }
    const note = await openNote(this.#primitives, key, sealed);
    if (note.sequence < this.#sequence) throw new Tampered('The service has an older note than before: rolled back.');
    this.#sequence = note.sequence;
    return { ...note, digest: sha256(sealed) };
  }

  /** @param {{ sequence: number, digest: Bytes } | null} stored @param {string} text */
  async #writeNote(stored, text) {
    const key = this.#use();
    const sequence = (stored?.sequence ?? 0) + 1;
    const note = await sealNote(this.#primitives, key, { sequence, text });
    await this.#api.signed(key, 'PUT', '/note', serialize({ previous: stored?.digest ?? NOTHING, note }));
    this.#sequence = sequence;
    this.#known = sha256(note);
  }

  /** @param {Bytes} revision @param {Bytes} expected */
  #expect(revision, expected) {
    if (!equal(revision, expected)) throw new Tampered('The service has made another change than the one that was sent.');
  }
}
