/**
 * Claims that only one tab at a time can have. They are records in IndexedDB, because every page has it
 * and its transactions are serialised across tabs (decision 0034).
 */
import { done, transaction } from './indexedDb.js';

/** @typedef {{ holder: number, untilMs: number }} Claim */

/** A random id for a tab or a task. @returns {number} */
export function newHolderId() {
  const [holder] = crypto.getRandomValues(new Uint32Array(1));
  return holder;
}

/** @param {IDBFactory} factory */
export function tabClaims(factory) {
  /**
   * @template Result
   * @param {string} name
   * @param {(claims: IDBObjectStore, found: Claim | undefined) => Promise<Result>} work
   */
  const withClaim = (name, work) =>
    transaction(factory, 'certless-claims', 'claims', 'readwrite', async (claims) =>
      work(claims, await done(claims.get(name))),
    );
  return {
    /**
     * Whether the holder has the claim now, for `forMs`.
     * @param {string} name
     * @param {number} holder
     * @param {number} forMs
     */
    take: (name, holder, forMs) =>
      withClaim(name, async (claims, found) => {
        const restMs = (found?.untilMs ?? 0) - Date.now();
        // If the clock was set back, the claim must not last for years.
        if (found && found.holder !== holder && restMs > 0 && restMs <= forMs) return false;
        await done(claims.put({ holder, untilMs: Date.now() + forMs }, name));
        return true;
      }),

    /** @param {string} name @param {number} holder */
    isHeld: (name, holder) =>
      withClaim(name, async (_, found) => found?.holder === holder && found.untilMs > Date.now()),

    /** @param {string} name @param {number} [holder] if given, only if this holder has the claim */
    drop: (name, holder) =>
      withClaim(name, async (claims, found) => {
        if (found && (holder === undefined || found.holder === holder)) await done(claims.delete(name));
      }),
  };
}
