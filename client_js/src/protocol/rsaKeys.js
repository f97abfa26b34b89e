/**
 * Which public keys are acceptable (PROTOCOL §1.7).
 *
 * The text has one public key in PEM (SubjectPublicKeyInfo or PKCS#1), at most 4096 characters, in a
 * layout that Node.js reads (`readPem`). The key is RSA with 2048 to 4096 bits and e = 65537. n is odd, has
 * no factor below 2000, is not a square and not prime, its primes are not close (100 steps of Fermat's
 * method), and it lacks the mark of CVE-2017-15361 (ROCA). Others could decrypt a passphrase that is
 * encrypted with a weak key.
 */
import { pow, sqrt } from 'micro-rsa-dsa-dh/utils.js';
import { decodeBytes } from '../common/codec.js';
import { InvalidPublicKey } from '../common/errors.js';
import { EXPONENT } from '../primitives/contract.js';
import { subjectPublicKeyInfo } from '../primitives/der.js';
import { RsaPublicKey } from '../primitives/rsaPublicKey.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */

const MAX_PEM_CHARS = 4096;
export const MIN_BITS = 2048;
export const MAX_BITS = 4096;
const FERMAT_STEPS = 100;

const BEGIN = '-----BEGIN ';
const LABELS = /** @type {const} */ ({ spki: 'PUBLIC KEY', pkcs1: 'RSA PUBLIC KEY' });
// OpenSSL ignores these at the end of a line.
const AT_LINE_END = /[\t\v\f\r ]+$/;

/** @type {number[]} */
const SMALL_PRIMES = [];
for (let candidate = 3; candidate < 2000; candidate += 2) {
  if (SMALL_PRIMES.every((prime) => candidate % prime)) SMALL_PRIMES.push(candidate);
}
const ROCA_PRIMES = SMALL_PRIMES.filter((prime) => prime <= 167);

/** @param {bigint} n */
function hasSmallFactor(n) {
  return n % 2n === 0n || SMALL_PRIMES.some((prime) => n % BigInt(prime) === 0n);
}

/**
 * Whether `residue` is a power of 65537 modulo `prime`.
 * @param {number} residue
 * @param {number} prime
 */
function isPowerOfExponent(residue, prime) {
  let power = 1;
  do {
    if (power === residue) return true;
    power = (power * (EXPONENT % prime)) % prime;
  } while (power !== 1);
  return false;
}

/** The primes of a ROCA key are powers of 65537 modulo each of these primes, and so is n. @param {bigint} n */
function isRoca(n) {
  return ROCA_PRIMES.every((prime) => isPowerOfExponent(Number(n % BigInt(prime)), prime));
}

// A square is a square modulo 64, 63, 65 and 11 too. That rules out 99 of 100 numbers without a root.
const SQUARES = [64n, 63n, 65n, 11n].map((modulus) => {
  const residues = Array.from({ length: Number(modulus) }, (_, i) => BigInt(i) ** 2n % modulus);
  return /** @type {const} */ ([modulus, new Set(residues)]);
});

/** @param {bigint} value not negative */
function isSquare(value) {
  if (value === 0n) return true;
  if (SQUARES.some(([modulus, residues]) => !residues.has(value % modulus))) return false;
  return sqrt(value) ** 2n === value;
}

/** @param {bigint} n */
function hasClosePrimes(n) {
  // If n = a² - b² = (a-b)(a+b) with small b, a search that starts at √n finds the primes soon.
  const a = sqrt(n - 1n) + 1n;
  for (let step = 0n; step < FERMAT_STEPS; step += 1n) {
    if (isSquare((a + step) ** 2n - n)) return true;
  }
  return false;
}

/**
 * The DER of the only public key in `text`, or null; `text` is read as OpenSSL reads it.
 *
 * Lines may have any length. Text above and below, spaces at line ends, a blank line before the base64
 * and spaces in it are ignored. Unlike OpenSSL, this refuses two blocks, because it cannot know which
 * one is meant.
 * @param {string} text
 * @returns {Bytes | null} always SubjectPublicKeyInfo; empty if the text is not base64
 */
function readPem(text) {
  if (text.length > MAX_PEM_CHARS || text.split(BEGIN).length !== 2) return null;
  const lines = text.replace(/^\ufeff/, '').split('\n').map((line) => line.replace(AT_LINE_END, ''));
  for (const form of /** @type {const} */ (['spki', 'pkcs1'])) {
    const label = LABELS[form];
    const [begin, end] = [lines.indexOf(`${BEGIN}${label}-----`), lines.indexOf(`-----END ${label}-----`)];
    if (begin < 0 || end < 0) continue;
    const body = lines.slice(begin + 1, end);
    if (body[0] === '') body.shift();
    if (!body.length || body.includes('')) return null;
    const der = decodeBytes('base64', body.join('').replace(/[\t ]/g, '')) ?? new Uint8Array();
    return form === 'pkcs1' ? subjectPublicKeyInfo(der) : der;
  }
  return null;
}

/**
 * The key in `pem`, if it is acceptable. Takes about 20 ms.
 * @param {string} pem
 * @returns {RsaPublicKey}
 * @throws {InvalidPublicKey}
 */
export function validatePublicKey(pem) {
  const der = readPem(pem);
  if (!der) throw new InvalidPublicKey('not one public key PEM');
  return validatePublicKeyDer(der);
}

/**
 * The key in `der` (SubjectPublicKeyInfo), with the same checks.
 * @param {Bytes} der
 * @returns {RsaPublicKey}
 * @throws {InvalidPublicKey}
 */
export function validatePublicKeyDer(der) {
  const key = der.length <= MAX_PEM_CHARS ? RsaPublicKey.fromDer(der) : null;
  if (!key) throw new InvalidPublicKey('not an RSA public key');
  const { n, e, bits } = key;
  if (bits < MIN_BITS || bits > MAX_BITS) {
    throw new InvalidPublicKey(`a key of ${bits} bits: make one of ${MIN_BITS} to ${MAX_BITS}`);
  }
  if (e !== BigInt(EXPONENT)) throw new InvalidPublicKey('an exponent that is not 65537');
  if (hasSmallFactor(n)) throw new InvalidPublicKey('a small factor');
  // Primes pass Fermat's test to base 2, RSA moduli do not.
  if (hasClosePrimes(n) || isRoca(n) || pow(2n, n - 1n, n) === 1n) {
    throw new InvalidPublicKey('a weak modulus');
  }
  return key;
}
