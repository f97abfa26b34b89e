/** `rsa-gcm` with a key pair of WebCrypto that the caller made (decision 0063), in Node and by the real gateway. */
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { inspect } from 'node:util';
import { after, before, describe, test } from './limited.js';
import { CertlessError, login, requestLogin, resume } from '../src/index.js';
import { adoptKeyPair } from '../src/engine/externalKey.js';
import { nodeCrypto } from '../src/primitives/nodeCrypto.js';
import { pure } from '../src/primitives/pure.js';
import { localStorageStore } from '../src/session/stores.js';
import { startGateway, startUpstream } from './gateway.js';

const { subtle } = webcrypto;
const OAEP = { name: 'RSA-OAEP', hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };
const USES = ['encrypt', 'decrypt'];
const LIFETIME_MS = 3_600_000;
let upstream;
let gateway;
let rsaKey;
let users = 0;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway({ upstream: upstream.url, config: [`session_lifetime_s = ${LIFETIME_MS / 1000}`] });
  rsaKey = await subtle.generateKey(OAEP, false, USES);
});
after(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

/** A store that keeps things as they are, as IndexedDB does. */
function mapStore() {
  const kept = new Map();
  return {
    name: 'map',
    load: async (name) => kept.get(name) ?? null,
    save: async (name, session) => void kept.set(name, session),
    remove: async (name) => void kept.delete(name),
    only: () => [...kept.values()][0],
  };
}

function options(more = {}) {
  const username = `user-${(users += 1)}@example.org`;
  const reasons = [];
  const code = ({ reason }) => {
    reasons.push(reason);
    return gateway.mailbox.code(username);
  };
  return { url: gateway.url, suite: 'rsa-gcm', rsaKey, username, code, reasons, ...more };
}
const echo = async (session, body) => (await session.fetch('/bytes', { method: 'POST', body })).text();

test('login, concurrent messages, and no keys are created', async () => {
  const stages = [];
  const session = await login(options({ onProgress: ({ stage }) => stages.push(stage) }));
  const texts = ['0', '1', '2', '3', '4'];
  assert.deepEqual(await Promise.all(texts.map((text) => echo(session, text))), texts);
  assert.deepEqual(stages, ['mail', 'code', 'done']);
  assert.equal(session.keptIn, 'memory');
  await session.close();
});

test("README's example", async () => {
  const page = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const [, example] = /```js\n(const rsaKey = [^`]*)```/.exec(page);
  const { url, username, code } = options();
  const AsyncFunction = (async () => {}).constructor;
  const run = new AsyncFunction('crypto', 'login', 'url', 'username', 'code', `${example}; return session;`);
  const session = await run(webcrypto, login, url, username, code);
  assert.deepEqual([session.suite, await echo(session, 'tea')], ['rsa-gcm', 'tea']);
  await session.close();
});

test('step by step', async () => {
  const { code, ...given } = options();
  const request = await requestLogin(given);
  await assert.rejects(request.submit('00000000'), { code: 'rejected' });
  const session = await request.submit(await code({}));
  assert.equal(await echo(session, 'tea'), 'tea');
  await session.close();
});

test('an expired session: the ticket is redeemed with the same key, also after a reload without the option', async () => {
  let aheadMs = 0;
  const store = mapStore();
  const given = options({ store, clock: () => Date.now() + aheadMs });
  const session = await login(given);
  assert.equal(session.keptIn, 'map');
  const tokens = [];
  const check = async (one) => {
    assert.equal(await echo(one, 'tea'), 'tea');
    assert.equal(store.only().privateKey, rsaKey.privateKey);
    assert.equal(store.only().rsaKey.publicKey, rsaKey.publicKey);
    tokens.push(store.only().token);
  };
  await check(session);
  const { rsaKey: _, ...without } = given;
  await check(await resume(without));
  aheadMs += LIFETIME_MS + 1000;
  await check(session);
  aheadMs += LIFETIME_MS + 1000;
  const again = await resume(without);
  await check(again);
  aheadMs += LIFETIME_MS + 1000;
  await check(again);
  assert.deepEqual([tokens[0] === tokens[1], new Set(tokens).size], [true, 4]);
  assert.deepEqual(given.reasons, ['login']);
  await again.close();
});

test('every epoch uses the same key', async () => {
  let aheadMs = 0;
  const store = mapStore();
  const session = await login(options({ store, clock: () => Date.now() + aheadMs }));
  for (const epoch of [0, 1, 2]) {
    assert.equal(await echo(session, 'a'), 'a');
    assert.equal(store.only().session.epoch, epoch);
    aheadMs += 901_000;
  }
  await session.close();
});

test('a text store stores nothing, and the session says so', async () => {
  const items = new Map();
  const storage = { getItem: (name) => items.get(name) ?? null, setItem: (name, text) => items.set(name, text), removeItem: (name) => items.delete(name) };
  const session = await login(options({ store: localStorageStore(storage) }));
  assert.deepEqual([session.keptIn, items.size], ['memory', 0]);
  await session.close();
});

test('a stored session in another suite is not used instead', async () => {
  const store = mapStore();
  const { rsaKey: held, ...given } = options({ store, suite: 'ecdh-gcm' });
  const session = await login(given);
  assert.equal(await resume({ ...given, suite: 'rsa-gcm', rsaKey: held }), null);
  await session.close();
});

describe('an unusable pair is an error before anything is sent', () => {
  // Nothing listens there, so a request would end as NoAnswer.
  const refused = (more, words) =>
    assert.rejects(login(options({ url: 'http://127.0.0.1:1', ...more })), (error) => {
      assert.ok(error instanceof TypeError, inspect(error));
      assert.match(error.message, words);
      return true;
    });
  const made = (more, isExtractable = false, uses = USES) => subtle.generateKey({ ...OAEP, ...more }, isExtractable, uses);

  test('attributes of the pair', async () => {
    await refused({ suite: 'ecdh-gcm' }, /rsaKey is for rsa-gcm, not for ecdh-gcm/);
    await refused({ suite: 'classic' }, /not for classic/);
    await refused({ rsaKey: {} }, /CryptoKeyPair of crypto\.subtle, which exists in Node\.js, and on pages over https/);
    await refused({ rsaKey: { publicKey: rsaKey.privateKey, privateKey: rsaKey.publicKey } }, /CryptoKeyPair/);
    await refused({ rsaKey: await made({ hash: 'SHA-1' }) }, /not for RSA-OAEP with SHA-1/);
    const signing = { ...OAEP, name: 'RSA-PSS' };
    await refused({ rsaKey: await subtle.generateKey(signing, false, ['sign', 'verify']) }, /not for RSA-PSS/);
    const curve = await subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits']);
    await refused({ rsaKey: curve }, /not for ECDH/);
    await refused({ rsaKey: await made({ modulusLength: 1024 }) }, /has 1024 bits: make one of 2048 to 4096/);
    await refused({ rsaKey: await made({ publicExponent: Uint8Array.of(3) }) }, /publicExponent: Uint8Array\.of\(1, 0, 1\)/);
    await refused({ rsaKey: await made({}, true) }, /privateKey must not be extractable/);
    await refused({ rsaKey: await made({}, false, ['wrapKey', 'unwrapKey']) }, /the usage decrypt/);
    const spki = await subtle.exportKey('spki', rsaKey.publicKey);
    const hidden = await subtle.importKey('spki', spki, OAEP, false, ['encrypt']);
    await refused({ rsaKey: { ...rsaKey, publicKey: hidden } }, /publicKey must be extractable/);
  });

  test('halves of two pairs', async () => {
    const { publicKey } = await made({});
    const halves = { publicKey, privateKey: rsaKey.privateKey };
    await assert.rejects(login(options({ url: 'http://127.0.0.1:1', rsaKey: halves })), (error) => {
      assert.ok(error instanceof CertlessError);
      assert.deepEqual([error.code, /do not match/.test(error.message)], ['rsa_key', true]);
      return true;
    });
  });

  test('a weak modulus', async () => {
    // 3 times a number, as from a broken generator.
    const n = Buffer.alloc(256, 0xff);
    const key = { kty: 'RSA', n: n.toString('base64url'), e: 'AQAB' };
    const publicKey = await subtle.importKey('jwk', key, OAEP, true, ['encrypt']);
    await assert.rejects(adoptKeyPair(nodeCrypto, { ...rsaKey, publicKey }), { code: 'rsa_key', message: /a small factor/ });
  });

  test('without crypto.subtle', async () => {
    await assert.rejects(adoptKeyPair(pure, rsaKey), /rsaKey needs crypto\.subtle/);
  });
});

test('a failed decryption gives null', async () => {
  const { privateKey, publicKey } = await adoptKeyPair(nodeCrypto, rsaKey);
  const wrapped = await nodeCrypto.wrap(publicKey, new Uint8Array(32), 'oaep-sha256');
  assert.equal((await privateKey.unwrap(wrapped, 'oaep-sha256')).length, 32);
  assert.equal(await privateKey.unwrap(wrapped, 'oaep-sha1'), null);
  assert.equal(await privateKey.unwrap(wrapped.subarray(1), 'oaep-sha256'), null);
  assert.equal(await privateKey.unwrap(wrapped.map((byte) => byte ^ 1), 'oaep-sha256'), null);
});
