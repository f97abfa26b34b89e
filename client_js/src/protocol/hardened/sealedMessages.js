/**
 * A sealed message: header, envelope and seal (PROTOCOL §2.6).
 *
 * Each message has its own AES key, derived from the key of its direction, a salt and the header:
 *
 *     key ‖ iv = HKDF(ikm = k [‖ cek], salt, info = header, 44)
 *
 * so no pair of key and IV is used twice, without any state. Only k authenticates a message: anybody who
 * knows the public key can wrap a `cek`.
 */
import { concat, unsigned } from '../../common/bytes.js';
import { utf8 } from '../../common/codec.js';
import { Members, serializeMembers } from '../envelopes.js';
import { MalformedMessage } from '../../common/errors.js';
import { FRESHNESS, suiteOfNumber } from './suites.js';
import { SESSION_ID_BYTES } from './handshakeMessages.js';
import { GCM_TAG_BYTES } from '../../primitives/contract.js';
import { equal, hkdf, sha256 } from '../../primitives/hashes.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../envelopes.js').Format} Format */
/** @typedef {import('./suites.js').Freshness} Freshness */
/** @typedef {import('./suites.js').HardenedSuite} HardenedSuite */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('../../primitives/contract.js').RsaPrivateKey} RsaPrivateKey */
/** @typedef {import('../../primitives/rsaPublicKey.js').RsaPublicKey} RsaPublicKey */

const SALT_BYTES = 16;
export const CEK_BYTES = 32;
const REQUEST_HEADER_BYTES = 67;
const RESPONSE_HEADER_BYTES = REQUEST_HEADER_BYTES + GCM_TAG_BYTES;
const MIN_WRAPPED_BYTES = 256;
const MAX_WRAPPED_BYTES = 512;
export const MAX_FRESH_VALUE = Number.MAX_SAFE_INTEGER;

const MAGIC = utf8('CG1');
const NOTHING = new Uint8Array();
const NOTHING_WRAPPED = sha256(NOTHING);
const PADDING = 'oaep-sha256';

/** What a message is; its direction follows from it. */
export const KIND = Object.freeze({
  request: 1,
  response: 2,
  refusal: 3,
  streamRequest: 4,
  streamGrant: 5,
  socketRequest: 6,
});
const KINDS = Object.values(KIND);
/** @type {number[]} */
const REQUEST_KINDS = [KIND.request, KIND.streamRequest, KIND.socketRequest];
const FRESH_NAMES = /** @type {Freshness[]} */ (Object.keys(FRESHNESS));

/**
 * The plaintext header, which the seal authenticates (PROTOCOL §2.6.1). `value` is a time in milliseconds
 * or a sequence number, `wrappedHash` is SHA-256 of the wrapped key or of nothing, and `requestTag` is the
 * last 16 bytes of the request in a response; it is empty in a request.
 * @typedef {{
 *   suite: HardenedSuite,
 *   kind: number,
 *   epoch: number,
 *   sid: Bytes,
 *   fresh: Freshness,
 *   value: number,
 *   wrappedHash: Bytes,
 *   requestTag: Bytes,
 * }} Header
 */

/**
 * @param {Omit<Header, 'wrappedHash' | 'requestTag'> & Partial<Header>} header
 * @returns {Bytes}
 */
function serializeHeader({ suite, kind, epoch, sid, fresh, value, wrappedHash, requestTag }) {
  const numbers = [unsigned(suite.number, 2), unsigned(kind, 1), unsigned(epoch, 4)];
  const freshness = [unsigned(FRESHNESS[fresh], 1), unsigned(value, 8)];
  return concat(MAGIC, ...numbers, sid, ...freshness, wrappedHash ?? NOTHING_WRAPPED, requestTag ?? NOTHING);
}

/**
 * @param {Bytes} data
 * @returns {Header}
 * @throws {MalformedMessage | import('../../common/errors.js').UnsupportedSuite}
 */
function parseHeader(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length !== REQUEST_HEADER_BYTES && data.length !== RESPONSE_HEADER_BYTES) {
    throw new MalformedMessage('a header has 67 or 83 bytes');
  }
  if (!equal(data.subarray(0, 3), MAGIC)) throw new MalformedMessage('a header must begin with CG1');
  const kind = view.getUint8(5);
  const isRequest = data.length === REQUEST_HEADER_BYTES;
  if (!KINDS.includes(/** @type {any} */ (kind)) || REQUEST_KINDS.includes(kind) !== isRequest) {
    throw new MalformedMessage('the header has an unknown kind or the wrong length');
  }
  const fresh = FRESH_NAMES.find((name) => FRESHNESS[name] === view.getUint8(26));
  const value = view.getBigUint64(27);
  if (!fresh || value > MAX_FRESH_VALUE) throw new MalformedMessage("a header's freshness is out of range");
  return {
    suite: suiteOfNumber(view.getUint16(3)),
    kind,
    epoch: view.getUint32(6),
    sid: data.slice(10, 10 + SESSION_ID_BYTES),
    fresh,
    value: Number(value),
    wrappedHash: data.slice(35, REQUEST_HEADER_BYTES),
    requestTag: data.slice(REQUEST_HEADER_BYTES),
  };
}

