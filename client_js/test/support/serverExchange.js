/**
 * A message and its answer at the server, in the only safe order (PROTOCOL §3.7.2).
 *
 * For tests only. Unlike the gateway, it does not do equal work for every rejection (PROTOCOL §1.13).
 */
import { serializeJson, utf8 } from '../../src/common/codec.js';
import { CodeRefused, DecryptionFailed, ReplayedNonce, StaleTimestamp } from '../../src/common/errors.js';
import { membersOf, openFrom, sealTo } from '../../src/protocol/classic/exchange.js';
import { WINDOW_MS, formatTimestamp } from '../../src/protocol/classic/freshness.js';
import { HttpRequest, member } from '../../src/protocol/messages.js';
import { Once } from '../../src/common/once.js';
import { validatePublicKey } from '../../src/protocol/rsaKeys.js';
import { isNonce, parseTimestamp, withinWindow } from './serverFreshness.js';
import { serializeResponse } from './serverMessages.js';

/** @typedef {import('../../src/common/codec.js').Bytes} Bytes */
/** @typedef {import('../../src/common/codec.js').JsonObject} JsonObject */
/** @typedef {import('../../src/protocol/messages.js').AuthenticateRequest} AuthenticateRequest */
/** @typedef {import('../../src/protocol/messages.js').HttpResponse} HttpResponse */
/** @typedef {import('../../src/protocol/messages.js').SealedRequest} SealedRequest */
/** @typedef {import('../../src/primitives/contract.js').Primitives} Primitives */
/** @typedef {import('../../src/primitives/contract.js').RsaPrivateKey} RsaPrivateKey */
/** @typedef {import('../../src/primitives/rsaPublicKey.js').RsaPublicKey} RsaPublicKey */
/** @typedef {import('../../src/protocol/classic/suites.js').Classic} Classic */

const TAG_BYTES = 16;
const BITS_PER_CHAR = 5;
const PASSWORD_MIN_CODE_BITS = 112;

/**
 * The keys of a session at the server.
 * @typedef {{ privateKey: RsaPrivateKey, clientKey: RsaPublicKey, tagKey: Bytes }} SessionKeys
 */

/** The tags that a store must claim together (PROTOCOL §3.6.3). @typedef {{ nonceTag: Bytes, passphraseTag: Bytes }} NonceClaim */

/**
 * @param {Primitives} primitives
 * @param {Bytes} tagKey
 * @param {string} nonce
 * @param {Bytes} passphrase
 * @returns {Promise<NonceClaim>}
 */
async function nonceClaim(primitives, tagKey, nonce, passphrase) {
  /** @param {string} label @param {Bytes} data */
  const tag = async (label, data) => {
    const input = Uint8Array.from([...utf8(`${label}\0`), ...data]);
    return (await primitives.hmacSha256(tagKey, input)).slice(0, TAG_BYTES);
  };
  return { nonceTag: await tag('nonce', utf8(nonce)), passphraseTag: await tag('passphrase', passphrase) };
}

/** An accepted message: its plaintext, and one response. */
class AcceptedRequest {
  #suite;
  #keys;
  #members;
  #nonce;
  #answered = new Once();

  /** @param {Classic} suite @param {SessionKeys} keys @param {JsonObject} members @param {string} nonce */
  constructor(suite, keys, members, nonce) {
    this.#suite = suite;
    this.#keys = keys;
    this.#members = members;
    this.#nonce = nonce;
  }

  /** The payload without timestamp and nonce: for a handler without an HTTP request (PROTOCOL §3.5.1). */
  get fields() {
    const { names } = this.#suite.dialect;
    const { [names.timestamp]: _stamp, [names.nonce]: _nonce, ...fields } = this.#members;
    return fields;
  }

