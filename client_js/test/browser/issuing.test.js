/** The page of certificates in the demo, on an insecure origin and on localhost, as its user uses it. OpenSSL checks the files. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { after, before, test } from '../limited.js';
import { launch } from './chromium.js';
import { startDemo } from './demo.js';
import { fails, nextMail, says } from './vaultPage.js';

const run = promisify(execFile);
const ANN = 'ann@example.org';
const PASSPHRASE = 'correct horse battery';

let [demo, browser, folder] = [];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'certless-issuing-'));
  demo = await startDemo();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
  await rm(folder, { recursive: true });
});

const openssl = async (...args) => (await run('openssl', args, { cwd: folder })).stdout;

/** The page, with Ann logged in. `fromWorkers` of the page has what its Workers sent. */
async function openPage(origin) {
  const page = await (await browser.newContext({ acceptDownloads: true })).newPage();
  page.setDefaultTimeout(20_000);
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(`${error}`));
  page.on('console', (message) => message.type() === 'error' && page.complaints.push(message.text()));
  await page.addInitScript(() => {
    window.fromWorkers = [];
    window.Worker = class extends Worker {
      constructor(...given) {
        super(...given);
        this.addEventListener('message', ({ data }) => window.fromWorkers.push(JSON.stringify(data)));
      }
    };
  });
  await page.goto(`${origin}/issue`);
  await page.getByLabel('Name or e-mail address').fill(ANN);
  const mail = await nextMail(demo, ANN);
  await page.getByRole('button', { name: 'Send me a code' }).click();
  const field = page.getByLabel('Code from the mail');
  await field.waitFor();
  await field.fill((await mail()).code);
  await page.getByRole('heading', { name: 'Ask for a certificate' }).waitFor();
  return page;
}

/** What `click` saves, as text. */
async function saved(page, name, click) {
  const [download] = await Promise.all([page.waitForEvent('download'), click()]);
  assert.equal(download.suggestedFilename(), name);
  const file = join(folder, name);
  await download.saveAs(file);
  return file;
}

const button = (page, name) => page.getByRole('button', { name, exact: true });

for (const [where, kind] of [['insecure', 'P-256'], ['secure', 'P-256'], ['insecure', 'RSA-3072']]) {
  test(`a certificate and its key for Ann (${where}, ${kind})`, async () => {
    const page = await openPage(demo.vault[where]);
    assert.equal(await page.evaluate(() => Boolean(crypto.subtle)), where === 'secure');
    assert.ok(await page.getByText('signs with a test CA').isVisible());
    await page.getByLabel('Common name').fill('Ann');
    await page.getByLabel('Other names').fill('not a name');
    await page.getByLabel(kind).check();
    await button(page, 'Make the key and get the certificate').click();
    await fails(page, '“not a name” is not a DNS name');
    await page.getByLabel('Other names').fill('ann.example\n192.0.2.7');
    // By the keyboard alone.
    await page.getByLabel('Common name').press('Enter');
    await page.getByRole('heading', { name: 'Your certificate' }).waitFor({ timeout: 90_000 });
    assert.equal(await page.evaluate(() => document.activeElement.id), 'done-title');

    const certificate = await saved(page, 'certificate.pem', () => button(page, 'Save the certificate').click());
    const request = await saved(page, 'request.pem', () => button(page, 'Save the request').click());
    await page.getByLabel('Passphrase, at least').fill(PASSPHRASE);
    await page.getByLabel('The same again').fill(`${PASSPHRASE}!`);
    await button(page, 'Save the key').click();
    await fails(page, 'The two passphrases differ');
    await page.getByLabel('The same again').fill(PASSPHRASE);
    const key = await saved(page, 'private-key.pem', () => button(page, 'Save the key').click());
    await says(page, 'The encrypted key was saved');
    assert.equal(await page.getByLabel('Passphrase, at least').inputValue(), '');

    await openssl('req', '-in', request, '-noout', '-verify');
    const publicKey = await openssl('x509', '-in', certificate, '-noout', '-pubkey');
    assert.equal(await openssl('pkey', '-in', key, '-passin', `pass:${PASSPHRASE}`, '-pubout'), publicKey);
    assert.match(await openssl('x509', '-in', certificate, '-noout', '-text'), /DNS:ann\.example, IP Address:192\.0\.2\.7/);
    const chain = (await page.locator('#certificate').textContent()).match(/-----BEGIN[^]+?-----END CERTIFICATE-----\n/g);
    assert.equal(chain.length, 2);
    await writeFile(join(folder, 'ca.pem'), chain[1]);
    assert.equal(await openssl('verify', '-x509_strict', '-CAfile', 'ca.pem', '-verify_hostname', 'ann.example', certificate), `${certificate}: OK\n`);

    const secret = (await openssl('pkey', '-in', key, '-passin', `pass:${PASSPHRASE}`)).split('\n').slice(1, -2).join('');
    const seen = await page.evaluate(() => document.documentElement.outerHTML + window.fromWorkers.join(''));
    assert.ok(secret.length > 100 && !seen.replaceAll(/\\n|\n/g, '').includes(secret.slice(0, 64)));
    assert.ok(!demo.log.includes(secret.slice(0, 64)));

    await button(page, 'Forget the key and start again').click();
    await says(page, 'The key was forgotten.');
    assert.equal(await page.locator('#certificate').textContent(), '');
    assert.deepEqual(page.complaints, []);
    await page.context().close();
  });
}

test('the page fits a phone and a desk, in both colour schemes', async () => {
  const page = await openPage(demo.vault.insecure);
  await page.locator('summary', { hasText: 'Organisation' }).click();
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [360, 1440]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width);
      if (process.env.CERTLESS_PICTURES) {
        await page.screenshot({ path: join(process.env.CERTLESS_PICTURES, `issuing-${colorScheme}-${width}.png`), fullPage: true });
      }
    }
  }
});
