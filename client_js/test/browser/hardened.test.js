/** The hardened suites in a real browser, on an insecure origin and on a secure one, by the real gateway. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from '../limited.js';
import { launch, newVisitor, startSite } from './chromium.js';

const LIFETIME_MS = 43_200_000;

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** A page with `window.logIn`, `window.goOn` and `window.send`; `clock` is ahead by `window.aheadMs`. */
async function visit(visitor, origin, path = '/page') {
  const page = await visitor.newPage();
  await page.goto(origin + path);
  await page.waitForFunction(() => window.certless);
  await page.evaluate(() => {
    window.codes = 0;
    window.aheadMs = 0;
    const options = (username) => ({
      clock: () => Date.now() + window.aheadMs,
      code: () => {
        window.codes += 1;
        return mailedCode(username);
      },
    });
    window.logIn = async (username, more) => {
      window.session = await certless.login({ username, ...options(username), ...more });
      return [session.suite, session.keptIn];
    };
    window.goOn = async (username, more) => {
      window.session = await certless.resume({ ...options(username), ...more });
      return window.session?.suite ?? null;
    };
    window.exported = async () => `${await session.export('shop.example device')}`;
    window.send = async (body) => (await session.fetch('/bytes', { method: 'POST', body })).text();
  });
  return page;
}
const kept = (page) =>
  page.evaluate(async () => {
    const done = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const database = await done(indexedDB.open('certless'));
    const [found] = await done(database.transaction('sessions').objectStore('sessions').getAll());
    database.close();
    const isHidden = isSecureContext && found?.privateKey instanceof CryptoKey && !found.privateKey.extractable;
    const isBytes = found?.privateKey instanceof Uint8Array;
    return found && { ...found, isBytes, privateKey: isHidden ? 'CryptoKey' : found.privateKey };
  });

