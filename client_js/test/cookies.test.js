/** Cookies inside a session: the rules of RFC 6265bis, and the jar that goes with a session. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from './limited.js';
import { login, resume } from '../src/index.js';
import { MAX_COOKIES, MAX_COOKIE_CHARS, cookieHeader, withCookies } from '../src/session/cookies.js';
import { localStorageStore } from '../src/session/stores.js';
import { startGateway, startUpstream } from './gateway.js';
import { CODE, HardenedGateway } from './hardenedGateway.js';
import { storage } from './support/storage.js';

const NOW = Date.UTC(2026, 10, 30);
const DAY = 86_400_000;

/** What is sent to `target` after the lines came from `from`. */
function sent(lines, { target = '/', from = '/', host = 'shop.example', laterMs = 0 } = {}) {
  const jar = withCookies([], lines, { host, target: from, nowMs: NOW });
  return cookieHeader(jar, target, NOW + laterMs);
}

describe('the rules of cookies', () => {
  const CASES = [
    ['a pair', ['a=1'], 'a=1'],
    ['spaces, and = in the value', [' a = b=c '], 'a=b=c'],
    ['quotes are part of the value', ['a="b c"'], 'a="b c"'],
    ['without a name', ['alone', '=same'], 'same'],
    ['nothing', ['', ';', ' = ; Path=/'], ''],
    ['several, in the order of creation', ['b=1', 'a=2', 'b=3'], 'b=3; a=2'],
    ['longer paths first', ['a=1; Path=/', 'b=2; Path=/admin'], 'b=2; a=1', { target: '/admin/x?y=/' }],
    ['a path is matched by whole segments', ['a=1; Path=/adm', 'b=2; Path=/admin/'], '', { target: '/admin' }],
    ['a path ends at a slash', ['b=2; Path=/admin/'], 'b=2', { target: '/admin/x' }],
    ['without a path: the folder of the request', ['a=1'], '', { from: '/x/y?z', target: '/' }],
    ['without a path: below that folder', ['a=1'], 'a=1', { from: '/x/y?z', target: '/x/other' }],
    ['a path that is not absolute counts as none', ['a=1; Path=x'], 'a=1', { from: '/y', target: '/z' }],
    ['its own domain and one above', ['a=1; Domain=shop.example', 'b=2; Domain=.SHOP.example'], 'a=1; b=2', { host: 'www.shop.example' }],
    ['another domain', ['a=1; Domain=other.example', 'b=2; Domain=ww.shop.example', 'c=3; Domain=op.example'], ''],
    ['a domain without a dot', ['a=1; Domain=example', 'b=2; Domain=com'], ''],
    ['an IP address has only cookies for the host', ['a=1; Domain=192.0.2.7', 'b=2; Domain=0.2.7', 'c=3'], 'a=1; c=3', { host: '192.0.2.7' }],
    ['a single name', ['a=1; Domain=nas', 'b=2'], 'a=1; b=2', { host: 'nas' }],
    ['a cookie for the host is another than one for the domain', ['a=1', 'a=2; Domain=shop.example'], 'a=1; a=2'],
    ['Secure, HttpOnly and SameSite', ['a=1; Secure; HttpOnly; SameSite=Strict'], 'a=1'],
    ['Max-Age', ['a=1; Max-Age=60', 'b=2; Max-Age=0', 'c=3; Max-Age=-1'], 'a=1', { laterMs: 59_000 }],
    ['after Max-Age', ['a=1; Max-Age=60'], '', { laterMs: 60_000 }],
    ['Max-Age before Expires', ['a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT'], 'a=1'],
    ['a Max-Age that is no number', ['a=1; Max-Age=soon'], 'a=1'],
    ['Expires', ['a=1; Expires=Tue, 01 Dec 2026 00:00:00 GMT'], '', { laterMs: DAY }],
    ['Expires of other forms', ['a=1; expires=Wednesday, 02-Dec-26 00:00:00 GMT', 'b=2; expires=Wed Dec  2 00:00:00 2026'], 'a=1; b=2', { laterMs: DAY }],
    ['Expires that is no date', ['a=1; Expires=31 Feb 2026 00:00:00', 'b=2; Expires=never'], 'a=1; b=2', { laterMs: 500 * DAY }],
    ['at most 400 days', ['a=1; Max-Age=99999999999'], '', { laterMs: 400 * DAY }],
    ['deleted', ['a=1', 'a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT'], ''],
    ['__Host- and __Secure-', ['__Host-a=1; Secure; Path=/', '__Secure-b=2; Secure'], '__Host-a=1; __Secure-b=2'],
    ['__Host- and __Secure- without their attributes', ['__Host-a=1; Secure', '__host-a=1; Secure; Path=/; Domain=shop.example', '__Secure-b=2', '=__Secure-c=1; Secure'], ''],
    ['controls', ['a=1\x00', 'b=2\x7f; Path=/', 'c=3\t4'], 'c=3\t4'],
    ['the last of two attributes', ['a=1; Path=/x; Path=/'], 'a=1'],
  ];
  for (const [name, lines, expected, where] of CASES) {
    test(name, () => assert.equal(sent(lines, where), expected));
  }

  test('limits: the size of a cookie, and how many there are', () => {
    const longest = `a=${'x'.repeat(MAX_COOKIE_CHARS - 1)}`;
    assert.equal(sent([longest]), longest);
    assert.equal(sent([`${longest}x`]), '');
    assert.equal(sent([`a=1; Path=/${'x'.repeat(1024)}`]), 'a=1');
    const many = Array.from({ length: MAX_COOKIES + 1 }, (_, i) => `c${i}=1`);
    assert.equal(sent(many), many.slice(1).join('; '));
  });
});

