/**
 * The stored form of a session, and how a tab continues from it: the same session in a later epoch, the
 * session of another tab, or a new session for a ticket (PROTOCOL §2.7.1, §2.8).
 *
 * The store is authoritative. It is read before this tab's own copy is used.
 */
import { isEpochOver } from '../protocol/hardened/clientSession.js';
import { isRetryable } from '../common/errors.js';
import { changeKept } from './stores.js';

/** @typedef {import('../protocol/hardened/clientSession.js').ClientSession} ClientSession */
/** @typedef {import('../protocol/hardened/clientSession.js').ClientTicket} ClientTicket */
/** @typedef {import('./enrolment.js').Enrolled} Enrolled */
/** @typedef {import('./gatewayClient.js').GatewayClient} GatewayClient */
/** @typedef {import('./stores.js').KeptHardened} KeptHardened */
/** @typedef {import('./stores.js').KeptSession} KeptSession */

/** The limit for each of the two messages of a redemption, so that both end before the claim does. */
export const REDEEM_MS = 40_000;

/**
 * Whether `kept` has a ticket that is still valid.
 * @param {KeptSession} kept
 * @param {number} nowMs
 * @returns {kept is KeptHardened & { ticket: ClientTicket }}
 */
export function hasTicket(kept, nowMs) {
  return kept.version === 2 && kept.ticket !== null && nowMs < kept.ticket.expiresMs;
}

/** Whether `found` is newer than `lost`: another session, or a later epoch. @param {KeptSession} found @param {KeptSession} lost */
function isLater(found, lost) {
  if (found.token !== lost.token) return true;
  const [a, b] = [found, lost].map((kept) => (kept.version === 2 && kept.session ? kept.session.epoch : 0));
  return a > b;
}

export class SessionPersistence {
  #client;
  isKept;

  /** @param {GatewayClient} client @param {boolean} isKept whether the session was loaded from the store */
  constructor(client, isKept) {
    this.#client = client;
    this.isKept = isKept;
  }

