/**
 * The messages of a login and of a resumption (PROTOCOL §2.4, §2.8).
 *
 * Each message is a table of its members, which reads and writes both formats. A resumption ends with the
 * confirmation messages of a login.
 */
import { Members, serializeMembers } from '../envelopes.js';
import { MalformedMessage } from '../../common/errors.js';
import { FRESHNESS } from './suites.js';
import { POINT_BYTES } from '../../primitives/p256.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../envelopes.js').Format} Format */
/** @typedef {import('./suites.js').Freshness} Freshness */

export const SESSION_ID_BYTES = 16;
export const NONCE_BYTES = 32;
export const TICKET_BYTES = 16;
const CONFIRMATION_BYTES = 32;
const MAX_BOX_BYTES = 4096;
export const MAX_SESSION_MS = 43_200_000;

/**
 * @template Value
 * @typedef {(members: Members, name: string) => Value} Take
 */

/**
 * @template {Record<string, Take<any>>} Table
 * @typedef {{ [Name in keyof Table]: ReturnType<Table[Name]> }} MessageOf
 */

/** A name for labels, files and terminals: it needs no quotes there, and is no option or formula. */
const DEVICE = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;

/** Whether `name` can be the name of a device (PROTOCOL §2.4.1). @param {string} name */
export const isDeviceName = (name) => DEVICE.test(name);

/** @param {number} length @returns {Take<Bytes>} */
const raw = (length) => (members, name) => members.raw(name, length);

/** @param {number} highest @returns {Take<number>} */
const number = (highest) => (members, name) => members.number(name, highest);

/** @type {Take<string>} */
const text = (members, name) => members.text(name);

/** @type {Take<string[]>} */
const texts = (members, name) => members.texts(name);

/** @type {Take<Freshness>} */
const fresh = (members, name) => {
  const value = members.text(name);
  if (!Object.hasOwn(FRESHNESS, value)) throw new MalformedMessage('fresh must be clock or counter');
  return /** @type {Freshness} */ (value);
};

/** @type {Take<Bytes>} */
const box = (members, name) => {
  const value = members.raw(name);
  if (value.length > MAX_BOX_BYTES) throw new MalformedMessage(`a box has at most ${MAX_BOX_BYTES} bytes`);
  return value;
};

/** @type {Take<Bytes | null>} */
const optionalBox = (members, name) => (members.has(name) ? box(members, name) : null);

/** @type {Take<string | null>} */
const device = (members, name) => {
  const value = members.has(name) ? members.text(name) : null;
  if (value !== null && !isDeviceName(value)) throw new MalformedMessage('not a device');
  return value;
};

/**
 * @template {Record<string, Take<any>>} Table
 * @param {Table} table
 */
function message(table) {
  return {
    /**
     * @param {Format} format
     * @param {Bytes} data
     * @returns {MessageOf<Table>}
     * @throws {MalformedMessage}
     */
    parse(format, data) {
      const members = new Members(format, data);
      const found = Object.entries(table).map(([name, take]) => [name, take(members, name)]);
      members.end();
      return Object.fromEntries(found);
    },
    /** @param {Format} format @param {MessageOf<Table>} values */
    serialize(format, values) {
      return serializeMembers(format, Object.fromEntries(Object.keys(table).map((name) => [name, values[name]])));
    },
  };
}

/** ClientHello, C->S: the username, the offered suites, clock or counter, and the device whose code is used. */
export const CLIENT_HELLO = message({
  v: number(0xffff),
  username: text,
  suites: texts,
  fresh,
  cn: raw(NONCE_BYTES),
  device,
});

/** ServerHello, S->C: the id of the future session and the suite of its code; the same form for unknown users. */
export const SERVER_HELLO = message({
  sid: raw(SESSION_ID_BYTES),
  suite: text,
  sn: raw(NONCE_BYTES),
  expires_s: number(0xffff_ffff),
});

/** ClientShare, C->S: pA of SPAKE2. It counts as one attempt for the code. */
export const CLIENT_SHARE = message({ sid: raw(SESSION_ID_BYTES), pA: raw(POINT_BYTES) });

/** ServerShare, S->C: pB of SPAKE2. */
export const SERVER_SHARE = message({ pB: raw(POINT_BYTES) });

/** ClientConfirmation, C->S: the client's proof; in rsa-gcm a box with its public key. */
export const CLIENT_CONFIRMATION = message({
  sid: raw(SESSION_ID_BYTES),
  cA: raw(CONFIRMATION_BYTES),
  box: optionalBox,
});

/** ServerConfirmation, S->C: the server's proof, and a box with the initial values of the session. */
export const SERVER_CONFIRMATION = message({ cB: raw(CONFIRMATION_BYTES), box });

/** ResumptionClientHello, C->S: a ticket, and the client's point for ECDH. */
export const RESUMPTION_CLIENT_HELLO = message({
  v: number(0xffff),
  ticket: raw(TICKET_BYTES),
  suite: text,
  fresh,
  cn: raw(NONCE_BYTES),
  eC: raw(POINT_BYTES),
});

/** ResumptionServerHello, S->C: the id of the future session, and the server's point for ECDH. */
export const RESUMPTION_SERVER_HELLO = message({
  sid: raw(SESSION_ID_BYTES),
  sn: raw(NONCE_BYTES),
  eS: raw(POINT_BYTES),
});
