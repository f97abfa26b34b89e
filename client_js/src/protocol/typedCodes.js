/**
 * Finds a code in what a person typed or pasted: with spaces or dashes, or in a whole mail (PROTOCOL §1.6.2).
 *
 * The text is normalised (NFKC) and then searched in steps, from the form that our mails print to forms
 * that a person may type. The first step that finds a code decides. If it finds two different codes, it
 * takes none, because only the person knows which one is the newest.
 */
import { CertlessError } from '../common/errors.js';

const HARDENED_CODE_CHARS = 8;
const CLASSIC_CODE_CHARS = 26;
const MAX_PASTED_CHARS = 16_384;
const MAX_PRINTED_CHARS = 64;
const OWN_CODE_CHARS = [22, 256];

/** `code`, or null; then `refusal` says why. @typedef {{ code: string | null, refusal: 'no_code' | 'two_codes' | null }} Reading */

const TWO_CODES = 'This text contains two different codes. Paste only the newest one.';

// Crockford's base 32: no I, L, O and U. A person who types I, L or O means a digit.
const PRINTED = /^[0-9A-HJKMNP-TV-Z]+$/;
/** @type {Record<string, string>} */
const MEANT = { I: '1', L: '1', O: '0' };
const LINE_ENDS = /[\n\r\v\f\x85\u2028\u2029]/;
// Our mails have the code between these words, even if a mail client changed the line breaks.
const FRAME = /waitsforit([0-9A-HJKMNP-TV-Z]+?)(?=Smallletters|Itworksonce)/g;
// Two dashes that Unicode does not class as dashes: minus, and the Japanese long vowel.
const DASHES = /[\u2212\u30fc]/g;
const NOT_COUNTED = /[^\p{L}\p{M}\p{N}]+/gu;
const BETWEEN_WORDS = /[^\p{L}\p{M}\p{N}\p{Pd}\p{Cf}]+/u;
const AROUND = /^[\p{Z}\p{C}]+|[\p{Z}\p{C}]+$/gu;
const SPACE_OR_CONTROL = /[\p{Z}\p{C}]/u;

/** @param {string} text */
const isTooLong = (text) => [...text].length > MAX_PASTED_CHARS;

/** @param {string} text */
const uniform = (text) => text.normalize('NFKC').replace(DASHES, '-');

/** Only letters, marks and numbers. @param {string} text */
const squeezed = (text) => text.replace(NOT_COUNTED, '');

/** ASCII letters only: outside ASCII, upper case depends on the language. @param {string} text */
const meant = (text) => text.replace(/[a-zILO]/g, (letter) => MEANT[letter.toUpperCase()] ?? letter.toUpperCase());

/** The words of a line, with the dashes and invisible characters inside of them. @param {string} line */
const wordsOf = (line) => line.split(BETWEEN_WORDS);

/** @param {string} word @param {number} chars */
const isPrinted = (word, chars) => word.length === chars && PRINTED.test(word);

/**
 * A printed code as a word in a sentence. A short code must have letters and digits, so that words in
 * capitals and dates are not taken for codes. A line without small letters is not a sentence; it can be a
 * code of another length, in groups.
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
 * A typed code: the whole text, or (for long codes) one word of it.
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
 * Reads a hardened code (PROTOCOL §2.4.3).
 * @param {string} text
 */
export const readCode = (text) => read(text, HARDENED_CODE_CHARS, HARDENED_CODE_CHARS);

/**
 * Reads a classic code exactly as printed, because its bytes are the key. A code in another form than
 * Certless's is taken unchanged.
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
  // A code of our form with characters missing.
  if (code.length < CLASSIC_CODE_CHARS && PRINTED.test(code)) return found;
  return { code: own, refusal: null };
}

/**
 * The code of a reading, or an error for people.
 * @param {Reading} reading
 * @param {string} absent the message if there is no code
 * @throws {CertlessError}
 */
export function codeOf({ code, refusal }, absent) {
  if (code !== null) return code;
  if (refusal === 'two_codes') throw new CertlessError(refusal, TWO_CODES);
  throw new CertlessError('no_code', absent);
}
