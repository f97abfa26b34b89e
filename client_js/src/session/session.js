/**
 * A session that feels like fetch.
 *
 * State and renewal stay in one module, and make it long: each step of one decides what the other may
 * do. What is kept, and tickets, are in `persistence.js`.
 */
import { orCancelled, throwIfCancelled } from '../common/abort.js';
import { Enrolment } from './enrolment.js';
import { Cancelled, NoAnswer, NotLoggedIn, OutcomeUnknown, Refused, isRetryable } from '../common/errors.js';
import { WINDOW_MS } from '../protocol/classic/freshness.js';
import { HardenedEnrolment } from './hardenedEnrolment.js';
import { SessionPersistence, hasTicket } from './persistence.js';
import { plainRequest, responseOf } from './plainHttp.js';

/** @typedef {import('../engine/engine.js').PlainRequest} PlainRequest */
/** @typedef {import('../engine/engine.js').PlainResponse} PlainResponse */
/** @typedef {import('./enrolment.js').Enrolled} Enrolled */
/** @typedef {import('./enrolment.js').Progress} Progress */
/** @typedef {import('./gatewayClient.js').GatewayClient} GatewayClient */

/**
 * `ready`: messages go out, if need be in a new session for the ticket. `renewing`: the session was lost, a new code is asked for. `expired`:
 * it was lost, and will be renewed on the next request where it can be. `closed`: logged out, or
 * lost for good.
 * @typedef {'ready' | 'renewing' | 'expired' | 'closed'} SessionState
 */

/** Why a code is asked for. @typedef {{ username: string, reason: 'login' | 'expired', signal: AbortSignal }} CodeRequest */
/** @typedef {(request: CodeRequest) => string | Promise<string>} AskCode */

/**
 * @typedef {{
 *   code?: AskCode,
 *   password?: string,
 *   onLoginNeeded?: () => boolean | void | Promise<boolean | void>,
 *   onProgress?: (progress: Progress) => void,
 * }} SessionOptions
 * `onLoginNeeded` is asked before a new code is mailed; `false` lets the session end instead.
 */

/**
 * `isProven`: the gateway has taken a message under it.
 * @typedef {Enrolled & { since: number, isProven: boolean, isFromOtherTab: boolean }} Current
 */

// What may be done twice (RFC 9110 §9.2.2).
export const IDEMPOTENT = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'];

// One that another tab has opened, and one opened for this request.
const MAX_SUCCESSORS = 2;

const MAX_TIMER_MS = 2 ** 31 - 1;

const REJECTED_AT_ONCE =
  'The service refused a session that was just opened. Check the clock of this device; if it is ' +
  'right, tell whoever runs the service.';

/** The event `state`: what the session has become. */
export class StateEvent extends Event {
  /** @param {SessionState} state */
  constructor(state) {
    super('state');
    this.state = state;
  }
}

/**
 * @template {string} Type
 * @typedef {Type extends 'state' ? StateEvent : Event} EventOf
 */

export class Session extends EventTarget {
  #client;
  #options;
  /** @type {Current} */
  #current;
  /** @type {SessionState} */
  #state = 'ready';
  /** @type {Promise<Current> | undefined} */
  #renewal;
  #persistence;
  /** @type {Promise<void> | undefined} */
  #catchingUp;
  #closing = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * Made by `login`, `requestLogin` and `resume`.
   * @param {GatewayClient} client
   * @param {Enrolled} enrolled
   * @param {SessionOptions} options
   * @param {{ isProven: boolean, isKept: boolean }} [was] of a session that was not opened just now
   */
  constructor(client, enrolled, options, { isProven, isKept } = { isProven: false, isKept: false }) {
    super();
    this.#client = client;
    this.#options = options;
    this.#current = { ...enrolled, since: client.clock(), isProven, isFromOtherTab: false };
    this.#persistence = new SessionPersistence(client, isKept);
    this.#watchExpiry();
  }

