/** If several tabs lose a session, only the first visible tab asks for a mail. */
import { tabClaims, newHolderId } from '../session/claims.js';

// As long as the code is valid (PROTOCOL §1.6.1).
const CLAIM_MS = 600_000;

export class MailClaim {
  #claims;
  #name;
  #holder = newHolderId();

  /** @param {string} gateway the key of the gateway in a store */
  constructor(gateway) {
    // Without IndexedDB, each tab asks for its own mail.
    this.#claims = globalThis.indexedDB ? tabClaims(indexedDB) : null;
    this.#name = `mail ${gateway}`;
  }

  /** Whether this tab should ask for the mail. */
  async acquire() {
    return this.#claims?.take(this.#name, this.#holder, CLAIM_MS).catch(() => true) ?? true;
  }

  /** This tab does not need a mail any more. */
  async release() {
    await this.#claims?.drop(this.#name, this.#holder).catch(() => {});
  }

  /** The user has logged in or out, so the next loss concerns another session. */
  async clear() {
    await this.#claims?.drop(this.#name).catch(() => {});
  }
}
