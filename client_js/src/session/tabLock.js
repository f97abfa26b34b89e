/** A lock across tabs, so that only one tab redeems a ticket (PROTOCOL §2.8.3, decision 0034). */
import { tabClaims, newHolderId } from './claims.js';

// Longer than a gateway waits for the second half of an exchange (60 s, PROTOCOL §2.4.5), and longer
// than a redemption can take (`persistence.js`).
export const CLAIM_MS = 90_000;
const POLL_MS = 150;

/**
 * @param {IDBFactory} factory
 * @returns {import('./stores.js').Alone}
 */
export function tabLock(factory) {
  const claims = tabClaims(factory);
  return async (gateway, work) => {
    const holder = newHolderId();
    while (!(await claims.take(gateway, holder, CLAIM_MS))) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    try {
      return await work(() => claims.isHeld(gateway, holder));
    } finally {
      await claims.drop(gateway, holder).catch(() => {});
    }
  };
}
