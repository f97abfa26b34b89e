/**
 * Runs several tabs, one step at a time, in a given order.
 *
 * A step is anything that a tab waits for in a browser: a request on its way, an answer, a transaction,
 * a message of another tab, a timer. Between two steps everything runs that needs no more waiting.
 */

const MAX_STEPS = 5000;
/** A timer of more than this is for the clock, and no step. */
const SOON_MS = 1000;
/** Where nothing is left but timers; browsers throttle those of hidden tabs. */
const JUMP_MS = 5000;

export class Steps {
  nowMs = 1_800_000_000_000;
  /** The log for the report. @type {string[]} */
  log = [];
  #ready = [];
  #timers = new Map();
  #lastTimer = 0;
  /** @type {number[]} */
  #choices = [];

  /** @param {number[]} choices of the next step; after the last choice, the oldest step is next */
  choose(choices) {
    this.#choices = [...choices];
  }

  /** @param {{ isClosed: boolean, name: string }} tab @param {string} what @param {() => void} run */
  add(tab, what, run) {
    this.#ready.push({ tab, what, run });
  }

  /** Resolves when this step runs; never if the tab is closed by then. */
  turn(tab, what) {
    return new Promise((resolve) => this.add(tab, what, resolve));
  }

  setTimeout(tab, run, ms = 0) {
    this.#lastTimer += 1;
    this.#timers.set(this.#lastTimer, { tab, run, atMs: this.nowMs + ms, isSoon: ms <= SOON_MS });
    return this.#lastTimer;
  }

  clearTimeout(timer) {
    this.#timers.delete(timer);
  }

  /** Advances the clock; due timers become steps. */
  pass(ms) {
    this.nowMs += ms;
    for (const [number, { tab, run, atMs }] of this.#timers) {
      if (atMs > this.nowMs) continue;
      this.#timers.delete(number);
      this.add(tab, 'timer', run);
    }
  }

  /**
   * Runs until no step is left. `script` has the external events, each at any time.
   * @param {(() => void)[]} script
   */
  async run(script = []) {
    const rest = [...script];
    for (let count = 0; ; count += 1) {
      // All that needs no step: promises that are settled.
      await new Promise((resolve) => setImmediate(resolve));
      if (count > MAX_STEPS) throw new Error('the tabs do not come to rest');
      this.#ready = this.#ready.filter(({ tab }) => !tab.isClosed);
      const candidates = rest.length ? [...this.#ready, { run: rest[0] }] : this.#ready;
      if (candidates.length === 0) {
        if (![...this.#timers.values()].some(({ tab, isSoon }) => isSoon && !tab.isClosed)) return;
        this.pass(JUMP_MS);
        continue;
      }
      const chosen = candidates[(this.#choices.shift() ?? 0) % candidates.length];
      if (chosen.tab) {
        this.#ready.splice(this.#ready.indexOf(chosen), 1);
        this.log.push(`${chosen.tab.name}: ${chosen.what}`);
      } else {
        rest.shift();
      }
      chosen.run();
    }
  }
}