describe('the jar of a session', () => {
  let gateway;
  let store;
  let items;
  beforeEach(async () => {
    gateway = await new HardenedGateway().start();
    gateway.streams = async function* (writer, { target }) {
      const line = new URL(target, 'http://x').searchParams.get('set');
      yield await writer.head({ status: 200, headers: line ? [['Set-Cookie', line]] : [], length: 0 }, 0);
      yield await writer.final(0);
    };
    items = storage();
    store = localStorageStore(items);
  });
  afterEach(() => gateway.stop());

  const enter = (more = {}) => login({ url: gateway.url, username: 'ann', code: () => CODE, store, ...more });
  const set = (session, line, init) => session.fetch(`/?set=${encodeURIComponent(line)}`, init);
  const asked = async (session, init) => {
    await session.fetch('/', init);
    return gateway.asked.headers.filter(([name]) => name.toLowerCase() === 'cookie').map(([, value]) => value);
  };

  test('a cookie comes back; credentials: omit sends and takes none', async () => {
    const session = await enter();
    assert.deepEqual(await asked(session), []);
    await set(session, 'id=7; HttpOnly');
    assert.deepEqual(await asked(session), ['id=7']);
    assert.deepEqual(await asked(session, { credentials: 'omit' }), []);
    await set(session, 'id=8', { credentials: 'omit' });
    assert.deepEqual(await asked(session, { method: 'POST', body: 'x' }), ['id=7']);
    assert.deepEqual(await asked(session, { headers: { Cookie: 'own=1' } }), ['own=1']);
  });

  test('without a store the jar lives as long as the session', async () => {
    const session = await enter({ store: undefined });
    await set(session, 'id=7');
    assert.deepEqual(await asked(session), ['id=7']);
  });

  test('tabs share it', async () => {
    const first = await enter();
    const second = await resume({ url: gateway.url, store });
    await set(first, 'id=7');
    assert.deepEqual(await asked(second), ['id=7']);
    await set(second, 'id=8');
    assert.deepEqual(await asked(first), ['id=8']);
    await set(first, 'id=; Max-Age=0');
    assert.deepEqual(await asked(second), []);
  });

  test('a resumption and a new login of the same user keep it, another user empties it, a logout removes it', async () => {
    const first = await enter();
    await set(first, 'id=7');
    const later = () => Date.now() + 43_201_000;
    const resumed = await resume({ url: gateway.url, store, clock: later });
    assert.equal(resumed.state, 'ready');
    assert.deepEqual(await asked(resumed), ['id=7']);
    assert.deepEqual(await asked(await enter()), ['id=7']);
    assert.deepEqual(await asked(await enter({ username: 'bob' })), []);
    const again = await enter();
    assert.deepEqual(await asked(again), []);
    await set(again, 'id=9');
    await again.close();
    assert.equal(items.items.size, 0);
  });
});

describe('with the real gateway', () => {
  let upstream;
  let gateway;
  before(async () => {
    upstream = await startUpstream({ '/in': { body: 'in', headers: { 'Set-Cookie': ['id=7; Path=/; HttpOnly', 'theme=dark'] } } });
    gateway = await startGateway({ upstream: upstream.url });
  });
  after(async () => {
    await gateway?.stop();
    await upstream?.stop();
  });

  for (const suite of ['ecdh-gcm', 'rsa-gcm', 'classic']) {
    test(`${suite}: a login by cookie`, async () => {
      const username = `${suite}@example.org`;
      const session = await login({ url: gateway.url, suite, username, code: () => gateway.mailbox.code(username) });
      await session.fetch('/in');
      const { headers } = await (await session.fetch('/echo')).json();
      assert.equal(headers.cookie, 'id=7; theme=dark');
      await session.close();
    });
  }
});
