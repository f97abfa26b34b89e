/** The bodies of requests and responses: strict msgpack maps (VAULT §8 to §14). */
import { MalformedMessage } from '../../common/errors.js';
import { POINT_BYTES } from '../../primitives/p256.js';
import { parseMsgpack, serializeMsgpack } from '../../protocol/msgpack.js';
import { isPublicKey } from '../primitives/ed25519.js';
import { Malformed, TooLarge } from './errors.js';
import { KDFS, SALT_BYTES } from './password.js';
import { MAX_SEALED_NOTE_BYTES, SEALED_RECORD_BYTES } from './sealedValues.js';
import { DEVICE_ID_BYTES } from './unlockSecrets.js';
import { WRAP_BYTES } from './wraps.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../../protocol/msgpack.js').MsgpackValue} MsgpackValue */
/** @typedef {number | Bytes | string | Member[] | Members} Member */
/** @typedef {{ [name: string]: Member | undefined }} Members */

const MAX_DEVICES = 32;
const MAX_TEXT_CHARS = 1024;
const MAX_RESET_HOURS = 7 * 24 + 1;
const RUN_BYTES = 16;
const HASH_BYTES = 32;
const PUBLIC_KEY_BYTES = 32;

/** A body with `members`, without those that are undefined. @param {Members} members @returns {Bytes} */
export function serialize(members) {
  return serializeMsgpack(mapOf(members));
}

/** @param {Member} value @returns {MsgpackValue} */
function valueOf(value) {
  if (Array.isArray(value)) return value.map(valueOf);
  return typeof value === 'object' && !(value instanceof Uint8Array) ? mapOf(value) : value;
}

/** @param {Members} members @returns {Map<string, MsgpackValue>} */
function mapOf(members) {
  return new Map(Object.entries(members).flatMap(([name, value]) => (value === undefined ? [] : [[name, valueOf(value)]])));
}

/** The members of one body. Each can be taken once. */
export class Body {
  #left;

  /** @param {MsgpackValue} value */
  constructor(value) {
    if (!(value instanceof Map)) throw new Malformed('The answer of the service is not a map.');
    this.#left = value;
  }

  /** @param {Bytes} data @throws {Malformed} */
  static parse(data) {
    try {
      return new Body(parseMsgpack(data));
    } catch (error) {
      if (error instanceof MalformedMessage) throw new Malformed(`The answer of the service is not valid: ${error.message}.`);
      throw error;
    }
  }

  /** @param {string} name */
  has(name) {
    return this.#left.has(name);
  }

  /** @param {string} name */
  #take(name) {
    const value = this.#left.get(name);
    this.#left.delete(name);
    return value;
  }

  /** Bytes of this length. @param {string} name @param {number | { least: number, most: number }} length */
  raw(name, length) {
    const { least, most } = typeof length === 'number' ? { least: length, most: length } : length;
    const value = this.#take(name);
    if (!(value instanceof Uint8Array) || value.length < least || value.length > most) {
      throw new Malformed(`Member '${name}' must be ${least === most ? '' : 'at most '}${most} bytes.`);
    }
    return /** @type {Bytes} */ (value);
  }

  /** A public key of Ed25519. @param {string} name */
  publicKey(name) {
    const key = this.raw(name, PUBLIC_KEY_BYTES);
    if (!isPublicKey(key)) throw new Malformed(`Member '${name}' must be a public key.`);
    return key;
  }

  /** The number of parameters of Argon2id. */
  kdf() {
    const kdf = this.number('kdf', 255);
    if (!KDFS.has(kdf)) throw new Malformed('The service names unknown parameters of Argon2id. Update this client.');
    return kdf;
  }

  /** An integer from 0 to `highest`. @param {string} name @param {number} highest */
  number(name, highest) {
    const value = this.#take(name);
    if (typeof value !== 'number' || value < 0 || value > highest) {
      throw new Malformed(`Member '${name}' must be a number from 0 to ${highest}.`);
    }
    return value;
  }

  /** @param {string} name */
  text(name) {
    const value = this.#take(name);
    const isText = typeof value === 'string' && [...value].length <= MAX_TEXT_CHARS;
    if (!isText) throw new Malformed(`Member '${name}' must be a text of at most ${MAX_TEXT_CHARS} characters.`);
    return value;
  }

  /** At most `most` maps. @param {string} name @param {number} most */
  list(name, most) {
    const value = this.#take(name);
    if (!Array.isArray(value)) throw new Malformed(`Member '${name}' must be a list of maps.`);
    if (value.length > most) throw new TooLarge(`Member '${name}' has at most ${most} items.`);
    return value.map((item) => new Body(item));
  }

  /**
   * A list of 1 to `most` values. `take` takes each of them.
   * @template Taken
   * @param {string} name
   * @param {number} most
   * @param {(item: Body, name: string) => Taken} take the member `name` of `item` is the value
   */
  values(name, most, take) {
    const value = this.#take(name);
    if (!Array.isArray(value) || !value.length) throw new Malformed(`Member '${name}' must be a list that is not empty.`);
    if (value.length > most) throw new TooLarge(`Member '${name}' has at most ${most} items.`);
    return value.map((item) => take(new Body(new Map([[name, item]])), name));
  }

  /** @throws {Malformed} a member is left */
  end() {
    if (this.#left.size) throw new Malformed('The answer of the service has an unknown member.');
  }
}

