/** A browser of several tabs before one gateway: each tab runs the page's session as it is built. */
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Channels, Databases } from './browserParts.js';
import { Gateway } from './gateway.js';
import { Steps } from './steps.js';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const ORIGIN = 'http://gateway.test';
const USERNAME = 'ann';

const { outputFiles } = await build({
  absWorkingDir: HERE,
  entryPoints: ['entry.js'],
  bundle: true,
  write: false,
  format: 'iife',
  globalName: 'tab',
  platform: 'browser',
  target: ['es2022'],
  alias: { '#platform': './platform.js' },
});
// The globals of each tab; all others are Node's.
const GLOBALS = ['globalThis', 'document', 'BroadcastChannel', 'indexedDB', 'crypto', 'Date', 'setTimeout', 'clearTimeout'];
const program = new Function(...GLOBALS, `${outputFiles[0].text};return tab`);

/** The parts of `document` that the page session uses, on a prototype, because it reads them there. */
class TabDocument extends EventTarget {
  isSeen = true;

  get visibilityState() {
    return this.isSeen ? 'visible' : 'hidden';
  }

  get baseURI() {
    return `${ORIGIN}/`;
  }
}

class Tab {
  isClosed = false;
  isPersonAsking = false;
  /** The next faults: for requests in order, and the number of failing transactions. */
  faults = { network: [], store: 0 };
  /** @type {{ isSettled: boolean, code?: string }[]} */
  requests = [];
  /** Tokens of the sessions that its engines hold. @type {Set<string>} */
  tokens = new Set();

  constructor(world, number) {
    this.name = `tab ${number}`;
    this.world = world;
    const { channels, databases, gateway, steps } = world;
    this.document = new TabDocument();
    const indexedDB = databases.of(this);
    const crypto = { subtle: {}, getRandomValues: (array) => array.fill(world.number()) };
    const scope = { indexedDB, crypto };
    class Clock extends Date {
      static now = () => steps.nowMs;
    }
    const timers = [(run, ms) => steps.setTimeout(this, run, ms), (timer) => steps.clearTimeout(timer)];
    const parts = program(scope, this.document, channels.of(this), indexedDB, crypto, Clock, ...timers);
    this.CertlessError = parts.CertlessError;
    scope.newEngine = () => gateway.engineOf(this, parts);
    this.isShown = false;
    const options = { url: ORIGIN, suite: 'ecdh-gcm', clock: () => steps.nowMs };
    this.page = new parts.PageSession(options, () => (this.isShown = true));
  }

  fetch() {
    const request = { isSettled: false };
    this.requests.push(request);
    const settled = () => (request.isSettled = true);
    this.page.fetch('/orders').then(settled, (error) => {
      settled();
      request.code = error.code;
      if (!(error instanceof this.CertlessError)) this.world.gateway.faults.push(`${error.stack}`);
    });
  }

  see(isSeen) {
    this.document.isSeen = isSeen;
    this.document.dispatchEvent(new Event('visibilitychange'));
  }

  /** The user looks at the tab, and logs in if it asks. */
  async logIn() {
    const { login } = this.page;
    if (this.page.state === 'ready' || !this.document.isSeen || login.busy) return;
    if (login.step === 'address') {
      this.isPersonAsking = true;
      await login.request(USERNAME).finally(() => (this.isPersonAsking = false));
    }
    if (login.step === 'code') await login.submit('7K3QWXYZ');
  }

  logOut() {
    void this.page.logout();
    // A tab that has not heard of it takes it for a loss.
    this.world.gateway.losses += 1;
  }

  close() {
    this.isClosed = true;
  }
}

export class World {
  hasLoggedOut = false;
  #last = 0;

  constructor() {
    this.steps = new Steps();
    this.databases = new Databases(this.steps);
    this.channels = new Channels(this.steps);
    this.gateway = new Gateway(this.steps);
    /** @type {Tab[]} */
    this.tabs = [];
  }

  number() {
    this.#last += 1;
    return this.#last;
  }

  openTab() {
    this.tabs.push(new Tab(this, this.tabs.length));
  }

  get open() {
    return this.tabs.filter(({ isClosed }) => !isClosed);
  }

  /** The stored session. */
  get kept() {
    return this.databases.records.get('certless')?.get(`${ORIGIN}/.gateway`) ?? null;
  }

  /** Whether a session is kept that the gateway knows. */
  get isKeptAlive() {
    return Boolean(this.kept?.session && this.gateway.knows(this.kept.token));
  }

  /** Sessions have run out, and so has the code of a mail. */
  halfADay() {
    this.gateway.losses += 1;
    this.steps.pass(43_200_001);
  }

  /** Whether a tab sends under a session that the gateway knows. */
  get isAlive() {
    return this.open.some(({ page, tokens }) => page.session && [...tokens].some((token) => this.gateway.knows(token)));
  }
}
