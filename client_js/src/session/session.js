/**
 * A session with a `fetch` method.
 *
 * State and renewal depend on each other at each step, so they are in one long module. Storage and tickets
 * are in `persistence.js`.
 */
import { orCancelled, throwIfCancelled } from '../common/abort.js';
import { ClassicEnrolment } from './classicEnrolment.js';
import { Cancelled, CertlessError, NoAnswer, NotLoggedIn, OutcomeUnknown, Refused, SocketRefused, StreamBroken, isRetryable } from '../common/errors.js';
import { WINDOW_MS } from '../protocol/classic/freshness.js';
import { exportedValue } from '../protocol/hardened/keySchedule.js';
import { findSuite } from '../protocol/hardened/suites.js';
import { HardenedEnrolment } from './hardenedEnrolment.js';
import { SessionPersistence, hasTicket } from './persistence.js';
import { CookieJar } from './cookieJar.js';
import { SealedEventSource } from './eventSource.js';
import { headersOf, plainRequest, responseOf } from './plainHttp.js';
import { bodyStream } from './bodyStream.js';
import { socketLink } from './socketLink.js';
import { webSocketClass } from './webSocket.js';

/** @typedef {import('./plainHttp.js').SessionRequest} SessionRequest */
/** @typedef {import('../engine/engine.js').PlainResponse} PlainResponse */
/** @typedef {import('./enrolment.js').Enrolled} Enrolled */
/** @typedef {import('./enrolment.js').Progress} Progress */
/** @typedef {import('./gatewayClient.js').GatewayClient} GatewayClient */

/**
 * `ready`: messages can be sent, if necessary in a new session for the ticket. `renewing`: the session was
 * lost, and the client asks for a new code. `expired`: it was lost; the next request renews it if
 * possible. `closed`: logged out, or lost for good.
 * @typedef {'ready' | 'renewing' | 'expired' | 'closed'} SessionState
 */

/** Why a code is needed. @typedef {{ username: string, reason: 'login' | 'expired', signal: AbortSignal }} CodeRequest */
/** @typedef {(request: CodeRequest) => string | Promise<string>} AskCode */

/**
 * @typedef {{
 *   code?: AskCode,
 *   password?: string,
 *   onLoginNeeded?: () => boolean | void | Promise<boolean | void>,
 *   onProgress?: (progress: Progress) => void,
 * }} SessionOptions
 * `onLoginNeeded` is called before a new code is mailed; `false` ends the session instead.
 */

/**
 * `isProven`: the gateway has accepted a message in this session.
 * @typedef {Enrolled & { since: number, isProven: boolean, isFromOtherTab: boolean }} Current
 */

// Requests that can be repeated (RFC 9110 §9.2.2).
export const IDEMPOTENT = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'];

// One session of another tab, and one that is opened for this request.
const MAX_REPLACEMENTS = 2;

const MAX_TIMER_MS = 2 ** 31 - 1;

const REJECTED_AT_ONCE =
  'The service refused a session that was just opened. Check the clock of this device. If it is ' +
  'correct, tell the operator of the service.';

const NO_EXPORTER =
  'This session exports no values: it is classic, or an older client opened it. Log in again with ecdh-gcm or rsa-gcm.';

const NO_SOCKETS = 'The classic suite has no WebSockets: use ecdh-gcm or rsa-gcm.';

