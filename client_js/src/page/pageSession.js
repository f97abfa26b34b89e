/**
 * The one session of a page: its user, and the requests that wait for a login.
 *
 * Other tabs may act between any two of its steps. So the steps stay in one module, which makes it
 * long; `test/tabs.test.js` tries their orders.
 */
import { orCancelled, throwIfCancelled } from '../common/abort.js';
import { normaliseUsername } from '../protocol/codes.js';
import { NotLoggedIn, OutcomeUnknown } from '../common/errors.js';
import { GatewayClient } from '../session/gatewayClient.js';
import { takeUp } from '../session/login.js';
import { IDEMPOTENT } from '../session/session.js';
import { pageDocument } from './elements.js';
import { OneMail } from './oneMail.js';
import { PageLogin } from './pageLogin.js';
import { otherTabs, visible, whenSeen } from './tabs.js';

/** @typedef {import('../session/gatewayClient.js').GatewayOptions} GatewayOptions */
/** @typedef {import('../session/session.js').Session} Session */
/** @typedef {import('./tabs.js').TabNews} TabNews */

/**
 * `none`: nobody is logged in. `ready`: what is sent is sealed. `expired`: the session was lost; the
 * next request asks for a new code. `renewing`: it was asked for, and requests wait for it.
 * @typedef {'none' | 'ready' | 'expired' | 'renewing'} PageState
 */

/** @typedef {{ promise: Promise<Session>, resolve: (session: Session) => void, reject: (error: Error) => void }} Waiting */

const OTHER_PERSON = 'Somebody else has logged in meanwhile, so this was not sent.';

