/** A gateway from the client's view: its address, the settings for it, and the engine. */
import { createEngine, defaultKeys, defaultUrl } from '#platform';
import { DEFAULT_DIALECT, findDialect } from '../protocol/classic/dialects.js';
import { AnswerNotTrusted, Cancelled, ProtocolError } from '../common/errors.js';
import { checkKeyPair } from '../engine/externalKey.js';
import { HARDENED_PATHS } from '../engine/hardenedLogin.js';
import { isDeviceName } from '../protocol/hardened/handshakeMessages.js';
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
 *   device?: string | null,
 *   rsaKey?: CryptoKeyPair,
 *   dialect?: string | Dialect,
 *   keys?: 'persistent' | 'memory',
 *   store?: Store,
 *   lifetimeMs?: number,
 *   maxAnswerBytes?: number,
 *   timeoutMs?: number,
 *   clock?: () => number,
 * }} GatewayOptions
 * `url` defaults to the page's own. `suite` is `ecdh-gcm`, `rsa-gcm` or `classic`; a `dialect` selects
 * classic. `device` is the name of the device that an operator has issued the code for. `rsaKey` is for `rsa-gcm`: a CryptoKeyPair (RSA-OAEP, SHA-256, 2048 to 4096 bits) with a
 * non-extractable private key, which each session uses instead of a new key. `lifetimeMs` is the lifetime of
 * a classic session at the gateway, if it is not the default of an hour. `timeoutMs` is the limit for one
 * message, up to the last byte of its answer.
 */

/** @param {GatewayOptions} options @returns {string} */
function suiteOf({ suite, dialect }) {
  const name = suite ?? (dialect === undefined ? ECDH_GCM.name : CLASSIC);
  if (name !== CLASSIC && !HARDENED_SUITES.has(name)) {
    throw new TypeError(`unknown suite ${name}; known suites: ${[...HARDENED_SUITES.keys(), CLASSIC].join(', ')}`);
  }
  if (name !== CLASSIC && dialect !== undefined) throw new TypeError(`${name} has no dialects: only classic has`);
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
    if (!url) throw new TypeError('url is missing: the address of the gateway, e.g. http://192.0.2.7:8440');
    const { origin, protocol } = new URL(url);
    if (!/^https?:$/.test(protocol)) throw new TypeError('url must begin with http:// or https://');
    this.origin = origin;
    this.prefix = options.prefix ?? DEFAULT_PREFIX;
    this.suite = suiteOf(options);
    if (options.rsaKey && this.suite !== RSA_GCM.name) {
      throw new TypeError(`rsaKey is for ${RSA_GCM.name}, not for ${this.suite}: set suite: '${RSA_GCM.name}'`);
    }
    this.rsaKey = options.rsaKey ? checkKeyPair(options.rsaKey) : null;
    this.realm = options.realm ?? DEFAULT_REALM;
    this.fresh = options.fresh ?? 'clock';
    if (this.fresh !== 'clock' && this.fresh !== 'counter') throw new TypeError('fresh must be clock or counter');
    this.device = options.device ?? null;
    if (this.device !== null && (this.isClassic || !isDeviceName(this.device))) throw new TypeError(`not a device: ${this.device}`);
    /** For the classic suite only. */
    this.dialect = findDialect(options.dialect ?? DEFAULT_DIALECT);
    // Two tabs would use the same numbers.
    const keys = this.fresh === 'counter' ? 'memory' : (options.keys ?? defaultKeys);
    this.store = options.store ?? (keys === 'persistent' ? persistentStore() : memoryStore());
    this.lifetimeMs = options.lifetimeMs ?? SESSION_LIFETIME_MS;
    this.clock = options.clock ?? Date.now;
    this.timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    if (!Number.isFinite(this.timeoutMs) || this.timeoutMs <= 0 || this.timeoutMs > MAX_TIMEOUT_MS) {
      throw new TypeError(`timeoutMs must be a number of milliseconds, at most ${MAX_TIMEOUT_MS}`);
    }
    this.#maxAnswerBytes = options.maxAnswerBytes ?? MAX_ANSWER_BYTES;
  }

  /** The URL below which the gateway's routes are; the key of the gateway in a store. */
  get name() {
    return this.origin + this.prefix;
  }

  get isClassic() {
    return this.suite === CLASSIC;
  }

  /** The suite's name for people, e.g. `classic/article-2016`. */
  get suiteName() {
    return this.isClassic ? `${CLASSIC}/${this.dialect.name}` : this.suite;
  }

  /**
   * Calls the engine. Every protocol error of the peer becomes AnswerNotTrusted.
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

  /** For the messages of a hardened login. */
  get base() {
    return { url: this.name, timeoutMs: this.timeoutMs };
  }

  /** A route of the classic suite. @param {keyof Paths} name */
  route(name) {
    return this.#routeTo(this.dialect.paths[name], name === 'message' ? this.#maxAnswerBytes : SMALL_ANSWER_BYTES);
  }

  /** @param {string} path @param {number} maxAnswerBytes */
  #routeTo(path, maxAnswerBytes) {
    const streamUrl = this.name + HARDENED_PATHS.stream;
    const socketUrl = this.name + HARDENED_PATHS.socket;
    return { url: this.name + path, streamUrl, socketUrl, maxAnswerBytes, timeoutMs: this.timeoutMs };
  }

  /** The route for sealed messages. */
  get messageRoute() {
    if (this.isClassic) return this.route('message');
    return this.#routeTo(HARDENED_PATHS.message, this.#maxAnswerBytes);
  }

  /** The route that ends a session, and the target inside the seal for hardened suites. */
  get logoutRoute() {
    const target = this.prefix + HARDENED_PATHS.logout;
    return { route: this.isClassic ? this.route('logout') : this.messageRoute, target };
  }

  /** Ends the engine and all its calls. */
  close() {
    this.#isClosed = true;
    void this.#engine?.then((link) => link.close());
  }
}