/** The event `state`: the session's state has changed. */
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
  #jar;
  /** @type {Promise<void> | undefined} */
  #catchingUp;
  #closing = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * `login`, `requestLogin` and `resume` call this.
   * @param {GatewayClient} client
   * @param {Enrolled} enrolled
   * @param {SessionOptions} options
   * @param {{ isProven: boolean, isKept: boolean }} [was] for a session that already existed
   */
  constructor(client, enrolled, options, { isProven, isKept } = { isProven: false, isKept: false }) {
    super();
    this.#client = client;
    this.#options = options;
    this.#current = { ...enrolled, since: client.clock(), isProven, isFromOtherTab: false };
    this.#persistence = new SessionPersistence(client, isKept);
    this.#jar = new CookieJar(client, this.#persistence, enrolled.kept);
    /** WebSockets through this session: `new session.WebSocket('/chat')`, with the interface of WebSocket. */
    this.WebSocket = webSocketClass(() => `${this.url}/`, (...asked) => this.openSocket(...asked));
    this.#watchExpiry();
  }

  /**
   * Overridden for the event types only.
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

  /** The suite, e.g. `ecdh-gcm` or `classic/article-2016`. */
  get suite() {
    return this.#client.suiteName;
  }

  get state() {
    return this.#state;
  }

  /** When the session ends, by the client's knowledge; milliseconds since 1970. */
  get expiresMs() {
    return this.#current.kept.expiresMs;
  }

  /** Where the session is stored for the next load of the page: a store's name, or `memory`. */
  get keptIn() {
    return this.#persistence.isKept ? this.#client.store.name : 'memory';
  }

  /**
   * Like `fetch`, for paths of the gateway; request and response are sealed. Redirects are not followed. If
   * the session was lost, the client asks for one new login. Then it repeats requests that can be
   * repeated, and throws OutcomeUnknown for others (PROTOCOL §1.12).
   * @param {RequestInfo | URL} input
   * @param {RequestInit} [init]
   * @returns {Promise<Response>}
   */
  async fetch(input, init) {
    const signal = init?.signal ?? (input instanceof Request ? input.signal : null);
    throwIfCancelled(signal);
    const request = await plainRequest(this.url, input, init ?? {}, !this.#client.isClassic);
    const current = await this.#activeSession(signal);
    const answer = await this.#exchange(current, request, signal);
    if (answer) return this.#responseOf(request, answer, signal);
    if (IDEMPOTENT.includes(request.method)) {
      return this.#responseOf(request, await this.#sendAgain(current, request, signal), signal);
    }
    // Find out whether the session still exists: the user will check the outcome and may repeat the request.
    const target = this.#client.prefix + this.#client.dialect.paths.session;
    /** @type {SessionRequest} */
    const probe = { method: 'GET', target, url: '', headers: [], body: new Uint8Array(), credentials: 'omit' };
    await this.#sendAgain(current, probe, signal).catch((error) => {
      throw error instanceof NotLoggedIn || isRetryable(error) ? new OutcomeUnknown({ cause: error }) : error;
    });
    throw new OutcomeUnknown();
  }

  /**
   * Server-Sent Events, with the interface of EventSource. It connects again after an interruption.
   * @param {string | URL} url of the gateway
   * @param {RequestInit} [init] as for fetch
   */
  eventSource(url, init) {
    return new SealedEventSource((address, options) => this.fetch(address, options), new URL(url, this.url).href, init);
  }

  /**
   * For `WebSocket`. If the session was lost, it is renewed as for `fetch`.
   * @param {URL} url
   * @param {string[]} protocols
   * @param {AbortSignal} signal
   * @returns {Promise<import('./webSocket.js').SocketLink>}
   */
  async openSocket({ host, pathname, search }, protocols, signal) {
    const client = this.#client;
    if (client.isClassic) throw new CertlessError('no_sockets', NO_SOCKETS);
    /** @type {[string, string][]} */
    const headers = [['Host', host]];
    // As browsers do. Applications tell by it which page asks.
    const page = globalThis.location?.origin;
    if (page) headers.push(['Origin', page]);
    const target = pathname + search;
    /** @type {SessionRequest} */
    const request = { method: 'GET', target, url: '', headers, body: new Uint8Array(), credentials: 'include', protocols };
    const current = await this.#activeSession(signal);
    const answer = (await this.#exchange(current, request, signal)) ?? (await this.#sendAgain(current, request, signal));
    const { protocol, stream, status, body } = answer;
    if (protocol === undefined || stream === undefined) throw new SocketRefused(status, headersOf(answer), body);
    return socketLink(client, stream, protocol);
  }

  /**
   * @param {SessionRequest} request
   * @param {PlainResponse} answer
   * @param {AbortSignal | null} signal
   */
  #responseOf(request, answer, signal) {
    const { stream } = answer;
    return responseOf(request, answer, stream === undefined ? undefined : bodyStream(this.#client, stream, signal));
  }

  /**
   * A secret value that only this client and the gateway can compute in this session (PROTOCOL §2.5.3). A new
   * session (`renewed`) has other values.
   * @param {string} label the purpose, e.g. `shop.example device`
   * @param {Uint8Array} [context]
   * @param {number} [length] 16 to 8160
   * @returns {Promise<Uint8Array>}
   */
  async export(label, context = new Uint8Array(), length = 32) {
    const { kept } = await this.#activeSession(null);
    const session = kept.version === 2 && kept.session;
    if (!session || !session.exporter) throw new CertlessError('no_exporter', NO_EXPORTER);
    return exportedValue(findSuite(session.suite), session.exporter, label, context, length);
  }

  /** Logs out: ends the session at the gateway and forgets it here, even if the gateway does not answer. */
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
      // If the gateway does not know the session, it has ended already.
      if (!(error instanceof Refused && error.code === 'rejected')) throw error;
    } finally {
      await this.#persistence.forget(this.#current.kept);
      this.#end();
    }
  }

  /** Removes the stored session, also if another tab has replaced it. */
  async forget() {
    await this.#persistence.forgetAll();
  }

  /** For `login`: stores a new session before it is used. */
  async keep() {
    await this.#persistence.keep(this.#current.kept);
    return this;
  }

  /** Stops using the session in this page without a logout, because another tab may use it. */
  detach() {
    this.#closing.abort();
    this.#end();
  }

  /** @param {SessionState} state */
  #setState(state) {
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    this.dispatchEvent(new StateEvent(state));
    if (state === 'expired') this.dispatchEvent(new Event('expired'));
  }

  #end() {
    clearTimeout(this.#timer);
    this.#setState('closed');
    this.#client.close();
  }

  #watchExpiry() {
    clearTimeout(this.#timer);
    const restMs = this.expiresMs - this.#client.clock();
    this.#timer = setTimeout(() => {
      if (this.#client.clock() < this.expiresMs) this.#watchExpiry();
      else if (this.#state === 'ready' && !this.#hasTicket) this.#setState('expired');
    }, Math.min(Math.max(restMs, 0), MAX_TIMER_MS));
    // In Node.js, an idle session must not keep the process running.
    /** @type {{ unref?: () => void }} */ (this.#timer).unref?.();
  }

  /** Whether a new session is possible without a code. */
  get #hasTicket() {
    return hasTicket(this.#current.kept, this.#client.clock());
  }

  /**
   * The session to use for a request.
   * @param {AbortSignal | null} signal
   */
  async #activeSession(signal) {
    if (this.#state === 'closed') throw new NotLoggedIn();
    if (this.#renewal) return orCancelled(signal, this.#renewal);
    if (this.#state === 'expired' || this.#client.clock() >= this.expiresMs) {
      return this.#replacement(this.#current, signal);
    }
    this.#catchingUp ??= this.#catchUp().finally(() => (this.#catchingUp = undefined));
    await this.#catchingUp;
    return this.#current;
  }

  /** If a new epoch is due, takes the epoch that another tab has begun. */
  async #catchUp() {
    const current = this.#current;
    const { kept } = current;
    const state = await this.#persistence.laterEpoch(kept);
    if (!state || kept.version !== 2 || this.#current !== current) return;
    current.kept = { ...kept, session: state };
    await this.#client.ask('follow', { session: current.session, state });
  }

  /**
   * Repeats a rejected request: first in the same session, because the gateway may have rejected only the
   * message, and then in the session that replaces it.
   * @param {Current} rejected
   * @param {SessionRequest} request that can be repeated
   * @param {AbortSignal | null} signal
   * @returns {Promise<PlainResponse>}
   */
  async #sendAgain(rejected, request, signal) {
    let current = rejected;
    let answer = current.isProven ? await this.#exchange(current, request, signal) : null;
    for (let left = MAX_REPLACEMENTS; !answer; left -= 1) {
      current = await this.#replacement(current, signal);
      answer = await this.#exchange(current, request, signal);
      if (!answer && (left === 1 || !current.isFromOtherTab)) {
        if (!current.isProven) this.#end();
        throw new Refused(403, 'rejected', '', REJECTED_AT_ONCE);
      }
    }
    return answer;
  }

  /**
   * The answer, or null if the message was rejected.
   * @param {Current} current
   * @param {SessionRequest} request
   * @param {AbortSignal | null} signal
   * @returns {Promise<PlainResponse | null>}
   */
  async #exchange(current, request, signal) {
    const client = this.#client;
    const { session, kept } = current;
    try {
      const { url, credentials, ...plain } = await this.#jar.into(request);
      const given = { route: client.messageRoute, session, request: plain, nowMs: client.clock() };
      const response = await client.ask('exchange', given, signal ? { signal } : {});
      current.isProven = true;
      await this.#jar.takeFrom(request, response);
      if (response.session && kept.version === 2) current.kept = await this.#persistence.update(kept, response.session);
      return response;
    } catch (error) {
      if (error instanceof Refused && error.code === 'rejected') return null;
      const isRepeatable = IDEMPOTENT.includes(request.method);
      const isCut = error instanceof NoAnswer || error instanceof StreamBroken;
      if (isCut && !isRepeatable) throw new OutcomeUnknown({ cause: error });
      // The session ended, not the caller's signal. The request may have been sent.
      const isEnded = this.#state === 'closed' && !signal?.aborted && error instanceof Cancelled;
      if (!isEnded) throw error;
      const ended = new NotLoggedIn(undefined, { cause: error });
      throw isRepeatable ? ended : new OutcomeUnknown({ cause: ended });
    }
  }

  /**
   * The session that replaces a lost one; the same for all requests that wait.
   * @param {Current} lost
   * @param {AbortSignal | null} signal
   * @returns {Promise<Current>}
   */
  async #replacement(lost, signal) {
    if (this.#state === 'closed') throw new NotLoggedIn();
    if (this.#current !== lost) return this.#activeSession(signal);
    if (!this.#renewal) {
      this.#renewal = this.#renew(lost).finally(() => (this.#renewal = undefined));
      this.#renewal.catch(() => {});
    }
    // If this request is cancelled, the renewal continues for the others.
    return orCancelled(signal, this.#renewal);
  }

  /** @param {Current} lost */
  async #renew(lost) {
    const client = this.#client;
    const nowMs = client.clock();
    const isFresh = !lost.isProven && nowMs - lost.since < WINDOW_MS && nowMs < lost.kept.expiresMs;
    try {
      const found = await this.#renewWithoutCode(lost, isFresh);
      if (found) return await this.#adopt(found);
      // Update the store first: a tab that learns of the loss reads it.
      await this.#persistence.keepTicketOnly(lost.kept);
      this.#setState('expired');
      if (isFresh) throw new Refused(403, 'rejected', '', REJECTED_AT_ONCE);
      const { code, password, onLoginNeeded, onProgress } = this.#options;
      if (!code || (await onLoginNeeded?.()) === false) throw new NotLoggedIn();
      this.#setState('renewing');
      const { signal } = this.#closing;
      const { username } = lost.kept;
      const enrolled = await enrol(client, { username, onProgress, signal }, 'expired', code, password);
      await this.#persistence.keep(enrolled.kept);
      return await this.#adopt(this.#toCurrent(enrolled, false));
    } catch (error) {
      // If the gateway does not answer or is busy, the ticket is still valid.
      if (isRetryable(error) && this.#hasTicket && this.#state === 'ready') throw error;
      this.#end();
      throw error;
    }
  }

  /**
   * A session that replaces a lost one without a code: another tab's, or one for the ticket.
   * @param {Current} lost
   * @param {boolean} isFresh
   */
  async #renewWithoutCode(lost, isFresh) {
    const other = await this.#persistence.fromOtherTab(lost.kept);
    if (other) return this.#toCurrent(other, true);
    // The gateway would refuse another new session too.
    const redeemed = isFresh ? null : await this.#persistence.fromTicket(lost.kept, this.#closing.signal);
    return redeemed && this.#toCurrent(redeemed, redeemed.isFromOtherTab);
  }

  /**
   * @param {Enrolled} enrolled
   * @param {boolean} isFromOtherTab
   * @returns {Current}
   */
  #toCurrent({ session, kept }, isFromOtherTab) {
    return { session, kept, since: this.#client.clock(), isProven: isFromOtherTab, isFromOtherTab };
  }

  /** @param {Current} current */
  async #adopt(current) {
    if (this.#closing.signal.aborted) {
      // The user has logged out in the meantime, so this session must end too.
      if (!current.isFromOtherTab) await this.#persistence.end(current);
      throw new NotLoggedIn();
    }
    const { session } = this.#current;
    this.#current = current;
    void this.#client.ask('forgetSession', { session }).catch(() => {});
    this.#watchExpiry();
    this.#setState('ready');
    if (!current.isFromOtherTab) this.dispatchEvent(new Event('renewed'));
    return current;
  }
}

/**
 * Asks for a code for the suite of `client`.
 * @param {GatewayClient} client
 * @param {import('./enrolment.js').EnrolmentOptions} options
 */
export function beginEnrolment(client, options) {
  return client.isClassic ? ClassicEnrolment.begin(client, options) : HardenedEnrolment.begin(client, options);
}

/**
 * A complete login.
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