  /** The whole request inside (PROTOCOL §3.5.2). */
  httpRequest() {
    return HttpRequest.parse(member(this.#members, this.#suite.dialect.names.request));
  }

  /** @param {Bytes} plaintext */
  async sealResponse(plaintext) {
    this.#answered.use('the right to answer');
    return sealTo(this.#suite, this.#keys.clientKey, plaintext);
  }

  /** @param {HttpResponse} response @param {number} nowMs */
  async sealHttpResponse(response, nowMs) {
    const { names, timestamp } = this.#suite.dialect;
    return this.sealResponse(
      serializeJson({
        [names.timestamp]: formatTimestamp(timestamp, nowMs),
        [names.nonce]: this.#nonce,
        [names.response]: serializeResponse(response),
      }),
    );
  }
}

/** An opened message that may still be a replay: only its claim is visible. */
class OpenedRequest {
  #accept;
  #decided = new Once();

  /** @param {NonceClaim} claim @param {() => AcceptedRequest} accept */
  constructor(claim, accept) {
    this.nonceClaim = claim;
    this.#accept = accept;
  }

  /** The plaintext, if the store has `claimed` both tags. @param {boolean} claimed */
  accept(claimed) {
    this.#decided.use('an opened request');
    if (!claimed) throw new ReplayedNonce();
    return this.#accept();
  }
}

/** An accepted login: its payload, and one response. */
class AcceptedLogin {
  #suite;
  #answered = new Once();

  /** @param {Classic} suite @param {JsonObject} payload @param {RsaPublicKey} clientKey */
  constructor(suite, payload, clientKey) {
    this.#suite = suite;
    this.payload = payload;
    this.clientKey = clientKey;
  }

  /** The session's public key, sealed to the client (PROTOCOL §3.3.2). @param {RsaPublicKey} serverKey */
  async sealResponse(serverKey) {
    this.#answered.use('the right to answer');
    const members = { [this.#suite.dialect.names.publicKey]: serverKey.toPem() };
    return sealTo(this.#suite, this.clientKey, serializeJson(members));
  }
}

/** The server's side of the classic suite. */
export class ServerExchange {
  #primitives;

  /** @param {Classic} suite @param {Primitives} primitives @param {number} [windowMs] */
  constructor(suite, primitives, windowMs = WINDOW_MS) {
    this.suite = suite;
    this.#primitives = primitives;
    this.windowMs = windowMs;
  }

  /** @param {JsonObject} members @param {number} nowMs */
  #checkFreshness(members, nowMs) {
    const { names, timestamp } = this.suite.dialect;
    const stamp = parseTimestamp(timestamp, member(members, names.timestamp));
    const nonce = member(members, names.nonce);
    if (stamp === null || !isNonce(nonce)) throw new DecryptionFailed('timestamp or nonce');
    return { nonce, isFresh: withinWindow(stamp, nowMs, this.windowMs) };
  }

  /**
   * Opens the payload with `code`; null means that there is no login.
   * @param {AuthenticateRequest} message
   * @param {string | null} code
   * @param {number} nowMs
   */
  async openLogin(message, code, nowMs) {
    const { suite } = this;
    const { names } = suite.dialect;
    if (code === null) throw new CodeRefused();
    const plaintext = await suite.open(suite.codePassphrase(code), message.payload, message.iv);
    if (!plaintext) throw new DecryptionFailed();
    const members = membersOf(plaintext);
    const { isFresh } = this.#checkFreshness(members, nowMs);
    const [publicKey, password] = [member(members, names.publicKey), member(members, names.password)];
    if (typeof publicKey !== 'string') throw new DecryptionFailed('no public key inside');
    if (password !== undefined && password !== null) {
      const bits = code.length * BITS_PER_CHAR;
      if (typeof password !== 'string' || bits < PASSWORD_MIN_CODE_BITS) throw new DecryptionFailed();
    }
    if (!isFresh) throw new StaleTimestamp();
    return new AcceptedLogin(suite, members, validatePublicKey(publicKey));
  }

  /**
   * Opens the message with the `keys` of its session; null means that there is no such session.
   * @param {SealedRequest} message
   * @param {SessionKeys | null} keys
   * @param {number} nowMs
   */
  async openRequest(message, keys, nowMs) {
    if (!keys) throw new DecryptionFailed();
    const { passphrase, plaintext } = await openFrom(this.suite, keys.privateKey, message.sealed);
    const members = membersOf(plaintext);
    const { nonce, isFresh } = this.#checkFreshness(members, nowMs);
    if (!isFresh) throw new StaleTimestamp();
    const claim = await nonceClaim(this.#primitives, keys.tagKey, nonce, passphrase);
    return new OpenedRequest(claim, () => new AcceptedRequest(this.suite, keys, members, nonce));
  }
}
