/**
 * Everything heavy, behind messages that can be cloned: it runs in a Worker, or here.
 *
 * An engine keeps key pairs and sessions, each under a number. JSON, base64, ciphers and RSA of
 * 5 MiB are no work for a page's thread, and neither is handing 9 MB of a message to the network.
 */
import { parseJsonObject, serializeJson } from './codec.js';
import { findDialect } from './dialects.js';
import { LocalProtocolError } from './errors.js';
import { ClientExchange } from './exchange.js';
import { HttpRequest, SealedMessage, SessionGrant, SessionRequest } from './messages.js';
import { admit } from './rsaKeys.js';
import { Classic } from './suites.js';
import { post } from './transport.js';

/** @typedef {import('./codec.js').Bytes} Bytes */
/** @typedef {import('./dialects.js').Dialect} Dialect */
/** @typedef {import('./exchange.js').ClientKeys} ClientKeys */
/** @typedef {import('./messages.js').Header} Header */
/** @typedef {import('./primitives/contract.js').KeyProgress} KeyProgress */
/** @typedef {import('./primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./primitives/contract.js').RsaKeyPair} RsaKeyPair */
/** @typedef {import('./primitives/contract.js').StoredKey} StoredKey */
/** @typedef {import('./primitives/rsaPublicKey.js').RsaPublicKey} RsaPublicKey */
/** @typedef {{ signal?: AbortSignal, onProgress?: (progress: KeyProgress) => void }} Control */
/** @typedef {{ url: string, maxAnswerBytes: number }} Route where a message goes, and how much may come back */
/** @typedef {import('./codec.js').JsonObject} JsonObject */
/** @typedef {{ method: string, target: string, headers: Header[], body: Bytes }} PlainRequest */
/** @typedef {{ status: number, headers: Header[], body: Bytes }} PlainResponse */
/** @typedef {{ exchange: ClientExchange, token: string, keys: ClientKeys }} LiveSession */

/**
 * Things under numbers.
 * @template Thing
 */
class Numbered {
  /** @type {Map<number, Thing>} */
  #things = new Map();
  #last = 0;

  /** @param {Thing} thing */
  add(thing) {
    this.#last += 1;
    this.#things.set(this.#last, thing);
    return this.#last;
  }

  /** @param {number} id */
  get(id) {
    const thing = this.#things.get(id);
    if (thing === undefined) throw new LocalProtocolError('there is nothing of this number');
    return thing;
  }

  /** @param {number} id */
  drop(id) {
    this.#things.delete(id);
  }
}

export class Engine {
  #primitives;
  /** @type {Numbered<{ exchange: ClientExchange, pair: RsaKeyPair }>} */
  #pairs = new Numbered();
  /** @type {Numbered<LiveSession>} */
  #sessions = new Numbered();

  /** @param {Primitives} primitives */
  constructor(primitives) {
    this.#primitives = primitives;
  }

  /** @param {Dialect} dialect */
  #exchangeIn(dialect) {
    return new ClientExchange(new Classic(findDialect(dialect), this.#primitives));
  }

  /**
   * Sends an object, reads an object.
   * @param {Route} route
   * @param {JsonObject} message
   * @param {Control} control
   */
  async #send({ url, maxAnswerBytes }, message, { signal }) {
    const answer = await post(url, serializeJson(message), { signal, maxAnswerBytes });
    return parseJsonObject(answer);
  }

  /**
   * The token of the session to be (PROTOCOL §4.1).
   * @param {{ route: Route, dialect: Dialect, username: string }} given
   * @param {Control} [control]
   */
  async initiate({ route, dialect, username }, control = {}) {
    const { names } = findDialect(dialect);
    const message = new SessionRequest(username).serialize(names);
    return SessionGrant.parse(await this.#send(route, message, control), names).token;
  }

  /**
   * A new key of our own, and the form of it that can be kept.
   * @param {{ dialect: Dialect }} given
   * @param {Control} [control]
   * @returns {Promise<{ pair: number, stored: StoredKey }>}
   */
  async generate({ dialect }, control = {}) {
    const exchange = this.#exchangeIn(dialect);
    const { rsaPadding: padding } = exchange.suite.dialect;
    const pair = await this.#primitives.generateKeyPair({ padding, ...control });
    return { pair: this.#pairs.add({ exchange, pair }), stored: pair.privateKey.stored };
  }

  /**
   * Opens the session under the code (PROTOCOL §4.2).
   * @param {{ route: Route, pair: number, token: string, code: string, nowMs: number,
   *   password?: string }} given
   * @param {Control} [control]
   * @returns {Promise<{ session: number, serverKey: string }>}
   */
  async authenticate({ route, pair: number, token, code, nowMs, password }, control = {}) {
    const { exchange, pair } = this.#pairs.get(number);
    const { names } = exchange.suite.dialect;
    const { message, pending } = await exchange.sealLogin(token, code, pair, nowMs, password);
    const answer = await this.#send(route, message.serialize(names), control);
    const keys = await pending.open(SealedMessage.parse(answer, names));
    const session = this.#sessions.add({ exchange, token, keys });
    return { session, serverKey: keys.serverKey.toPem() };
  }

  /**
   * A session that was kept.
   * @param {{ dialect: Dialect, token: string, stored: StoredKey, serverKey: string }} kept
   * @returns {Promise<number>}
   */
  async adopt({ dialect, token, stored, serverKey }) {
    const privateKey = await this.#primitives.importPrivateKey(stored);
    const keys = { privateKey, serverKey: admit(serverKey) };
    return this.#sessions.add({ exchange: this.#exchangeIn(dialect), token, keys });
  }

  /**
   * One request and the answer to it (PROTOCOL §6.2).
   * @param {{ route: Route, session: number, request: PlainRequest, nowMs: number }} given
   * @param {Control} [control]
   * @returns {Promise<PlainResponse>}
   */
  async exchange({ route, session, request, nowMs }, control = {}) {
    const { exchange, token, keys } = this.#sessions.get(session);
    const { names } = exchange.suite.dialect;
    const { method, target, headers, body } = request;
    const whole = new HttpRequest(method, target, headers, body);
    const { message, pending } = await exchange.sealRequest(token, keys, whole, nowMs);
    const answer = await this.#send(route, message.serialize(names), control);
    return { ...(await pending.open(SealedMessage.parse(answer, names))) };
  }

  /**
   * A message with no members but timestamp and nonce (PROTOCOL §6.3).
   * @param {{ route: Route, session: number, nowMs: number }} given
   * @param {Control} [control]
   */
  async logout({ route, session, nowMs }, control = {}) {
    const { exchange, token, keys } = this.#sessions.get(session);
    const { names } = exchange.suite.dialect;
    const { message, pending } = await exchange.sealFields(token, keys, {}, nowMs);
    const answer = await this.#send(route, message.serialize(names), control);
    await pending.openPlaintext(SealedMessage.parse(answer, names));
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
 * The way to an engine, wherever it runs.
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
 * @returns {EngineLink}
 */
export function localEngine(primitives) {
  const engine = /** @type {any} */ (new Engine(primitives));
  return {
    call: async (name, given, control) => {
      control?.signal?.throwIfAborted();
      return engine[name](given, control);
    },
    close: () => {},
  };
}
