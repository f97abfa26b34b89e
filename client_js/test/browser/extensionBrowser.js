/** The extension in Chromium, with a profile that can be kept. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildExtension } from '../../scripts/extension.mjs';
import { INSECURE_HOST, launchWithExtension } from './chromium.js';

/** Follows from `key` in the manifest. */
export const EXTENSION_ID = 'ggfcokhdbgaknbjboghhdcdgdmdmbeml';
export const address = (path) => `chrome-extension://${EXTENSION_ID}/${path}`;

/**
 * Builds the extension and starts a browser with it. A browser without a window cannot show the question for a permission.
 * So this copy of the manifest already has the permission for one host, as if the user had agreed. All else is the same.
 */
export async function startExtension() {
  const folder = await mkdtemp(join(tmpdir(), 'certless-extension-'));
  const built = await buildExtension(folder);
  const file = join(built.folder, 'manifest.json');
  const manifest = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...manifest, host_permissions: [`http://${INSECURE_HOST}/*`] }));
  const profile = join(folder, 'profile');
  const started = {
    profile,
    browser: await launchWithExtension(profile, built.folder),
    /** Another browser process with the same profile. */
    restart: async () => {
      await started.browser.close();
      started.browser = await launchWithExtension(profile, built.folder);
    },
    stop: async () => {
      await started.browser.close();
      await rm(folder, { recursive: true });
    },
  };
  return started;
}

/** Adds a site to the list, as its user does. */
export async function addSite(page, origin) {
  await page.getByLabel('Address').fill(origin);
  await page.getByRole('button', { name: 'Add the site' }).click();
  await page.getByRole('link', { name: `Open ${origin}` }).waitFor();
}
