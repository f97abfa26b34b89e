/**
 * Which keys of a server are admitted (PROTOCOL §4.3).
 *
 * One SubjectPublicKeyInfo PEM of at most 4096 characters and nothing else; RSA, 2048 to 4096 bits,
 * e = 65537; n odd, without a factor below 2000, no square, no prime, no close primes within 100
 * steps of Fermat's method, and without the mark of CVE-2017-15361 (ROCA). A passphrase wrapped
 * under a key that fails could be read by others than its owner.
 */
import { pow, sqrt } from 'micro-rsa-dsa-dh/utils.js';
import { KeyNotAdmitted } from './errors.js';
import { EXPONENT } from './primitives/contract.js';
import { RsaPublicKey, derOfPem } from './primitives/rsaPublicKey.js';

/** @typedef {import('./codec.js').Bytes} Bytes */

export const MAX_PEM_CHARS = 4096;
export const MIN_BITS = 2048;
export const MAX_BITS = 4096;
export const FERMAT_STEPS = 100;

const PEM =
  /^-----BEGIN PUBLIC KEY-----\r?\n((?:[A-Za-z0-9+/=]{1,76}\r?\n)+)-----END PUBLIC KEY-----[\r\n]{0,2}$/;

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

/** The primes of a ROCA key are such powers modulo each of these; so is their product. @param {bigint} n */
function isRoca(n) {
  return ROCA_PRIMES.every((prime) => isPowerOfExponent(Number(n % BigInt(prime)), prime));
}

// What is no square modulo 64, 63, 65 or 11 is no square: that settles 99 of 100 without a root.
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
  // n = a² - b² with b small is n = (a-b)(a+b): two primes that a walk from √n soon meets.
  const a = sqrt(n - 1n) + 1n;
  for (let step = 0n; step < FERMAT_STEPS; step += 1n) {
    if (isSquare((a + step) ** 2n - n)) return true;
  }
  return false;
}

/**
 * The key in `pem`, if it is one we encrypt to. Some 20 ms of arithmetic.
 * @param {string} pem
 * @returns {RsaPublicKey}
 * @throws {KeyNotAdmitted}
 */
export function admit(pem) {
  const found = pem.length <= MAX_PEM_CHARS ? PEM.exec(pem) : null;
  if (!found) throw new KeyNotAdmitted('not one public key PEM');
  return admitDer(derOfPem(found[1]) ?? new Uint8Array());
}

/**
 * The key in `der` (SubjectPublicKeyInfo), by the same rules.
 * @param {Bytes} der
 * @returns {RsaPublicKey}
 * @throws {KeyNotAdmitted}
 */
export function admitDer(der) {
  const key = der.length <= MAX_PEM_CHARS ? RsaPublicKey.fromDer(der) : null;
  if (!key) throw new KeyNotAdmitted('not an RSA public key');
  const { n, e, bits } = key;
  if (e !== BigInt(EXPONENT) || bits < MIN_BITS || bits > MAX_BITS) {
    throw new KeyNotAdmitted('size or exponent');
  }
  if (hasSmallFactor(n)) throw new KeyNotAdmitted('a small factor');
  // Primes pass Fermat's test to base 2, RSA moduli do not.
  if (hasClosePrimes(n) || isRoca(n) || pow(2n, n - 1n, n) === 1n) {
    throw new KeyNotAdmitted('a weak modulus');
  }
  return key;
}
