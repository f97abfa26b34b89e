/**
 * What is kept of a session, and what can be had from it: the same session in a later epoch, one
 * that another tab has opened, or a new one for a ticket (PROTOCOL §18.1, §19).
 *
 * What stands in the store is the truth: it is looked at before something is made of our own copy.
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

/** How long each of the two messages of a redemption may take: both are over before a claim is. */
export const REDEEM_MS = 40_000;

/**
 * Whether a ticket of `kept` may still be taken.
 * @param {KeptSession} kept
 * @param {number} nowMs
 * @returns {kept is KeptHardened & { ticket: ClientTicket }}
 */
export function hasTicket(kept, nowMs) {
  return kept.version === 2 && kept.ticket !== null && nowMs < kept.ticket.expiresMs;
}

/** Whether `found` goes on where `lost` has ended. @param {KeptSession} found @param {KeptSession} lost */
function isLater(found, lost) {
  if (found.token !== lost.token) return true;
  const [a, b] = [found, lost].map((kept) => (kept.version === 2 && kept.session ? kept.session.epoch : 0));
  return a > b;
}

export class SessionPersistence {
  #client;
  isKept;

  /** @param {GatewayClient} client @param {boolean} isKept whether the session came out of the store */
  constructor(client, isKept) {
    this.#client = client;
    this.isKept = isKept;
  }

  get #isShared() {
    return this.#client.store.name !== 'memory';
  }

  /** For the next load, if there is a place. @param {KeptSession} kept */
  async keep(kept) {
    const { store, name } = this.#client;
    try {
      await store.save(name, forLater(kept));
      this.isKept = this.#isShared;
    } catch {
      // A full or forbidden storage is no reason to be without a session.
      this.isKept = false;
    }
  }

  /**
   * The session is lost. Its ticket stays, whatever was said outside a seal (PROTOCOL §19.3).
   * @param {KeptSession} kept
   */
  async lose({ token }) {
    const { store, name, clock } = this.#client;
    await changeKept(store, name, (found) => {
      if (found?.token !== token) return undefined;
      return hasTicket(found, clock()) ? ticketOf(found) : null;
    }).catch(() => store.remove(name, token).catch(() => {}));
  }

  /** @param {KeptSession} kept */
  async forget({ token }) {
    const { store, name } = this.#client;
    await store.remove(name, token).catch(() => {});
    this.isKept = false;
  }

  /**
   * The session goes on as `session`: a new epoch has begun, or the clock was put right.
   * @param {KeptHardened} kept
   * @param {ClientSession} session
   * @returns {Promise<KeptHardened>}
   */
  async goOn(kept, session) {
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
   * The session as another tab has gone on with it, where its epoch should end by now.
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
   * The session that another tab has opened since, or gone on with, if there is one.
   * @param {KeptSession} lost
   * @returns {Promise<Enrolled | null>}
   */
  async fromOtherTab(lost) {
    const client = this.#client;
    const kept = await client.store.load(client.name).catch(() => null);
    if (!kept || !isLater(kept, lost) || kept.expiresMs <= client.clock()) return null;
    if (kept.username !== lost.username) return null;
    // What is there but cannot be used counts as nothing.
    const session = await client.ask('adopt', { kept }).catch(() => null);
    if (session === null) return null;
    this.isKept = true;
    return { session, kept };
  }

  /**
   * A new session for the ticket, kept before it is used; or the one that another tab was first
   * to have. Null where there is no ticket, or the gateway does not take it: it takes a code then.
   * @param {KeptSession} lost
   * @param {AbortSignal} signal
   * @returns {Promise<(Enrolled & { isFromOtherTab: boolean }) | null>}
   * @throws {import('../common/errors.js').CertlessError} nothing is decided; the ticket is still there
   */
  async fromTicket(lost, signal) {
    const { store, name, clock } = this.#client;
    if (!hasTicket(lost, clock())) return null;
    /** @param {() => Promise<boolean>} isAlone */
    const work = async (isAlone) => {
      const other = await this.fromOtherTab(lost);
      if (other) return { ...other, isFromOtherTab: true };
      const found = this.isKept ? await store.load(name) : lost;
      // Somebody has logged out in another tab.
      if (!found || !hasTicket(found, clock())) return null;
      const enrolled = await this.#redeem(found, signal);
      // Too late: another tab may have gone on without us (PROTOCOL §19.3).
      if (!(await isAlone())) return null;
      if (await this.#succeed(found, enrolled.kept, signal)) return { ...enrolled, isFromOtherTab: false };
      // Meanwhile somebody has logged in, or out, in another tab: that goes before.
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
   * Keeps what follows on `found`, if that is still there; whether it was.
   * @param {KeptSession} found
   * @param {KeptSession} kept
   * @param {AbortSignal} signal
   */
  async #succeed(found, kept, signal) {
    if (!this.isKept) {
      if (!signal.aborted) await this.keep(kept);
      return !signal.aborted;
    }
    const { store, name } = this.#client;
    let isThere = true;
    await changeKept(store, name, (now) => {
      isThere = now?.token === found.token && !signal.aborted;
      return isThere ? forLater(kept) : undefined;
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

  /** Ends a session that nobody will use. @param {Enrolled} enrolled */
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

/** @param {KeptHardened} kept @returns {KeptHardened} */
function ticketOf(kept) {
  return { ...kept, session: null, privateKey: null, expiresMs: 0 };
}

/**
 * What of it can be kept. Numbers cannot be shared, nor taken up again: of a session with a counter
 * only the ticket is (PROTOCOL §17.4).
 * @param {KeptSession} kept
 */
function forLater(kept) {
  return kept.version === 2 && kept.fresh === 'counter' ? ticketOf(kept) : kept;
}
