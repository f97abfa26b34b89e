/** The gateway of the model: sessions, valid tickets and mails (PROTOCOL §2.8.3). */

/** Every request has a limit; of a redemption this one (persistence.js). */
const DEADLINE_MS = 40_000;
const SESSION_MS = 43_200_000;
const TICKET_MS = 2_592_000_000;

export class Gateway {
  /** Sessions that live, by token: when they end, and the chain of their tickets. */
  sessions = new Map();
  /** The tickets of each login: the two valid ones and the used ones. */
  chains = [];
  grantsTickets = true;
  /** How often sessions were lost, and mails that no person has asked for: one for each at most. */
  losses = 0;
  mailsByItself = 0;
  /** Violated rules. @type {string[]} */
  faults = [];
  #redeeming = new Set();
  #last = 0;
  #steps;

  constructor(steps) {
    this.#steps = steps;
  }

  /** @param {string} token */
  knows(token) {
    return (this.sessions.get(token)?.untilMs ?? 0) > this.#steps.nowMs;
  }

  /** It forgets sessions; with `tickets` those as well, as one that is started anew without a store. */
  forget(tickets) {
    if (this.sessions.size) this.losses += 1;
    this.sessions.clear();
    if (tickets) this.chains = [];
  }

  /** The engine of a tab, which sends its messages here. */
  engineOf(tab, { NoAnswer, Refused }) {
    let numbers = 0;
    const open = new Map();
    const opened = (kept) => {
      numbers += 1;
      open.set(numbers, kept.token);
      tab.tokens.add(kept.token);
      return { session: numbers, kept };
    };
    const refused = () => new Refused(403, 'rejected');
    const send = async (what, work, { signal } = {}) => {
      const fault = tab.faults.network.shift();
      if (fault === 'forged') this.losses += 1;
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
          if (this.mailsByItself > this.losses) this.faults.push('two mails for one loss');
          return { login: given.subject.username };
        }, control).then(({ login }) => login),
      enterCode: async ({ login }, control) => opened(await send('code', () => {
        return this.#enrol(login, { used: null, next: null, spent: [] });
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
        return send('message', () => this.knows(token) && { status: 200, headers: [], body: new Uint8Array() }, control);
      },
      logout: async ({ session }, control) => {
        const token = open.get(session);
        return send('logout', () => this.#logout(token), control);
      },
      follow: async () => {},
      forgetPair: async () => {},
      forgetSession: async ({ session }) => {
        tab.tokens.delete(open.get(session));
        open.delete(session);
      },
    };
    return {
      call: async (name, given, control) => {
        control?.signal?.throwIfAborted();
        return methods[name](given, control);
      },
      close: () => open.forEach((token) => tab.tokens.delete(token)),
    };
  }

  #number() {
    this.#last += 1;
    return this.#last;
  }

  #enrol(username, chain) {
    const token = `session ${this.#number()}`;
    const { nowMs } = this.#steps;
    this.sessions.set(token, { chain, untilMs: nowMs + SESSION_MS });
    chain.next = this.#number();
    if (this.grantsTickets && !this.chains.includes(chain)) this.chains.push(chain);
    const bytes = (number) => new Uint8Array([number]);
    const keys = { sid: bytes(0), c2s: bytes(0), s2c: bytes(0), serverKey: bytes(0) };
    const numbers = { offsetMs: 0, epoch: 0, epochStartedMs: nowMs, sequence: 0 };
    const ticket = { ticket: bytes(chain.next), secret: bytes(0), expiresMs: nowMs + TICKET_MS };
    return {
      version: 2,
      username,
      realm: 'certless',
      fresh: 'clock',
      suite: 'ecdh-gcm',
      token,
      expiresMs: nowMs + SESSION_MS,
      session: { suite: 'ecdh-gcm', fresh: 'clock', ...keys, ...numbers },
      ticket: this.grantsTickets ? ticket : null,
      privateKey: null,
    };
  }

  #redeem(username, ticket) {
    const chain = this.chains.find(({ used, next, spent }) => [used, next, ...spent].includes(ticket));
    if (!chain) return null;
    this.#end(chain);
    if (chain.spent.includes(ticket)) {
      this.faults.push('a ticket that was spent came back');
      this.chains = this.chains.filter((one) => one !== chain);
      return null;
    }
    // Redeeming the successor spends the one before it; coming again with that spends the successor.
    chain.spent.push(chain.used === ticket ? chain.next : chain.used);
    chain.used = ticket;
    return this.#enrol(username, chain);
  }

  #end(chain) {
    for (const [token, one] of this.sessions) if (one.chain === chain) this.sessions.delete(token);
  }

  #logout(token) {
    if (!this.knows(token)) return null;
    const { chain } = this.sessions.get(token);
    this.#end(chain);
    this.chains = this.chains.filter((one) => one !== chain);
    return { status: 200 };
  }
}
