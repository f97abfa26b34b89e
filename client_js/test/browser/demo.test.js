/** The demo's page as a visitor uses it, on an insecure origin and a secure one. `make bundle` first. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { launch } from './chromium.js';
import { startDemo } from './demo.js';

const PICTURE_BYTES = 5 * 1024 * 1024;
const ITEM = 'Räksmörgås & Lapsang Souchong';

let browser;
let demo;
before(async () => {
  demo = await startDemo();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

/** What passed, as the bytes that the gateway's socket heard. */
async function passed(page) {
  const exchanges = await page.evaluate(async () => (await fetch('/wire.json')).json());
  return exchanges.map(({ request, response }) =>
    [request, response].flatMap((side) => [side.start_b64, side.end_b64].map((part) => Buffer.from(part, 'base64'))),
  );
}

const holds = (exchange, text) => exchange.some((part) => part.includes(text));

for (const kind of ['insecure', 'secure']) {
  describe(`the demo's page, ${kind} origin`, () => {
    const address = `${kind}@example.org`;
    const complaints = [];
    let visitor;
    let page;
    const pane = (name) => page.getByRole('group', { name, exact: true });
    const order = () => page.locator('#order').getByRole('button', { name: 'Send it sealed' });

    before(async () => {
      visitor = await browser.newContext({ viewport: { width: 1440, height: 900 } });
      if (kind === 'secure') await visitor.grantPermissions(['clipboard-read', 'clipboard-write']);
      page = await visitor.newPage();
      page.on('pageerror', (error) => complaints.push(`${error}`));
      page.on('console', (message) => {
        // That a request was answered 401 or 403 is what some of the tests are about.
        if (message.type() === 'error' && !message.text().startsWith('Failed to load')) complaints.push(message.text());
      });
      await page.goto(demo[kind]);
    });
    after(() => visitor?.close());

    test('an order in plain is readable on the wire, and refused', async () => {
      await page.getByLabel('What', { exact: true }).fill(ITEM);
      await page.getByRole('button', { name: 'Send it in plain instead' }).click();
      await page.getByText('Refused with 401').waitFor();
      await page.locator('#exchange mark.open').filter({ hasText: ITEM }).waitFor();
      assert.match(await pane('Bytes to the gateway').innerText(), /^POST \/orders HTTP\/1\.1\nHost: /);
      assert.match(await pane('Bytes from the gateway').innerText(), /^HTTP\/1\.1 401 Unauthorized\n/);
      assert.ok(holds((await passed(page)).at(-1), ITEM));
    });

    test('a path that is named like a part of every object is shown as any other', async () => {
      await fetch(`${demo.secure}/.gatewayconstructor`);
      const rows = page.locator('#exchanges button');
      await rows.filter({ hasText: 'GET /.gatewayconstructor 401' }).first().click();
      await page.locator('#learned').filter({ hasText: 'A listener reads all of it' }).waitFor();
    });

    test('an order that waits for its login, with the code from the mailbox', async () => {
      await order().click();
      await page.getByText('Waiting for the login.').waitFor();
      await page.getByLabel('Name or e-mail address').fill(address);
      await page.getByRole('button', { name: 'Send me a code' }).click();
      const opened = visitor.waitForEvent('page');
      await page.getByRole('link', { name: 'Open the mailbox' }).click();
      const mailbox = await opened;
      await mailbox.getByRole('button', { name: `Copy the code for ${address}` }).click();
      await mailbox.getByText('Copied. Now paste it').waitFor();
      await page.bringToFront();
      await page.getByLabel('Code from the mail').focus();
      await page.keyboard.press('Control+V');
      await page.getByText('Ordered, as number 1.').waitFor();
      await mailbox.close();
    });

    test('what was written stands beside its ciphertext', async () => {
      await page.locator('#orders li').filter({ hasText: `2 × ${ITEM}` }).waitFor();
      assert.equal(
        await pane('What you wrote').innerText(),
        `POST /orders\nContent-Type: application/json\n\n{"item":"${ITEM}","quantity":2}`,
      );
      assert.ok((await pane('What you read').innerText()).includes(ITEM));
      const [sent, came] = await Promise.all(['to', 'from'].map((way) => pane(`Bytes ${way} the gateway`).innerText()));
      assert.match(sent, /^POST \/\.gateway\/message HTTP\/1\.1\n[^]*\{"token":"[\w-]+","key":"[\w+/=]+","payload":"[\w+/=]+"/);
      assert.match(came, /^HTTP\/1\.1 200 OK\n[^]*\{"key":"[\w+/=]+","payload":"[\w+/=]+"/);
      const exchanges = await passed(page);
      const inPlain = exchanges.filter((exchange) => holds(exchange, ITEM));
      assert.ok(inPlain.every((exchange) => holds(exchange, 'POST /orders ')));
      assert.ok(exchanges.some((exchange) => exchange[0].toString().replaceAll('\r\n', '\n') === sent));
      await page.getByText('Sealed · classic/article-2016').waitFor();
    });

    test('a picture of 5 MiB', async () => {
      const buffer = Buffer.alloc(PICTURE_BYTES).map((_, place) => place * 7);
      await page.locator('input[type=file]').setInputFiles({ name: 'teapot.png', mimeType: 'image/png', buffer });
      await page.locator('#picture').getByRole('button', { name: 'Send it sealed' }).click();
      const said = page.locator('#picture-said').filter({ hasText: 'The API got all 5,242,880 bytes' });
      await said.waitFor();
      const words = kind === 'secure' ? 'their SHA-256 is the same: ' : 'Their SHA-256, as it says: ';
      assert.match(await said.innerText(), new RegExp(`${words}[0-9a-f]{64}`));
      const sent = page.locator('#exchange .gap').first();
      assert.match(await sent.innerText(), /9,\d{3},\d{3} bytes more/);
    });

    test('what is sent at the same time is told apart', async () => {
      await page.locator('#picture').getByRole('button', { name: 'Send it sealed' }).click();
      await order().click();
      await page.getByText('Ordered, as number 2.').waitFor();
      const rows = page.locator('#exchanges button');
      await rows.filter({ hasText: 'A picture' }).nth(1).waitFor();
      for (const row of await rows.filter({ hasText: 'A picture' }).all()) assert.match(await row.innerText(), /9,\d{3},\d{3} →/);
    });

    test('a picture that is too large is not sent', async () => {
      const buffer = Buffer.alloc(6 * 1024 * 1024 + 1);
      await page.locator('input[type=file]').setInputFiles({ name: 'large.png', mimeType: 'image/png', buffer });
      const field = page.locator('input[type=file]');
      assert.equal(await field.evaluate((input) => input.validationMessage), 'Choose one of at most 6 MiB.');
      await field.setInputFiles([]);
    });

    test('the page keeps inside a small screen and a large one', async () => {
      await page.getByLabel('What', { exact: true }).fill('x'.repeat(200));
      await order().click();
      await page.getByText('Ordered, as number 3.').waitFor();
      for (const width of [320, 360, 800, 1100, 1440]) {
        await page.setViewportSize({ width, height: 900 });
        const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.equal(beyond, 0, `${width} px`);
      }
    });

    test('an order that the shop refuses', async () => {
      await page.getByLabel('What', { exact: true }).fill('\u200b');
      await order().click();
      await page.locator('#order-said.lost').filter({ hasText: 'printable characters' }).waitFor();
    });

    test('a reload keeps the session and the orders', async () => {
      await page.reload();
      const orders = page.locator('#orders li');
      await orders.nth(2).waitFor();
      await page.getByRole('button', { name: /^Cancel order 2/ }).click();
      await orders.nth(2).waitFor({ state: 'detached' });
      assert.equal(await orders.count(), 2);
      await page.locator('#exchanges button').filter({ hasText: 'POST /orders 401' }).first().click();
      await page.locator('#exchange mark.open').filter({ hasText: ITEM }).waitFor();
    });

    test('logout', async () => {
      await page.getByRole('button', { name: 'Log out' }).click();
      await page.getByText('Log in to see them.').waitFor();
      await page.getByText('A listener learns that the session has ended').waitFor();
      assert.equal(await page.locator('#orders li').count(), 0);
      await page.getByRole('button', { name: 'Send me a code' }).waitFor();
    });

    test('it says so while the demo does not answer', async () => {
      const lost = page.getByText('The demo does not answer.');
      const routes = /\/(?:wire\.json|orders)/;
      await page.route(routes, (route) => route.abort());
      await page.reload();
      await lost.waitFor();
      await page.getByRole('button', { name: 'Send it in plain instead' }).click();
      await page.getByText('The gateway does not answer.').waitFor();
      await page.unroute(routes);
      await lost.waitFor({ state: 'hidden' });
    });

    test('nothing broke the policy, and no script failed', () => {
      assert.deepEqual(complaints, []);
    });

    test('it says so where the browser client was not built', async () => {
      await page.route('**/client*.js', (route) => route.abort());
      await page.reload();
      await page.getByText('The browser client is not there').waitFor();
    });
  });
}
