/** Of the tabs that lose a session, one asks for the mail: the one that was first to be seen. */
import { claimsOf, newHolder } from '../session/claims.js';

// As long as its code is good (PROTOCOL §4.5).
const CLAIM_MS = 600_000;

export class OneMail {
  #claims;
  #name;
  #holder = newHolder();

  /** @param {string} gateway what a store knows the gateway by */
  constructor(gateway) {
    // Where tabs have nothing in common each asks for its own.
    this.#claims = globalThis.indexedDB ? claimsOf(indexedDB) : null;
    this.#name = `mail ${gateway}`;
  }

  /** Whether this tab is the one to ask. */
  async isOurs() {
    return this.#claims?.take(this.#name, this.#holder, CLAIM_MS).catch(() => true) ?? true;
  }

  /** This tab needs none, after all. */
  async release() {
    await this.#claims?.drop(this.#name, this.#holder).catch(() => {});
  }

  /** Somebody has logged in, or out: what is lost next is another session. */
  async isOver() {
    await this.#claims?.drop(this.#name).catch(() => {});
  }
}
