/**
 * What one tab at a time may claim: records in IndexedDB, which every page has, and whose
 * transactions follow one another in all tabs (decision 0034).
 */
import { done, transaction } from './indexedDb.js';

/** @typedef {{ holder: number, untilMs: number }} Claim */

/** Who claims. @returns {number} */
export function newHolder() {
  const [holder] = crypto.getRandomValues(new Uint32Array(1));
  return holder;
}

/** @param {IDBFactory} factory */
export function claimsOf(factory) {
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
     * Whether it is the holder's, for so long.
     * @param {string} name
     * @param {number} holder
     * @param {number} forMs
     */
    take: (name, holder, forMs) =>
      withClaim(name, async (claims, found) => {
        const restMs = (found?.untilMs ?? 0) - Date.now();
        // A clock that was set back must not make a claim last for years.
        if (found && found.holder !== holder && restMs > 0 && restMs <= forMs) return false;
        await done(claims.put({ holder, untilMs: Date.now() + forMs }, name));
        return true;
      }),

    /** @param {string} name @param {number} holder */
    isHeld: (name, holder) =>
      withClaim(name, async (_, found) => found?.holder === holder && found.untilMs > Date.now()),

    /** @param {string} name @param {number} [holder] only where it is theirs */
    drop: (name, holder) =>
      withClaim(name, async (claims, found) => {
        if (found && (holder === undefined || found.holder === holder)) await done(claims.delete(name));
      }),
  };
}
