/** The client in Firefox, over plain HTTP: that it is there what it is in Chromium. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from '../limited.js';
import { startSite } from '../browser/chromium.js';
import { CASES, inPageText } from '../socketCases.js';
import { inPage, launch, part, until } from './firefox.js';

const html = (body) => ({
  type: 'text/html',
  body: `<!doctype html><html lang="en"><meta charset="utf-8"><title>shop</title><script src="/.gateway/client.js" data-certless></script><body>${body}`,
});
const pages = {
  '/shop': html(
    '<certless-badge></certless-badge><certless-login></certless-login>' +
      '<form method="dialog" data-certless="/echo" enctype="application/json"><input name="item" value="Räksmörgås"><button>Order</button></form>',
  ),
};

describe('Firefox, over plain HTTP', () => {
  const username = 'ann@example.org';
  let site;
  let firefox;
  let page;

  before(async () => (site = await startSite('article-2016', { pages, suites: 'ecdh-gcm,rsa-gcm,classic' })));
  before(async () => (firefox = await launch()));
  after(() => firefox?.close());
  after(() => site?.stop());

  const ask = async (tab) => {
    await part(tab, '#address').fill(username);
    await tab.keyboard.press('Enter');
  };
  /** Types the code of the next mail. */
  const typeCode = async (tab) => {
    await part(tab, '#code').fill(await site.gateway.mailbox.code(username));
    await tab.keyboard.press('Enter');
    await until(tab, 'ready');
  };

  test('login with the element', async () => {
    page = await firefox.newPage(`${site.insecure}/shop`);
    assert.deepEqual(await inPage(page, () => [isSecureContext, crypto.subtle]), [false, undefined]);
    await ask(page);
    await typeCode(page);
    const shown = await inPage(page, () => [certless.page.session.suite, certless.page.session.keptIn, certless.page.username]);
    assert.deepEqual(shown, ['ecdh-gcm', 'indexedDB', username]);
  });

  test('a sealed fetch of 1 MiB', async () => {
    const isSame = await inPage(page, async () => {
      const body = 'x'.repeat(1024 * 1024);
      const answer = await certless.fetch('/bytes', { method: 'POST', body });
      return (await answer.text()) === body;
    });
    assert.ok(isSame);
  });

  test('a streamed response', async () => {
    const length = await inPage(page, async () => (await (await certless.fetch('/blob?size=3000000')).arrayBuffer()).byteLength);
    assert.equal(length, 3_000_000);
  });

  test('events, and the last id after the end of a connection', async () => {
    await inPage(page, () => {
      window.events = [];
      window.source = certless.eventSource('/events');
      source.onmessage = ({ data, lastEventId }) => events.push([data, lastEventId]);
    });
    const first = await site.upstream.eventSource();
    first.send('id: 1\ndata: å\n\n');
    await page.waitForFunction(() => window.events.length === 1);
    first.end();
    const second = await site.upstream.eventSource();
    assert.equal(second.lastEventId, '1');
    second.send('data: b\n\n');
    await page.waitForFunction(() => window.events.length === 2);
    const seen = await inPage(page, () => (source.close(), [events, source.readyState]));
    assert.deepEqual(seen, [[['å', '1'], ['b', '1']], 2]);
  });

  // The cases that depend on the browser most.
  for (const name of Object.keys(CASES).filter((one) => /kinds|every kind|order|both directions|close before|Blobs|refuses/.test(one))) {
    test(`a WebSocket: ${name}`, async () => {
      const [work, expected] = CASES[name];
      await inPage(page, () => void (window.session = certless.page.session));
      assert.deepEqual(await inPage(page, inPageText(work)), expected);
    });
  }

  test('a sealed form', async () => {
    await page.locator('form button').click();
    const text = await page.waitForSelector('output pre').then((shown) => shown.evaluate(({ textContent }) => textContent));
    const { method, body } = JSON.parse(text);
    assert.deepEqual([method, body], ['POST', '{"item":"Räksmörgås"}']);
  });

  test('a reload continues', async () => {
    await page.reload();
    await until(page, 'ready');
    assert.equal(await inPage(page, async () => (await certless.fetch('/echo')).status), 200);
  });

  test('two tabs follow each other: load, logout, login, loss', async () => {
    const other = await firefox.newPage(`${site.insecure}/shop`);
    await until(other, 'ready');
    await page.bringToFront();
    await part(page, '[part=logout]').click();
    for (const tab of [page, other]) await until(tab, 'none');
    await ask(page);
    await typeCode(page);
    await until(other, 'ready');
    await inPage(page, () => certless.fetch('/echo').then(() => {}));
    await site.gateway.restart();
    // The tab behind is hidden: it waits, and asks for no mail.
    for (const tab of [other, page]) {
      await inPage(tab, () => void (window.answered = certless.fetch('/echo').then(({ status }) => status)));
    }
    await typeCode(page);
    for (const tab of [page, other]) assert.equal(await inPage(tab, () => window.answered), 200);
  });
});