  /**
   * As ever; here for the types of its events.
   * @override
   * @template {string} Type
   * @param {Type} type
   * @param {((event: EventOf<Type>) => void) | EventListenerObject | null} listener
   * @param {AddEventListenerOptions | boolean} [options]
   */
  addEventListener(type, listener, options) {
    super.addEventListener(type, /** @type {EventListener} */ (listener), options);
  }

  /** The gateway's origin. */
  get url() {
    return this.#client.origin;
  }

  get username() {
    return this.#current.kept.username;
  }

  /** What seals the messages, e.g. `ecdh-gcm` or `classic/article-2016`. */
  get suite() {
    return this.#client.suiteName;
  }

  get state() {
    return this.#state;
  }

  /** When the session ends, as far as is known here; milliseconds since 1970. */
  get expiresMs() {
    return this.#current.kept.expiresMs;
  }

  /** Where the session is kept for the next load of the page: a store's name, or `memory`. */
  get keptIn() {
    return this.#persistence.isKept ? this.#client.store.name : 'memory';
  }

  /**
   * As `fetch`, to the gateway's own paths; everything is sealed. A response of any status, and
   * redirects as they are. Where the session was lost, a new login is asked for, once; what may be
   * done twice is then sent again, anything else is OutcomeUnknown (PROTOCOL §9).
   * @param {RequestInfo | URL} input
   * @param {RequestInit} [init]
   * @returns {Promise<Response>}
   */
  async fetch(input, init) {
    const signal = init?.signal ?? (input instanceof Request ? input.signal : null);
    throwIfCancelled(signal);
    const request = await plainRequest(this.url, input, init);
    const current = await this.#usable(signal);
    const answer = await this.#exchange(current, request, signal);
    if (answer) return responseOf(request, answer);
    if (IDEMPOTENT.includes(request.method)) {
      return responseOf(request, await this.#sendAgain(current, request, signal));
    }
    // Whether the session lives is worth knowing all the same: the user will look, and then repeat.
    const target = this.#client.prefix + this.#client.dialect.paths.session;
    const probe = { method: 'GET', target, headers: [], body: new Uint8Array() };
    await this.#sendAgain(current, probe, signal).catch((error) => {
      throw error instanceof NotLoggedIn || isRetryable(error) ? new OutcomeUnknown({ cause: error }) : error;
    });
    throw new OutcomeUnknown();
  }

  /** Logs out: the session ends on the gateway and is forgotten here, whether or not it answers. */
  async close() {
    // A ticket outlives the session.
    if (this.#state === 'closed') return this.#persistence.forget(this.#current.kept);
    const { session } = this.#current;
    const client = this.#client;
    const wasReady = this.#state === 'ready';
    this.#closing.abort();
    try {
      if (wasReady) {
        await client.ask('logout', { ...client.logoutRoute, session, nowMs: client.clock() });
      }
    } catch (error) {
      // A session that the gateway no longer knows has ended as it should.
      if (!(error instanceof Refused && error.code === 'rejected')) throw error;
    } finally {
      await this.#persistence.forget(this.#current.kept);
      this.#end();
    }
  }

  /** Nothing is kept for the next load any more, be it this session or what another tab has made of it. */
  async forget() {
    await this.#persistence.forgetAll();
  }

  /** For `login`: a new session is kept before anybody uses it. */
  async keep() {
    await this.#persistence.keep(this.#current.kept);
    return this;
  }

  /** This page goes on without it, and nobody is logged out: it may be another tab's as well. */
  leave() {
    this.#closing.abort();
    this.#end();
  }

  /** @param {SessionState} state */
  #become(state) {
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    this.dispatchEvent(new StateEvent(state));
    if (state === 'expired') this.dispatchEvent(new Event('expired'));
  }

  #end() {
    clearTimeout(this.#timer);
    this.#become('closed');
    this.#client.close();
  }

  #watchExpiry() {
    clearTimeout(this.#timer);
    const restMs = this.expiresMs - this.#client.clock();
    this.#timer = setTimeout(() => {
      if (this.#client.clock() < this.expiresMs) this.#watchExpiry();
      else if (this.#state === 'ready' && !this.#hasTicket) this.#become('expired');
    }, Math.min(Math.max(restMs, 0), MAX_TIMER_MS));
    // In Node a session that nobody uses must not keep the program running.
    /** @type {{ unref?: () => void }} */ (this.#timer).unref?.();
  }

  /** Whether a new session takes no person. */
  get #hasTicket() {
    return hasTicket(this.#current.kept, this.#client.clock());
  }

  /**
   * The session to send under.
   * @param {AbortSignal | null} signal
   */
  async #usable(signal) {
    if (this.#state === 'closed') throw new NotLoggedIn();
    if (this.#renewal) return orCancelled(signal, this.#renewal);
    if (this.#state === 'expired' || this.#client.clock() >= this.expiresMs) {
      return this.#successor(this.#current, signal);
    }
    this.#catchingUp ??= this.#catchUp().finally(() => (this.#catchingUp = undefined));
    await this.#catchingUp;
    return this.#current;
  }

  /** Where the epoch should end by now: another tab may have begun the next one, and one more. */
  async #catchUp() {
    const current = this.#current;
    const { kept } = current;
    const state = await this.#persistence.laterEpoch(kept);
    if (!state || kept.version !== 2 || this.#current !== current) return;
    current.kept = { ...kept, session: state };
    await this.#client.ask('follow', { session: current.session, state });
  }

  /**
   * Sends what was rejected once more: under the same session, where the message alone may have
   * been at fault, and then under what follows on it.
   * @param {Current} rejected
   * @param {PlainRequest} request one that may be done twice
   * @param {AbortSignal | null} signal
   * @returns {Promise<PlainResponse>}
   */
  async #sendAgain(rejected, request, signal) {
    let current = rejected;
    let answer = current.isProven ? await this.#exchange(current, request, signal) : null;
    for (let left = MAX_SUCCESSORS; !answer; left -= 1) {
      current = await this.#successor(current, signal);
      answer = await this.#exchange(current, request, signal);
      if (!answer && (left === 1 || !current.isFromOtherTab)) {
        if (!current.isProven) this.#end();
        throw new Refused(403, 'rejected', '', REJECTED_AT_ONCE);
      }
    }
    return answer;
  }

  /**
   * The answer, or null where the message was rejected.
   * @param {Current} current
   * @param {PlainRequest} request
   * @param {AbortSignal | null} signal
   * @returns {Promise<PlainResponse | null>}
   */
  async #exchange(current, request, signal) {
    const client = this.#client;
    const { session, kept } = current;
    const given = { route: client.messageRoute, session, request, nowMs: client.clock() };
    try {
      const response = await client.ask('exchange', given, signal ? { signal } : {});
      current.isProven = true;
      if (response.session && kept.version === 2) current.kept = await this.#persistence.goOn(kept, response.session);
      return response;
    } catch (error) {
      if (error instanceof Refused && error.code === 'rejected') return null;
      const mayBeTwice = IDEMPOTENT.includes(request.method);
      if (error instanceof NoAnswer && !mayBeTwice) throw new OutcomeUnknown({ cause: error });
      // What ended with the session was not cancelled by whoever waits for it, and may have gone out.
      const isEnded = this.#state === 'closed' && !signal?.aborted && error instanceof Cancelled;
      if (!isEnded) throw error;
      const ended = new NotLoggedIn(undefined, { cause: error });
      throw mayBeTwice ? ended : new OutcomeUnknown({ cause: ended });
    }
  }

  /**
   * What follows on a session that was lost; one for all requests that find it so.
   * @param {Current} lost
   * @param {AbortSignal | null} signal
   * @returns {Promise<Current>}
   */
  async #successor(lost, signal) {
    if (this.#state === 'closed') throw new NotLoggedIn();
    if (this.#current !== lost) return this.#usable(signal);
    if (!this.#renewal) {
      this.#renewal = this.#renew(lost).finally(() => (this.#renewal = undefined));
      this.#renewal.catch(() => {});
    }
    // A request that is cancelled leaves the renewal to the others.
    return orCancelled(signal, this.#renewal);
  }

  /** @param {Current} lost */
  async #renew(lost) {
    const client = this.#client;
    const nowMs = client.clock();
    const isFresh = !lost.isProven && nowMs - lost.since < WINDOW_MS && nowMs < lost.kept.expiresMs;
    try {
      const found = await this.#withoutACode(lost, isFresh);
      if (found) return await this.#take(found);
      // Forget it first: a tab that hears of the loss looks at what is kept.
      await this.#persistence.lose(lost.kept);
      this.#become('expired');
      if (isFresh) throw new Refused(403, 'rejected', '', REJECTED_AT_ONCE);
      const { code, password, onLoginNeeded, onProgress } = this.#options;
      if (!code || (await onLoginNeeded?.()) === false) throw new NotLoggedIn();
      this.#become('renewing');
      const { signal } = this.#closing;
      const { username } = lost.kept;
      const enrolled = await enrol(client, { username, onProgress, signal }, 'expired', code, password);
      await this.#persistence.keep(enrolled.kept);
      return await this.#take(this.#asCurrent(enrolled, false));
    } catch (error) {
      // While the gateway does not answer, or has too much to do, its ticket is as good as before.
      if (isRetryable(error) && this.#hasTicket && this.#state === 'ready') throw error;
      this.#end();
      throw error;
    }
  }

  /**
   * What goes on where a session was lost and needs nobody: one of another tab, or one for the ticket.
   * @param {Current} lost
   * @param {boolean} isFresh
   */
  async #withoutACode(lost, isFresh) {
    const other = await this.#persistence.fromOtherTab(lost.kept);
    if (other) return this.#asCurrent(other, true);
    // A second new session would not be taken either.
    const redeemed = isFresh ? null : await this.#persistence.fromTicket(lost.kept, this.#closing.signal);
    return redeemed && this.#asCurrent(redeemed, redeemed.isFromOtherTab);
  }

  /**
   * @param {Enrolled} enrolled
   * @param {boolean} isFromOtherTab
   * @returns {Current}
   */
  #asCurrent({ session, kept }, isFromOtherTab) {
    return { session, kept, since: this.#client.clock(), isProven: isFromOtherTab, isFromOtherTab };
  }

  /** @param {Current} current */
  async #take(current) {
    if (this.#closing.signal.aborted) {
      // Somebody has logged out meanwhile: that is meant of what follows, too.
      if (!current.isFromOtherTab) await this.#persistence.end(current);
      throw new NotLoggedIn();
    }
    const { session } = this.#current;
    this.#current = current;
    void this.#client.ask('forgetSession', { session }).catch(() => {});
    this.#watchExpiry();
    this.#become('ready');
    if (!current.isFromOtherTab) this.dispatchEvent(new Event('renewed'));
    return current;
  }
}

/**
 * Asks for a code, for the suite of `client` and no other.
 * @param {GatewayClient} client
 * @param {import('./enrolment.js').EnrolmentOptions} options
 */
export function beginEnrolment(client, options) {
  return client.isClassic ? Enrolment.begin(client, options) : HardenedEnrolment.begin(client, options);
}

/**
 * A login from start to end.
 * @param {GatewayClient} client
 * @param {import('./enrolment.js').EnrolmentOptions} options
 * @param {CodeRequest['reason']} reason
 * @param {AskCode} code
 * @param {string} [password]
 */
export async function enrol(client, options, reason, code, password) {
  const enrolment = await beginEnrolment(client, options);
  const { signal } = enrolment;
  try {
    const { username } = options;
    const asked = Promise.resolve(code({ username, reason, signal }));
    return await enrolment.submit(await orCancelled(signal, asked), password);
  } catch (error) {
    enrolment.cancel();
    throw error;
  }
}
