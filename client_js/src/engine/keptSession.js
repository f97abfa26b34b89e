/** The stored form of a session, and a check for it. */

/** @typedef {import('../protocol/hardened/clientSession.js').ClientSession} ClientSession */
/** @typedef {import('../protocol/hardened/clientSession.js').ClientTicket} ClientTicket */
/** @typedef {import('../protocol/classic/dialects.js').Dialect} Dialect */
/** @typedef {import('../protocol/hardened/suites.js').Freshness} Freshness */
/** @typedef {import('../primitives/contract.js').StoredKey} StoredKey */

/**
 * A stored classic session.
 * @typedef {{
 *   version: 1,
 *   username: string,
 *   dialect: Dialect,
 *   token: string,
 *   serverKey: string,
 *   privateKey: StoredKey,
 *   expiresMs: number,
 * }} KeptClassic
 */

/**
 * A stored hardened session. `token` is its id in hex. Without `session` there is only a ticket for a new
 * session. `rsaKey` is the key pair that the caller has provided.
 * @typedef {{
 *   version: 2,
 *   username: string,
 *   realm: string,
 *   fresh: Freshness,
 *   suite: string,
 *   token: string,
 *   expiresMs: number,
 *   session: ClientSession | null,
 *   ticket: ClientTicket | null,
 *   privateKey: StoredKey | null,
 *   rsaKey?: CryptoKeyPair,
 * }} KeptHardened
 */

/** `cookies` is the jar as JSON. @typedef {(KeptClassic | KeptHardened) & { cookies?: string }} KeptSession */

/** @param {any} value @param {Record<string, string>} types a name with `?` may be null */
function hasTypes(value, types) {
  return Object.entries(types).every(([name, type]) => {
    const isOptional = name.endsWith('?');
    const member = value[isOptional ? name.slice(0, -1) : name];
    return (isOptional && member === null) || (member !== null && typeof member === type);
  });
}

const TEXTS = { username: 'string', token: 'string', expiresMs: 'number' };
const CLASSIC = { ...TEXTS, serverKey: 'string', dialect: 'object', privateKey: 'object' };
const HARDENED = { ...TEXTS, realm: 'string', suite: 'string', 'session?': 'object', 'ticket?': 'object', 'privateKey?': 'object' };
const SESSION = { suite: 'string', fresh: 'string', offsetMs: 'number', epoch: 'number', epochStartedMs: 'number', sequence: 'number' };

/** @param {any} value @param {string[]} names */
const hasBytes = (value, names) => names.every((name) => value[name] instanceof Uint8Array);

/**
 * Whether `value` has the form of a stored session. Stores ignore anything else.
 * @param {any} value
 * @returns {value is KeptSession}
 */
export function isKeptSession(value) {
  if (value?.version === 1) return hasTypes(value, CLASSIC);
  if (value?.version !== 2 || !hasTypes(value, HARDENED)) return false;
  const { session, ticket } = value;
  const isSession = !session || (hasTypes(session, SESSION) && hasBytes(session, ['sid', 'c2s', 's2c', 'serverKey']));
  return isSession && (!ticket || (hasTypes(ticket, { expiresMs: 'number' }) && hasBytes(ticket, ['ticket', 'secret'])));
}