/** A sealed message as it is sent; `header` is the parsed `rawHeader`. */
export class Envelope {
  /**
   * @param {Bytes} rawHeader
   * @param {Header} header
   * @param {Bytes} salt
   * @param {Bytes | null} wrapped
   * @param {Bytes} sealed
   */
  constructor(rawHeader, header, salt, wrapped, sealed) {
    this.rawHeader = rawHeader;
    this.header = header;
    this.salt = salt;
    this.wrapped = wrapped;
    this.sealed = sealed;
  }

  /** The tag that a response to this message must contain. */
  get tag() {
    return this.sealed.slice(-GCM_TAG_BYTES);
  }

  /**
   * @param {Format} format
   * @param {Bytes} data
   * @throws {MalformedMessage | import('../../common/errors.js').UnsupportedSuite}
   */
  static parse(format, data) {
    const members = new Members(format, data);
    const rawHeader = members.raw('header', REQUEST_HEADER_BYTES, RESPONSE_HEADER_BYTES);
    const header = parseHeader(rawHeader);
    const wrapped = members.optionalRaw('wrapped');
    if (header.suite.wraps !== (wrapped !== null)) {
      throw new MalformedMessage('messages of rsa-gcm, and no others, have a wrapped key');
    }
    if (wrapped && (wrapped.length < MIN_WRAPPED_BYTES || wrapped.length > MAX_WRAPPED_BYTES)) {
      throw new MalformedMessage('a wrapped key has 256 to 512 bytes');
    }
    const salt = members.raw('salt', SALT_BYTES);
    const sealed = members.raw('sealed');
    members.end();
    if (sealed.length < GCM_TAG_BYTES) throw new MalformedMessage('a seal has at least 16 bytes');
    return new Envelope(rawHeader, header, salt, wrapped, sealed);
  }

  /** @param {Format} format */
  serialize(format) {
    const { rawHeader: header, salt, wrapped, sealed } = this;
    return serializeMembers(format, { header, salt, wrapped, sealed });
  }
}

/** @param {Bytes} key @param {Bytes} cek @param {Bytes} salt @param {Bytes} rawHeader */
function messageKey(key, cek, salt, rawHeader) {
  const block = hkdf(concat(key, cek), salt, rawHeader, 44);
  return { key: block.slice(0, 32), iv: block.slice(32) };
}

/**
 * Seals `plaintext` with `key` (32 bytes) of the header's direction and epoch. `wrapTo` is the receiver's
 * public key if the suite wraps, else null.
 * @param {Primitives} primitives
 * @param {Bytes} key
 * @param {Omit<Header, 'wrappedHash' | 'requestTag'> & Partial<Header>} given
 * @param {Bytes} plaintext
 * @param {RsaPublicKey | null} wrapTo
 */
export async function sealMessage(primitives, key, given, plaintext, wrapTo) {
  const cek = wrapTo ? primitives.randomBytes(CEK_BYTES) : NOTHING;
  const wrapped = wrapTo && (await primitives.wrap(wrapTo, cek, PADDING));
  const rawHeader = serializeHeader({ ...given, wrappedHash: wrapped ? sha256(wrapped) : NOTHING_WRAPPED });
  const salt = primitives.randomBytes(SALT_BYTES);
  const made = messageKey(key, cek, salt, rawHeader);
  const sealed = await primitives.aesGcmSeal(made.key, made.iv, plaintext, rawHeader);
  return new Envelope(rawHeader, parseHeader(rawHeader), salt, wrapped, sealed);
}

/**
 * The plaintext and the secret of the message, or null if any part of the message was changed. The keys of a stream
 * come from the secret: `HKDF(k ‖ cek, salt, label ‖ header)`.
 * @param {Primitives} primitives
 * @param {Bytes} key
 * @param {Envelope} envelope
 * @param {RsaPrivateKey | null} unwrapWith our key if the suite wraps, else null
 */
export async function openWithSecret(primitives, key, { rawHeader, header, salt, wrapped, sealed }, unwrapWith) {
  let cek = NOTHING;
  if (unwrapWith) {
    const unwrapped = wrapped && (await unwrapWith.unwrap(wrapped, PADDING));
    if (unwrapped?.length !== CEK_BYTES || !equal(sha256(/** @type {Bytes} */ (wrapped)), header.wrappedHash)) {
      return null;
    }
    cek = unwrapped;
  }
  const made = messageKey(key, cek, salt, rawHeader);
  const plaintext = await primitives.aesGcmOpen(made.key, made.iv, sealed, rawHeader);
  return plaintext && { plaintext, secret: { ikm: concat(key, cek), salt, rawHeader } };
}

/** The plaintext, or null. @type {(...given: Parameters<typeof openWithSecret>) => Promise<Bytes | null>} */
export const openMessage = async (...given) => (await openWithSecret(...given))?.plaintext ?? null;

/**
 * The first record key of each side, 32 bytes each (PROTOCOL §2.10.2).
 * @param {{ ikm: Bytes, salt: Bytes, rawHeader: Bytes }} secret of the grant
 * @param {Bytes} label of the suite and of "stream"
 */
export function streamKeys({ ikm, salt, rawHeader }, label) {
  const block = hkdf(ikm, salt, concat(label, rawHeader), 64);
  return { client: block.slice(0, 32), server: block.slice(32) };
}
