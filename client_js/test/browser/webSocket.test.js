/** WebSockets in a real browser, on an insecure origin: through the Worker, without it, and from the page's session. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from '../limited.js';
import { CASES, inPageText } from '../socketCases.js';
import { launch, newVisitor, startSite } from './chromium.js';

const username = 'ann@example.org';
const pages = {
  '/own': {
    type: 'text/html',
    body: '<!doctype html><title>own</title><script src="/.gateway/client.js" data-certless></script><certless-login></certless-login>',
  },
};

describe('WebSockets in Chromium, on an insecure origin', () => {
  let browser;
  let site;
  let visitor;
  let page;

  before(async () => (browser = await launch()));
  before(async () => (site = await startSite('article-2016', { pages, suites: 'ecdh-gcm,rsa-gcm' })));
  after(() => browser?.close());
  after(() => site?.stop());
  before(async () => (visitor = await newVisitor(browser, site)));

  /** A page with `window.session`. */
  const enter = async (path, options = {}) => {
    await page?.close();
    page = await visitor.newPage();
    await page.goto(site.insecure + path);
    await page.evaluate(
      async ([name, more]) => (window.session = await certless.login({ username: name, code: () => mailedCode(name), ...more })),
      [username, options],
    );
  };

  describe('through the Worker', () => {
    before(() => enter('/page'));
    test('there is a Worker, and no secure context', async () => {
      assert.equal(page.workers().length, 1);
      assert.equal(await page.evaluate(() => isSecureContext), false);
    });
    for (const [name, [work, expected]] of Object.entries(CASES)) {
      test(name, async () => assert.deepEqual(await page.evaluate(inPageText(work)), expected));
    }

    test('the application gets the origin of the page and the cookies of the session, and no cookie of the browser', async () => {
      const { origin, cookie } = await page.evaluate(async () => {
        document.cookie = 'outer=1';
        const ws = new session.WebSocket('/ws/info');
        const { headers } = JSON.parse((await new Promise((resolve) => (ws.onmessage = resolve))).data);
        ws.close();
        return headers;
      });
      assert.deepEqual([origin, cookie], [site.insecure, undefined]);
    });

    test('the gateway ends: 1006, and the cause', async () => {
      const gone = page.evaluate(async () => {
        const ws = new session.WebSocket('/ws/echo');
        await new Promise((resolve) => (ws.onopen = resolve));
        window.isOpen = true;
        const cause = new Promise((resolve) => (ws.onerror = ({ error }) => resolve(error.name)));
        const { code, wasClean } = await new Promise((resolve) => (ws.onclose = resolve));
        return [await cause, code, wasClean];
      });
      await page.waitForFunction(() => window.isOpen);
      await site.gateway.restart();
      assert.deepEqual(await gone, ['StreamBroken', 1006, false]);
    });
  });

  describe('without the Worker', () => {
    before(() => enter('/strict', { keys: 'memory' }));
    test('there is none', () => assert.equal(page.workers().length, 0));
    for (const name of Object.keys(CASES).filter((one) => /order|close|both|bytes|bufferedAmount/.test(one))) {
      const [work, expected] = CASES[name];
      test(name, async () => assert.deepEqual(await page.evaluate(inPageText(work)), expected));
    }
  });

  describe("the page's session", () => {
    before(async () => {
      await page?.close();
      visitor = await newVisitor(browser, site);
      page = await visitor.newPage();
      await page.goto(`${site.insecure}/own`);
    });

    test('the login opens first, and a logout ends it', async () => {
      await page.evaluate(() => {
        const ws = (window.ws = new certless.WebSocket('/ws/echo', 'chat.v2'));
        window.seen = [];
        ws.onopen = () => ws.send('sealed');
        ws.onmessage = ({ data }) => window.seen.push(data);
        ws.onerror = ({ error }) => window.seen.push(error.code);
        ws.onclose = ({ code }) => window.seen.push(code);
      });
      await page.getByLabel('Name or e-mail address').fill(username);
      await page.keyboard.press('Enter');
      await page.getByLabel('Code from the mail').fill(await site.gateway.mailbox.code(username));
      await page.waitForFunction(() => window.seen.length === 1);
      assert.deepEqual(await page.evaluate(() => [window.ws.protocol, window.ws instanceof certless.WebSocket]), ['chat.v2', true]);
      await page.evaluate(() => certless.page.logout());
      await page.waitForFunction(() => window.seen.length === 3);
      assert.deepEqual(await page.evaluate(() => window.seen), ['sealed', 'stream_aborted', 1006]);
    });
  });
});
