/** Keys and requests for certificates, without and with `crypto.subtle`. OpenSSL reads what they make. */
import './globalCrypto.js';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { IssuingError, openIssuing } from '../src/issuing/index.js';
import { KeyHolder } from '../src/issuing/keyHolder.js';
import { pureKeys, subtleKeys } from '../src/issuing/keys.js';
import { generalName } from '../src/issuing/names.js';
import { remoteKeyHolder, serveKeyHolder } from '../src/issuing/worker.js';
import { pure } from '../src/primitives/pure.js';
import { webCrypto } from '../src/primitives/webCrypto.js';
import { after, before, describe, test } from './limited.js';

const run = promisify(execFile);
const PASSPHRASE = 'correct horse battery å';
const WANTED = {
  subject: { commonName: 'Räksmörgås', organization: 'Ann & Co', organizationalUnit: 'IT', locality: 'Umeå', state: 'AC', country: 'se' },
  names: ['ann.example', '*.Ann.example', 'bücher.example', '192.0.2.7', '2001:db8::7', 'ann@ann.example'],
  usages: ['digitalSignature', 'keyEncipherment'],
  purposes: ['server', 'client', 'mail'],
};

let folder;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'certless-issuing-'))));
after(() => rm(folder, { recursive: true }));

let last = 0;
async function file(text) {
  const name = join(folder, `${(last += 1)}.pem`);
  await writeFile(name, text);
  return name;
}
const openssl = async (...args) => (await run('openssl', args)).stdout;

/** Signs requests with a new authority of OpenSSL, as the service that `session` reaches. */
async function authority() {
  const [key, certificate] = [join(folder, 'ca.key'), join(folder, 'ca.pem')];
  const made = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=Test'];
  await openssl('req', ...made, '-keyout', key, '-out', certificate);
  const signed = async (request) => openssl('x509', '-req', '-in', await file(request), '-CA', certificate, '-CAkey', key, '-copy_extensions', 'copy');
  return { signed, session: { fetch: async (_, { body }) => new Response(await signed(body)) } };
}

const SOURCES = [
  ['without crypto.subtle', () => new KeyHolder(pure, pureKeys)],
  ['with crypto.subtle', () => new KeyHolder(webCrypto, subtleKeys)],
];

for (const [where, holderOf] of SOURCES) {
  for (const kind of ['P-256', 'RSA-3072']) {
    test(`OpenSSL verifies request, key and certificate (${kind}, ${where})`, async () => {
      const holder = holderOf();
      const request = await file(await holder.request(kind, WANTED));
      const text = await openssl('req', '-in', request, '-noout', '-verify', '-text', '-nameopt', 'utf8,sep_comma_plus_space');
      assert.match(text, /Subject: C=SE, ST=AC, L=Umeå, O=Ann & Co, OU=IT, CN=Räksmörgås/);
      const names = 'DNS:ann.example, DNS:*.ann.example, DNS:xn--bcher-kva.example, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7, email:ann@ann.example';
      assert.ok(text.includes(names), text);
      assert.match(text, /X509v3 Key Usage: critical\s+Digital Signature, Key Encipherment\n/);
      assert.match(text, /TLS Web Server Authentication, TLS Web Client Authentication, E-mail Protection/);
      assert.match(text, kind === 'P-256' ? /NIST CURVE: P-256/ : /Public-Key: \(3072 bit\)/);
      const publicKey = await openssl('req', '-in', request, '-noout', '-pubkey');
      const encrypted = await file(await holder.encryptedKey(PASSPHRASE));
      assert.equal(await openssl('pkey', '-in', encrypted, '-passin', `pass:${PASSPHRASE}`, '-pubout'), publicKey);
      await openssl('pkey', '-in', encrypted, '-passin', `pass:${PASSPHRASE}`, '-check', '-noout');
      await assert.rejects(openssl('pkey', '-in', encrypted, '-passin', 'pass:correct horse battery', '-noout'));
      const { signed } = await authority();
      const certificate = await signed(await holder.request(kind === 'P-256' ? kind : 'P-256', WANTED));
      await holder.match(certificate);
    });
  }
}

test('a certificate for another key is not accepted', async () => {
  const [holder, other] = [SOURCES[0][1](), SOURCES[0][1]()];
  const { signed } = await authority();
  await holder.request('P-256', WANTED);
  const foreign = await signed(await other.request('P-256', WANTED));
  await assert.rejects(holder.match(foreign), { name: 'IssuingError', code: 'mismatch' });
  await other.match(foreign);
  for (const text of ['', 'x', '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n', foreign.replace('MII', 'MIH')]) {
    await assert.rejects(holder.match(text), { code: 'refused' });
  }
});

