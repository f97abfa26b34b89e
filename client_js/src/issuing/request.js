/** The certificate request (PKCS#10, RFC 2986): a subject, its other names, and the uses of the key. */
import { writeInteger } from '../primitives/der.js';
import { TRUE, bits, explicit, implicit, object, octets, printableString, sequence, setOf, utf8String } from './asn1.js';
import { IssuingError } from './errors.js';
import { generalName } from './names.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('./keys.js').SigningKeyPair} SigningKeyPair */
/** @typedef {'digitalSignature' | 'keyEncipherment' | 'keyAgreement'} Usage */
/** @typedef {'server' | 'client' | 'mail'} Purpose */
/** @typedef {'commonName' | 'organization' | 'organizationalUnit' | 'locality' | 'state' | 'country'} SubjectField */

/**
 * `names` are DNS names, IP addresses and mail addresses.
 * @typedef {{
 *   subject: Partial<Record<SubjectField, string>>,
 *   names?: string[],
 *   usages?: Usage[],
 *   purposes?: Purpose[],
 * }} Wanted
 */

/** The OBJECT IDENTIFIER of each field, and the most characters that X.520 allows. @type {[SubjectField, string, number][]} */
const FIELDS = [
  ['country', '2.5.4.6', 2],
  ['state', '2.5.4.8', 128],
  ['locality', '2.5.4.7', 128],
  ['organization', '2.5.4.10', 64],
  ['organizationalUnit', '2.5.4.11', 64],
  ['commonName', '2.5.4.3', 64],
];
/** @type {Record<Usage, number>} the bit of KeyUsage, from the left (RFC 5280 §4.2.1.3) */
const USAGES = { digitalSignature: 0, keyEncipherment: 2, keyAgreement: 4 };
/** @type {Record<Purpose, string>} */
const PURPOSES = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2', mail: '1.3.6.1.5.5.7.3.4' };
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14';
const [KEY_USAGE, SUBJECT_ALT_NAME, EXTENDED_KEY_USAGE] = ['2.5.29.15', '2.5.29.17', '2.5.29.37'];
const MAX_NAMES = 100;

/** @param {Wanted['subject']} subject */
function distinguishedName(subject) {
  const parts = FIELDS.flatMap(([field, type, most]) => {
    const text = (subject[field] ?? '').normalize('NFC').trim();
    if (!text) return [];
    if ([...text].length > most) throw new IssuingError('input', `The ${field} has more than ${most} characters. Shorten it.`);
    if (field === 'country' && !/^[A-Za-z]{2}$/.test(text)) {
      throw new IssuingError('input', 'The country is a code of 2 letters, for instance SE.');
    }
    const value = field === 'country' ? printableString(text.toUpperCase()) : utf8String(text);
    return [setOf(sequence(object(type), value))];
  });
  return sequence(...parts);
}

/** @param {string} type @param {boolean} isCritical @param {Bytes} value */
const extension = (type, isCritical, value) => sequence(object(type), ...(isCritical ? [TRUE] : []), octets(value));

/** Named bits without the zeros at the end, as DER has them. @param {Usage[]} usages */
function usageBits(usages) {
  const at = usages.map((usage) => known(USAGES, usage));
  const value = at.reduce((whole, bit) => whole | (0x80 >> bit), 0);
  return bits(Uint8Array.of(value), 7 - Math.max(...at));
}

/** @template Value @param {Record<string, Value>} table @param {string} name */
function known(table, name) {
  if (!Object.hasOwn(table, name)) throw new IssuingError('input', `There is no use called ${name}.`);
  return table[name];
}

/** @param {Wanted} wanted */
function extensions({ names = [], usages = ['digitalSignature'], purposes = [] }) {
  if (names.length > MAX_NAMES) throw new IssuingError('input', `A request has at most ${MAX_NAMES} names.`);
  const all = [];
  if (usages.length) all.push(extension(KEY_USAGE, true, usageBits(usages)));
  if (purposes.length) {
    all.push(extension(EXTENDED_KEY_USAGE, false, sequence(...purposes.map((purpose) => object(known(PURPOSES, purpose))))));
  }
  if (names.length) {
    const encoded = names.map((name) => generalName(name)).map(({ tag, value }) => implicit(tag, value));
    all.push(extension(SUBJECT_ALT_NAME, false, sequence(...encoded)));
  }
  return sequence(...all);
}

/**
 * The parts of a request that need no key, so that a mistake is found before the key is made.
 * @param {Wanted} wanted
 * @throws {IssuingError}
 */
export function requestParts(wanted) {
  if (!wanted.names?.length && !wanted.subject.commonName?.trim()) {
    throw new IssuingError('input', 'Give the certificate a name: a common name, or at least one other name.');
  }
  const attribute = sequence(object(EXTENSION_REQUEST), setOf(extensions(wanted)));
  return { subject: distinguishedName(wanted.subject), attributes: explicit(0, attribute) };
}

/**
 * A CertificationRequest in DER, signed by the key that it is for.
 * @param {SigningKeyPair} pair
 * @param {ReturnType<typeof requestParts>} parts
 */
export async function certificateRequest(pair, { subject, attributes }) {
  const info = sequence(writeInteger(0n), subject, pair.publicKey, attributes);
  return sequence(info, pair.algorithm, bits(await pair.sign(info)));
}
