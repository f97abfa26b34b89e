/**
 * The session of a page: its user, and the requests that wait for a login.
 *
 * Other tabs can act between any two of its steps. So the steps are in one long module;
 * `test/tabs.test.js` tests their orders.
 */
import { orCancelled, throwIfCancelled } from '../common/abort.js';
import { normaliseUsername } from '../protocol/codes.js';
import { NotLoggedIn, OutcomeUnknown } from '../common/errors.js';
import { GatewayClient } from '../session/gatewayClient.js';
import { SealedEventSource } from '../session/eventSource.js';
import { resumeKept } from '../session/login.js';
import { IDEMPOTENT } from '../session/session.js';
import { webSocketClass } from '../session/webSocket.js';
import { pageDocument } from './dom.js';
import { MailClaim } from './mailClaim.js';
import { PageLogin } from './pageLogin.js';
import { tabChannel, untilVisible, onVisible } from './tabs.js';

/** @typedef {import('../session/gatewayClient.js').GatewayOptions} GatewayOptions */
/** @typedef {import('../session/session.js').Session} Session */
/** @typedef {import('./tabs.js').TabMessage} TabMessage */

/**
 * `none`: nobody is logged in. `ready`: there is a session. `expired`: the session was lost; the next
 * request asks for a new code. `renewing`: the page has asked for a code, and requests wait.
 * @typedef {'none' | 'ready' | 'expired' | 'renewing'} PageState
 */

/** @typedef {{ promise: Promise<Session>, resolve: (session: Session) => void, reject: (error: Error) => void }} Waiting */

const OTHER_USER = 'Another user has logged in since, so this was not sent.';

/** The event `state`: the state of the page's session has changed. */
class PageStateEvent extends Event {
  /** @param {PageState} state */
  constructor(state) {
    super('state');
    this.state = state;
  }
}

export class PageSession extends EventTarget {
  #options;
  #client;
  #broadcast;
  #mailClaim;
  /** The last session, even if it was lost; null if nobody is logged in. @type {Session | null} */
  #session = null;
  /** @type {PageState} */
  #state = 'none';
  /** @type {Waiting | null} */
  #waiting = null;
  /** @type {() => void} */
  #showLogin;
  /** The running search for a stored session. @type {Promise<void> | null} */
  #searching = null;
  /** Whether to search again, because something changed since the last search began. @type {'store' | 'ticket' | null} */
  #pendingSearch = null;
  /** Another object after each logout, so that events of a user do not go on for the next one. */
  #visit = {};
  /** The number of logouts: a session that was found before a logout is not used. */
  #logouts = 0;
  /** Resolves when the stored session is removed. @type {Promise<void> | undefined} */
  #forgetting;

