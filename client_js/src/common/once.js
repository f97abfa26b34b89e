/** What may be done once. */
import { LocalProtocolError } from './errors.js';

/** A right that is used up by its first use. */
export class Once {
  #used = false;

  /** @param {string} what */
  use(what) {
    if (this.#used) throw new LocalProtocolError(`${what} used twice`);
    this.#used = true;
  }
}
