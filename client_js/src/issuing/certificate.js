/** The public key of a certificate. The signer checked the rest: this only finds out which key the certificate is for. */
import { Reader, write } from '../primitives/der.js';
import { SEQUENCE, readPem } from './asn1.js';
import { IssuingError } from './errors.js';

const VERSION_3 = 0xa0;

/**
 * The SubjectPublicKeyInfo of the first certificate in `text`.
 * @param {string} text PEM
 * @throws {IssuingError}
 */
export function publicKeyOf(text) {
  try {
    const der = readPem('CERTIFICATE', text);
    if (!der) throw new RangeError('no PEM');
    const signed = new Reader(der).inside(SEQUENCE).inside(SEQUENCE);
    signed.content(VERSION_3);
    signed.integer();
    // Algorithm, issuer, validity, subject.
    for (let skipped = 0; skipped < 4; skipped += 1) signed.content(SEQUENCE);
    return write(SEQUENCE, signed.content(SEQUENCE));
  } catch (error) {
    if (error instanceof RangeError) throw new IssuingError('refused', 'The signer sent no certificate. Ask the operator.');
    throw error;
  }
}
