/** A code as people bring it: typed, spaced, in lower case, or inside the whole mail. */

/** How many characters a mailed code has (PROTOCOL §11, CLASSIC_CODE_CHARS). */
const CODE_CHARS = [26];

// Crockford's base 32: no I, L, O and U, and whoever types one of the first three means a digit.
const LETTERS = /^[0-9A-HJKMNP-TV-Z]+$/;
/** @type {Record<string, string>} */
const MEANT = { I: '1', L: '1', O: '0' };

/** @param {string} text */
function normalise(text) {
  return text.toUpperCase().replace(/[ILO]/g, (letter) => MEANT[letter]);
}

/** @param {string} text */
const isCode = (text) => CODE_CHARS.includes(text.length) && LETTERS.test(text);

/**
 * The code in `text`, or null. What stands alone as the mail has it comes before what has to be
 * read kindly: a sentence of the mail must not be taken for a code.
 * @param {string} text
 * @returns {string | null}
 */
export function findCode(text) {
  const words = text.split(/[^0-9A-Za-z]+/);
  const lines = text.split(/[\r\n]+/).map((line) => line.replace(/[\s\u200b>-]+/g, ''));
  return words.find(isCode) ?? words.map(normalise).find(isCode) ?? lines.map(normalise).find(isCode) ?? null;
}
