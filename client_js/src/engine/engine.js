/**
 * Cryptography and network requests. All arguments and results can be cloned, so an engine can run in a
 * Worker or in the same thread.
 *
 * An engine has key pairs, logins and sessions, each under a number. JSON, base64, ciphers and RSA for
 * 5 MiB, and sending a message of 9 MB, would block the page. The module is long because it is the whole interface of
 * the Worker.
 */
import { encodeBytes } from '../common/codec.js';
import { findDialect } from '../protocol/classic/dialects.js';
import { LocalProtocolError } from '../common/errors.js';
import { ClientExchange } from '../protocol/classic/exchange.js';
import { adoptKeyPair } from './externalKey.js';
import { awaitCode, enterCode, redeemTicket } from './hardenedLogin.js';
import { findSuite } from '../protocol/hardened/suites.js';
import { ClassicSession, sendJson } from './classicSession.js';
import { HardenedSession } from './hardenedSession.js';
import { browserDial } from './socketConnection.js';
import { EngineSocket } from './sockets.js';
import { IncomingBody } from './streams.js';
import { SealedMessage, SessionGrant, SessionRequest } from '../protocol/messages.js';
import { validatePublicKey } from '../protocol/rsaKeys.js';
import { Classic } from '../protocol/classic/suites.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../protocol/hardened/clientHandshake.js').AwaitedCode} AwaitedCode */
/** @typedef {import('../protocol/hardened/clientHandshake.js').Subject} Subject */
/** @typedef {import('../protocol/hardened/clientHandshake.js').ForDevice} ForDevice */
/** @typedef {import('../protocol/hardened/clientSession.js').ClientSession} ClientSession */
/** @typedef {import('../protocol/hardened/clientSession.js').ClientTicket} ClientTicket */
/** @typedef {import('../protocol/classic/dialects.js').Dialect} Dialect */
/** @typedef {import('../protocol/messages.js').Header} Header */
/** @typedef {import('../primitives/contract.js').KeyProgress} KeyProgress */
/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('../primitives/contract.js').RsaKeyPair} RsaKeyPair */
/** @typedef {import('../primitives/contract.js').RsaPrivateKey} RsaPrivateKey */
/** @typedef {import('../primitives/contract.js').StoredKey} StoredKey */
/** @typedef {{ signal?: AbortSignal, onProgress?: (progress: KeyProgress) => void }} Control */
/** @typedef {import('./socketConnection.js').Dial} Dial */
/** @typedef {{ url: string, streamUrl: string, socketUrl: string, maxAnswerBytes: number, timeoutMs: number }} Route the URLs for a message, a stream request and a WebSocket, and the limits for size and time of the answer */
/** @typedef {import('./hardenedLogin.js').Base} Base */
/** @typedef {import('./keptSession.js').KeptSession} KeptSession */
/** @typedef {import('./keptSession.js').KeptHardened} KeptHardened */
/**
 * Header values have one character for each byte. A body that is a Blob goes as a stream. A request with `protocols` opens
 * a WebSocket.
 * @typedef {{ method: string, target: string, headers: Header[], body: Bytes | Blob, protocols?: string[] }} PlainRequest
 */
/** @typedef {{ status: number, headers: Header[], body: Bytes | IncomingBody | EngineSocket, protocol?: string, session?: ClientSession }} EngineResponse */
/**
 * `session` is the session to store, if it has changed. `stream` is the number of a body or of a WebSocket; then `body` is
 * empty. `protocol` is the subprotocol of a WebSocket, or empty.
 * @typedef {{ status: number, headers: Header[], body: Bytes, stream?: number, protocol?: string, session?: ClientSession }} PlainResponse
 */
/** @typedef {{ session: number, kept: KeptHardened }} EnrolledHardened */

/**
 * Values under numbers.
 * @template Value
 */
class HandleTable {
  /** @type {Map<number, Value>} */
  #values = new Map();
  #last = 0;

  /** @param {Value} value */
  add(value) {
    this.#last += 1;
    this.#values.set(this.#last, value);
    return this.#last;
  }

  /** @param {number} id */
  find(id) {
    return this.#values.get(id);
  }

  all() {
    return this.#values.values();
  }

  /** @param {number} id */
  get(id) {
    const value = this.find(id);
    if (value === undefined) throw new LocalProtocolError('unknown number');
    return value;
  }

  /** @param {number} id */
  drop(id) {
    this.#values.delete(id);
  }
}

export class Engine {
  #primitives;
  /** `exchange` is for classic logins only. @type {HandleTable<{ exchange: ClientExchange | null, pair: RsaKeyPair }>} */
  #pairs = new HandleTable();
  /** @type {HandleTable<AwaitedCode>} */
  #logins = new HandleTable();
  /** @type {HandleTable<ClassicSession | HardenedSession>} */
  #sessions = new HandleTable();
  /** @type {HandleTable<IncomingBody | EngineSocket>} */
  #streams = new HandleTable();
  #dial;