/**
 * What `take` reads from the body `data`, if no member is left.
 * @template Taken
 * @param {Bytes} data
 * @param {(body: Body) => Taken} take
 * @throws {Malformed}
 */
export function whole(data, take) {
  const body = Body.parse(data);
  const taken = take(body);
  body.end();
  return taken;
}

/** GET /parameters. @param {Bytes} data @throws {Malformed} */
export const parseParameters = (data) =>
  whole(data, (body) => ({
    username: body.text('username'),
    realm: body.text('realm'),
    kdf: body.kdf(),
    salt: body.raw('salt', SALT_BYTES),
  }));

/** POST /unlock/password. @param {Bytes} data @throws {Malformed} */
export const parseRun = (data) =>
  whole(data, (body) => ({
    run: body.raw('run', RUN_BYTES),
    share: body.raw('share', POINT_BYTES),
    confirm: body.raw('confirm', HASH_BYTES),
  }));

/** The wrap, once its secret was proved. @param {Bytes} data @throws {Malformed} */
export const parseOpened = (data) =>
  whole(data, (body) => ({
    wrap: body.raw('wrap', WRAP_BYTES),
    head: body.publicKey('head'),
    revision: body.raw('revision', HASH_BYTES),
  }));

/** The response to a change. @param {Bytes} data @throws {Malformed} */
export const parseRevision = (data) => whole(data, (body) => body.raw('revision', HASH_BYTES));

/** POST /change. @param {Bytes} data @throws {Malformed} */
export const parseStaged = (data) => whole(data, (body) => body.raw('digest', HASH_BYTES));

/** GET /note: the sealed note, or null. @param {Bytes} data @throws {Malformed} */
export const parseStoredNote = (data) =>
  whole(data, (body) => (body.has('note') ? body.raw('note', { least: 1, most: MAX_SEALED_NOTE_BYTES }) : null));

/** POST /reset: the hours until a new account can be created. @param {Bytes} data @throws {Malformed} */
export const parseResetWait = (data) => whole(data, (body) => body.number('hours', MAX_RESET_HOURS));

/** An error (VAULT §15). @param {Bytes} data @throws {Malformed} */
export const parseError = (data) => whole(data, (body) => ({ error: body.text('error'), message: body.text('message') }));

/** @typedef {{ id: Bytes, record: Bytes, opens: boolean }} ListedDevice */

/** GET /account. @param {Bytes} data @throws {Malformed} */
export const parseAccount = (data) =>
  whole(data, (body) => ({
    head: body.publicKey('head'),
    revision: body.raw('revision', HASH_BYTES),
    kdf: body.kdf(),
    devices: body.list('devices', MAX_DEVICES).map(listedDevice),
    hasTemporary: body.number('temporary', 1) === 1,
    isToBeReset: body.number('reset', 1) === 1,
  }));

/** @param {Body} body @returns {ListedDevice} */
function listedDevice(body) {
  const device = {
    id: body.raw('id', DEVICE_ID_BYTES),
    record: body.raw('record', SEALED_RECORD_BYTES),
    opens: body.number('opens', 1) === 1,
  };
  body.end();
  return device;
}
