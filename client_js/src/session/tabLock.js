/** Work that one tab does at a time, as to redeem a ticket (PROTOCOL §19.3, decision 0034). */
import { claimsOf, newHolder } from './claims.js';

// Longer than a gateway waits for the second half of an exchange (60 s, PROTOCOL §15.5), and longer
// than a redemption takes (`persistence.js`).
export const CLAIM_MS = 90_000;
const LOOK_AGAIN_MS = 150;

/**
 * @param {IDBFactory} factory
 * @returns {import('./stores.js').Alone}
 */
export function tabLock(factory) {
  const claims = claimsOf(factory);
  return async (gateway, work) => {
    const holder = newHolder();
    while (!(await claims.take(gateway, holder, CLAIM_MS))) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    }
    try {
      return await work(() => claims.isHeld(gateway, holder));
    } finally {
      await claims.drop(gateway, holder).catch(() => {});
    }
  };
}
