/** The gateway of the model: who is logged in, which tickets are good, what was mailed. */

/** No request lasts longer (transport.js). */
const DEADLINE_MS = 30_000;
const SESSION_MS = 43_200_000;
const TICKET_MS = 2_592_000_000;

export class Gateway {
  /** Tokens of sessions that live. @type {Map<string, string>} */
  sessions = new Map();
  /** The two tickets that a chain takes: the one redeemed last, and its successor. */
  chains = [];
  /** Mails that no person has asked for, since somebody last logged in or out. */
  mailsByItself = 0;
  /** What must not be. @type {string[]} */
  faults = [];
  #redeeming = new Set();
  #last = 0;
  #steps;

  constructor(steps) {
    this.#steps = steps;
  }

  /** It forgets sessions; with `tickets` those as well, as one that is started anew without a store. */
  forget(tickets) {
    this.sessions.clear();
    if (tickets) this.chains = [];
  }

  /** The engine of one tab: what is sent by it comes here. */
  engineOf(tab, { NoAnswer, Refused }) {
    let numbers = 0;
    const open = new Map();
    const opened = (kept) => {
      numbers += 1;
      open.set(numbers, kept.token);
      return { session: numbers, kept };
    };
    const refused = () => new Refused(403, 'rejected');
    const send = async (what, work, { signal } = {}) => {
      const fault = tab.faults.network.shift();
      const cancelled = new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
      });
      const late = new Promise((_, reject) => {
        this.#steps.setTimeout(tab, () => reject(new NoAnswer()), DEADLINE_MS);
      });
      for (const ended of [cancelled, late]) ended.catch(() => {});
      const turn = (which) => Promise.race([this.#steps.turn(tab, `${what} ${which}${fault ? ` (${fault})` : ''}`), cancelled, late]);
      await turn('sent');
      const answer = fault === 'forged' || fault === 'unsent' ? null : work();
      await turn('answered');
      if (fault === 'unsent' || fault === 'unheard') throw new NoAnswer();
      if (!answer) throw refused();
      return answer;
    };
    const methods = {
      awaitCode: (given, control) =>
        send('hello', () => {
          if (!tab.isPersonAsking) this.mailsByItself += 1;
          if (this.mailsByItself > 1) this.faults.push('two mails that nobody asked for');
          return { login: given.subject.username };
        }, control).then(({ login }) => login),
      enterCode: async ({ login }, control) => opened(await send('code', () => {
        this.mailsByItself = 0;
        return this.#enrol(login, { used: null, next: null });
      }, control)),
      redeemTicket: async ({ subject, ticket }, control) => {
        this.#redeeming.add(tab);
        const others = [...this.#redeeming].filter((one) => one !== tab && !one.isClosed);
        if (others.length) this.faults.push('two redemptions at once');
        try {
          return opened(await send('ticket', () => this.#redeem(subject.username, ticket.ticket[0]), control));
        } finally {
          this.#redeeming.delete(tab);
        }
      },
      adopt: async ({ kept }) => opened(kept).session,
      exchange: async ({ session }, control) => {
        const token = open.get(session);
        return send('message', () => this.sessions.has(token) && { status: 200, headers: [], body: new Uint8Array() }, control);
      },
      logout: async ({ session }, control) => {
        const token = open.get(session);
        return send('logout', () => this.#logout(token), control);
      },
      follow: async () => {},
      forgetPair: async () => {},
      forgetSession: async ({ session }) => void open.delete(session),
    };
    return {
      call: async (name, given, control) => {
        control?.signal?.throwIfAborted();
        return methods[name](given, control);
      },
      close: () => {},
    };
  }

  #number() {
    this.#last += 1;
    return this.#last;
  }

  #enrol(username, chain) {
    const token = `session ${this.#number()}`;
    this.sessions.set(token, chain);
    chain.next = this.#number();
    if (!this.chains.includes(chain)) this.chains.push(chain);
    const bytes = (number) => new Uint8Array([number]);
    const keys = { sid: bytes(0), c2s: bytes(0), s2c: bytes(0), serverKey: bytes(0) };
    const numbers = { offsetMs: 0, epoch: 0, epochStartedMs: this.#steps.nowMs, sequence: 0 };
    const { nowMs } = this.#steps;
    return {
      version: 2,
      username,
      realm: 'certless',
      fresh: 'clock',
      suite: 'ecdh-gcm',
      token,
      expiresMs: nowMs + SESSION_MS,
      session: { suite: 'ecdh-gcm', fresh: 'clock', ...keys, ...numbers },
      ticket: { ticket: bytes(chain.next), secret: bytes(0), expiresMs: nowMs + TICKET_MS },
      privateKey: null,
    };
  }

  #redeem(username, ticket) {
    const chain = this.chains.find((one) => one.used === ticket || one.next === ticket);
    if (!chain) return null;
    chain.used = ticket;
    return this.#enrol(username, chain);
  }

  #logout(token) {
    const chain = this.sessions.get(token);
    if (!chain) return null;
    this.sessions.delete(token);
    this.chains = this.chains.filter((one) => one !== chain);
    return { status: 200 };
  }
}
