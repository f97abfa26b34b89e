/**
 * New key pairs that sign: P-256 and RSA-3072. `crypto.subtle` makes them if the page has it. If not, noble and
 * micro-rsa-dsa-dh do (decision 135).
 */
import { p256 } from '@noble/curves/nist.js';
import { IFCPrimes, PKCS1_SHA256 } from 'micro-rsa-dsa-dh/rsa.js';
import { writeInteger, writePrivateKey, writePublicKey } from '../primitives/der.js';
import { numbersOf, randomBytes } from '../primitives/pure.js';
import { NULL, bits, explicit, object, octets, sequence } from './asn1.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {'P-256' | 'RSA-3072'} KeyKind */

/**
 * `publicKey` is a SubjectPublicKeyInfo, `privateKey` PKCS#8, `algorithm` the AlgorithmIdentifier of signatures.
 * @typedef {{ publicKey: Bytes, privateKey: Bytes, algorithm: Bytes, sign: (data: Bytes) => Promise<Bytes> }} SigningKeyPair
 */

/** @typedef {{ generate: (kind: KeyKind) => Promise<SigningKeyPair> }} KeySource */

const RSA_BITS = 3072;
const E = 65537n;
const P256_BYTES = 32;
const EC_ALGORITHM = sequence(object('1.2.840.10045.2.1'), object('1.2.840.10045.3.1.7'));
/** @type {Record<KeyKind, Bytes>} ecdsa-with-SHA256, sha256WithRSAEncryption */
const ALGORITHMS = {
  'P-256': sequence(object('1.2.840.10045.4.3.2')),
  'RSA-3072': sequence(object('1.2.840.113549.1.1.11'), NULL),
};

/** @param {Uint8Array} data */
const bytes = (data) => /** @type {Bytes} */ (data);

/** @param {Uint8Array} data */
const unsignedInteger = (data) => writeInteger(data.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n));

/** An ECDSA signature from the form of WebCrypto to that of X.509. @param {Uint8Array} raw */
const derSignature = (raw) => sequence(unsignedInteger(raw.subarray(0, P256_BYTES)), unsignedInteger(raw.subarray(P256_BYTES)));

/** @returns {SigningKeyPair} */
function pureP256() {
  const secret = p256.utils.randomSecretKey();
  const point = p256.getPublicKey(secret, false);
  const inner = sequence(writeInteger(1n), octets(secret), explicit(1, bits(point)));
  return {
    publicKey: sequence(EC_ALGORITHM, bits(point)),
    privateKey: sequence(writeInteger(0n), EC_ALGORITHM, octets(inner)),
    algorithm: ALGORITHMS['P-256'],
    sign: async (data) => derSignature(p256.sign(data, secret)),
  };
}

/** @returns {SigningKeyPair} */
function pureRsa() {
  const { p, q } = IFCPrimes(RSA_BITS, E, undefined, undefined, randomBytes);
  const numbers = numbersOf(p, q);
  return {
    publicKey: writePublicKey(numbers.n, E),
    privateKey: writePrivateKey(numbers),
    algorithm: ALGORITHMS['RSA-3072'],
    sign: async (data) => bytes(PKCS1_SHA256.sign(numbers, data)),
  };
}

/** For pages without `crypto.subtle`. @type {KeySource} */
export const pureKeys = { generate: async (kind) => (kind === 'P-256' ? pureP256() : pureRsa()) };

/** @type {KeySource} */
export const subtleKeys = {
  generate: async (kind) => {
    const { subtle } = globalThis.crypto;
    const isP256 = kind === 'P-256';
    const rsa = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: RSA_BITS, publicExponent: Uint8Array.of(1, 0, 1) };
    const use = /** @type {KeyUsage[]} */ (['sign', 'verify']);
    const pair = isP256
      ? await subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, use)
      : await subtle.generateKey(rsa, true, use);
    const exported = [subtle.exportKey('spki', pair.publicKey), subtle.exportKey('pkcs8', pair.privateKey)];
    const [publicKey, privateKey] = (await Promise.all(exported)).map((data) => new Uint8Array(data));
    return {
      publicKey,
      privateKey,
      algorithm: ALGORITHMS[kind],
      sign: async (data) => {
        const signature = new Uint8Array(await subtle.sign(isP256 ? { name: 'ECDSA', hash: 'SHA-256' } : rsa.name, pair.privateKey, data));
        return isP256 ? derSignature(signature) : signature;
      },
    };
  },
};
