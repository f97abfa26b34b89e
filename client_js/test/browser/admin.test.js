/** The page of the admin listener in a real browser, of a gateway under real traffic. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from '../limited.js';
import { Refused, login } from '../../src/index.js';
import { startGateway, startUpstream } from '../gateway.js';
import { forge, mistype, peek, visit } from '../traffic.js';
import { launch } from './chromium.js';

let browser;
let upstream;
let gateway;
let admin;
before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway({ upstream: upstream.url, options: ['--admin', '0'], remembers: true });
  [, admin] = /metrics at (http:\/\/127\.0\.0\.1:\d+\/)/.exec(gateway.log);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await gateway?.stop();
  await upstream?.stop();
});

/** Opens the page; what it asked for and what went wrong are kept. */
async function open() {
  const page = await browser.newPage();
  const asked = [];
  const wrong = [];
  page.on('request', (request) => asked.push(request.url()));
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && wrong.push(message.text()));
  page.on('pageerror', (error) => wrong.push(error.message));
  await page.goto(admin);
  return { page, asked, wrong };
}

const chart = (page, title) => page.locator('section.chart', { has: page.getByRole('heading', { name: title }) });

describe('the admin page', () => {
  test('draws the figures', async () => {
    const { page, asked, wrong } = await open();
    await page.getByText('Ready.').waitFor();
    await chart(page, 'Rejections').getByText('no data in these 15 minutes').waitFor();
    await visit(gateway, 'ecdh-gcm', 'ann@example.org', 20);
    await visit(gateway, 'classic', 'bob@example.org', 5);
    await mistype(gateway, 'eve@example.org');
    await forge(gateway);
    await peek(gateway);

    const messages = chart(page, 'Messages');
    await messages.locator('.legend li', { hasText: 'classic/article-2016' }).waitFor();
    assert.equal(await messages.locator('.frame path.line').count(), 2);
    await chart(page, 'Rejections').locator('.legend li', { hasText: 'code_refused' }).waitFor();
    await chart(page, 'Logins').locator('.legend li', { hasText: 'opened' }).waitFor();
    await chart(page, 'Mails').locator('.legend li', { hasText: 'sent' }).waitFor();
    assert.match(await page.locator('#encryption_success_rate').innerText(), /^9\d\.\d\d %$/);
    const label = await messages.locator('.frame > svg').getAttribute('aria-label');
    assert.match(label, /^Messages, per second, last 15 minutes\. Now: .*ecdh-gcm [\d.]+/);

    const origins = new Set(asked.map((url) => new URL(url).origin));
    assert.deepEqual([...origins], [new URL(admin).origin]);
    assert.deepEqual(wrong, []);
    await page.close();
  });

  test('can be read with keys, with the pointer and as a table', async () => {
    const { page } = await open();
    const sessions = chart(page, 'Sessions');
    // A level line has no height, and so passes for hidden.
    await sessions.locator('.frame path.line').waitFor({ state: 'attached' });
    const tip = sessions.locator('.tip');
    await sessions.locator('.frame > svg').focus();
    await page.keyboard.press('ArrowLeft');
    await tip.getByText('open').waitFor();
    const first = await tip.innerText();
    await page.keyboard.press('ArrowLeft');
    assert.notEqual(await tip.innerText(), first);
    await page.keyboard.press('Escape');
    assert.equal(await tip.isVisible(), false);
    await sessions.locator('.frame > svg').hover();
    assert.equal(await tip.isVisible(), true);

    await page.getByText('Show as a table').click();
    const row = page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: 'decryption_failed' }) });
    assert.equal(await row.getByRole('cell').count(), 3);
    await page.close();
  });

  test('fits a small screen, and has a dark scheme', async () => {
    const { page } = await open();
    await page.getByText('Ready.').waitFor();
    for (const width of [360, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      assert.ok((await page.evaluate(() => document.scrollingElement.scrollWidth)) <= width);
    }
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.notEqual(await background(), light);
    await page.close();
  });

  test('lists devices with the key of the operator, and revokes one, by the keyboard', async () => {
    const username = 'plant@example.org';
    const sessions = [];
    for (const device of ['pump-7', 'pump-8', 'fan-1']) {
      const code = await gateway.issueCode(username, device);
      sessions.push(await login({ url: gateway.url, username, device, code: () => code }));
    }
    const { page } = await open();
    const said = page.locator('#devices-status');
    const rows = page.locator('#device-table tbody tr');
    await page.getByLabel('Operator’s key').focus();
    for (const [typed, answer] of [['x', 'this is not the operator'], ['ключ', 'this is not the operator']]) {
      await page.keyboard.type(typed);
      await page.keyboard.press('Enter');
      await said.filter({ hasText: answer }).waitFor();
      await page.getByLabel('Operator’s key').fill('');
    }
    assert.equal(await rows.count(), 0);
    await page.keyboard.type(await gateway.operatorKey());
    await page.keyboard.press('Enter');
    await said.getByText('3 of 3 devices are shown.').waitFor();
    assert.equal(await page.getByLabel('Operator’s key').inputValue(), '');
    assert.deepEqual(await rows.locator('th').allInnerTexts(), ['fan-1', 'pump-7', 'pump-8']);
    for (const width of [360, 1440]) {
      await page.setViewportSize({ width, height: 900 });
      assert.ok((await page.evaluate(() => document.scrollingElement.scrollWidth)) <= width);
    }

    // The filter has the focus.
    await page.keyboard.type('PUMP');
    await said.getByText('2 of 3 devices are shown.').waitFor();
    const button = page.getByRole('button', { name: `Revoke pump-7 of ${username}` });
    // From the filter: the button to update, the region that scrolls, the first button.
    for (let i = 0; i < 3; i += 1) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog', { name: `Revoke pump-7 of ${username}?` });
    await dialog.waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    assert.ok(await button.evaluate((element) => element === document.activeElement));
    assert.equal((await sessions[0].fetch('/echo')).status, 200);
    await page.keyboard.press('Enter');
    await dialog.waitFor();
    // The focus is on Cancel, so that a second Enter does no harm.
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('Enter');
    await said.getByText(`pump-7 of ${username} is revoked.`).waitFor();
    assert.match(await rows.nth(0).innerText(), /^pump-7\s+revoked\s/);
    await assert.rejects(sessions[0].fetch('/echo'), Refused);
    assert.equal((await sessions[1].fetch('/echo')).status, 200);
    await page.getByLabel('Find').fill('');
    await page.getByRole('button', { name: 'Update' }).click();
    await said.getByText('3 of 3 devices are shown.').waitFor();
    for (const session of sessions) await session.close().catch(() => {});
    await page.close();
  });

  test('says that the gateway does not answer, and keeps the charts', async () => {
    const { page } = await open();
    await page.getByText('Ready.').waitFor();
    await gateway.end();
    await page.getByText(/^The gateway does not answer\. The charts are from [\d:]+\./).waitFor();
    assert.ok(await page.evaluate(() => document.body.classList.contains('stale')));
    assert.equal(await chart(page, 'Sessions').locator('.frame path.line').count(), 1);
    await page.close();
  });
});