  /**
   * @param {GatewayOptions} options
   * @param {() => void} open shows the login
   */
  constructor(options, open) {
    super();
    this.#options = options;
    this.#showLogin = open;
    this.#client = new GatewayClient(options);
    this.#mailClaim = new MailClaim(this.#client.name);
    this.#broadcast = tabChannel(this.#client.name, (news) => void this.#onTabMessage(news));
    onVisible(() => void this.#search());
    this.login = new PageLogin(options, (session) => this.#onLogin(session));
    // While a code is being tried, sessions of other tabs wait.
    this.login.addEventListener('change', () => this.#pendingSearch && this.#canAdopt && void this.#search(this.#pendingSearch));
    /** Resolves when the search for a stored session is done. */
    this.ready = this.#search('ticket');
    this.fetch = this.fetch.bind(this);
    this.eventSource = this.eventSource.bind(this);
    /** Like `Session.WebSocket`. If there is no session, the login opens first. */
    this.WebSocket = webSocketClass(
      () => this.url('').href,
      (url, protocols, signal) => this.#inSession(true, signal, (session) => session.openSocket(url, protocols, signal)),
    );
  }

  get state() {
    return this.#state;
  }

  /** @returns {Session | null} */
  get session() {
    return this.#state === 'ready' ? this.#session : null;
  }

  /** The logged-in user, or the user of the lost session. */
  get username() {
    return this.#session?.username ?? '';
  }

  /** Whether the page uses the classic suite, with its long codes. */
  get isClassic() {
    return this.#client.isClassic;
  }

  /** Whether requests wait for a login. */
  get isAwaited() {
    return this.#waiting !== null;
  }

  /**
   * Like `Session.fetch`. If there is no session, the login opens first. If the gateway has lost the
   * session, there is one login for all waiting requests. Then requests that can be repeated are sent
   * again, and others throw OutcomeUnknown (PROTOCOL §1.12).
   * @param {RequestInfo | URL} input relative to this page
   * @param {RequestInit} [init]
   * @returns {Promise<Response>}
   * @throws {NotLoggedIn} the login was cancelled
   */
  async fetch(input, init) {
    const isStream = typeof ReadableStream === 'function' && init?.body instanceof ReadableStream;
    const options = /** @type {RequestInit} */ (isStream ? { ...init, duplex: 'half' } : init);
    const request = new Request(input instanceof Request ? input : this.url(input), options);
    const { signal } = request;
    throwIfCancelled(signal);
    const { method, headers, credentials, url } = request;
    // The body is read once, so that the request can be sent again. A browser keeps a large Blob outside the heap.
    const blob = await request.blob();
    const asked = { method, headers, credentials, signal, body: blob.size ? blob : null };
    return this.#inSession(IDEMPOTENT.includes(method), signal, (session) => session.fetch(url, asked));
  }

  /**
   * Does `work` in the page's session, and if that session was lost, again in the next one.
   * @template Result
   * @param {boolean} isRepeatable whether work that may have been done can be done again
   * @param {AbortSignal} signal
   * @param {(session: Session) => Promise<Result>} work
   * @returns {Promise<Result>}
   */
  async #inSession(isRepeatable, signal, work) {
    await orCancelled(signal, this.ready);
    const { username } = this;
    const session = await orCancelled(signal, this.#sessionFor(username, null));
    try {
      return await work(session);
    } catch (error) {
      // After a logout the session is not renewed.
      const isLost = this.#session !== null && isLoss(error);
      if (!isLost) throw error;
      const next = this.#sessionFor(session.username, session);
      const isUnsent = error instanceof NotLoggedIn && !error.cause;
      if (isUnsent || isRepeatable) return await work(await orCancelled(signal, next));
      // The user needs a session to check the outcome.
      await orCancelled(signal, next).catch(() => {});
      throw error instanceof OutcomeUnknown ? error : new OutcomeUnknown({ cause: error });
    }
  }

  /**
   * Like `Session.eventSource`. If there is no session, the login opens first. A logout ends it.
   * @param {string | URL} address relative to this page
   * @param {RequestInit} [init]
   */
  eventSource(address, init) {
    const visit = this.#visit;
    /** @type {import('../session/eventSource.js').Fetch} */
    const fetch = async (url, options) => {
      if (visit !== this.#visit) throw new NotLoggedIn();
      return this.fetch(url, options);
    };
    return new SealedEventSource(fetch, this.url(address).href, init);
  }

  /**
   * Resolves a URL of this page. On a page of another host, it is relative to the gateway.
   * @param {string | URL} address
   */
  url(address) {
    const { origin } = this.#client;
    const { baseURI } = pageDocument;
    const base = new URL(baseURI).origin === origin ? baseURI : `${origin}/`;
    return new URL(address, base);
  }

  /** Logs out in every tab, even if the gateway does not answer. */
  async logout() {
    const session = this.#session;
    this.#visit = {};
    this.cancelLogin();
    // Tell the other tabs first, so that they do not take the gateway's refusal for a lost session.
    this.#broadcast('logout');
    this.#forgetting = session?.forget().finally(() => (this.#logouts += 1));
    await this.#forgetting;
    // Again, for tabs that were opened in the meantime and have found the stored session.
    this.#broadcast('logout');
    void this.#mailClaim.clear();
    await session?.close().catch(() => {});
  }

  /** Cancels the login: waiting requests throw NotLoggedIn. */
  cancelLogin() {
    const waiting = this.#waiting;
    this.#waiting = null;
    this.#session = null;
    this.#setState('none');
    this.login.reset();
    if (waiting) void this.#mailClaim.release();
    waiting?.reject(new NotLoggedIn());
  }

  /** @param {PageState} state */
  #setState(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.dispatchEvent(new PageStateEvent(state));
  }

  /** @param {Session} session */
  #onLogin(session) {
    void this.#mailClaim.clear();
    this.#adopt(session);
  }

  /** @param {Session} session */
  #adopt(session) {
    const former = this.#session;
    // A closed session needs no logout, and its stored form may be the new session.
    if (former && former.state !== 'closed') void former.close().catch(() => {});
    this.#session = session;
    session.addEventListener('state', () => {
      if (this.#session !== session) return;
      this.#setState(session.state === 'ready' ? 'ready' : 'expired');
      // The session has expired, but another tab may have a new one.
      if (session.state === 'expired') void this.#search();
    });
    session.addEventListener('renewed', () => this.#broadcast('login'));
    const waiting = this.#waiting;
    this.#waiting = null;
    this.#setState('ready');
    this.login.reset();
    if (waiting) void this.#mailClaim.release();
    waiting?.resolve(session);
    // Also for a stored session, because it may be new to the other tabs.
    this.#broadcast('login');
  }

  /**
   * If this page has no session, continues with the stored one. Every possible change calls this. A call
   * during a search causes another search, so no change is missed.
   * @param {'store' | 'ticket'} [by] `ticket` redeems the ticket if the stored session has ended
   */
  #search(by = 'store') {
    this.#pendingSearch = this.#pendingSearch === 'ticket' ? 'ticket' : by;
    this.#searching ??= this.#runSearch().finally(() => (this.#searching = null));
    return this.#searching;
  }

  async #runSearch() {
    while (this.#pendingSearch && this.#canAdopt) {
      const byTicket = this.#pendingSearch === 'ticket';
      this.#pendingSearch = null;
      const logouts = this.#logouts;
      const session = await resumeKept(this.#options, byTicket).catch(() => null);
      await this.#forgetting;
      if (session && logouts !== this.#logouts) await session.close().catch(() => {});
      else if (session && this.#canAdopt) this.#adopt(session);
      else if (session) {
        session.detach();
        this.#pendingSearch = 'store';
      }
    }
    if (this.#state === 'ready') this.#pendingSearch = null;
  }

  /** Whether this page can use a stored session. A code that is being tried takes precedence. */
  get #canAdopt() {
    return this.#state !== 'ready' && this.login.busy !== 'code';
  }

  /** @param {TabMessage} news */
  async #onTabMessage(news) {
    if (news === 'login') await this.#search();
    if (news === 'logout') {
      const session = this.#session;
      this.#logouts += 1;
      this.#visit = {};
      this.cancelLogin();
      await session?.close().catch(() => {});
    }
  }

  /**
   * The session for a request, as soon as there is another one than `lost`.
   * @param {string} username the user of the request; empty if nobody was logged in
   * @param {Session | null} lost
   * @returns {Promise<Session>}
   */
  async #sessionFor(username, lost) {
    const session = this.#session;
    const isThere = session && session !== lost && session.state !== 'closed';
    const next = isThere ? session : await this.#nextLogin(session);
    const isSame = !username || normaliseUsername(username) === normaliseUsername(next.username);
    if (!isSame) throw new NotLoggedIn(OTHER_USER);
    return next;
  }

  /**
   * The session of the next login, the same for all waiting requests.
   * @param {Session | null} lost
   */
  #nextLogin(lost) {
    if (!this.#waiting) {
      this.#waiting = waiting();
      if (lost) this.#setState('renewing');
      void this.#askForLogin(this.#waiting, lost?.username);
    }
    return this.#waiting.promise;
  }

  /**
   * Opens the login, unless another tab has a session. If a session was lost, the first visible tab, and no
   * other, also asks for a new code.
   * @param {Waiting} waiting
   * @param {string} [username] the user of the lost session
   */
  async #askForLogin(waiting, username) {
    await this.#search(username ? 'store' : 'ticket');
    if (this.#waiting !== waiting) return;
    this.#showLogin();
    if (!username) return;
    await untilVisible();
    if (!(await this.#mailClaim.acquire())) return;
    // Another tab may have logged in before this tab had the claim.
    await this.#search();
    const isAsked = this.login.busy || this.login.step === 'code';
    if (this.#waiting === waiting && !isAsked) await this.login.request(username);
    if (this.#waiting !== waiting) await this.#mailClaim.release();
  }
}

/**
 * Whether an error says that the session was lost.
 * @param {unknown} error
 */
function isLoss(error) {
  return error instanceof NotLoggedIn || (error instanceof OutcomeUnknown && error.cause instanceof NotLoggedIn);
}

/** @returns {Waiting} */
function waiting() {
  const parts = /** @type {Waiting} */ ({});
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  // If no request waits any more, this must not be an unhandled rejection.
  parts.promise.catch(() => {});
  return parts;
}
