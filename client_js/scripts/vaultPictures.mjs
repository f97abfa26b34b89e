/**
 * Takes the pictures of docs/vault.md in docs/pictures/: the vault of the demo on a page without TLS.
 * Usage: make bundle, then node scripts/vaultPictures.mjs
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { launch } from '../test/browser/chromium.js';
import { startDemo } from '../test/browser/demo.js';
import { chooseInForm, logIn, says, typeBack } from '../test/browser/vaultPage.js';
import { inPalette } from './palette.mjs';

const FOLDER = process.env.PICTURES ?? fileURLToPath(new URL('../../docs/pictures/', import.meta.url));
const MAX_BYTES = 200 * 1024;

const demo = await startDemo();
const browser = await launch();
try {
  const page = await browser.newPage({ reducedMotion: 'reduce' });
  const picture = async (name, width, height, { colorScheme = 'light', selector = 'body' } = {}) => {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    await page.locator(selector).evaluate((element) => element.scrollIntoView());
    const png = inPalette(await page.screenshot());
    if (png.length > MAX_BYTES) throw new Error(`${name}.png has ${png.length} bytes: at most ${MAX_BYTES} are allowed`);
    await writeFile(`${FOLDER}${name}.png`, png);
    process.stdout.write(`${name}.png: ${width} x ${height}, ${png.length} bytes\n`);
  };

  await page.setViewportSize({ width: 1440, height: 1030 });
  await page.goto(demo.vault.insecure);
  await logIn(page, demo, 'ann@example.org');
  await page.getByRole('button', { name: 'I have no vault yet' }).click();
  await chooseInForm(page, 'create', 'correct horse battery');
  await page.getByRole('dialog').waitFor();
  await picture('vault-code', 1024, 700);
  await typeBack(page);
  await says(page, 'Your vault is ready and open.');
  await page.locator('#devices li').waitFor();
  await page.locator('#files-chosen').setInputFiles({ name: 'kitchen.mp4', mimeType: 'video/mp4', buffer: Buffer.alloc(1_800_000, 1) });
  await says(page, 'kitchen.mp4 is in the vault.');
  await page.getByRole('button', { name: 'New note' }).click();
  await page.locator('#editor [name=name]').fill('Bread');
  await page.locator('#editor [name=text]').fill('500 g flour\n350 g water\n10 g salt');
  await page.getByRole('button', { name: 'Save this note' }).click();
  await says(page, 'The note is saved.');
  // The pool was applied.
  await page.locator('#tables details:has(summary:has-text("vault_blocks")) .values li').first().waitFor();
  await picture('vault', 1440, 1030);
  await picture('vault-360', 360, 1300, { colorScheme: 'dark', selector: '#open' });
} finally {
  await browser.close();
  await demo.stop();
}
