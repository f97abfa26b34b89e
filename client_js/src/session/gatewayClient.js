/** One gateway as it is seen from here: where it is, how it is spoken to, what is kept of it. */
import { createEngine, defaultKeys, defaultUrl } from '#platform';
import { DEFAULT_DIALECT, findDialect } from '../protocol/classic/dialects.js';
import { AnswerNotTrusted, Cancelled, ProtocolError } from '../common/errors.js';
import { checkKeyPair } from '../engine/externalKey.js';
import { HARDENED_PATHS } from '../engine/hardenedLogin.js';
import { DEFAULT_REALM, ECDH_GCM, HARDENED_SUITES, RSA_GCM } from '../protocol/hardened/suites.js';
import { persistentStore } from './persistentStore.js';
import { memoryStore } from './stores.js';
import { SMALL_ANSWER_BYTES } from '../engine/transport.js';

/** @typedef {import('../protocol/classic/dialects.js').Dialect} Dialect */
/** @typedef {import('../protocol/classic/dialects.js').Paths} Paths */
/** @typedef {import('../engine/engine.js').Control} Control */
/** @typedef {import('../engine/engine.js').EngineLink} EngineLink */
/** @typedef {import('../engine/engine.js').Methods} Methods */
/** @typedef {import('../protocol/hardened/suites.js').Freshness} Freshness */
/** @typedef {import('./stores.js').Store} Store */

/**
 * @typedef {{
 *   url?: string | URL,
 *   prefix?: string,
 *   suite?: string,
 *   realm?: string,
 *   fresh?: Freshness,
 *   rsaKey?: CryptoKeyPair,
 *   dialect?: string | Dialect,
 *   keys?: 'persistent' | 'memory',
 *   store?: Store,
 *   lifetimeMs?: number,
 *   maxAnswerBytes?: number,
 *   timeoutMs?: number,
 *   clock?: () => number,
 * }} GatewayOptions
 * `url` is that of the page where it is left out. `suite` is `ecdh-gcm`, `rsa-gcm` or `classic`;
 * to name a dialect is to say classic. `rsaKey` is for `rsa-gcm`: a pair of WebCrypto (RSA-OAEP, SHA-256,
 * 2048 to 4096 bits) whose private key is not extractable, used in each session in place of a new one. `lifetimeMs` is how long the gateway keeps a classic session,
 * where that is not its default of an hour. `timeoutMs` is how long one message may take, to the last
 * byte of its answer.
 */

/** @param {GatewayOptions} options @returns {string} */
function suiteOf({ suite, dialect }) {
  const name = suite ?? (dialect === undefined ? ECDH_GCM.name : CLASSIC);
  if (name !== CLASSIC && !HARDENED_SUITES.has(name)) {
    throw new TypeError(`no suite ${name}; there are: ${[...HARDENED_SUITES.keys(), CLASSIC].join(', ')}`);
  }
  if (name !== CLASSIC && dialect !== undefined) throw new TypeError(`${name} has no dialects: they are for classic`);
  return name;
}

export const CLASSIC = 'classic';

const DEFAULT_PREFIX = '/.gateway';
const SESSION_LIFETIME_MS = 3_600_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const TIMEOUT_MS = 60_000;
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

export class GatewayClient {
  /** @type {Promise<EngineLink> | undefined} */
  #engine;
  #maxAnswerBytes;
  #isClosed = false;

  /** @param {GatewayOptions} options */
  constructor(options) {
    const url = options.url ?? defaultUrl();
    if (!url) throw new TypeError('say where the gateway is: url, e.g. http://192.0.2.7:8440');
    const { origin, protocol } = new URL(url);
    if (!/^https?:$/.test(protocol)) throw new TypeError('url must begin with http:// or https://');
    this.origin = origin;
    this.prefix = options.prefix ?? DEFAULT_PREFIX;
    this.suite = suiteOf(options);
    if (options.rsaKey && this.suite !== RSA_GCM.name) {
      throw new TypeError(`rsaKey is for ${RSA_GCM.name}, not for ${this.suite}: give suite: '${RSA_GCM.name}'`);
    }
    this.rsaKey = options.rsaKey ? checkKeyPair(options.rsaKey) : null;
    this.realm = options.realm ?? DEFAULT_REALM;
    this.fresh = options.fresh ?? 'clock';
    if (this.fresh !== 'clock' && this.fresh !== 'counter') throw new TypeError('fresh is clock or counter');
    /** Of the classic suite. */
    this.dialect = findDialect(options.dialect ?? DEFAULT_DIALECT);
    // Two tabs would count alike.
    const keys = this.fresh === 'counter' ? 'memory' : (options.keys ?? defaultKeys);
    this.store = options.store ?? (keys === 'persistent' ? persistentStore() : memoryStore());
    this.lifetimeMs = options.lifetimeMs ?? SESSION_LIFETIME_MS;
    this.clock = options.clock ?? Date.now;
    this.timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    if (!Number.isFinite(this.timeoutMs) || this.timeoutMs <= 0 || this.timeoutMs > MAX_TIMEOUT_MS) {
      throw new TypeError(`timeoutMs is a number of milliseconds, up to ${MAX_TIMEOUT_MS}`);
    }
    this.#maxAnswerBytes = options.maxAnswerBytes ?? MAX_ANSWER_BYTES;
  }

  /** Where the gateway's routes begin; a store knows the gateway by it. */
  get name() {
    return this.origin + this.prefix;
  }

  get isClassic() {
    return this.suite === CLASSIC;
  }

  /** The suite as a person may be told it, e.g. `classic/article-2016`. */
  get suiteName() {
    return this.isClassic ? `${CLASSIC}/${this.dialect.name}` : this.suite;
  }

  /**
   * Asks the engine. What a peer did wrong is an answer not to be trusted, whatever it was.
   * @template {keyof Methods} Name
   * @param {Name} name
   * @param {Parameters<Methods[Name]>[0]} given
   * @param {Control} [control]
   * @returns {Promise<Awaited<ReturnType<Methods[Name]>>>}
   */
  async ask(name, given, control = {}) {
    if (this.#isClosed) throw new Cancelled();
    this.#engine ??= createEngine();
    try {
      return await (await this.#engine).call(name, given, control);
    } catch (error) {
      if (control.signal?.aborted) throw new Cancelled(control.signal.reason);
      if (this.#isClosed) throw new Cancelled(error);
      throw error instanceof ProtocolError ? new AnswerNotTrusted(error) : error;
    }
  }

  /** Where the steps of a hardened login go. */
  get base() {
    return { url: this.name, timeoutMs: this.timeoutMs };
  }

  /** A route of the classic suite. @param {keyof Paths} name */
  route(name) {
    return this.#routeTo(this.dialect.paths[name], name === 'message' ? this.#maxAnswerBytes : SMALL_ANSWER_BYTES);
  }

  /** @param {string} path @param {number} maxAnswerBytes */
  #routeTo(path, maxAnswerBytes) {
    return { url: this.name + path, maxAnswerBytes, timeoutMs: this.timeoutMs };
  }

  /** Where sealed messages go. */
  get messageRoute() {
    if (this.isClassic) return this.route('message');
    return this.#routeTo(HARDENED_PATHS.message, this.#maxAnswerBytes);
  }

  /** Where a session is ended, and by which target inside where that is said inside. */
  get logoutRoute() {
    const target = this.prefix + HARDENED_PATHS.logout;
    return { route: this.isClassic ? this.route('logout') : this.messageRoute, target };
  }

  /** Ends the engine, and whatever it works on. */
  close() {
    this.#isClosed = true;
    void this.#engine?.then((link) => link.close());
  }
}
