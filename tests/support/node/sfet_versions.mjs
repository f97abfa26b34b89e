// What each version of simple-free-encryption-tool does, on Node's own crypto; nothing of it is
// copied. Versions are told apart by what was seen when they ran (docs/dialects.md).
//
//   node sfet_versions.mjs < jobs.json
//
// A job is {version, build, calls} with what to do: `passphrase`, `text` and `iv` to seal, `payload`
// to open, `public_key` to wrap the passphrase for, `private_key` and `key` to unwrap.
import crypto from 'node:crypto';
import { readFileSync } from 'node:fs';
import { evpKeyAndIv, md5Hex, stripPkcs1 } from './old_node.mjs';

const { RSA_NO_PADDING, RSA_PKCS1_PADDING, RSA_PKCS1_OAEP_PADDING } = crypto.constants;
const TAG_BYTES = 16;

/** Versions as numbers that can be compared: 1.1.2 is 10102. */
const number = (version) => version.split('.').reduce((sum, part) => sum * 100 + Number(part), 0);

/** Cipher or Decipher of `direction`. */
function cipherOf(direction, { version, calls }, passphrase, iv = '0'.repeat(16)) {
  const at = number(version);
  const make = crypto[`create${direction}iv`];
  if (at < 10100) {
    const derived = evpKeyAndIv(passphrase); // createCipher: an iv is not read
    return make('aes-256-cbc', derived.key, derived.iv);
  }
  if (calls !== 'aes') {
    if (passphrase.length !== 32) throw new Error('a key has 32 characters');
    return make(calls === 'aes.gcm' ? 'aes-256-gcm' : 'aes-256-cbc', passphrase, iv);
  }
  const isKey = at < 10102 && passphrase.length === 32;
  return make('aes-256-cbc', isKey ? passphrase : md5Hex(passphrase), iv);
}

function seal(job) {
  const cipher = cipherOf('Cipher', job, job.passphrase, job.iv);
  const sealed = Buffer.concat([cipher.update(job.text, 'utf8'), cipher.final()]);
  if (job.calls !== 'aes.gcm') return sealed.toString('base64');
  const tag = cipher.getAuthTag();
  const parts = number(job.version) < 40000 ? [tag, sealed] : [sealed, tag];
  return Buffer.concat(parts).toString('base64');
}

function open(job) {
  const decipher = cipherOf('Decipher', job, job.passphrase, job.iv);
  let sealed = Buffer.from(job.payload, 'base64');
  if (job.calls === 'aes.gcm') {
    const isFirst = number(job.version) < 40000;
    const at = isFirst ? TAG_BYTES : sealed.length - TAG_BYTES;
    const parts = [sealed.subarray(0, at), sealed.subarray(at)];
    if (isFirst) parts.reverse();
    decipher.setAuthTag(parts[1]);
    [sealed] = parts;
  }
  return Buffer.concat([decipher.update(sealed), decipher.final()]).toString('utf8');
}

function paddingOf({ version, build }) {
  const at = number(version);
  if (at < 30000) return { padding: RSA_PKCS1_PADDING };
  // The bundles of 3 do not look at oaepHash.
  const isSha256 = at >= 40000 || (at >= 30001 && build === 'node');
  return { padding: RSA_PKCS1_OAEP_PADDING, oaepHash: isSha256 ? 'sha256' : 'sha1' };
}

function wrap(job) {
  const given = { key: job.public_key, ...paddingOf(job) };
  return crypto.publicEncrypt(given, Buffer.from(job.passphrase)).toString('base64');
}

function unwrap(job) {
  const wrapped = Buffer.from(job.key, 'base64');
  const key = job.private_key;
  const given = paddingOf(job);
  if (given.padding !== RSA_PKCS1_PADDING) {
    return crypto.privateDecrypt({ key, ...given }, wrapped).toString();
  }
  return stripPkcs1(crypto.privateDecrypt({ key, padding: RSA_NO_PADDING }, wrapped)).toString();
}

const jobs = JSON.parse(readFileSync(0, 'utf8'));
const done = jobs.map((job) => ({
  payload: job.text === undefined ? null : seal(job),
  text: job.payload === undefined ? null : open(job),
  key: job.public_key === undefined ? null : wrap(job),
  passphrase: job.key === undefined ? null : unwrap(job),
}));
process.stdout.write(JSON.stringify(done));
