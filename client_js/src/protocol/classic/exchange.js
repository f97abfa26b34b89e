/**
 * A message and its answer at the client, in the only safe order (PROTOCOL §3.7.2).
 *
 * `sealRequest` returns the message and a `PendingResponse`, which opens the answer to this message and no
 * other. There is no other way to the plaintext. Each object is used once; a second use is a
 * LocalProtocolError. The server's side, for tests, is in test/support/serverExchange.js.
 */
import { parseJsonObject, serializeJson } from '../../common/codec.js';
import {
  DecryptionFailed,
  MalformedMessage,
  Refused,
  ReplayedNonce,
} from '../../common/errors.js';
import { formatTimestamp } from './freshness.js';
import { AuthenticateRequest, HttpResponse, SealedMessage, SealedRequest, member } from '../messages.js';
import { Once } from '../../common/once.js';
import { validatePublicKey } from '../rsaKeys.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../../common/codec.js').JsonObject} JsonObject */
/** @typedef {import('../messages.js').HttpRequest} HttpRequest */
/** @typedef {import('../../primitives/contract.js').RsaKeyPair} RsaKeyPair */
/** @typedef {import('../../primitives/contract.js').RsaPrivateKey} RsaPrivateKey */
/** @typedef {import('../../primitives/rsaPublicKey.js').RsaPublicKey} RsaPublicKey */
/** @typedef {import('./suites.js').Classic} Classic */

/**
 * The keys of a session at the client: the client's private key and the server's public key.
 * @typedef {{ privateKey: RsaPrivateKey, serverKey: RsaPublicKey }} ClientKeys
 */

/**
 * @param {Classic} suite
 * @param {RsaPublicKey} key
 * @param {Bytes} plaintext
 */
export async function sealTo(suite, key, plaintext) {
  const [passphrase, iv] = [suite.newPassphrase(), suite.newIv()];
  const payload = await suite.seal(passphrase, plaintext, iv);
  return new SealedMessage(await suite.wrap(key, passphrase), payload, iv);
}

/**
 * The passphrase and the plaintext.
 * @param {Classic} suite
 * @param {RsaPrivateKey} key
 * @param {SealedMessage} sealed
 */
export async function openFrom(suite, key, sealed) {
  const passphrase = await suite.unwrap(key, sealed.key);
  const plaintext = passphrase && (await suite.open(passphrase, sealed.payload, sealed.iv));
  if (!plaintext) throw new DecryptionFailed('the message cannot be decrypted');
  return { passphrase, plaintext };
}

/**
 * The members of a payload. If it is not an object, the key was probably wrong, so that is DecryptionFailed.
 * @param {Uint8Array} plaintext
 */
export function membersOf(plaintext) {
  try {
    return parseJsonObject(plaintext);
  } catch (error) {
    if (error instanceof MalformedMessage) throw new DecryptionFailed('the plaintext is not a payload');
    throw error;
  }
}

/** A login that was sent; opens its answer. */
export class PendingLogin {
  #suite;
  #privateKey;
  #opened = new Once();

  /** @param {Classic} suite @param {RsaPrivateKey} privateKey */
  constructor(suite, privateKey) {
    this.#suite = suite;
    this.#privateKey = privateKey;
  }

