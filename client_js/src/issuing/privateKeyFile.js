/** A private key under a passphrase: EncryptedPrivateKeyInfo (RFC 5958 §3) by PBES2 (RFC 8018 §6.2). */
import { writeInteger } from '../primitives/der.js';
import { utf8 } from '../common/codec.js';
import { NULL, object, octets, pem, sequence } from './asn1.js';
import { IssuingError } from './errors.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../primitives/contract.js').Primitives} Primitives */

const ITERATIONS = 600_000;
const SALT_BYTES = 16;
const IV_BYTES = 16;
const MIN_PASSPHRASE_CHARS = 12;

/**
 * PBKDF2 with HMAC-SHA256, and AES-256-CBC: OpenSSL and most other programs read it.
 * @param {Primitives} primitives
 * @param {Bytes} privateKey PKCS#8
 * @param {string} passphrase
 * @throws {IssuingError}
 */
export async function encryptedPrivateKey(primitives, privateKey, passphrase) {
  const normal = passphrase.normalize('NFC');
  if ([...normal].length < MIN_PASSPHRASE_CHARS) {
    throw new IssuingError('input', `The passphrase needs at least ${MIN_PASSPHRASE_CHARS} characters.`);
  }
  const [salt, iv] = [primitives.randomBytes(SALT_BYTES), primitives.randomBytes(IV_BYTES)];
  const key = await primitives.pbkdf2(utf8(normal), salt, ITERATIONS);
  const prf = sequence(object('1.2.840.113549.2.9'), NULL);
  const derivation = sequence(object('1.2.840.113549.1.5.12'), sequence(octets(salt), writeInteger(BigInt(ITERATIONS)), prf));
  const cipher = sequence(object('2.16.840.1.101.3.4.1.42'), octets(iv));
  const algorithm = sequence(object('1.2.840.113549.1.5.13'), sequence(derivation, cipher));
  return pem('ENCRYPTED PRIVATE KEY', sequence(algorithm, octets(await primitives.aesCbcSeal(key, iv, privateKey))));
}
