/**
 * Transcripts, and the keys that are derived from them (PROTOCOL §2.5).
 *
 * A transcript is a hash of typed fields, each with its length, under a label. So two different lists of
 * fields never have the same encoding. A label contains the protocol, the suite and the purpose, so that
 * each key is different. The two directions never share a key.
 */
import { concat, unsigned } from '../../common/bytes.js';
import { utf8 } from '../../common/codec.js';
import { DecryptionFailed } from '../../common/errors.js';
import { FRESHNESS, VERSION } from './suites.js';
import { hkdfExpand, hkdfExtract, sha256 } from '../../primitives/hashes.js';
import { SCALAR_SEED_BYTES, scalar } from '../../primitives/p256.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('./suites.js').HardenedSuite} HardenedSuite */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */
/** @typedef {'c2s' | 's2c'} Direction */

const CODE_ITERATIONS = 1000;

const PROTOCOL = `certless/${VERSION}`;
const KEY_BYTES = 32;
const KEY_AND_IV_BYTES = 44;
const NOTHING = new Uint8Array();

/** LP(f1) ‖ LP(f2) ‖ ...: each field after its length in four bytes, big-endian. @param {...Uint8Array} fields */
function lengthPrefixed(...fields) {
  return concat(...fields.flatMap((field) => [unsigned(field.length, 4), field]));
}

/** SHA-256 of the label for `purpose` and the fields. @param {string} purpose @param {...Uint8Array} fields */
export function transcript(purpose, ...fields) {
  return sha256(lengthPrefixed(utf8(`${PROTOCOL} ${purpose}`), ...fields));
}

/** The label of a key. @param {HardenedSuite} suite @param {string} purpose */
export function label(suite, purpose) {
  return lengthPrefixed(utf8(PROTOCOL), utf8(suite.name), utf8(purpose));
}

/** Splits HKDF output into AES key and IV. @param {Bytes} block 44 bytes */
const keyAndIv = (block) => ({ key: block.slice(0, KEY_BYTES), iv: block.slice(KEY_BYTES) });

/**
 * The scalar w of SPAKE2 (1 to n - 1) for a code of eight characters (PROTOCOL §2.4.3).
 * @param {Primitives} primitives
 * @param {string} code
 * @param {HardenedSuite} suite
 * @param {string} username
 * @param {{ sid: Bytes, sn: Bytes }} greeting
 */
export async function codeScalar(primitives, code, suite, username, { sid, sn }) {
  const salt = lengthPrefixed(utf8('w'), utf8(suite.name), utf8(username), sid, sn);
  const stretched = await primitives.pbkdf2(utf8(code), salt, CODE_ITERATIONS);
  return scalar(hkdfExpand(stretched, label(suite, 'w'), SCALAR_SEED_BYTES));
}

/**
 * th0: all fields of ClientHello and ServerHello, and the realm (PROTOCOL §2.5.1). The name of a device is
 * one more field at the end.
 * @param {import('./clientHandshake.js').ClientHello} hello
 * @param {import('./clientHandshake.js').ServerHello} greeting
 * @param {HardenedSuite} suite
 * @param {string} realm
 */
export function greetingTranscript(hello, greeting, suite, realm) {
  return transcript(
    'greeting',
    unsigned(hello.v, 2),
    utf8(hello.username),
    lengthPrefixed(...hello.suites.map(utf8)),
    unsigned(FRESHNESS[hello.fresh], 1),
    hello.cn,
    greeting.sid,
    unsigned(suite.number, 2),
    greeting.sn,
    unsigned(greeting.expires_s, 4),
    utf8(realm),
    ...(hello.device === null ? [] : [utf8(hello.device)]),
  );
}

/** th of a login; the two empty fields are reserved for ML-KEM. @param {Bytes} th0 @param {Bytes} pA @param {Bytes} pB */
export function loginTranscript(th0, pA, pB) {
  return transcript('login', th0, pA, pB, NOTHING, NOTHING);
}

/**
 * th of a resumption: all fields of ResumptionClientHello and ResumptionServerHello, the username and the realm.
 * @param {import('./clientHandshake.js').ResumptionClientHello} hello
 * @param {import('./clientHandshake.js').ResumptionServerHello} greeting
 * @param {HardenedSuite} suite
 * @param {string} username
 * @param {string} realm
 */
export function resumptionTranscript(hello, greeting, suite, username, realm) {
  return transcript(
    'resumption',
    unsigned(hello.v, 2),
    hello.ticket,
    unsigned(suite.number, 2),
    unsigned(FRESHNESS[hello.fresh], 1),
    hello.cn,
    hello.eC,
    greeting.sid,
    greeting.sn,
    greeting.eS,
    utf8(username),
    utf8(realm),
    NOTHING,
    NOTHING,
  );
}

