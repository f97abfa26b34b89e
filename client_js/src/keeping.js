/**
 * What is kept of a session, and what can be had from it: the same session in a later epoch, one
 * that another tab has opened, or a new one for a ticket (PROTOCOL §18.1, §19).
 *
 * What stands in the store is the truth: it is looked at before something is made of our own copy.
 */
import { isEpochOver } from './clientSession.js';
import { isForLater } from './errors.js';

/** @typedef {import('./clientSession.js').ClientSession} ClientSession */
/** @typedef {import('./clientSession.js').ClientTicket} ClientTicket */
/** @typedef {import('./enrolment.js').Enrolled} Enrolled */
/** @typedef {import('./gatewayClient.js').GatewayClient} GatewayClient */
/** @typedef {import('./stores.js').KeptHardened} KeptHardened */
/** @typedef {import('./stores.js').KeptSession} KeptSession */

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

export class Keeper {
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

  /**
   * For the next load, if there is a place. Numbers cannot be shared, nor taken up again: of a
   * session with a counter only the ticket is kept (PROTOCOL §17.4).
   * @param {KeptSession} kept
   */
  async keep(kept) {
    const { store, name } = this.#client;
    const isCounted = kept.version === 2 && kept.fresh === 'counter';
    try {
      await store.save(name, isCounted ? ticketOf(kept) : kept);
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
  async lose(kept) {
    const { store, name } = this.#client;
    const found = await store.load(name).catch(() => null);
    if (found?.token !== kept.token) return;
    if (hasTicket(found, this.#client.clock())) await store.save(name, ticketOf(found)).catch(() => {});
    else await this.forget(kept);
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
    const next = { ...kept, session };
    const found = this.isKept ? await store.load(name).catch(() => null) : null;
    const isOurs = found?.version === 2 && found.token === kept.token;
    if (isOurs && (found.session?.epoch ?? Infinity) <= session.epoch) await this.keep({ ...found, session });
    return next;
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
   * @throws {import('./errors.js').CertlessError} nothing is decided; the ticket is still there
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
      await this.keep(enrolled.kept);
      return { ...enrolled, isFromOtherTab: false };
    };
    const alone = store.alone ?? ((/** @type {string} */ _, /** @type {typeof work} */ task) => task(async () => true));
    try {
      return await alone(name, work);
    } catch (error) {
      if (isForLater(error) || signal.aborted) throw error;
      return null;
    }
  }

  /** @param {KeptHardened & { ticket: ClientTicket }} kept @param {AbortSignal} signal */
  async #redeem({ username, realm, fresh, suite, ticket }, signal) {
    const client = this.#client;
    const given = { base: client.name, subject: { username, realm, fresh }, suite, ticket };
    return client.ask('redeemTicket', { ...given, nowMs: client.clock() }, { signal });
  }
}

/** @param {KeptHardened} kept @returns {KeptHardened} */
function ticketOf(kept) {
  return { ...kept, session: null, privateKey: null, expiresMs: 0 };
}