/** The event `state`: what the page's session has become. */
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
  #tell;
  #mail;
  /** The last session, also when it was lost; null where nobody is logged in. @type {Session | null} */
  #session = null;
  /** @type {PageState} */
  #state = 'none';
  /** @type {Waiting | null} */
  #waiting = null;
  /** @type {() => void} */
  #open;
  /** The look for a session that another tab has. @type {Promise<void> | null} */
  #looking = null;
  /** Whether to look again: since the last look began, there was news. @type {'store' | 'ticket' | null} */
  #isDue = null;
  /** How often somebody has logged out: what was found before is not taken. */
  #logouts = 0;
  /** Until what was kept is forgotten. @type {Promise<void> | undefined} */
  #forgetting;

  /**
   * @param {GatewayOptions} options
   * @param {() => void} open shows a person where to log in
   */
  constructor(options, open) {
    super();
    this.#options = options;
    this.#open = open;
    this.#client = new GatewayClient(options);
    this.#mail = new OneMail(this.#client.name);
    this.#tell = otherTabs(this.#client.name, (news) => void this.#hear(news));
    whenSeen(() => void this.#look());
    this.login = new PageLogin(options, (session) => this.#opened(session));
    // A code that is being tried goes before what other tabs have.
    this.login.addEventListener('change', () => this.#isDue && this.#mayTake && void this.#look(this.#isDue));
    /** Resolves once it is known whether an earlier load of the page has left a session. */
    this.ready = this.#look('ticket');
    this.fetch = this.fetch.bind(this);
  }

  get state() {
    return this.#state;
  }

  /** @returns {Session | null} */
  get session() {
    return this.#state === 'ready' ? this.#session : null;
  }

  /** Who is logged in, or was until the session was lost. */
  get username() {
    return this.#session?.username ?? '';
  }

  /** Whether the page logs in by a classic suite, with its long code. */
  get isClassic() {
    return this.#client.isClassic;
  }

  /** Whether requests wait for somebody to log in. */
  get isAwaited() {
    return this.#waiting !== null;
  }

  /**
   * As `Session.fetch`; where there is no session, the login opens first. A session lost on the
   * gateway leads to one login for all requests that wait; then what may be done twice is sent
   * once more, and anything else is OutcomeUnknown (PROTOCOL §9).
   * @param {RequestInfo | URL} input relative to this page
   * @param {RequestInit} [init]
   * @returns {Promise<Response>}
   * @throws {NotLoggedIn} the login was given up
   */
  async fetch(input, init) {
    // Read at once, and able to be sent again.
    const isStream = typeof ReadableStream === 'function' && init?.body instanceof ReadableStream;
    const options = /** @type {RequestInit} */ (isStream ? { ...init, duplex: 'half' } : init);
    const request = new Request(input instanceof Request ? input : this.url(input), options);
    const { signal } = request;
    throwIfCancelled(signal);
    await orCancelled(signal, this.ready);
    const { username } = this;
    const session = await orCancelled(signal, this.#next(username, null));
    try {
      return await session.fetch(request.clone());
    } catch (error) {
      // After a logout there is nothing to renew.
      const isLost = this.#session !== null && isLoss(error);
      if (!isLost) throw error;
      const next = this.#next(session.username, session);
      const isUnsent = error instanceof NotLoggedIn && !error.cause;
      if (isUnsent || IDEMPOTENT.includes(request.method)) {
        return (await orCancelled(signal, next)).fetch(request);
      }
      // The person looks what became of it, and that takes a session.
      await orCancelled(signal, next).catch(() => {});
      throw error instanceof OutcomeUnknown ? error : new OutcomeUnknown({ cause: error });
    }
  }

  /**
   * What an address on this page means. A page of another host than the gateway's means the gateway.
   * @param {string | URL} address
   */
  url(address) {
    const { origin } = this.#client;
    const { baseURI } = pageDocument;
    const base = new URL(baseURI).origin === origin ? baseURI : `${origin}/`;
    return new URL(address, base);
  }

  /** Logs out, in every tab; whether or not the gateway answers. */
  async logout() {
    const session = this.#session;
    this.giveUp();
    // The other tabs first: the gateway's refusal is not to look like a loss to them.
    this.#tell('logout');
    this.#forgetting = session?.forget().finally(() => (this.#logouts += 1));
    await this.#forgetting;
    // Once more, for tabs that were opened meanwhile and have found what was kept.
    this.#tell('logout');
    void this.#mail.isOver();
    await session?.close().catch(() => {});
  }

  /** Nobody logs in: what waits for that ends with NotLoggedIn. */
  giveUp() {
    const waiting = this.#waiting;
    this.#waiting = null;
    this.#session = null;
    this.#become('none');
    this.login.reset();
    if (waiting) void this.#mail.release();
    waiting?.reject(new NotLoggedIn());
  }

  /** @param {PageState} state */
  #become(state) {
    if (this.#state === state) return;
    this.#state = state;
    this.dispatchEvent(new PageStateEvent(state));
  }

  /** @param {Session} session */
  #opened(session) {
    void this.#mail.isOver();
    this.#take(session);
  }

  /** @param {Session} session */
  #take(session) {
    const former = this.#session;
    // What was lost has ended by itself, and what it has left is perhaps what goes on.
    if (former && former.state !== 'closed') void former.close().catch(() => {});
    this.#session = session;
    session.addEventListener('state', () => {
      if (this.#session !== session) return;
      this.#become(session.state === 'ready' ? 'ready' : 'expired');
      // Its time is over, while another tab has logged in.
      if (session.state === 'expired') void this.#look();
    });
    session.addEventListener('renewed', () => this.#tell('login'));
    const waiting = this.#waiting;
    this.#waiting = null;
    this.#become('ready');
    this.login.reset();
    if (waiting) void this.#mail.release();
    waiting?.resolve(session);
    // Also where it was found: it may be new to the others.
    this.#tell('login');
  }

  /**
   * Goes on with the session that is kept, where this page has none of its own. All that may be
   * news leads here, and none of it is lost: what comes during a look leads to another.
   * @param {'store' | 'ticket'} [by] what is kept, or where that has ended, what a ticket gives
   */
  #look(by = 'store') {
    this.#isDue = this.#isDue === 'ticket' ? 'ticket' : by;
    this.#looking ??= this.#lookOn().finally(() => (this.#looking = null));
    return this.#looking;
  }

  async #lookOn() {
    while (this.#isDue && this.#mayTake) {
      const byTicket = this.#isDue === 'ticket';
      this.#isDue = null;
      const logouts = this.#logouts;
      const session = await takeUp(this.#options, byTicket).catch(() => null);
      await this.#forgetting;
      if (session && logouts !== this.#logouts) await session.close().catch(() => {});
      else if (session && this.#mayTake) this.#take(session);
      else if (session) {
        session.leave();
        this.#isDue = 'store';
      }
    }
    if (this.#state === 'ready') this.#isDue = null;
  }

  /** Whether a session that another tab has would be of use. A code that is being tried goes first. */
  get #mayTake() {
    return this.#state !== 'ready' && this.login.busy !== 'code';
  }

  /** @param {TabNews} news */
  async #hear(news) {
    if (news === 'login') await this.#look();
    if (news === 'logout') {
      const session = this.#session;
      this.#logouts += 1;
      this.giveUp();
      await session?.close().catch(() => {});
    }
  }

  /**
   * The session to send under, once there is one that is not `lost`.
   * @param {string} username whose request it is; empty where nobody was logged in
   * @param {Session | null} lost
   * @returns {Promise<Session>}
   */
  async #next(username, lost) {
    const session = this.#session;
    const isThere = session && session !== lost && session.state !== 'closed';
    const next = isThere ? session : await this.#awaited(session);
    const isSame = !username || normaliseUsername(username) === normaliseUsername(next.username);
    if (!isSame) throw new NotLoggedIn(OTHER_PERSON);
    return next;
  }

  /**
   * The session of the next login, which is one for all that wait.
   * @param {Session | null} lost
   */
  #awaited(lost) {
    if (!this.#waiting) {
      this.#waiting = waiting();
      if (lost) this.#become('renewing');
      void this.#ask(this.#waiting, lost?.username);
    }
    return this.#waiting.promise;
  }

  /**
   * Opens the login, unless another tab has a session. Where one was lost, asks for a new code as
   * well: in the first tab that a person sees, and in no other.
   * @param {Waiting} waiting
   * @param {string} [username] whose session was lost
   */
  async #ask(waiting, username) {
    await this.#look(username ? 'store' : 'ticket');
    if (this.#waiting !== waiting) return;
    this.#open();
    if (!username) return;
    await visible();
    if (!(await this.#mail.isOurs())) return;
    // Somebody may have logged in before that was ours.
    await this.#look();
    const isAsked = this.login.busy || this.login.step === 'code';
    if (this.#waiting === waiting && !isAsked) await this.login.request(username);
    if (this.#waiting !== waiting) await this.#mail.release();
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
  // Whoever waits hears of it; perhaps nobody does any more.
  parts.promise.catch(() => {});
  return parts;
}
