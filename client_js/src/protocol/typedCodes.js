/**
 * A code as a person brings it: typed, with spaces or dashes, or inside a whole mail (PROTOCOL §4.6).
 *
 * The text is made uniform (NFKC), and then it is looked for a code in steps, from what a mail
 * prints to what somebody may have typed. The first step that finds anything decides; if it finds
 * two codes, none is taken, for only the person knows which of them is the newest.
 */
import { CertlessError } from '../common/errors.js';

const HARDENED_CODE_CHARS = 8;
const CLASSIC_CODE_CHARS = 26;
const MAX_PASTED_CHARS = 16_384;
const MAX_PRINTED_CHARS = 64;
const OWN_CODE_CHARS = [22, 256];

/** `code` where there is one; else `refusal` says why. @typedef {{ code: string | null, refusal: 'no_code' | 'two_codes' | null }} Reading */

const TWO_CODES = 'There are two different codes in this text. Paste the newest one alone.';

// Crockford's base 32: no I, L, O and U, and whoever types one of the first three means a digit.
const PRINTED = /^[0-9A-HJKMNP-TV-Z]+$/;
/** @type {Record<string, string>} */
const MEANT = { I: '1', L: '1', O: '0' };
const LINE_ENDS = /[\n\r\v\f\x85\u2028\u2029]/;
// Between these words our mails have the code, whatever became of the lines.
const FRAME = /waitsforit([0-9A-HJKMNP-TV-Z]+?)(?=Smallletters|Itworksonce)/g;
// Two dashes that Unicode counts among other things: minus, and the long vowel of Japanese.
const DASHES = /[\u2212\u30fc]/g;
const NOT_COUNTED = /[^\p{L}\p{M}\p{N}]+/gu;
const BETWEEN_WORDS = /[^\p{L}\p{M}\p{N}\p{Pd}\p{Cf}]+/u;
const AROUND = /^[\p{Z}\p{C}]+|[\p{Z}\p{C}]+$/gu;
const SPACE_OR_CONTROL = /[\p{Z}\p{C}]/u;

/** @param {string} text */
const isTooLong = (text) => [...text].length > MAX_PASTED_CHARS;

/** @param {string} text */
const uniform = (text) => text.normalize('NFKC').replace(DASHES, '-');

/** Nothing counts in a code but letters, marks and numbers. @param {string} text */
const squeezed = (text) => text.replace(NOT_COUNTED, '');

/** Beyond ASCII, languages do not agree on what is upper case. @param {string} text */
const meant = (text) => text.replace(/[a-zILO]/g, (letter) => MEANT[letter.toUpperCase()] ?? letter.toUpperCase());

/** Runs of what counts, with the dashes and the invisible characters in them. @param {string} line */
const wordsOf = (line) => line.split(BETWEEN_WORDS);

/** @param {string} word @param {number} chars */
const isPrinted = (word, chars) => word.length === chars && PRINTED.test(word);

/**
 * As a word among others, as printed. A short one has letters and digits, as hardly any word in
 * capitals and no date has. A line without small letters is no sentence, but a code of another
 * length in groups.
 * @param {string[]} lines @param {number} chars @param {number} most
 */
function inSentences(lines, chars, most) {
  return lines.flatMap((line) => {
    const isSentence = /[a-z]/.test(line);
    return wordsOf(line).flatMap((word) => {
      const code = squeezed(word);
      if (isPrinted(code, chars)) {
        const isMixed = /[0-9]/.test(code) && /[A-Z]/.test(code);
        return chars !== HARDENED_CODE_CHARS || (isSentence && isMixed) ? [code] : [];
      }
      return word.length > chars && word.length <= most && PRINTED.test(word) ? [word] : [];
    });
  });
}

/**
 * As somebody may have typed it: the whole text, or a word that is too long to be another.
 * @param {string} text @param {string[]} lines @param {number} chars
 */
function typed(text, lines, chars) {
  const candidates = chars === HARDENED_CODE_CHARS ? [text] : [text, ...lines.flatMap(wordsOf)];
  return candidates.map((each) => meant(squeezed(each))).filter((each) => isPrinted(each, chars));
}

/**
 * @param {string} given @param {number} chars @param {number} most
 * @returns {Reading}
 */
function read(given, chars, most) {
  if (isTooLong(given)) return { code: null, refusal: 'no_code' };
  const text = uniform(given);
  const lines = text.split(LINE_ENDS);
  const steps = [
    () => [...squeezed(text).matchAll(FRAME)].map(([, code]) => code).filter(({ length }) => length >= chars && length <= most),
    () => lines.map(squeezed).filter((line) => isPrinted(line, chars)),
    () => inSentences(lines, chars, most),
    () => typed(text, lines, chars),
  ];
  for (const step of steps) {
    const found = [...new Set(step())];
    if (found.length === 1) return { code: found[0], refusal: null };
    if (found.length > 1) return { code: null, refusal: 'two_codes' };
  }
  return { code: null, refusal: 'no_code' };
}

/**
 * The hardened code in what a person typed or pasted (PROTOCOL §15.3).
 * @param {string} text
 */
export const readCode = (text) => read(text, HARDENED_CODE_CHARS, HARDENED_CODE_CHARS);

/**
 * The classic code in it: what was printed, to the byte, for its bytes are the key. A code that is
 * not of Certless's form goes through as it stands.
 * @param {string} text
 * @returns {Reading}
 */
export function readClassicCode(text) {
  const found = read(text, CLASSIC_CODE_CHARS, MAX_PRINTED_CHARS);
  if (found.refusal !== 'no_code' || isTooLong(text)) return found;
  const own = text.replace(AROUND, '');
  const [least, most] = OWN_CODE_CHARS;
  const chars = [...own].length;
  if (chars < least || chars > most || SPACE_OR_CONTROL.test(own)) return found;
  const code = meant(squeezed(uniform(own)));
  // One of our own, and a character is missing.
  if (code.length < CLASSIC_CODE_CHARS && PRINTED.test(code)) return found;
  return { code: own, refusal: null };
}

/**
 * The code of a reading.
 * @param {Reading} reading
 * @param {string} absent words for a text without a code
 * @throws {CertlessError}
 */
export function codeOf({ code, refusal }, absent) {
  if (code !== null) return code;
  if (refusal === 'two_codes') throw new CertlessError(refusal, TWO_CODES);
  throw new CertlessError('no_code', absent);
}
