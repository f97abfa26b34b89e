/**
 * Writes dist/: `client.js` (a script; global `certless`), `vault.js` (global `certlessVault`), `issuing.js`
 * (global `certlessIssuing`), each as a module too (`.mjs`), and `types/`. The same sources give the same bytes.
 *
 * Each program is one function, so that it can pass its own text to a Worker without another request and
 * without a second copy.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { minify } from 'terser';
import { licenseTexts } from './licenses.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = join(ROOT, 'dist');
const SRC = join(ROOT, 'src');
const MAX_GZIPPED_BYTES = 69 * 1024;
const MAX_VAULT_GZIPPED_BYTES = 90 * 1024;
const MAX_ISSUING_GZIPPED_BYTES = 36 * 1024;

// gzip looks back 32 KiB, so code is beside its like: packages, then our folders from low to high (decision 92).
const PACKAGES = [
  ...['utils', 'hmac', 'hkdf', 'sha2', 'legacy', 'pbkdf2'].map((name) => `@noble/hashes/${name}.js`),
  ...['utils', '_polyval', 'aes'].map((name) => `@noble/ciphers/${name}.js`),
  ...['utils', 'abstract/modular', 'abstract/curve', 'abstract/weierstrass'].map((name) => `@noble/curves/${name}.js`),
  ...['utils', 'primality', 'rsa'].map((name) => `micro-rsa-dsa-dh/${name}.js`),
];
const FOLDERS = ['primitives', 'protocol', 'protocol/classic', 'protocol/hardened', 'protocol/streams', 'engine', 'session', 'page'];

/** @param {string} folder */
async function modulesOf(folder) {
  const names = (await readdir(join(SRC, folder))).sort();
  return names.filter((name) => name.endsWith('.js') && name !== 'nodeCrypto.js').map((name) => `./${folder}/${name}`);
}

const inOrder = [...(await modulesOf('common')), ...PACKAGES, ...(await Promise.all(FOLDERS.map(modulesOf))).flat()];
const entry = [...inOrder.map((name) => `import '${name}';`), await readFile(join(SRC, 'bundle.js'), 'utf8')].join('\n');

const LIBRARIES = ['@noble/ciphers', '@noble/curves', '@noble/hashes', 'micro-rsa-dsa-dh'];

await rm(DIST, { recursive: true, force: true });
await mkdir(DIST, { recursive: true });

/**
 * Writes a program as a script and as a module.
 * @param {{ name: string, global: string, contents: string, exported: object, libraries: string[], maxBytes: number }} program
 */
async function write({ name, global, contents, exported, libraries, maxBytes }) {
  const { outputFiles } = await build({
    absWorkingDir: ROOT,
    stdin: { contents, resolveDir: SRC, sourcefile: 'bundle.js' },
    // These imports are for the order only. What is not used is still left out.
    logOverride: { 'ignored-bare-import': 'silent' },
    bundle: true,
    write: false,
    format: 'iife',
    globalName: global,
    platform: 'browser',
    target: ['es2022'],
    minify: true,
    legalComments: 'none',
    charset: 'utf8',
  });
  // Terser finds another 4 % after esbuild (decision 0008).
  const { code: program } = await minify(outputFiles[0].text, {
    ecma: 2022,
    compress: { passes: 3, lhs_constants: false },
    // A page without a charset may read the script in another one than UTF-8.
    format: { ascii_only: true },
  });
  const head = `/*! certless, Apache-2.0; with ${libraries.join(', ')}, MIT: see LICENSES.txt */\n`;
  const whole = `function ${global}Bundle(){"use strict";${program}return ${global}}`;
  const script = `${head}var ${global}=(${whole})();\n`;
  await writeFile(join(DIST, `${name}.js`), script);
  await writeFile(join(DIST, `${name}.mjs`), `${head}${whole}\nexport const {${Object.keys(exported).sort().join(',')}}=${global}Bundle();\n`);
  const { length } = gzipSync(script, { level: 9 });
  process.stdout.write(`dist/${name}.js: ${script.length} bytes, ${length} gzipped\n`);
  if (length > maxBytes) {
    process.stderr.write(`more than ${maxBytes} bytes gzipped\n`);
    process.exitCode = 1;
  }
}

await write({ name: 'client', global: 'certless', contents: entry, exported: await import('../src/index.js'), libraries: LIBRARIES, maxBytes: MAX_GZIPPED_BYTES });
/** @param {string} folder a folder of src/ with a bundle.js */
const bundleOf = async (folder) => ({
  contents: (await readFile(join(SRC, folder, 'bundle.js'), 'utf8')).replaceAll("'./", `'./${folder}/`),
  exported: await import(`../src/${folder}/bundle.js`),
});
const vault = { ...(await bundleOf('vault')), libraries: [...LIBRARIES, 'hash-wasm'], maxBytes: MAX_VAULT_GZIPPED_BYTES };
await write({ name: 'vault', global: 'certlessVault', ...vault });
const issuing = { ...(await bundleOf('issuing')), libraries: LIBRARIES, maxBytes: MAX_ISSUING_GZIPPED_BYTES };
await write({ name: 'issuing', global: 'certlessIssuing', ...issuing });

await writeFile(join(DIST, 'LICENSES.txt'), await licenseTexts([...LIBRARIES, 'hash-wasm']));

const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
execFileSync(process.execPath, [compiler, '-p', join(ROOT, 'tsconfig.types.json')], { stdio: 'inherit' });

