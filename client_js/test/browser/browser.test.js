/** The bundle in a real browser, on an insecure origin and on a secure one. `npm run build` first. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from '../limited.js';
import { launch, newVisitor, startSite } from './chromium.js';

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** Logs in on `page`, leaves the session in `window.session`. */
function logIn(page, dialect, username, more = {}) {
  return page.evaluate(
    async ({ dialect, username, more }) => {
      window.codes ??= 0;
      const code = () => {
        window.codes += 1;
        return window.mailedCode(username);
      };
      window.session = await certless.login({ username, dialect, code, ...more });
      return { suite: session.suite, keptIn: session.keptIn };
    },
    { dialect, username, more },
  );
}

const send = (page, body) =>
  page.evaluate(async (body) => (await session.fetch('/bytes', { method: 'POST', body })).text(), body);

const resume = (page, username) =>
  page.evaluate(async (username) => {
    window.codes = 0;
    const code = () => {
      window.codes += 1;
      return window.mailedCode(username);
    };
    window.session = await certless.resume({ code });
    return window.session?.state ?? null;
  }, username);

for (const [dialect, kind, storedAs] of [
  ['article-2016', 'insecure', 'bytes'],
  ['sfet-4-gcm', 'insecure', 'bytes'],
  ['article-2016', 'secure', 'bytes'],
  ['sfet-4-gcm', 'secure', 'CryptoKey'],
]) {
  describe(`${dialect} on an ${kind} origin`, () => {
    const username = 'ann@example.org';
    let site;
    let visitor;
    let page;

    before(async () => {
      site = await startSite(dialect);
      visitor = await newVisitor(browser, site);
      page = await visitor.newPage();
      await page.goto(`${site[kind]}/page`);
    });
    after(async () => {
      await visitor?.close();
      await site?.stop();
    });

    test('features of the browser', async () => {
      const has = await page.evaluate(() => [isSecureContext, !!crypto.subtle, !!crypto.randomUUID]);
      assert.deepEqual(has, Array(3).fill(kind === 'secure'));
    });

    test('login, a message, 5 MiB', async () => {
      assert.deepEqual(await logIn(page, dialect, username), { suite: `classic/${dialect}`, keptIn: 'indexedDB' });
      assert.equal(page.workers().length, 1);
      assert.equal(await send(page, 'Räksmörgås'), 'Räksmörgås');
      const isSame = await page.evaluate(async () => {
        const body = new Uint8Array(5 * 1024 * 1024).map((_, i) => i * 7);
        const answer = await session.fetch('/bytes', { method: 'POST', body: new Blob([body]) });
        const back = new Uint8Array(await answer.arrayBuffer());
        return back.length === body.length && back.every((byte, i) => byte === body[i]);
      });
      assert.ok(isSame);
    });

    test('how the key is stored', async () => {
      const found = await page.evaluate(async () => {
        if (localStorage.length) return 'text';
        const done = (request) => new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
        const database = await done(indexedDB.open('certless'));
        const [kept] = await done(database.transaction('sessions').objectStore('sessions').getAll());
        database.close();
        const { privateKey } = kept;
        if (privateKey instanceof Uint8Array) return 'bytes';
        return privateKey instanceof CryptoKey && !privateKey.extractable ? 'CryptoKey' : '?';
      });
      assert.equal(found, storedAs);
    });

    test('plaintext is refused', async () => {
      assert.equal(await page.evaluate(async () => (await fetch('/orders')).status), 401);
    });

    test('a reload and a second tab continue', async () => {
      await page.reload();
      assert.equal(await resume(page, username), 'ready');
      const other = await visitor.newPage();
      await other.goto(`${site[kind]}/module`);
      await other.waitForFunction(() => window.certless);
      assert.equal(await resume(other, username), 'ready');
      const texts = ['0', '1', '2', '3', '4', '5'];
      const sent = texts.map((text, i) => send(i % 2 ? page : other, text));
      assert.deepEqual(await Promise.all(sent), texts);
      assert.deepEqual([await page.evaluate(() => codes), await other.evaluate(() => codes)], [0, 0]);
      await other.close();
    });

    test('the gateway forgets: one new code for all waiting requests', async () => {
      await site.gateway.restart();
      const answers = await page.evaluate(async () => {
        const all = [1, 2, 3].map((body) => session.fetch('/bytes', { method: 'PUT', body: `${body}` }));
        return Promise.all(all.map(async (one) => (await one).text()));
      });
      assert.deepEqual(answers, ['1', '2', '3']);
      assert.equal(await page.evaluate(() => codes), 1);
    });

    test('logout', async () => {
      const worker = page.workers()[0];
      const ended = new Promise((resolve) => worker.once('close', resolve));
      await page.evaluate(() => session.close());
      await ended;
      assert.equal(await resume(page, username), null);
    });

    test('cancelled during key generation', async () => {
      const name = await page.evaluate(async () => {
        const controller = new AbortController();
        const given = { username: 'bob@example.org', suite: 'classic', signal: controller.signal };
        const onProgress = ({ stage }) => stage === 'keys' && controller.abort();
        return certless.login({ ...given, onProgress, code: () => new Promise(() => {}) }).catch((error) => error.name);
      });
      assert.equal(name, 'AbortError');
    });

    test('with a policy that forbids the Worker', async () => {
      await page.goto(`${site[kind]}/strict`);
      const { suite } = await logIn(page, dialect, 'carl@example.org', { keys: 'memory' });
      assert.equal(suite, `classic/${dialect}`);
      assert.equal(page.workers().length, 0);
      assert.equal(await send(page, 'x'), 'x');
    });
  });
}