for (const [suite, kind] of [
  ['ecdh-gcm', 'insecure'],
  ['rsa-gcm', 'insecure'],
  ['ecdh-gcm', 'secure'],
  ['rsa-gcm', 'secure'],
]) {
  describe(`${suite} on an ${kind} origin`, () => {
    const username = 'ann@example.org';
    let site;
    let visitor;
    let page;

    before(async () => {
      site = await startSite('article-2016', { remembers: true, config: [`session_lifetime_s = ${LIFETIME_MS / 1000}`] });
      visitor = await newVisitor(browser, site);
      page = await visit(visitor, site[kind]);
    });
    after(async () => {
      await visitor?.close();
      await site?.stop();
    });

    test('login with the code from the mail, an order, 5 MiB', async () => {
      assert.deepEqual(await page.evaluate((given) => logIn(...given), [username, { suite }]), [suite, 'indexedDB']);
      assert.equal(page.workers().length, 1);
      assert.equal(await page.evaluate(() => send('Räksmörgås')), 'Räksmörgås');
      const isSame = await page.evaluate(async () => {
        const body = new Uint8Array(5 * 1024 * 1024).map((_, i) => i * 7);
        const answer = await session.fetch('/bytes', { method: 'POST', body: new Blob([body]) });
        const back = new Uint8Array(await answer.arrayBuffer());
        return back.length === body.length && back.every((byte, i) => byte === body[i]);
      });
      assert.ok(isSame);
    });

    test('the RSA key, if there is one, cannot be read on a secure page', async () => {
      const { privateKey, session, isBytes } = await kept(page);
      assert.ok(session.c2s);
      if (suite === 'ecdh-gcm') assert.equal(privateKey, null);
      else if (kind === 'secure') assert.equal(privateKey, 'CryptoKey');
      else assert.ok(isBytes);
    });

    test('a reload, a second tab, and a restart of the gateway', async () => {
      const value = await page.evaluate(() => exported());
      await page.close();
      page = await visit(visitor, site[kind]);
      const other = await visit(visitor, site[kind], '/module');
      for (const tab of [page, other]) {
        assert.equal(await tab.evaluate((name) => goOn(name), username), suite);
        assert.equal(await tab.evaluate(() => exported()), value);
      }
      await site.gateway.restart();
      const texts = ['0', '1', '2', '3', '4', '5'];
      const sent = texts.map((text, i) => (i % 2 ? page : other).evaluate((body) => send(body), text));
      assert.deepEqual(await Promise.all(sent), texts);
      await other.close();
    });

    test('two tabs go through epochs in turns', async () => {
      const other = await visit(visitor, site[kind]);
      await other.evaluate((name) => goOn(name), username);
      const value = await page.evaluate(() => exported());
      const tabs = [page, page, other, other, page, other, page];
      for (const [i, tab] of tabs.entries()) {
        for (const one of [page, other]) await one.evaluate((ms) => (window.aheadMs = ms), i * 901_000);
        assert.equal(await tab.evaluate(() => send('a')), 'a');
        assert.equal(await tab.evaluate(() => send('b')), 'b');
        assert.equal(await tab.evaluate(() => exported()), value);
      }
      assert.ok((await kept(page)).session.epoch >= 3);
      assert.deepEqual(await Promise.all([page, other].map((tab) => tab.evaluate(() => codes))), [0, 0]);
      for (const one of [page, other]) await one.evaluate(() => (window.aheadMs = 0));
      await other.close();
    });

    test('after expiry, tabs that send at the same time share one new session, without a mail', async () => {
      const others = await Promise.all([1, 2].map(() => visit(visitor, site[kind])));
      const tabs = [page, ...others];
      for (const tab of others) await tab.evaluate((name) => goOn(name), username);
      const { token } = await kept(page);
      for (const tab of tabs) await tab.evaluate(() => (window.aheadMs = 43_201_000));
      const answers = tabs.map((tab, i) => tab.evaluate((body) => send(body), `${i}`));
      assert.deepEqual(await Promise.all(answers), ['0', '1', '2']);
      const later = await kept(page);
      assert.notEqual(later.token, token);
      const values = await Promise.all(tabs.map((tab) => tab.evaluate(() => exported())));
      assert.deepEqual(values, Array(3).fill(values[0]));
      assert.deepEqual(await Promise.all(tabs.map((tab) => tab.evaluate(() => codes))), [0, 0, 0]);
      const redeemed = site.gateway.log.match(/session\/resume\/confirm 200/g);
      assert.equal(redeemed.length, 1);
      for (const tab of others) await tab.close();
    });

    test('a load after expiry continues with the ticket', async () => {
      const { token } = await kept(page);
      await page.close();
      page = await visit(visitor, site[kind]);
      const clock = () => page.evaluate(() => (window.aheadMs = 86_500_000));
      await clock();
      assert.equal(await page.evaluate((name) => goOn(name), username), suite);
      assert.notEqual((await kept(page)).token, token);
      assert.equal(await page.evaluate(() => send('on')), 'on');
      assert.equal(await page.evaluate(() => codes), 0);
    });

    test('logout: nothing is stored any more', async () => {
      await page.evaluate(() => session.close());
      assert.equal(await page.evaluate((name) => goOn(name), username), null);
      assert.ok(!(await kept(page)));
    });

    test('a counter belongs to its tab', async () => {
      const given = ['carl@example.org', { suite, fresh: 'counter' }];
      assert.deepEqual(await page.evaluate((one) => logIn(...one), given), [suite, 'memory']);
      const texts = await page.evaluate(() => Promise.all(['1', '2', '3'].map((body) => send(body))));
      assert.deepEqual(texts, ['1', '2', '3']);
      assert.equal(await page.evaluate((name) => goOn(name), 'carl@example.org'), null);
    });

    test('with a policy that forbids the Worker', async () => {
      const strict = await visit(visitor, site[kind], '/strict');
      await strict.evaluate((one) => logIn(...one), ['dora@example.org', { suite, keys: 'memory' }]);
      assert.equal(strict.workers().length, 0);
      assert.equal(await strict.evaluate(() => send('x')), 'x');
    });
  });
}
