/** Nothing leaves a page in `certless connect` unsealed, in Firefox. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from '../limited.js';
import { startGateway, startUpstream } from '../gateway.js';
import { startConnect } from '../browser/connect.js';
import { INSECURE_HOST } from '../browser/chromium.js';
import { areBlocked, elements, form, leakingPage, recording, workerScript } from '../browser/leaks.js';
import { inPage, launch, logInAt } from './firefox.js';

// Firefox does not load these here, or reports nothing to the page.
const SILENT = ['track', 'preload', 'modulepreload', 'ping'];

describe('a page in connect, in Firefox', () => {
  const asked = [];
  let server;
  let browser;
  let upstream;
  let gateway;
  let connect;
  let page;
  let all;
  before(async () => {
    server = await recording(asked);
    const other = `http://${INSECURE_HOST}:${server.address().port}`;
    all = elements(other);
    const html = (body) => ({ type: 'text/html', body });
    upstream = await startUpstream({
      '/': html('<h1>the site</h1>'),
      '/elements': html(leakingPage(Object.values(all).join('\n'))),
      '/posting': html(form(`${other}/posting`)),
      '/posting-again': html(form('/again')),
      '/again': { status: 307, headers: { Location: `${other}/again` } },
      '/worker.js': { type: 'text/javascript', body: workerScript(other, 'refused.then(postMessage)') },
    });
    gateway = await startGateway({ upstream: upstream.url });
    connect = await startConnect(gateway.url);
    browser = await launch();
    page = await logInAt(browser, connect, gateway, 'ann@example.org');
    await page.waitForFunction(() => document.querySelector('h1')?.textContent === 'the site');
  });
  after(async () => {
    await browser?.close();
    await connect?.stop();
    await gateway?.stop();
    await upstream?.stop();
    server?.closeAllConnections();
    server?.close();
  });

  test('loads and sends nothing by elements, styles, scripts or frames', async () => {
    await page.goto(`${connect.own}/elements`, { waitUntil: 'domcontentloaded' });
    const names = Object.keys(all).filter((name) => !SILENT.includes(name));
    await page.waitForFunction(areBlocked, {}, names).catch(async (error) => {
      const blocked = await inPage(page, () => globalThis.blocked);
      throw new Error(`not refused: ${names.filter((name) => !blocked.includes(name))}`, { cause: error });
    });
    assert.deepEqual(asked, []);
  });

  test('sends no form', async () => {
    await page.goto(`${connect.own}/posting`);
    await inPage(page, () => document.querySelector('button').click());
    await page.waitForFunction(areBlocked, {}, ['posting']);
    assert.deepEqual(asked, []);
  });

  test('shows a redirect that would send the form again', async () => {
    await page.goto(`${connect.own}/posting-again`);
    await page.locator('button').click();
    await page.waitForFunction(() => document.querySelector('h1')?.textContent === 'This leaves the sealed site');
    assert.deepEqual(asked, []);
  });

  test('loads and sends nothing by a worker', async () => {
    await page.goto(`${connect.own}/posting`);
    const told = await inPage(
      page,
      () => new Promise((resolve) => (new Worker('/worker.js').onmessage = ({ data }) => resolve(data))),
    );
    assert.deepEqual(told, Array(4).fill(true));
    assert.deepEqual(asked, []);
  });
});
