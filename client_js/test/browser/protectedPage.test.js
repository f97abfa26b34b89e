/** A person who opens a protected page in a browser: a page with a login, then the sealed page. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, test } from '../limited.js';
import { launch, newVisitor, startSite } from './chromium.js';

const SHOTS = process.env.CERTLESS_SHOTS;
const html = (body) => ({ type: 'text/html', body: `<!doctype html><title>Orders</title>${body}` });
const sealed = {
  '/orders': html(
    '<style>h1 { color: rgb(1, 2, 3) }</style><h1>Your orders</h1><a href="/orders/7">The seventh</a><script>parent.hacked = 1</script>',
  ),
  '/orders/7': html('<h1>Seven pots of tea</h1>'),
};

let browser;
let site;
let visitor;
let page;
let noise;

before(async () => {
  browser = await launch();
  site = await startSite('article-2016', { sealed, config: ['site = "Tea & <b>more</b> $5"'] });
});
after(async () => {
  await browser?.close();
  await site?.stop();
});
beforeEach(async () => {
  visitor = await newVisitor(browser, site);
  page = await visitor.newPage();
  noise = [];
  page.on('console', (message) => noise.push(message.text()));
  page.on('pageerror', (error) => noise.push(`${error}`));
});
afterEach(() => visitor.close());

/** Each test has a user of its own: one gets few mails in a quarter of an hour. */
let users = 0;
async function logIn() {
  users += 1;
  const user = `ann-${users}@example.org`;
  await page.getByLabel('Name or e-mail address').fill(user);
  await page.keyboard.press('Enter');
  await page.getByLabel('Code from the mail').fill(await site.gateway.mailbox.code(user));
}
const shown = () => page.frameLocator('[data-certless-page] iframe');

test('the page says where it is and how to log in, and then shows what was asked for, sealed', async () => {
  const response = await page.goto(`${site.insecure}/orders`);
  assert.equal(response.status(), 401);
  assert.equal(response.headers()['cache-control'], 'no-store');
  await page.getByRole('heading', { name: 'Tea & <b>more</b> $5' }).waitFor();
  assert.match(await page.locator('pre').textContent(), /certless connect http:\/\/gateway\.test:\d+/);
  await logIn();
  await shown().getByRole('heading', { name: 'Your orders' }).waitFor();
  // Its own style is there, and its script did not run.
  assert.equal(await shown().locator('h1').evaluate((one) => getComputedStyle(one).color), 'rgb(1, 2, 3)');
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  await shown().getByRole('link').click();
  await shown().getByRole('heading', { name: 'Seven pots of tea' }).waitFor();
  // What was refused is the page itself, and Chromium says so; nothing else.
  const expected = /401 \(Unauthorized\)|^Blocked script execution in 'about:srcdoc'/;
  assert.deepEqual(noise.filter((text) => !expected.test(text)), []);
});

test('another page of the same session needs no other code, and its query arrives as it is', async () => {
  await page.goto(`${site.insecure}/orders/7`);
  await logIn();
  await shown().getByRole('heading', { name: 'Seven pots of tea' }).waitFor();
  await page.goto(`${site.insecure}/as-sent?open&a=%2F+b`);
  await page.locator('[data-certless-page] pre').filter({ hasText: '"path": "/as-sent?open&a=%2F+b"' }).waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.locator('[data-certless-page]:empty').waitFor({ state: 'attached' });
});

for (const width of [360, 1440]) {
  for (const colorScheme of ['light', 'dark']) {
    test(`it fits ${width} pixels, ${colorScheme}`, async () => {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme });
      await page.goto(`${site.insecure}/orders`);
      await page.getByText('Is the network trusted?').click();
      const overflow = () => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
      assert.equal(await overflow(), false);
      if (SHOTS) await mkdir(SHOTS, { recursive: true });
      if (SHOTS) await page.screenshot({ path: `${SHOTS}/login-${width}-${colorScheme}.png`, fullPage: true });
      await logIn();
      await shown().getByRole('heading', { name: 'Your orders' }).waitFor();
      assert.equal(await overflow(), false);
      if (SHOTS) await page.screenshot({ path: `${SHOTS}/page-${width}-${colorScheme}.png`, fullPage: true });
    });
  }
}
