/** A page that uses a gateway of another origin. */
import assert from 'node:assert/strict';
import { after, before, test } from '../limited.js';
import { startGateway } from '../gateway.js';
import { launch, newVisitor, startSite } from './chromium.js';

let browser;
let site;
let page;
const gateways = [];

before(async () => {
  browser = await launch();
  site = await startSite('article-2016');
});
after(async () => {
  await browser?.close();
  for (const gateway of gateways) await gateway.stop();
  await site?.stop();
});

/** A page of `site`, and another gateway that is started with `options`. */
async function visit(options) {
  const gateway = await startGateway({ upstream: site.upstream.url, options });
  gateways.push(gateway);
  page = await (await newVisitor(browser, { gateway })).newPage();
  await page.goto(`${site.insecure}/page`);
  return `http://127.0.0.1:${gateway.port}`;
}

for (const suite of ['ecdh-gcm', 'classic']) {
  test(`a gateway that names the origin of the page, ${suite}`, async () => {
    const url = await visit(['--cors', site.insecure]);
    const seen = await page.evaluate(
      async ({ url, suite }) => {
        const username = 'ann@example.org';
        const session = await certless.login({ url, username, suite, code: () => mailedCode(username) });
        return (await session.fetch('/orders?x=1')).json();
      },
      { url, suite },
    );
    assert.equal(seen.path, '/orders?x=1');
  });
}

test('a gateway that does not: one error that says what to do', async () => {
  const url = await visit([]);
  const failed = await page.evaluate(
    (url) =>
      certless.login({ url, username: 'ann@example.org', suite: 'ecdh-gcm', code: () => '' }).then(
        () => null,
        ({ name, code, message }) => ({ name, code, message }),
      ),
    url,
  );
  assert.equal(failed.name, 'NoAnswer');
  assert.equal(failed.code, 'no_answer');
  assert.match(failed.message, new RegExp(`start the gateway with --cors ${site.insecure}\\.$`));
});
