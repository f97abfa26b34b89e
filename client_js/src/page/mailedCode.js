/** A code as people bring it: typed, spaced, in lower case, or inside the whole mail. */
import { HARDENED_CODE_CHARS } from '../codes.js';

/** How many characters a mailed code has (PROTOCOL §11, §22). */
export const CODE_CHARS = Object.freeze({ classic: 26, hardened: HARDENED_CODE_CHARS });

// Crockford's base 32: no I, L, O and U, and whoever types one of the first three means a digit.
const LETTERS = /^[0-9A-HJKMNP-TV-Z]+$/;
/** @type {Record<string, string>} */
const MEANT = { I: '1', L: '1', O: '0' };

/** @param {string} text */
function normalise(text) {
  return text.toUpperCase().replace(/[ILO]/g, (letter) => MEANT[letter]);
}

/** Letters and digits, as no word of a sentence and no date. @param {string} word */
const isMixed = (word) => /[0-9]/.test(word) && /[A-Z]/.test(word);

/**
 * The code in `text`, or null. What stands alone as the mail has it comes before what has to be
 * read kindly: a sentence of the mail must not be taken for a code. Of eight letters there is many
 * a word, so that a short code is looked for on a line of its own first, and never read kindly in
 * a sentence.
 * @param {string} text
 * @param {number} chars of which there are in a code
 * @returns {string | null}
 */
export function findCode(text, chars) {
  /** @param {string} part */
  const isCode = (part) => part.length === chars && LETTERS.test(part);
  const words = text.split(/[^0-9A-Za-z]+/);
  const lines = text.split(/[\r\n]+/).map((line) => line.replace(/[\s\u200b>-]+/g, ''));
  if (chars === CODE_CHARS.hardened) {
    const [first, ...more] = lines.filter(Boolean).map(normalise);
    const typed = more.length === 0 && first && isCode(first) ? first : null;
    return lines.find(isCode) ?? words.find((word) => isCode(word) && isMixed(word)) ?? typed;
  }
  return words.find(isCode) ?? words.map(normalise).find(isCode) ?? lines.map(normalise).find(isCode) ?? null;
}
