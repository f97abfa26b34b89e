/** The parts that tabs share, as steps of the model: IndexedDB and BroadcastChannel. */

/** A request that is done as soon as its caller has set the handlers. */
function request(work) {
  const asked = {};
  queueMicrotask(() => {
    asked.result = work();
    asked.onsuccess?.();
  });
  return asked;
}

/** One of a browser, for all tabs. A transaction is one step. */
export class Databases {
  /** Records by database. @type {Map<string, Map<string, unknown>>} */
  records = new Map();
  #steps;

  constructor(steps) {
    this.#steps = steps;
  }

  /** The factory of one tab. */
  of(tab) {
    return { open: (name) => this.#open(tab, name) };
  }

  #open(tab, name) {
    const opening = {};
    this.#steps.add(tab, `transaction in ${name}`, () => {
      if (tab.faults.store > 0) {
        tab.faults.store -= 1;
        this.#steps.log.push('the disk fails');
        opening.error = new Error('the disk says no');
        opening.onerror();
        return;
      }
      const isNew = !this.records.has(name);
      if (isNew) this.records.set(name, new Map());
      opening.result = this.#database(this.records.get(name));
      if (isNew) opening.onupgradeneeded();
      opening.onsuccess();
    });
    return opening;
  }

  #database(records) {
    const objectStore = () => ({
      get: (key) => request(() => structuredClone(records.get(key))),
      put: (value, key) => request(() => void records.set(key, structuredClone(value))),
      delete: (key) => request(() => void records.delete(key)),
    });
    return { createObjectStore: () => {}, transaction: () => ({ objectStore }), close: () => {} };
  }
}

/** Every other tab receives the messages of a tab in order. */
export class Channels {
  #steps;
  #open = new Set();

  constructor(steps) {
    this.#steps = steps;
  }

  /** The class of one tab. */
  of(tab) {
    const [steps, open] = [this.#steps, this.#open];
    return class {
      inbox = [];
      tab = tab;

      constructor() {
        open.add(this);
      }

      postMessage(data) {
        for (const other of open) {
          if (other === this || other.tab.isClosed) continue;
          other.inbox.push(data);
          if (other.inbox.length === 1) other.hear();
        }
      }

      hear() {
        steps.add(tab, `hears "${this.inbox[0]}"`, () => {
          const data = this.inbox.shift();
          if (this.inbox.length) this.hear();
          this.onmessage({ data });
        });
      }
    };
  }
}
