/** README's page, as it stands there, before a gateway and an API. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { after, before, test } from '../limited.js';
import { startGateway } from '../gateway.js';
import { INSECURE_HOST, launch, newVisitor } from './chromium.js';

let api;
let gateway;
let browser;
let page;
const ordered = [];

before(async () => {
  const example = await readFile(new URL('../../../examples/page.html', import.meta.url));
  api = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.url !== '/orders') {
      response.setHeader('Content-Type', 'text/html');
      response.end(request.url === '/' ? example : '');
      return;
    }
    if (request.method === 'POST') ordered.push([request.headers['x-certless-user'], `${Buffer.concat(chunks)}`]);
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(ordered.map(([, order]) => JSON.parse(order))));
  });
  api.listen(0, '127.0.0.1');
  await once(api, 'listening');
  const upstream = `http://127.0.0.1:${api.address().port}`;
  gateway = await startGateway({ upstream, options: ['--public', '/'] });
  browser = await launch();
  page = await (await newVisitor(browser, { gateway })).newPage();
  await page.goto(`http://${INSECURE_HOST}:${gateway.port}/`);
});

after(async () => {
  await browser?.close();
  await gateway?.stop();
  api?.closeAllConnections();
  api?.close();
});

test('an order waits for the login, and is then sent sealed', async () => {
  await page.getByRole('textbox', { name: 'What' }).fill('Räksmörgås');
  await page.getByRole('button', { name: 'Order', exact: true }).click();
  await page.getByLabel('Name or e-mail address').fill('ann@example.org');
  await page.keyboard.press('Enter');
  const code = await gateway.mailbox.code('ann@example.org');
  await page.getByLabel('Code from the mail').fill(code);
  await page.locator('output').filter({ hasText: 'Räksmörgås' }).waitFor();
  assert.deepEqual(ordered, [['ann@example.org', '{"item":"Räksmörgås","quantity":2}']]);
});

test('fetch, sealed', async () => {
  const said = new Promise((resolve) => {
    page.once('dialog', (dialog) => dialog.accept().then(() => resolve(dialog.message())));
  });
  await page.getByRole('button', { name: 'My orders' }).click();
  assert.deepEqual(JSON.parse(await said), [{ item: 'Räksmörgås', quantity: 2 }]);
});