/** The shared state of a login or a resumption before the confirmations. */
export class Handshake {
  #primitives;
  #th;
  #shared;

  /**
   * @param {Primitives} primitives
   * @param {HardenedSuite} suite
   * @param {Bytes} th 32 bytes
   * @param {{ shared: Bytes, cA: Bytes, cB: Bytes }} agreed Ke of SPAKE2, or the shared key of a
   *   resumption; the confirmations, 32 bytes each
   */
  constructor(primitives, suite, th, { shared, cA, cB }) {
    this.#primitives = primitives;
    this.suite = suite;
    this.#th = th;
    this.#shared = shared;
    this.cA = cA;
    this.cB = cB;
  }

  /**
   * From the secret of a ticket (32 bytes) and the shared secret of ECDH (32 bytes).
   * @param {Primitives} primitives
   * @param {HardenedSuite} suite
   * @param {Bytes} th
   * @param {Bytes} resume
   * @param {Bytes} agreed
   */
  static ofResumption(primitives, suite, th, resume, agreed) {
    const prk = hkdfExtract(th, concat(resume, agreed));
    /** @param {string} purpose */
    const key = (purpose) => hkdfExpand(prk, label(suite, purpose));
    const parts = { shared: key('resumed'), cA: key('confirm c2s'), cB: key('confirm s2c') };
    return new Handshake(primitives, suite, th, parts);
  }

  /** Each direction has one box, so its key and IV are used once. @param {Direction} direction @param {...Bytes} before */
  #box(direction, ...before) {
    const prk = hkdfExtract(this.#th, this.#shared);
    const block = hkdfExpand(prk, label(this.suite, `box ${direction}`), KEY_AND_IV_BYTES);
    return { ...keyAndIv(block), aad: transcript(`box ${direction}`, this.#th, ...before) };
  }

  /** Key, IV and associated data of the box of ClientConfirmation. */
  clientBox() {
    return this.#box('c2s', this.cA);
  }

  /** Key, IV and associated data of the box of ServerConfirmation. @param {Bytes} clientBox empty if there was none */
  serverBox(clientBox) {
    return this.#box('s2c', this.cA, clientBox, this.cB);
  }

  /** Seals the box of ClientConfirmation. @param {Bytes} plaintext */
  async sealClientBox(plaintext) {
    const { key, iv, aad } = this.clientBox();
    return this.#primitives.aesGcmSeal(key, iv, plaintext, aad);
  }

  /** Opens the box of ServerConfirmation. @param {Bytes} clientBox @param {Bytes} sealed @throws {DecryptionFailed} */
  async openServerBox(clientBox, sealed) {
    const { key, iv, aad } = this.serverBox(clientBox);
    return opened(await this.#primitives.aesGcmOpen(key, iv, sealed, aad));
  }

  /**
   * The first keys of the session, the secret of the next ticket and the secret of the exporter: they depend
   * on every byte that either side has sent.
   * @param {Bytes} clientBox
   * @param {Bytes} serverBox
   */
  secrets(clientBox, serverBox) {
    const th2 = transcript('session', this.#th, this.cA, clientBox, this.cB, serverBox);
    const prk = hkdfExtract(th2, this.#shared);
    /** @param {string} purpose */
    const key = (purpose) => hkdfExpand(prk, label(this.suite, purpose));
    return { c2s: key('c2s'), s2c: key('s2c'), resume: key('resume'), exporter: key('export') };
  }
}

/** @param {Bytes | null} plaintext */
function opened(plaintext) {
  if (!plaintext) throw new DecryptionFailed('the box cannot be decrypted');
  return plaintext;
}

/**
 * A value of the exporter, for a protocol of the application (PROTOCOL §2.5.3).
 * @param {HardenedSuite} suite
 * @param {Bytes} secret
 * @param {string} name the exporter label
 * @param {Uint8Array} context
 * @param {number} length
 * @throws {TypeError} an argument is outside of its limits
 */
export function exportedValue(suite, secret, name, context, length) {
  const isLabel = typeof name === 'string' && /^[ -~]{1,128}$/.test(name);
  const isContext = context instanceof Uint8Array && context.length < 65536;
  if (!isLabel || !isContext || !Number.isInteger(length) || length < 16 || length > 8160) {
    throw new TypeError('a label has 1 to 128 printable ASCII characters, a context at most 65535 bytes, a value 16 to 8160');
  }
  const info = concat(label(suite, 'exported'), lengthPrefixed(utf8(name), context), unsigned(length, 2));
  return hkdfExpand(secret, info, length);
}

/**
 * The key of the next epoch. The key of this epoch cannot be computed from it (PROTOCOL §2.7.1).
 * @param {HardenedSuite} suite
 * @param {Bytes} key
 */
export function nextEpochKey(suite, key) {
  return hkdfExpand(key, label(suite, 'rekey'));
}
