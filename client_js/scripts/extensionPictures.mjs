/**
 * Takes the pictures of docs/extension.md in docs/pictures/: the extension at the vault of the demo, step by step.
 * Usage: make bundle, then node scripts/extensionPictures.mjs
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { startDemo } from '../test/browser/demo.js';
import { addSite, address, startExtension } from '../test/browser/extensionBrowser.js';
import { chooseInForm, logIn, save, says, typeBack } from '../test/browser/vaultPage.js';
import { inPalette } from './palette.mjs';

const FOLDER = process.env.PICTURES ?? fileURLToPath(new URL('../../docs/pictures/', import.meta.url));
const MAX_BYTES = 200 * 1024;
const POPUP = { width: 380, height: 600 };
const PAGE = { width: 1024, height: 700 };

const demo = await startDemo();
const extension = await startExtension();
try {
  /** @param {import('playwright-core').Page} page @param {string} name @param {{ width: number, height: number }} size */
  const picture = async (page, name, size, { colorScheme = 'light', selector = 'body' } = {}) => {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.locator(selector).evaluate((element) => element.scrollIntoView());
    const png = inPalette(await page.screenshot());
    if (png.length > MAX_BYTES) throw new Error(`${name}.png has ${png.length} bytes: at most ${MAX_BYTES} are allowed`);
    await writeFile(`${FOLDER}${name}.png`, png);
    process.stdout.write(`${name}.png: ${size.width} x ${size.height}, ${png.length} bytes\n`);
  };

  const sites = await extension.browser.newPage();
  await sites.goto(address('sites.html'));
  await sites.getByLabel('Address').fill('http://gateway.test');
  await picture(sites, 'extension-1-add', POPUP);
  await addSite(sites, demo.vault.insecure);
  const site = await extension.browser.newPage();
  await site.goto(address(`site.html?site=${encodeURIComponent(demo.vault.insecure)}`));
  await site.getByLabel('Name or e-mail address').fill('ann@example.org');
  await picture(site, 'extension-2-login', PAGE);
  await logIn(site, demo, 'ann@example.org');
  await site.getByRole('button', { name: 'I have no vault yet' }).click();
  await chooseInForm(site, 'create', 'correct horse battery');
  await site.getByRole('dialog').waitFor();
  await picture(site, 'extension-3-code', PAGE);
  await typeBack(site);
  await says(site, 'Your vault is ready and open.');
  await save(site, 'The key is under the flower pot');
  await says(site, 'The note is saved.');
  await picture(site, 'extension-4-open', { ...PAGE, height: 900 }, { selector: '#open' });
  await sites.locator('#sites .mark.in').waitFor();
  await picture(sites, 'extension-5-sites', POPUP, { colorScheme: 'dark' });
} finally {
  await extension.stop();
  await demo.stop();
}
