/**
 * The cookie jar of a session, kept beside its keys, so that tabs share it and a resumption keeps it. Cookies from outside
 * the seal never go in, and `document.cookie` never shows what is inside.
 */
import { cookieHeader, withCookies } from './cookies.js';

/** @typedef {import('../engine/engine.js').PlainResponse} PlainResponse */
/** @typedef {import('./cookies.js').Cookie} Cookie */
/** @typedef {import('./gatewayClient.js').GatewayClient} GatewayClient */
/** @typedef {import('./persistence.js').SessionPersistence} SessionPersistence */
/** @typedef {import('./plainHttp.js').SessionRequest} SessionRequest */

export class CookieJar {
  #client;
  #persistence;
  #username;
  #text;

  /** @param {GatewayClient} client @param {SessionPersistence} persistence @param {import('./stores.js').KeptSession} kept */
  constructor(client, persistence, { username, cookies = '[]' }) {
    this.#client = client;
    this.#persistence = persistence;
    this.#username = username;
    this.#text = cookies;
  }

  /** The request with its cookies. A program's own Cookie goes instead. @param {SessionRequest} request */
  async into(request) {
    const isOwn = request.headers.some(([name]) => name.toLowerCase() === 'cookie');
    if (request.credentials === 'omit' || isOwn) return request;
    this.#text = (await this.#persistence.cookies(this.#username)) ?? this.#text;
    const value = cookieHeader(parse(this.#text), request.target, this.#client.clock());
    /** @type {[string, string]} */
    const field = ['Cookie', value];
    return value ? { ...request, headers: [...request.headers, field] } : request;
  }

  /** Takes the cookies of a response. @param {SessionRequest} request @param {PlainResponse} response */
  async takeFrom({ target, credentials }, { headers }) {
    const lines = headers.filter(([name]) => name.toLowerCase() === 'set-cookie').map(([, value]) => value);
    if (!lines.length || credentials === 'omit') return;
    const { clock, origin } = this.#client;
    const given = { host: new URL(origin).hostname, target, nowMs: clock() };
    /** @param {string} text */
    const change = (text) => JSON.stringify(withCookies(parse(text), lines, given));
    this.#text = change(this.#text);
    await this.#persistence.changeCookies(this.#username, change);
  }
}

/** @param {string} text that this class has made @returns {Cookie[]} */
const parse = (text) => JSON.parse(text);
