/** The sites that the user has added, in localStorage, and the permission to reach each of them. */
import { DEFAULT_REALM } from '../src/protocol/hardened/suites.js';

const KEY = 'sites';

/** @typedef {{ origin: string, realm: string }} Site */

/** In the order of their addresses. @returns {Site[]} */
export function listSites() {
  return JSON.parse(localStorage.getItem(KEY) ?? '[]');
}

/** @param {string | null} origin @returns {Site | null} */
export function findSite(origin) {
  return listSites().find((site) => site.origin === origin) ?? null;
}

/** @param {Site} site replaces the site with the same origin */
export function saveSite(site) {
  const sites = [...listSites().filter(({ origin }) => origin !== site.origin), site];
  store(sites.sort((a, b) => (a.origin < b.origin ? -1 : 1)));
}

/** @param {Site} site */
export function dropSite(site) {
  store(listSites().filter(({ origin }) => origin !== site.origin));
}

/** @param {Site[]} sites */
const store = (sites) => localStorage.setItem(KEY, JSON.stringify(sites));

/**
 * The site that the user has typed.
 * @param {string} address with or without `http://`
 * @param {string} realm empty for the default
 * @returns {Site}
 * @throws {Error} for the user
 */
export function readSite(address, realm) {
  const text = address.trim();
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(full)) throw new Error('This is not an address. Type for instance http://shop.example:8440');
  const { protocol, origin } = new URL(full);
  if (protocol !== 'http:') throw new Error('This extension is for sites without HTTPS. Type an address that begins with http://');
  return { origin, realm: realm.trim() || DEFAULT_REALM };
}

/** @param {Site} site */
const permissionOf = ({ origin }) => ({ origins: [`${origin}/*`] });

/** Whether the extension can reach the site. @param {Site} site @returns {Promise<boolean>} */
export const isAllowed = (site) => chrome.permissions.contains(permissionOf(site));

/** Asks the user. Call it for a click. @param {Site} site @returns {Promise<boolean>} */
export const askPermission = (site) => chrome.permissions.request(permissionOf(site));

/** @param {Site} site */
export async function giveBackPermission(site) {
  // The browser refuses this if its administrator has granted the permission.
  await chrome.permissions.remove(permissionOf(site)).catch(() => false);
}

/** The options of a session at the site. @param {Site} site */
export const sessionOptions = ({ origin, realm }) => ({ url: origin, realm, suite: 'ecdh-gcm' });