  /** @param {Primitives} primitives @param {Dial} [dial] */
  constructor(primitives, dial = browserDial) {
    this.#primitives = primitives;
    this.#dial = dial;
  }

  /** @param {Dialect} dialect */
  #exchangeIn(dialect) {
    return new ClientExchange(new Classic(findDialect(dialect), this.#primitives));
  }

  /**
   * The token of the future session (PROTOCOL §3.3.1).
   * @param {{ route: Route, dialect: Dialect, username: string }} given
   * @param {Control} [control]
   */
  async initiate({ route, dialect, username }, control = {}) {
    const { names } = findDialect(dialect);
    const message = new SessionRequest(username).serialize(names);
    return SessionGrant.parse(await sendJson(route, message, control), names).token;
  }

  /**
   * A new key pair, and its private key in the form to store. Without a dialect it is for `rsa-gcm`.
   * @param {{ dialect: Dialect | null }} given
   * @param {Control} [control]
   * @returns {Promise<{ pair: number, stored: StoredKey }>}
   */
  async generate({ dialect }, control = {}) {
    const exchange = dialect && this.#exchangeIn(dialect);
    const padding = exchange?.suite.dialect.rsaPadding ?? 'oaep-sha256';
    const pair = await this.#primitives.generateKeyPair({ padding, ...control });
    return { pair: this.#pairs.add({ exchange, pair }), stored: pair.privateKey.stored };
  }

  /**
   * A key pair that the caller has made, for `rsa-gcm`.
   * @param {{ rsaKey: CryptoKeyPair }} given
   * @returns {Promise<{ pair: number }>}
   */
  async adoptPair({ rsaKey }) {
    return { pair: this.#pairs.add({ exchange: null, pair: await adoptKeyPair(this.#primitives, rsaKey) }) };
  }

  /**
   * Opens a classic session with the code (PROTOCOL §3.3.2).
   * @param {{ route: Route, pair: number, token: string, code: string, nowMs: number,
   *   password?: string }} given
   * @param {Control} [control]
   * @returns {Promise<{ session: number, serverKey: string }>}
   */
  async authenticate({ route, pair: number, token, code, nowMs, password }, control = {}) {
    const { exchange, pair } = this.#pairs.get(number);
    if (!exchange) throw new LocalProtocolError('this pair is for another suite');
    const { names } = exchange.suite.dialect;
    const { message, pending } = await exchange.sealLogin(token, code, pair, nowMs, password);
    const answer = await sendJson(route, message.serialize(names), control);
    const keys = await pending.open(SealedMessage.parse(answer, names));
    const session = this.#sessions.add(new ClassicSession(exchange, token, keys));
    return { session, serverKey: keys.serverKey.toPem() };
  }

  /**
   * Begins a hardened login, so that the gateway sends a code (PROTOCOL §2.4).
   * @param {{ base: Base, subject: Subject & ForDevice, suite: string }} given
   * @param {Control} [control]
   * @returns {Promise<number>}
   */
  async awaitCode(given, control = {}) {
    return this.#logins.add(await awaitCode(this.#primitives, given, control));
  }

  /**
   * Opens a hardened session with the code: one attempt.
   * @param {{ base: Base, login: number, code: string, pair: number | null, nowMs: number }} given
   * @param {Control} [control]
   * @returns {Promise<EnrolledHardened>}
   */
  async enterCode({ login, pair: number, ...given }, control = {}) {
    const awaited = this.#logins.get(login);
    const pair = number === null ? null : this.#pairs.get(number).pair;
    const opened = await enterCode(awaited, { ...given, pair }, control);
    this.#logins.drop(login);
    return this.#enrolled(awaited.subject, opened, pair);
  }

  /**
   * Opens a hardened session with a ticket (PROTOCOL §2.8); in `rsa-gcm` with the caller's key pair or a new one.
   * @param {{ base: Base, subject: Subject, suite: string, ticket: ClientTicket, nowMs: number,
   *   rsaKey: CryptoKeyPair | null }} given
   * @param {Control} [control]
   * @returns {Promise<EnrolledHardened>}
   */
  async redeemTicket({ rsaKey, ...given }, control = {}) {
    const pair = findSuite(given.suite).wraps ? await this.#pairFor(rsaKey, control) : null;
    const opened = await redeemTicket(this.#primitives, { ...given, pair }, control);
    return this.#enrolled(given.subject, opened, pair);
  }

  /** @param {CryptoKeyPair | null} rsaKey @param {Control} control */
  #pairFor(rsaKey, control) {
    if (rsaKey) return adoptKeyPair(this.#primitives, rsaKey);
    return this.#primitives.generateKeyPair({ padding: 'oaep-sha256', ...control });
  }

  /**
   * @param {Subject} subject
   * @param {{ session: ClientSession, expiresMs: number, ticket: ClientTicket | null }} opened
   * @param {RsaKeyPair | null} pair
   * @returns {EnrolledHardened}
   */
  #enrolled({ username, realm, fresh }, { session, expiresMs, ticket }, pair) {
    const privateKey = pair?.privateKey ?? null;
    const live = this.#live(session, privateKey);
    const [token, { suite }] = [encodeBytes('hex', session.sid), session];
    const kept = { username, realm, fresh, suite, token, expiresMs, session, ticket };
    const stored = { version: /** @type {const} */ (2), ...kept, privateKey: privateKey?.stored ?? null };
    const external = pair?.external && { rsaKey: pair.external };
    return { session: this.#sessions.add(live), kept: { ...stored, ...external } };
  }

  /** @param {ClientSession} session @param {RsaPrivateKey | null} privateKey */
  #live(session, privateKey) {
    return new HardenedSession(this.#primitives, session, privateKey, this.#dial);
  }

  /**
   * Continues a session from a store.
   * @param {{ kept: KeptSession }} given
   * @returns {Promise<number>}
   */
  async adopt({ kept }) {
    const stored = kept.privateKey;
    const privateKey = stored && (await this.#primitives.importPrivateKey(stored));
    if (kept.version === 2) {
      if (!kept.session) throw new LocalProtocolError('a ticket alone is not a session');
      return this.#sessions.add(this.#live(kept.session, privateKey));
    }
    const keys = { privateKey: /** @type {RsaPrivateKey} */ (privateKey), serverKey: validatePublicKey(kept.serverKey) };
    return this.#sessions.add(new ClassicSession(this.#exchangeIn(kept.dialect), kept.token, keys));
  }

  /**
   * Takes the state that another tab has stored for the same session.
   * @param {{ session: number, state: ClientSession }} given
   */
  async follow({ session, state }) {
    const live = this.#sessions.get(session);
    if (live instanceof HardenedSession) live.follow(state);
  }

  /**
   * One request and the answer to it (PROTOCOL §3.5.2, §2.6).
   * @param {{ route: Route, session: number, request: PlainRequest, nowMs: number }} given
   * @param {Control} [control]
   * @returns {Promise<PlainResponse>}
   */
  async exchange({ session, ...given }, control = {}) {
    const { body, ...response } = await this.#sessions.get(session).exchange(given, control);
    if (body instanceof Uint8Array) return { ...response, body };
    return { ...response, body: new Uint8Array(), stream: this.#streams.add(body) };
  }

  /**
   * The next piece of a streamed body; null at its verified end.
   * @param {{ stream: number }} given
   * @returns {Promise<{ body: Bytes | null }>}
   */
  async streamRead({ stream }) {
    const body = await /** @type {IncomingBody} */ (this.#streams.get(stream)).read();
    if (!body) this.#streams.drop(stream);
    return { body };
  }

  /**
   * Calls a method of a WebSocket that is open.
   * @template {'read' | 'send' | 'close'} Name
   * @param {{ stream: number, name: Name, values: Parameters<EngineSocket[Name]> }} given
   * @returns {Promise<any>}
   */
  async socket({ stream, name, values }) {
    return /** @type {any} */ (this.#streams.get(stream))[name](...values);
  }

  /** Ends the connection of a streamed body or of a WebSocket. @param {{ stream: number }} given */
  async streamCancel({ stream }) {
    this.#streams.find(stream)?.cancel();
    this.#streams.drop(stream);
  }

  /** Ends what would go on by itself. A Worker ends with everything in it. */
  async close() {
    for (const body of this.#streams.all()) body.cancel();
  }

  /**
   * @param {{ route: Route, target: string, session: number, nowMs: number }} given
   * @param {Control} [control]
   */
  async logout({ session, ...given }, control = {}) {
    await this.#sessions.get(session).logout(given, control);
  }

  /** @param {{ pair: number }} given */
  async forgetPair({ pair }) {
    this.#pairs.drop(pair);
  }

  /** @param {{ session: number }} given */
  async forgetSession({ session }) {
    this.#sessions.drop(session);
  }
}

/**
 * The methods of an engine, by name.
 * @typedef {{ [Name in keyof Engine]: Engine[Name] }} Methods
 */

/**
 * Calls an engine in this thread or in a Worker.
 * @typedef {{
 *   call: <Name extends keyof Methods>(
 *     name: Name, given: Parameters<Methods[Name]>[0], control?: Control
 *   ) => Promise<Awaited<ReturnType<Methods[Name]>>>,
 *   close: () => void,
 * }} EngineLink
 */

/**
 * An engine in this thread.
 * @param {Primitives} primitives
 * @param {Dial} [dial]
 * @returns {EngineLink}
 */
export function localEngine(primitives, dial) {
  const engine = /** @type {any} */ (new Engine(primitives, dial));
  return {
    call: async (name, given, control) => {
      control?.signal?.throwIfAborted();
      return engine[name](given, control);
    },
    close: () => void engine.close(),
  };
}
