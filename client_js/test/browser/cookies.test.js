/** Two tabs of a browser share the cookies of their session: for fetch, events and WebSockets, on an insecure origin. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from '../limited.js';
import { launch, newVisitor, startSite } from './chromium.js';

const pages = {
  '/own': {
    type: 'text/html',
    body: '<!doctype html><title>own</title><script src="/.gateway/client.js" data-certless></script><certless-login></certless-login>',
  },
};
const sealed = { '/set': { body: '', headers: { 'Set-Cookie': 'cart=1; Path=/; HttpOnly' } } };

describe('cookies of two tabs', () => {
  let browser;
  let site;
  let tabs;

  before(async () => (browser = await launch()));
  before(async () => (site = await startSite('article-2016', { pages, sealed, suites: 'ecdh-gcm' })));
  after(() => browser?.close());
  after(() => site?.stop());

  const login = async (tab, username) => {
    await tab.getByLabel('Name or e-mail address').fill(username);
    await tab.keyboard.press('Enter');
    await tab.getByLabel('Code from the mail').fill(await site.gateway.mailbox.code(username));
    for (const one of tabs) await one.waitForFunction(() => certless.page.state === 'ready');
  };
  /** The cookies that the service gets, and those that scripts see. */
  const sent = (tab) =>
    tab.evaluate(async () => [(await (await certless.fetch('/echo')).json()).headers.cookie ?? '', document.cookie]);

  before(async () => {
    const visitor = await newVisitor(browser, site);
    tabs = [await visitor.newPage(), await visitor.newPage()];
    for (const tab of tabs) await tab.goto(`${site.insecure}/own`);
    await login(tabs[0], 'ann@example.org');
  });

  test('a cookie that a response sets in one tab goes with requests of the other one', async () => {
    await tabs[0].evaluate(async () => void (await (await certless.fetch('/set')).text()));
    for (const tab of tabs) assert.deepEqual(await sent(tab), ['cart=1', '']);
  });

  test('and with its events', async () => {
    await tabs[1].evaluate(() => {
      window.source = certless.eventSource('/events');
      window.said = new Promise((resolve) => (window.source.onmessage = ({ data }) => resolve(data)));
    });
    const source = await site.upstream.eventSource();
    assert.equal(source.cookie, 'cart=1');
    source.send('data: a\n\n');
    assert.equal(await tabs[1].evaluate(() => window.said), 'a');
    await tabs[1].evaluate(() => window.source.close());
  });

  test('a cookie that a WebSocket sets in one tab goes with requests and WebSockets of the other one', async () => {
    const open = (tab) =>
      tab.evaluate(async () => {
        window.ws = new certless.WebSocket('/ws/room');
        return JSON.parse((await new Promise((resolve) => (window.ws.onmessage = resolve))).data).headers.cookie;
      });
    assert.equal(await open(tabs[1]), 'cart=1');
    assert.deepEqual(await sent(tabs[0]), ['cart=1; room=2', '']);
    assert.equal(await open(tabs[0]), 'cart=1; room=2');
  });

  test('a logout in one tab ends the WebSockets and events of both, and removes the cookies', async () => {
    for (const tab of tabs) {
      await tab.evaluate(() => {
        const source = (window.source = certless.eventSource('/events'));
        window.over = new Promise((resolve) => {
          source.onerror = ({ error }) => source.readyState === source.CLOSED && resolve(error.code);
        });
        return new Promise((resolve) => (source.onopen = resolve));
      });
    }
    const listening = tabs.map((tab) => tab.evaluate(() => void (window.ended = new Promise((resolve) => (window.ws.onclose = ({ code }) => resolve(code))))));
    await Promise.all(listening);
    await tabs[0].evaluate(() => certless.page.logout());
    for (const tab of tabs) assert.equal(await tab.evaluate(() => window.ended), 1006);
    for (const tab of tabs) assert.equal(await tab.evaluate(() => window.over), 'not_logged_in');
    await login(tabs[0], 'bob@example.org');
    for (const tab of tabs) assert.deepEqual(await sent(tab), ['', '']);
  });
});
