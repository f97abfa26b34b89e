/**
 * Names of users, as a person types them (PROTOCOL §4.1), and the sizes of codes (§11).
 *
 * The server decides on names. What is checked here is what it would refuse anyway, so that the
 * person hears of it before a message goes out.
 */
import { RejectedMessage } from '../common/errors.js';

const MAX_USERNAME_CHARS = 254;

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