  /**
   * The keys of the session.
   * @param {SealedMessage} reply
   * @returns {Promise<ClientKeys>}
   */
  async open(reply) {
    this.#opened.use("a login's answer");
    const { plaintext } = await openFrom(this.#suite, this.#privateKey, reply);
    const pem = member(membersOf(plaintext), this.#suite.dialect.names.publicKey);
    if (typeof pem !== 'string') throw new DecryptionFailed('the payload has no public key');
    return { privateKey: this.#privateKey, serverKey: validatePublicKey(pem) };
  }
}

/** A request that was sent; opens the answer to it and no other. */
export class PendingResponse {
  #suite;
  #privateKey;
  #nonce;
  #opened = new Once();

  /** @param {Classic} suite @param {RsaPrivateKey} privateKey @param {string} nonce */
  constructor(suite, privateKey, nonce) {
    this.#suite = suite;
    this.#privateKey = privateKey;
    this.#nonce = nonce;
  }

  /**
   * The response inside (PROTOCOL §3.5.2).
   * @param {SealedMessage} reply
   */
  async open(reply) {
    const { names } = this.#suite.dialect;
    const members = membersOf(await this.openPlaintext(reply));
    if (member(members, names.nonce) !== this.#nonce) {
      throw new ReplayedNonce('the answer belongs to another request');
    }
    return HttpResponse.parse(member(members, names.response));
  }

  /**
   * The plaintext of an answer without an HTTP response inside (PROTOCOL §3.5.1).
   * @param {SealedMessage} reply
   */
  async openPlaintext(reply) {
    this.#opened.use("a request's answer");
    const { plaintext } = await openFrom(this.#suite, this.#privateKey, reply);
    return plaintext;
  }
}

/** The client's side of the classic suite; one object for each login. */
export class ClientExchange {
  /** @type {Map<string, { message: Promise<AuthenticateRequest>, password: string | undefined }>} */
  #logins = new Map();

  /** @param {Classic} suite */
  constructor(suite) {
    this.suite = suite;
  }

  /** @param {number} nowMs */
  #fresh(nowMs) {
    const { names, timestamp } = this.suite.dialect;
    const nonce = this.suite.newNonce();
    const stamp = formatTimestamp(timestamp, nowMs);
    return { nonce, members: { [names.timestamp]: stamp, [names.nonce]: nonce } };
  }

  /**
   * The login payload encrypted with `code`, and the object that opens the answer (PROTOCOL §3.3.2). The same
   * code gives the same message again, because two payloads would share a key stream (§3.3.3).
   * @param {string} token
   * @param {string} code
   * @param {RsaKeyPair} keyPair
   * @param {number} nowMs
   * @param {string} [password]
   * @throws {Refused} the code was used with another password; ask for a new code
   */
  async sealLogin(token, code, keyPair, nowMs, password) {
    const pending = new PendingLogin(this.suite, keyPair.privateKey);
    const used = this.#logins.get(code);
    if (used && used.password !== password) throw new Refused(403, 'rejected');
    const message = used?.message ?? this.#loginUnder(code, token, keyPair, nowMs, password);
    // Stored before it is ready, so that a second call at the same time finds it.
    this.#logins.set(code, { message, password });
    return { message: await message, pending };
  }

  /**
   * @param {string} code
   * @param {string} token
   * @param {RsaKeyPair} keyPair
   * @param {number} nowMs
   * @param {string} [password]
   */
  async #loginUnder(code, token, keyPair, nowMs, password) {
    const { suite } = this;
    const { names } = suite.dialect;
    /** @type {JsonObject} */
    const members = { ...this.#fresh(nowMs).members, [names.publicKey]: keyPair.publicKey.toPem() };
    if (password !== undefined) members[names.password] = password;
    const iv = suite.newIv();
    const payload = await suite.seal(suite.codePassphrase(code), serializeJson(members), iv);
    return new AuthenticateRequest(token, payload, iv);
  }

  /**
   * `fields` with timestamp and nonce, sealed to the session (PROTOCOL §3.4, §3.5.1).
   * @param {string} token
   * @param {ClientKeys} keys
   * @param {JsonObject} fields
   * @param {number} nowMs
   */
  async sealFields(token, keys, fields, nowMs) {
    const { nonce, members } = this.#fresh(nowMs);
    const plaintext = serializeJson({ ...fields, ...members });
    const sealed = await sealTo(this.suite, keys.serverKey, plaintext);
    const pending = new PendingResponse(this.suite, keys.privateKey, nonce);
    return { message: new SealedRequest(token, sealed), pending };
  }

  /**
   * A whole HTTP request, sealed to the session (PROTOCOL §3.5.2).
   * @param {string} token
   * @param {ClientKeys} keys
   * @param {HttpRequest} request
   * @param {number} nowMs
   */
  async sealRequest(token, keys, request, nowMs) {
    const inside = { [this.suite.dialect.names.request]: request.serialize() };
    return this.sealFields(token, keys, inside, nowMs);
  }
}
