/** One gateway as it is seen from here: where it is, how it is spoken to, what is kept of it. */
import { createEngine, defaultKeys, defaultUrl, persistentStore } from '#platform';
import { DEFAULT_DIALECT, findDialect } from './dialects.js';
import { AnswerNotTrusted, Cancelled, ProtocolError } from './errors.js';
import { memoryStore } from './stores.js';

/** @typedef {import('./dialects.js').Dialect} Dialect */
/** @typedef {import('./dialects.js').Paths} Paths */
/** @typedef {import('./engine.js').Control} Control */
/** @typedef {import('./engine.js').EngineLink} EngineLink */
/** @typedef {import('./engine.js').Methods} Methods */
/** @typedef {import('./stores.js').Store} Store */

/**
 * @typedef {{
 *   url?: string | URL,
 *   prefix?: string,
 *   dialect?: string | Dialect,
 *   keys?: 'persistent' | 'memory',
 *   store?: Store,
 *   lifetimeMs?: number,
 *   maxAnswerBytes?: number,
 *   clock?: () => number,
 * }} GatewayOptions
 * `url` is that of the page where it is left out. `lifetimeMs` is how long the gateway keeps a
 * session, where that is not its default of an hour.
 */

const DEFAULT_PREFIX = '/.gateway';
const SESSION_LIFETIME_MS = 3_600_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

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
    this.dialect = findDialect(options.dialect ?? DEFAULT_DIALECT);
    const keys = options.keys ?? defaultKeys;
    this.store = options.store ?? (keys === 'persistent' ? persistentStore() : memoryStore());
    this.lifetimeMs = options.lifetimeMs ?? SESSION_LIFETIME_MS;
    this.clock = options.clock ?? Date.now;
    this.#maxAnswerBytes = options.maxAnswerBytes ?? MAX_ANSWER_BYTES;
  }

  /** What a store knows this gateway by. */
  get name() {
    return this.origin + this.prefix;
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

  /** @param {keyof Paths} name */
  route(name) {
    const url = this.origin + this.prefix + this.dialect.paths[name];
    return { url, maxAnswerBytes: this.#maxAnswerBytes };
  }

  /** Ends the engine, and whatever it works on. */
  close() {
    this.#isClosed = true;
    void this.#engine?.then((link) => link.close());
  }
}