  get #isShared() {
    return this.#client.store.name !== 'memory';
  }

  /** Stores the session for the next load of the page, if possible. @param {KeptSession} kept */
  async keep(kept) {
    const { store, name } = this.#client;
    try {
      await changeKept(store, name, (found) => withCookiesOf(found, storable(kept)));
      this.isKept = this.#isShared;
    } catch {
      // The session works without a store too, if storage is full or forbidden.
      this.isKept = false;
    }
  }

  /** The stored cookies of this user, or null. @param {string} username */
  async cookies(username) {
    if (!this.isKept) return null;
    const { store, name } = this.#client;
    const found = await store.load(name).catch(() => null);
    return found?.username === username ? found.cookies ?? null : null;
  }

  /** @param {string} username @param {(text: string) => string} to */
  async changeCookies(username, to) {
    if (!this.isKept) return;
    const { store, name } = this.#client;
    await changeKept(store, name, (found) =>
      found?.username === username ? { ...found, cookies: to(found.cookies ?? '[]') } : undefined,
    ).catch(() => {});
  }

  /**
   * The session is lost. Only its ticket stays, because the refusal was not sealed (PROTOCOL §2.8.3).
   * @param {KeptSession} kept
   */
  async keepTicketOnly({ token }) {
    const { store, name, clock } = this.#client;
    await changeKept(store, name, (found) => {
      if (found?.token !== token) return undefined;
      return hasTicket(found, clock()) ? withTicketOnly(found) : null;
    }).catch(() => store.remove(name, token).catch(() => {}));
  }

  /** @param {KeptSession} kept */
  async forget({ token }) {
    const { store, name } = this.#client;
    await store.remove(name, token).catch(() => {});
    this.isKept = false;
  }

  /**
   * Stores a changed session: a new epoch has begun, or the clock offset has changed.
   * @param {KeptHardened} kept
   * @param {ClientSession} session
   * @returns {Promise<KeptHardened>}
   */
  async update(kept, session) {
    const { store, name } = this.#client;
    if (this.isKept) {
      await changeKept(store, name, (found) => {
        const isOurs = found?.version === 2 && found.token === kept.token;
        return isOurs && (found.session?.epoch ?? Infinity) <= session.epoch ? { ...found, session } : undefined;
      }).catch(() => {
        this.isKept = false;
      });
    }
    return { ...kept, session };
  }

  /**
   * If a new epoch is due: the session in the later epoch that another tab has begun, or null.
   * @param {KeptSession} kept
   * @returns {Promise<ClientSession | null>}
   */
  async laterEpoch(kept) {
    if (kept.version !== 2 || !kept.session || !this.isKept) return null;
    const { store, name, clock } = this.#client;
    if (!isEpochOver(kept.session, clock())) return null;
    const found = await store.load(name).catch(() => null);
    const isSame = found?.version === 2 && found.token === kept.token;
    return isSame && found.session && isLater(found, kept) ? found.session : null;
  }

  /**
   * The newer session that another tab has opened or continued, or null.
   * @param {KeptSession} lost
   * @returns {Promise<Enrolled | null>}
   */
  async fromOtherTab(lost) {
    const client = this.#client;
    const kept = await client.store.load(client.name).catch(() => null);
    if (!kept || !isLater(kept, lost) || kept.expiresMs <= client.clock()) return null;
    if (kept.username !== lost.username) return null;
    // An unusable session counts as none.
    const session = await client.ask('adopt', { kept }).catch(() => null);
    if (session === null) return null;
    this.isKept = true;
    return { session, kept };
  }

  /**
   * A new session for the ticket, stored before it is used, or the newer session of another tab. Null if
   * there is no ticket or the gateway does not accept it. Then a code is needed.
   * @param {KeptSession} lost
   * @param {AbortSignal} signal
   * @returns {Promise<(Enrolled & { isFromOtherTab: boolean }) | null>}
   * @throws {import('../common/errors.js').CertlessError} the gateway did not decide; the ticket is still valid
   */
  async fromTicket(lost, signal) {
    const { store, name, clock } = this.#client;
    if (!hasTicket(lost, clock())) return null;
    /** @param {() => Promise<boolean>} isAlone */
    const work = async (isAlone) => {
      const other = await this.fromOtherTab(lost);
      if (other) return { ...other, isFromOtherTab: true };
      const found = this.isKept ? await store.load(name) : lost;
      // The user has logged out in another tab.
      if (!found || !hasTicket(found, clock())) return null;
      const enrolled = await this.#redeem(found, signal);
      // Too late: another tab may have redeemed a ticket since (PROTOCOL §2.8.3).
      if (!(await isAlone())) return null;
      if (await this.#replace(found, enrolled.kept, signal)) return { ...enrolled, isFromOtherTab: false };
      // Somebody has logged in or out in another tab in the meantime, which takes precedence.
      await this.end(enrolled);
      const later = signal.aborted ? null : await this.fromOtherTab(lost);
      return later && { ...later, isFromOtherTab: true };
    };
    const alone = store.alone ?? ((/** @type {string} */ _, /** @type {typeof work} */ task) => task(async () => true));
    try {
      return await alone(name, work);
    } catch (error) {
      if (isRetryable(error) || signal.aborted) throw error;
      return null;
    }
  }

  /**
   * Replaces `found` by `kept` if the store still has `found`. Whether it did.
   * @param {KeptSession} found
   * @param {KeptSession} kept
   * @param {AbortSignal} signal
   */
  async #replace(found, kept, signal) {
    if (!this.isKept) {
      if (!signal.aborted) await this.keep(kept);
      return !signal.aborted;
    }
    const { store, name } = this.#client;
    let isThere = true;
    await changeKept(store, name, (now) => {
      isThere = now?.token === found.token && !signal.aborted;
      return isThere ? withCookiesOf(now, storable(kept)) : undefined;
    }).catch(() => {
      this.isKept = false;
    });
    return isThere;
  }

  async forgetAll() {
    const { store, name } = this.#client;
    await changeKept(store, name, () => null).catch(() => {});
    this.isKept = false;
  }

  /** Ends an unused session. @param {Enrolled} enrolled */
  async end({ session, kept }) {
    const client = this.#client;
    await this.forget(kept);
    await client.ask('logout', { ...client.logoutRoute, session, nowMs: client.clock() }).catch(() => {});
  }

  /** @param {KeptHardened & { ticket: ClientTicket }} kept @param {AbortSignal} signal */
  async #redeem({ username, realm, fresh, suite, ticket }, signal) {
    const client = this.#client;
    const base = { ...client.base, timeoutMs: Math.min(client.timeoutMs, REDEEM_MS) };
    const given = { base, subject: { username, realm, fresh }, suite, ticket, rsaKey: client.rsaKey };
    return client.ask('redeemTicket', { ...given, nowMs: client.clock() }, { signal });
  }
}

/**
 * A new session of the same user keeps the cookies.
 * @param {KeptSession | null} found
 * @param {KeptSession} kept
 * @returns {KeptSession}
 */
function withCookiesOf(found, kept) {
  return found?.cookies && found.username === kept.username ? { ...kept, cookies: found.cookies } : kept;
}

/** @param {KeptHardened} kept @returns {KeptHardened} */
function withTicketOnly(kept) {
  return { ...kept, session: null, privateKey: null, expiresMs: 0 };
}

/**
 * The form to store. Counters must not be reused, so of a session with a counter only the ticket is
 * stored (PROTOCOL §2.6.4).
 * @param {KeptSession} kept
 */
function storable(kept) {
  return kept.version === 2 && kept.fresh === 'counter' ? withTicketOnly(kept) : kept;
}
