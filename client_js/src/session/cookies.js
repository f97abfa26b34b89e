/**
 * The cookies of one origin (RFC 6265bis). All of them came under a seal, so the connection counts as secure. SameSite has
 * no meaning here, because only this origin's session sends them. Nothing shows a cookie to a script.
 */

/**
 * `domain` is empty for a host-only cookie; `expiresMs` is null for a cookie that lasts as long as the session.
 * @typedef {{ name: string, value: string, domain: string, path: string, expiresMs: number | null }} Cookie
 */

export const MAX_COOKIES = 180;
export const MAX_COOKIE_CHARS = 4096;
const MAX_ATTRIBUTE_CHARS = 1024;
const MAX_AGE_MS = 400 * 86_400_000;
const CONTROL = /[\0-\x08\x0a-\x1f\x7f]/;
const IP_ADDRESS = /^\[|^[\d.]+$/;
const DELIMITERS = /[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+/;
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** @param {string} text */
const trim = (text) => text.replace(/^[ \t]+|[ \t]+$/g, '');

/** @param {string} target */
const pathOf = (target) => target.split('?')[0];

/** @param {Cookie} cookie @param {number} nowMs */
const lasts = ({ expiresMs }, nowMs) => expiresMs === null || expiresMs > nowMs;

/** The value of Cookie for `target`; empty if there is none. @param {Cookie[]} cookies @param {string} target @param {number} nowMs */
export function cookieHeader(cookies, target, nowMs) {
  const at = pathOf(target);
  /** @param {Cookie} cookie */
  const fits = ({ path }) => at === path || (at.startsWith(path) && (path.endsWith('/') || at[path.length] === '/'));
  return cookies
    .filter((cookie) => lasts(cookie, nowMs) && fits(cookie))
    .sort((a, b) => b.path.length - a.path.length)
    .map(({ name, value }) => (name ? `${name}=${value}` : value))
    .join('; ');
}

/**
 * `cookies` after the values of Set-Cookie in a response. The oldest cookies are dropped above the limit.
 * @param {Cookie[]} cookies
 * @param {string[]} lines
 * @param {{ host: string, target: string, nowMs: number }} request
 * @returns {Cookie[]}
 */
export function withCookies(cookies, lines, { host, target, nowMs }) {
  const kept = cookies.filter((cookie) => lasts(cookie, nowMs));
  for (const line of lines) {
    const cookie = parseCookie(line, host, target, nowMs);
    if (!cookie) continue;
    const at = kept.findIndex(({ name, domain, path }) => name === cookie.name && domain === cookie.domain && path === cookie.path);
    // A cookie that is set again keeps its place in the order of creation.
    if (at >= 0) kept.splice(at, 1, ...(lasts(cookie, nowMs) ? [cookie] : []));
    else if (lasts(cookie, nowMs)) kept.push(cookie);
  }
  return kept.slice(-MAX_COOKIES);
}

/**
 * The cookie of a Set-Cookie value, or null if it is not accepted. A cookie with a time in the past is one to delete.
 * @param {string} line
 * @param {string} host
 * @param {string} target
 * @param {number} nowMs
 * @returns {Cookie | null}
 */
function parseCookie(line, host, target, nowMs) {
  if (CONTROL.test(line)) return null;
  const [pair, ...attributes] = line.split(';');
  const at = pair.indexOf('=');
  const name = trim(pair.slice(0, Math.max(at, 0)));
  const value = trim(pair.slice(at + 1));
  if (!(name || value) || name.length + value.length > MAX_COOKIE_CHARS) return null;
  const given = attributesOf(attributes);
  const path = given.path?.[0] === '/' ? given.path : pathOf(target).replace(/\/[^/]*$/, '') || '/';
  const prefix = /^__(secure|host)-/i.exec(name || value)?.[1].toLowerCase();
  const isHost = given.secure !== undefined && given.path === '/' && !given.domain;
  if (prefix && (!name || given.secure === undefined || (prefix === 'host' && !isHost))) return null;
  const domain = (given.domain ?? '').replace(/^\./, '').toLowerCase();
  const isWide = domain.includes('.') && !IP_ADDRESS.test(host);
  if (domain && domain !== host && !(isWide && host.endsWith(`.${domain}`))) return null;
  return { name, value, domain: isWide ? domain : '', path, expiresMs: expiryOf(given, nowMs) };
}

/** @param {string[]} attributes @returns {Record<string, string | undefined>} the last value of each */
function attributesOf(attributes) {
  /** @type {Record<string, string | undefined>} */
  const given = Object.create(null);
  for (const attribute of attributes) {
    const [name, ...rest] = attribute.split('=');
    const value = trim(rest.join('='));
    const key = trim(name).toLowerCase();
    const isWrong = key === 'max-age' ? !/^-?\d+$/.test(value) : key === 'expires' && parseDate(value) === null;
    if (value.length <= MAX_ATTRIBUTE_CHARS && !isWrong) given[key] = value;
  }
  return given;
}

/** @param {Record<string, string | undefined>} given @param {number} nowMs */
function expiryOf({ 'max-age': seconds, expires }, nowMs) {
  const atMs = seconds === undefined ? expires === undefined ? null : parseDate(expires) : nowMs + Number(seconds) * 1000;
  return atMs === null ? null : Math.min(atMs, nowMs + MAX_AGE_MS);
}

/** A time as cookies have it, or null. @param {string} text */
function parseDate(text) {
  /** @type {number[] | undefined} */
  let time;
  let [day, month, year] = [-1, -1, -1];
  for (const token of text.split(DELIMITERS)) {
    const clock = /^(\d{1,2}):(\d{1,2}):(\d{1,2})(?!\d)/.exec(token);
    const number = /^\d{1,4}(?!\d)/.exec(token)?.[0] ?? '';
    const named = MONTHS.indexOf(token.slice(0, 3).toLowerCase());
    if (!time && clock) time = clock.slice(1).map(Number);
    else if (day < 0 && number && number.length < 3) day = Number(number);
    else if (month < 0 && named >= 0) month = named;
    else if (year < 0 && number.length > 1) year = Number(number) + (number.length > 2 ? 0 : Number(number) < 70 ? 2000 : 1900);
  }
  if (!time || year < 1601) return null;
  const [hours, minutes, seconds] = time;
  const atMs = Date.UTC(year, month, day, hours, minutes, seconds);
  const isReal = month >= 0 && new Date(atMs).getUTCDate() === day && hours < 24 && minutes < 60 && seconds < 60;
  return isReal ? atMs : null;
}
