/** A key pair that the page made and cannot read, in Chromium on a secure page, by the real gateway (decision 0063). */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from '../limited.js';
import { launch, newVisitor, startSite } from './chromium.js';

const LIFETIME_MS = 43_200_000;

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** A page with `window.makeKey`, `window.logIn`, `window.goOn`, `window.send` and `window.held`. */
async function visit(visitor, url) {
  const page = await visitor.newPage();
  await page.goto(url);
  await page.waitForFunction(() => window.certless);
  await page.evaluate(() => {
    window.codes = 0;
    window.aheadMs = 0;
    const suite = 'rsa-gcm';
    const options = (username) => ({
      suite,
      clock: () => Date.now() + window.aheadMs,
      code: () => {
        window.codes += 1;
        return mailedCode(username);
      },
    });
    window.makeKey = (more, isExtractable = false) => {
      const usual = { name: 'RSA-OAEP', hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) };
      return crypto.subtle.generateKey({ ...usual, ...more }, isExtractable, ['encrypt', 'decrypt']);
    };
    window.logIn = async (username, rsaKey) => {
      window.session = await certless.login({ username, rsaKey, ...options(username) });
      return session.keptIn;
    };
    window.goOn = async (username) => {
      window.session = await certless.resume(options(username));
      return window.session?.suite ?? null;
    };
    window.send = async (body) => (await session.fetch('/bytes', { method: 'POST', body })).text();
    window.failure = (work) => work().then(
      () => Promise.reject(new Error('nothing failed')),
      ({ name, code, message }) => ({ name, code, message }),
    );
    /** What is kept: the public key in hex, and whether the private keys are such that nobody reads them. */
    window.held = async () => {
      const done = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
      const database = await done(indexedDB.open('certless'));
      const [found] = await done(database.transaction('sessions').objectStore('sessions').getAll());
      database.close();
      const { privateKey, rsaKey, token } = found;
      const isHidden = [privateKey, rsaKey.privateKey].every((key) => key instanceof CryptoKey && !key.extractable);
      const der = new Uint8Array(await crypto.subtle.exportKey('spki', rsaKey.publicKey));
      return { isHidden, token, publicKey: Array.from(der, (byte) => byte.toString(16).padStart(2, '0')).join('') };
    };
  });
  return page;
}

for (const [path, where, workers] of [['/page', 'in a Worker', 1], ['/strict', 'without a Worker', 0]]) {
  describe(where, () => {
    const username = 'ann@example.org';
    let site;
    let visitor;
    let page;
    let first;

    before(async () => {
      site = await startSite('article-2016', { remembers: true, config: [`session_lifetime_s = ${LIFETIME_MS / 1000}`] });
      visitor = await newVisitor(browser, site);
      page = await visit(visitor, site.secure + path);
    });
    after(async () => {
      await visitor?.close();
      await site?.stop();
    });

    test('login and messages; the key is stored, and nobody can read it', async () => {
      assert.equal(await page.evaluate(async (name) => logIn(name, (window.mine = await makeKey())), username), 'indexedDB');
      assert.equal(page.workers().length, workers);
      assert.deepEqual(await page.evaluate(() => Promise.all(['1', '2', '3'].map(send))), ['1', '2', '3']);
      first = await page.evaluate(() => held());
      assert.ok(first.isHidden);
      const mine = await page.evaluate(async () => [...new Uint8Array(await crypto.subtle.exportKey('spki', mine.publicKey))]);
      assert.equal(first.publicKey, Buffer.from(mine).toString('hex'));
    });

    test('a reload and a second tab continue with it', async () => {
      await page.close();
      page = await visit(visitor, site.secure + path);
      const other = await visit(visitor, site.secure + path);
      for (const tab of [page, other]) {
        assert.equal(await tab.evaluate((name) => goOn(name), username), 'rsa-gcm');
        assert.equal(await tab.evaluate(() => send('on')), 'on');
      }
      await other.close();
    });

    test('a new epoch, and a ticket, with the same key and no mail', async () => {
      await page.evaluate(() => (window.aheadMs = 901_000));
      assert.equal(await page.evaluate(() => send('epoch')), 'epoch');
      await page.close();
      page = await visit(visitor, site.secure + path);
      await page.evaluate((ms) => (window.aheadMs = ms), LIFETIME_MS + 1000);
      assert.equal(await page.evaluate((name) => goOn(name), username), 'rsa-gcm');
      assert.equal(await page.evaluate(() => send('later')), 'later');
      const later = await page.evaluate(() => held());
      assert.notEqual(later.token, first.token);
      assert.deepEqual([later.publicKey, later.isHidden], [first.publicKey, true]);
      assert.equal(await page.evaluate(() => codes), 0);
      await page.evaluate(() => session.close());
    });

    test('an unusable pair is an error, and no mail is sent', async () => {
      const sent = site.gateway.log.length;
      const halves = await page.evaluate(() =>
        failure(async () => logIn('bob@example.org', { ...(await makeKey()), publicKey: (await makeKey()).publicKey })),
      );
      assert.deepEqual([halves.name, halves.code], ['CertlessError', 'rsa_key']);
      assert.match(halves.message, /its public and private key do not match\. Make a new pair/);
      const readable = await page.evaluate(() => failure(async () => logIn('bob@example.org', await makeKey({}, true))));
      assert.match(readable.message, /must not be extractable/);
      assert.ok(!site.gateway.log.slice(sent).includes('session/hello'));
    });
  });
}

test('the example of docs/suites.md', async () => {
  const text = await readFile(new URL('../../../docs/suites.md', import.meta.url), 'utf8');
  const [, example] = /```js\n(const rsaKey = [^`]*)```/.exec(text);
  const site = await startSite('article-2016');
  try {
    const visitor = await newVisitor(browser, site);
    const page = await visit(visitor, `${site.secure}/page`);
    const told = await page.evaluate(async (source) => {
      const username = 'ann@example.org';
      const AsyncFunction = (async () => {}).constructor;
      const run = new AsyncFunction('username', 'code', `${source}; return session;`);
      window.session = await run(username, () => mailedCode(username));
      return [session.suite, session.keptIn, await send('tea')];
    }, example);
    assert.deepEqual(told, ['rsa-gcm', 'indexedDB', 'tea']);
    await visitor.close();
  } finally {
    await site.stop();
  }
});

test('a page over plain HTTP has no such keys, and the error says so', async () => {
  const site = await startSite('article-2016');
  try {
    const visitor = await newVisitor(browser, site);
    const page = await visit(visitor, `${site.insecure}/page`);
    const { name, message } = await page.evaluate(() => failure(() => logIn('ann@example.org', {})));
    assert.equal(name, 'TypeError');
    assert.match(message, /on pages over https or on localhost/);
    await visitor.close();
  } finally {
    await site.stop();
  }
});
