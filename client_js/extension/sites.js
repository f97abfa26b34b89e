/** The list of sites: adds and removes sites, shows the session at each, logs out, and locks. */
import { element, setText } from '../src/page/dom.js';
import { PageSession } from '../src/page/pageSession.js';
import { GatewayClient } from '../src/session/gatewayClient.js';
import { hasTicket } from '../src/session/persistence.js';
import { lockAll } from './locking.js';
import { askPermission, dropSite, giveBackPermission, isAllowed, listSites, readSite, saveSite, sessionOptions } from './siteList.js';

/** @typedef {import('./siteList.js').Site} Site */

/** @param {string} selector @returns {any} */
const $ = (selector) => document.querySelector(selector);

/** @param {string} text @param {'#said' | '#failed'} [place] */
function say(text, place = '#said') {
  for (const one of ['#said', '#failed']) setText($(one), one === place ? text : '');
}

/** @param {number} ms */
const timeText = (ms) => new Date(ms).toLocaleString('en', { dateStyle: 'medium', timeStyle: 'short' });

/** What the extension keeps of a session. It asks nobody. @param {Site} site */
async function sessionAt(site) {
  const client = new GatewayClient(sessionOptions(site));
  const kept = await client.store.load(client.name);
  return { client, kept };
}

/** @param {Site} site @returns {Promise<{ text: string, isIn: boolean, isAllowed: boolean }>} */
async function badgeOf(site) {
  if (!(await isAllowed(site))) return { text: 'Not allowed yet', isIn: false, isAllowed: false };
  const { kept } = await sessionAt(site);
  const now = Date.now();
  const until = kept && Math.max(kept.expiresMs, hasTicket(kept, now) ? kept.ticket.expiresMs : 0);
  if (!kept || !until || until <= now) return { text: 'Not logged in', isIn: false, isAllowed: true };
  return { text: `Logged in as ${kept.username}, until ${timeText(until)}`, isIn: true, isAllowed: true };
}

/** @param {string} text @param {string} about @param {string} kind @param {() => Promise<void>} act */
function button(text, about, kind, act) {
  return element('button', { type: 'button', class: kind, 'aria-label': `${text} ${about}`, click: () => void perform(act) }, text);
}

/** @param {Site} site */
async function rowOf(site) {
  const { origin } = site;
  const badge = await badgeOf(site);
  const open = element('a', { class: 'button', href: `site.html?site=${encodeURIComponent(origin)}`, target: '_blank', 'aria-label': `Open ${origin}` }, 'Open');
  const actions = [badge.isAllowed ? open : button('Allow', origin, '', () => allow(site))];
  if (badge.isIn) actions.push(button('Log out', origin, 'second', () => logOut(site)));
  actions.push(button('Remove', origin, 'alarm', () => remove(site)));
  const mark = element('span', { class: badge.isIn ? 'mark in' : 'mark' }, badge.text);
  return element('li', { class: 'card' }, element('strong', {}, origin), mark, element('p', { class: 'actions' }, ...actions));
}

async function show() {
  const sites = listSites();
  const rows = await Promise.all(sites.map(rowOf));
  $('#sites').replaceChildren(...rows);
  $('#none').hidden = rows.length > 0;
  $('#lock').hidden = rows.length === 0;
  sites.forEach(watch);
}

/** The sites whose sessions this page watches. */
const watched = new Set();

/** @param {Site} site */
function watch(site) {
  const { name } = new GatewayClient(sessionOptions(site));
  if (watched.has(name)) return;
  watched.add(name);
  new BroadcastChannel(`certless ${name}`).onmessage = () => void perform(async () => {});
}

/** @param {Site} site */
async function allow(site) {
  if (await askPermission(site)) say(`Certless can reach ${site.origin} now.`);
  else say(`Certless cannot reach ${site.origin}. Press “Allow”, and agree when the browser asks.`, '#failed');
}

/** @param {Site} site */
async function logOut(site) {
  say(`Logging out of ${site.origin}.`);
  const page = new PageSession(sessionOptions(site), () => {});
  await page.ready;
  await page.logout();
  // If the gateway did not answer, the ticket is still there.
  const { client, kept } = await sessionAt(site);
  if (kept) await client.store.remove(client.name, kept.token);
  say(`You are logged out of ${site.origin}.`);
}

/** @param {Site} site */
async function remove(site) {
  if ((await badgeOf(site)).isIn) await logOut(site);
  dropSite(site);
  await giveBackPermission(site);
  say(`${site.origin} is removed.`);
}

let turn = Promise.resolve();

/** One after the other, and then the list as it is now. @param {() => Promise<void>} act */
function perform(act) {
  // The browser asks for a permission only soon after a click, so the act is not delayed by the list.
  const acted = act().catch((error) => say(error.message, '#failed'));
  turn = turn.then(() => acted).then(show);
  return turn;
}

$('#add').addEventListener('submit', (/** @type {SubmitEvent} */ event) => {
  event.preventDefault();
  const form = /** @type {HTMLFormElement} */ (event.target);
  const { address, realm } = Object.fromEntries(new FormData(form));
  void perform(async () => {
    const site = readSite(`${address}`, `${realm}`);
    // Before the question: while the browser asks, a popup closes.
    saveSite(site);
    form.reset();
    await allow(site);
  });
});

$('#lock button').addEventListener('click', () => {
  lockAll();
  say('All vaults are locked.');
});

addEventListener('storage', () => void perform(async () => {}));
void perform(async () => {});
