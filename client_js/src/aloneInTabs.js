/**
 * Work that one tab does at a time, as to redeem a ticket (PROTOCOL §19.3).
 *
 * Web Locks are for secure pages only, and localStorage has no step that reads and writes at once.
 * IndexedDB is on every page, and of its transactions one follows the other, in all tabs: so a claim
 * is a record there (decision 0034).
 */
import { done, transaction } from './indexedDb.js';

// Longer than a gateway waits for the second half of an exchange (60 s, PROTOCOL §15.5).
const CLAIM_MS = 90_000;
const LOOK_AGAIN_MS = 150;

/** @typedef {{ holder: number, untilMs: number }} Claim */

/**
 * @param {IDBFactory} factory
 * @returns {import('./stores.js').Alone}
 */
export function aloneInTabs(factory) {
  /**
   * @template Result
   * @param {(claims: IDBObjectStore) => Promise<Result>} work
   */
  const inClaims = (work) => transaction(factory, 'certless-claims', 'claims', 'readwrite', work);

  return async (gateway, work) => {
    const [holder] = crypto.getRandomValues(new Uint32Array(1));
    const claim = () =>
      inClaims(async (claims) => {
        /** @type {Claim | undefined} */
        const found = await done(claims.get(gateway));
        const restMs = (found?.untilMs ?? 0) - Date.now();
        // A clock that was set back must not make a claim last for years.
        if (found && found.holder !== holder && restMs > 0 && restMs <= CLAIM_MS) return false;
        await done(claims.put({ holder, untilMs: Date.now() + CLAIM_MS }, gateway));
        return true;
      });
    const isAlone = () =>
      inClaims(async (claims) => {
        /** @type {Claim | undefined} */
        const found = await done(claims.get(gateway));
        return found?.holder === holder && found.untilMs > Date.now();
      });
    const release = () =>
      inClaims(async (claims) => {
        /** @type {Claim | undefined} */
        const found = await done(claims.get(gateway));
        if (found?.holder === holder) await done(claims.delete(gateway));
      });

    while (!(await claim())) await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    try {
      return await work(isAlone);
    } finally {
      await release().catch(() => {});
    }
  };
}
