/** Four words for one state of the index, to compare two devices (VAULT §20.5). */
import { concat } from '../../common/bytes.js';
import { sha256 } from '../../primitives/hashes.js';
import { label, lp } from './account.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */

const CONSONANTS = 'bdfghjklmnprstvz';
const VOWELS = 'aiou';
const WORDS = 4;

/** @param {number} bits 16 */
function wordOf(bits) {
  const [first, second, third] = [12, 6, 0].map((shift) => CONSONANTS[(bits >> shift) & 15]);
  const [one, two] = [10, 4].map((shift) => VOWELS[(bits >> shift) & 3]);
  return first + one + second + two + third;
}

/** @param {Bytes} root */
export function wordsOf(root) {
  const digest = sha256(concat(label('words'), lp(root)));
  return Array.from({ length: WORDS }, (_, i) => wordOf((digest[2 * i] << 8) | digest[2 * i + 1])).join(' ');
}
