/**
 * Names of users and codes, as a person types them (PROTOCOL §4.1, §4.4, §15.3).
 *
 * The server decides on both. What is checked here is what it would refuse anyway, so that the
 * person hears of it before a message goes out.
 */
import { RejectedMessage } from './errors.js';

export const MAX_USERNAME_CHARS = 254;
export const BITS_PER_CHAR = 5;
export const PASSWORD_MIN_CODE_BITS = 112;
export const HARDENED_CODE_CHARS = 8;

const ASCII = /^[\x00-\x7f]*$/;
const HARDENED_CODE = /^[0-9A-HJKMNP-TV-Z]{8}$/;
/** @type {Record<string, string>} */
const MEANT = { O: '0', I: '1', L: '1', ' ': '', '-': '' };

const CONTROL = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/**
 * The one form of a name: outer space dropped, case folded, NFC.
 *
 * JavaScript has no case folding. Up and down again is the same for every letter in use but the
 * dotless i and the final sigma; the form that counts is the server's.
 * @param {string} username
 * @throws {RejectedMessage}
 */
export function normaliseUsername(username) {
  const folded = username
    .normalize('NFC')
    .replace(/[^\u0131]+/gu, (part) => part.toUpperCase().toLowerCase())
    .replaceAll('\u03c2', '\u03c3');
  const name = folded.normalize('NFC').replace(/^ +| +$/g, '');
  const chars = [...name].length;
  if (chars < 1 || chars > MAX_USERNAME_CHARS) {
    throw new RejectedMessage('a username has 1 to 254 characters');
  }
  if (CONTROL.test(name)) throw new RejectedMessage('a username has no control characters');
  return name;
}

/**
 * The hardened code that a person typed, else null. Case, spaces and hyphens do not matter, and O,
 * I and L are read as 0, 1 and 1.
 * @param {string} typed
 */
export function readCode(typed) {
  // Beyond ASCII, languages do not agree on what is upper case.
  if (!ASCII.test(typed)) return null;
  const code = typed.trim().toUpperCase().replace(/[OIL -]/g, (character) => MEANT[character]);
  return HARDENED_CODE.test(code) ? code : null;
}
