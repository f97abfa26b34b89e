/** Objects that may be used once. */
import { LocalProtocolError } from './errors.js';

/** Allows one use; a second use is an error. */
export class Once {
  #used = false;

  /** @param {string} what */
  use(what) {
    if (this.#used) throw new LocalProtocolError(`${what} used twice`);
    this.#used = true;
  }
}
