/**
 * The hardened suites, as data (PROTOCOL §2.2): name, number, and whether they wrap a key.
 *
 * Number 3 is reserved for `hybrid-gcm` (ML-KEM-768 beside P-256). Its fields in a transcript are empty.
 */
import { UnsupportedSuite } from '../../common/errors.js';

/** @typedef {'clock' | 'counter'} Freshness */

/**
 * `number` is the number on the wire. `wraps`: every message carries a key that is wrapped with RSA.
 * @typedef {Readonly<{ name: string, number: number, wraps: boolean }>} HardenedSuite
 */

export const VERSION = 1;
export const DEFAULT_REALM = 'certless';

/** @type {Readonly<Record<Freshness, number>>} */
export const FRESHNESS = { clock: 1, counter: 2 };

export const ECDH_GCM = Object.freeze({ name: 'ecdh-gcm', number: 1, wraps: false });
export const RSA_GCM = Object.freeze({ name: 'rsa-gcm', number: 2, wraps: true });

/** @type {ReadonlyMap<string, HardenedSuite>} */
export const HARDENED_SUITES = new Map([ECDH_GCM, RSA_GCM].map((suite) => [suite.name, suite]));

/**
 * @param {string} name
 * @throws {UnsupportedSuite}
 */
export function findSuite(name) {
  const found = HARDENED_SUITES.get(name);
  if (!found) throw new UnsupportedSuite('unknown suite');
  return found;
}

/**
 * @param {number} number
 * @throws {UnsupportedSuite}
 */
export function suiteOfNumber(number) {
  for (const suite of HARDENED_SUITES.values()) if (suite.number === number) return suite;
  throw new UnsupportedSuite('unknown suite number');
}

/**
 * The first offered suite that is accepted.
 * @param {number} version
 * @param {readonly string[]} offered
 * @param {readonly string[]} accepted
 * @throws {UnsupportedSuite}
 */
export function chooseSuite(version, offered, accepted) {
  if (version !== VERSION) throw new UnsupportedSuite(`only version ${VERSION} is supported`);
  const name = offered.find((one) => accepted.includes(one) && HARDENED_SUITES.has(one));
  if (name === undefined) throw new UnsupportedSuite('no common suite');
  return findSuite(name);
}
