/**
 * Usernames as a person types them (PROTOCOL §1.5.1).
 *
 * The server decides which names are valid. The checks here refuse what the server would refuse anyway,
 * so that the user sees the error before a message is sent.
 */
import { RejectedMessage } from '../common/errors.js';

const MAX_USERNAME_CHARS = 254;

const CONTROL = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/**
 * The normal form of a name: no spaces around it, case folded, NFC.
 *
 * JavaScript has no case folding. Upper case and then lower case gives the same result, except for the
 * dotless i and the final sigma. Only the server's normal form matters.
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
