/**
 * Builds the browser extension: a folder, and a zip of it. The same sources give the same bytes: files in the order of
 * their names, no times, and a compressor in JavaScript, because zlib of another Node.js can write other bytes.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { zipSync } from 'fflate';
import { icon } from './extensionIcon.mjs';
import { licenseTexts } from './licenses.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SOURCE = join(ROOT, 'extension');
const PAGE = join(ROOT, '..', 'vault', 'page');
const LOOK = join(ROOT, '..', 'gateway', 'pages', 'look.css');
const LIBRARIES = ['@noble/ciphers', '@noble/curves', '@noble/hashes', 'hash-wasm', 'micro-rsa-dsa-dh'];
// Local time, because a zip has local times: the same bytes in each time zone.
const NO_TIME = new Date(1980, 0, 1);
export const MAX_ZIP_BYTES = 250 * 1024;

/** Parts of the vault's page that are different in the extension. */
const CHANGES = [
  [/ *<script src="\/\.gateway\/client\.js"[^]*?<script src="vaultPage\.js" type="module"><\/script>/, '  <script src="site.js" type="module"></script>'],
  [/<certless-badge><\/certless-badge>/, '<certless-badge></certless-badge>\n    <p class="soft"><strong id="site"></strong> <a href="sites.html">Your sites</a></p>'],
  [/(<p id="missing" class="lost" role="alert" hidden>)[^]*?<\/p>/, '$1This site is not on your list, or Certless is not allowed to reach it. Go to\n      <a href="sites.html">your sites</a>.</p>'],
];

/** @param {string} html of the vault's page */
function sitePage(html) {
  return CHANGES.reduce((text, [from, to]) => {
    if (!from.test(text)) throw new Error(`vault.html has no ${from}`);
    return text.replace(from, to);
  }, html);
}

/** The entry points, and the chunks that they share. @returns {Promise<[string, Uint8Array][]>} */
async function programs() {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    entryPoints: ['site.js', 'sites.js', 'vaultWorker.js'].map((name) => join(SOURCE, name)),
    outdir: SOURCE,
    bundle: true,
    splitting: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: ['es2022'],
    minify: true,
    legalComments: 'none',
    charset: 'utf8',
    banner: { js: `/*! certless, Apache-2.0; with ${LIBRARIES.join(', ')}, MIT: see LICENSES.txt */` },
  });
  return outputFiles.map(({ path, contents }) => [basename(path), contents]);
}

/** All files of the extension, in the order of their names. @returns {Promise<[string, Uint8Array][]>} */
async function files() {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  const manifest = { ...JSON.parse(await readFile(join(SOURCE, 'manifest.json'), 'utf8')), version };
  const own = ['sites.html', 'sites.css'].map((name) => join(SOURCE, name));
  const copied = [...own, LOOK, join(PAGE, 'vaultPage.css'), join(PAGE, 'vaultPage.svg')];
  const made = await Promise.all([
    ...(await programs()),
    ...copied.map(async (path) => [basename(path), await readFile(path)]),
    ...[16, 48, 128].map((size) => [`icon${size}.png`, icon(size)]),
    readFile(join(PAGE, 'vault.html'), 'utf8').then((html) => ['site.html', Buffer.from(sitePage(html))]),
    licenseTexts(LIBRARIES).then((text) => ['LICENSES.txt', Buffer.from(text)]),
    ['manifest.json', Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)],
  ]);
  return made.sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * Writes `certless/` and `certless.zip` to a folder.
 * @param {string} folder
 * @returns {Promise<{ folder: string, zip: string, bytes: number }>}
 */
export async function buildExtension(folder) {
  const [out, zip] = [join(folder, 'certless'), join(folder, 'certless.zip')];
  await rm(out, { recursive: true, force: true });
  await mkdir(out, { recursive: true });
  const made = await files();
  for (const [name, content] of made) await writeFile(join(out, name), content);
  const packed = zipSync(Object.fromEntries(made.map(([name, content]) => [name, new Uint8Array(content)])), { level: 9, mtime: NO_TIME });
  await writeFile(zip, packed);
  return { folder: out, zip, bytes: packed.length };
}
