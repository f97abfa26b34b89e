/**
 * Writes dist/: `client.js` (a script; global `certless`), `client.mjs` (the same as a module) and
 * `types/`. The same sources give the same bytes.
 *
 * The whole program is one function, so that it can pass its own text to a Worker without another
 * request and without a second copy.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = join(ROOT, 'dist');
const MAX_GZIPPED_BYTES = 68 * 1024;

const { outputFiles } = await build({
  absWorkingDir: ROOT,
  entryPoints: ['src/bundle.js'],
  bundle: true,
  write: false,
  format: 'iife',
  globalName: 'certless',
  platform: 'browser',
  target: ['es2022'],
  minify: true,
  legalComments: 'none',
  charset: 'utf8',
});
// Terser finds another 4 % after esbuild (decision 0008).
const { code: program } = await minify(outputFiles[0].text, {
  ecma: 2022,
  compress: { passes: 2 },
  // A page without a charset may read the script in another one than UTF-8.
  format: { ascii_only: true },
});
const licences =
  '/*! certless, Apache-2.0; with @noble/ciphers, @noble/curves, @noble/hashes, micro-rsa-dsa-dh, MIT: see LICENSES.txt */\n';
const whole = `function certlessBundle(){"use strict";${program}return certless}`;
const script = `${licences}var certless=(${whole})();\n`;
const exported = Object.keys(await import('../src/index.js')).sort();
const module = `${licences}${whole}\nexport const {${exported.join(',')}}=certlessBundle();\n`;

await rm(DIST, { recursive: true, force: true });
await mkdir(DIST, { recursive: true });
await writeFile(join(DIST, 'client.js'), script);
await writeFile(join(DIST, 'client.mjs'), module);
const texts = ['@noble/ciphers', '@noble/curves', '@noble/hashes', 'micro-rsa-dsa-dh'].map(async (name) => {
  const text = await readFile(join(ROOT, 'node_modules', name, 'LICENSE'), 'utf8');
  return `${name}\n\n${text.trim()}\n`;
});
await writeFile(join(DIST, 'LICENSES.txt'), (await Promise.all(texts)).join('\n---\n\n'));

const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
execFileSync(process.execPath, [compiler, '-p', join(ROOT, 'tsconfig.types.json')], { stdio: 'inherit' });

const { length } = gzipSync(script, { level: 9 });
process.stdout.write(`dist/client.js: ${script.length} bytes, ${length} gzipped\n`);
if (length > MAX_GZIPPED_BYTES) {
  process.stderr.write(`more than ${MAX_GZIPPED_BYTES} bytes gzipped\n`);
  process.exitCode = 1;
}
