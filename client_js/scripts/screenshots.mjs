/**
 * Takes the README's pictures in docs/pictures/: the demo on a page without TLS.
 * Usage: make bundle, then node scripts/screenshots.mjs
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { launch } from '../test/browser/chromium.js';
import { startDemo } from '../test/browser/demo.js';
import { inPalette } from './palette.mjs';

const FOLDER = fileURLToPath(new URL('../../docs/pictures/', import.meta.url));
const MAX_BYTES = 200 * 1024;

const demo = await startDemo();
const browser = await launch();
try {
  await mkdir(FOLDER, { recursive: true });
  const visitor = await browser.newContext();
  const page = await visitor.newPage();

  /** Writes a picture of the page, scrolled to `selector`. */
  const picture = async (name, width, height, { colorScheme = 'light', selector = 'body' } = {}) => {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    await page.locator(selector).evaluate((element) => element.scrollIntoView());
    const path = `${FOLDER}${name}.png`;
    const png = inPalette(await page.screenshot());
    const { length } = png;
    if (length > MAX_BYTES) throw new Error(`${name}.png has ${length} bytes: at most ${MAX_BYTES} are allowed`);
    await writeFile(path, png);
    process.stdout.write(`${name}.png: ${width} x ${height}, ${length} bytes\n`);
  };

  await page.goto(demo.insecure);
  await page.getByRole('button', { name: 'Send me a code' }).click();
  const opened = visitor.waitForEvent('page');
  await page.getByRole('link', { name: 'Open the mailbox' }).click();
  const mailbox = await opened;
  const code = await mailbox.locator('article .code code').innerText();
  await page.bringToFront();
  const field = page.getByLabel('Code from the mail');
  await field.focus();
  await page.getByText('asks for a code').waitFor();
  await picture('login', 1440, 1030);

  await field.fill(code);
  await page.getByText('None yet.').waitFor();
  await page.locator('#exchanges button').filter({ hasText: 'A code is tried' }).click();
  await page.locator('h1').click();
  await picture('code', 1440, 1030);
  await page.getByRole('button', { name: 'Order, sealed' }).click();
  await page.locator('#orders li').waitFor();
  await page.locator('#exchanges button').filter({ hasText: 'Your orders' }).nth(1).waitFor();
  await page.locator('h1').click();
  await picture('order', 1440, 1030);
  await picture('order-dark', 1440, 1030, { colorScheme: 'dark' });
  await picture('order-360', 360, 1300, { selector: '#wire' });

  await page.getByRole('button', { name: 'Order in plain' }).click();
  await page.locator('#exchange .out mark.open').filter({ hasText: 'Earl Grey' }).waitFor();
  await page.locator('h1').click();
  await picture('plain', 1440, 1030);

  await page.getByRole('link', { name: 'classic' }).click();
  // The former session ends first.
  await page.locator('#exchanges button').filter({ hasText: 'A logout' }).waitFor();
  await page.getByRole('button', { name: 'Send me a code' }).click();
  const another = mailbox.locator('article').nth(1);
  await another.waitFor();
  await field.fill(await mailbox.locator('article .code code').first().innerText());
  await page.getByText('A listener learns that the login was completed').waitFor();
  await page.locator('h1').click();
  await picture('login-classic', 1440, 1030);
} finally {
  await browser.close();
  await demo.stop();
}