test('a signer that answers for another key gives no certificate', async () => {
  const { signed } = await authority();
  const other = SOURCES[0][1]();
  const foreign = await signed(await other.request('P-256', WANTED));
  const issuing = await openIssuing({ fetch: async () => new Response(foreign) });
  await assert.rejects(issuing.certificate('P-256', WANTED), { code: 'mismatch' });
});

test('the steps of a user, through a session', async () => {
  const { session } = await authority();
  const issuing = await openIssuing(session);
  const { certificate } = await issuing.certificate('P-256', { subject: {}, names: ['ann.example'] });
  assert.match(certificate, /^-----BEGIN CERTIFICATE-----/);
  assert.match(await issuing.encryptedKey(PASSPHRASE), /^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
  await assert.rejects(issuing.encryptedKey('short'), { code: 'input' });
  await issuing.forget();
  await assert.rejects(issuing.encryptedKey(PASSPHRASE), { code: 'no_key' });
});

test('refusals of the signer, in words for people', async () => {
  for (const [code, text] of [['busy', /too many/], ['not_signed', /Ask the operator/], ['suite_required', /hardened/], ['new', /status 400/]]) {
    const issuing = await openIssuing({ fetch: async () => Response.json({ error: code }, { status: 400 }) });
    await assert.rejects(issuing.certificate('P-256', WANTED), (error) => error instanceof IssuingError && text.test(error.message));
  }
  const issuing = await openIssuing({ fetch: async () => new Response('no JSON', { status: 502 }) });
  await assert.rejects(issuing.certificate('P-256', WANTED), /status 502/);
});

describe('what a user types', () => {
  const WRONG = ['', ' ', 'a..b', '-', 'a b', '1.2.3', '1.2.3.999', '010.0.0.1', 'http://a', 'a/b', 'a:80', '::1%eth0', '1::2::3', 'a@', '@b', 'a@b@c d', '**.a', 'a.*', 'a\u0000b'];
  for (const name of WRONG) {
    test(`${JSON.stringify(name)} is no name`, () => assert.throws(() => generalName(name), { code: 'input' }));
  }

  const SUBJECTS = [{}, { commonName: ' ' }, { commonName: 'x'.repeat(65) }, { commonName: 'a', country: 'SWE' }, { commonName: 'a', country: '12' }];
  for (const subject of SUBJECTS) {
    test(`no request for ${JSON.stringify(subject).slice(0, 40)}`, async () => {
      await assert.rejects(SOURCES[0][1]().request('P-256', { subject }), { code: 'input' });
    });
  }

  test('no other kind of key, use or number of names', async () => {
    const ask = (kind, more) => SOURCES[0][1]().request(kind, { subject: { commonName: 'a' }, ...more });
    await assert.rejects(ask('RSA-1024'), { code: 'input' });
    await assert.rejects(ask('P-256', { usages: ['keyCertSign'] }), { code: 'input' });
    await assert.rejects(ask('P-256', { purposes: ['toString'] }), { code: 'input' });
    await assert.rejects(ask('P-256', { names: Array(101).fill('a.example') }), { code: 'input' });
  });
});

test('the page gets neither the key nor anything else from the Worker', async () => {
  const [forPage, forWorker, sent] = [new EventTarget(), new EventTarget(), []];
  const port = (from, to) => ({
    postMessage: (data) => {
      if (to === forPage) sent.push(JSON.stringify(data));
      queueMicrotask(() => to.dispatchEvent(Object.assign(new Event('message'), { data: structuredClone(data) })));
    },
    addEventListener: from.addEventListener.bind(from),
  });
  let secret;
  const keys = {
    generate: async (kind) => {
      const pair = await pureKeys.generate(kind);
      secret = Buffer.from(pair.privateKey).toString('base64');
      return pair;
    },
  };
  const holder = remoteKeyHolder(port(forPage, forWorker));
  serveKeyHolder(port(forWorker, forPage), new KeyHolder(pure, keys));
  assert.match(await holder.request('P-256', WANTED), /BEGIN CERTIFICATE REQUEST/);
  assert.match(await holder.encryptedKey(PASSPHRASE), /ENCRYPTED/);
  await assert.rejects(holder.match('x'), { name: 'IssuingError', code: 'refused' });
  // The message of another error is passed on as well.
  await assert.rejects(holder.request('P-256', null), { name: 'Error' });
  const text = sent.join('').replaceAll('\\n', '');
  assert.ok(secret.length > 100 && !text.includes(secret.slice(0, 60)) && !text.includes(secret.slice(-60)));
});
