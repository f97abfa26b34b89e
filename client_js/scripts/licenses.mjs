/** The licences of the packages in a bundle. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SEPARATOR = '\n---\n\n';

/** @param {string[]} packages @returns {Promise<string>} */
export async function licenseTexts(packages) {
  const texts = packages.map(async (name) => {
    const text = await readFile(join(ROOT, 'node_modules', name, 'LICENSE'), 'utf8');
    return `${name}\n\n${text.trim()}\n`;
  });
  return (await Promise.all(texts)).join(SEPARATOR);
}
