/** The extension as it is built: the same bytes each time, small, and without rights that it does not need. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { unzipSync } from 'fflate';
import { MAX_ZIP_BYTES, buildExtension } from '../scripts/extension.mjs';
import { EXTENSION_ID } from './browser/extensionBrowser.js';
import { test } from './limited.js';

const BUILDER = new URL('../scripts/extension.mjs', import.meta.url);

async function inFolder(work) {
  const folder = await mkdtemp(join(tmpdir(), 'certless-extension-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('two builds are identical, also in another time zone, and small', () =>
  inFolder(async (folder) => {
    const built = await buildExtension(folder);
    const zip = await readFile(built.zip);
    assert.ok(zip.length <= MAX_ZIP_BYTES, `${zip.length} bytes`);
    const program = `const { buildExtension } = await import('${BUILDER}'); await buildExtension(${JSON.stringify(join(folder, 'again'))});`;
    await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { cwd: tmpdir(), env: { ...process.env, TZ: 'Asia/Kolkata' } });
    assert.ok(zip.equals(await readFile(join(folder, 'again', 'certless.zip'))));
    const names = (await readdir(built.folder)).sort();
    const packed = unzipSync(zip);
    assert.deepEqual(Object.keys(packed), names);
    for (const name of names) assert.ok((await readFile(join(built.folder, name))).equals(packed[name]), name);
  }));

test('it has no permission at first, no code of others, and nothing that a page can reach', () =>
  inFolder(async (folder) => {
    const built = await buildExtension(folder);
    const read = (name) => readFile(join(built.folder, name), 'utf8');
    const { key, content_security_policy: policy, version, ...manifest } = JSON.parse(await read('manifest.json'));
    assert.deepEqual(Object.keys(manifest).sort(), ['action', 'description', 'icons', 'incognito', 'manifest_version', 'minimum_chrome_version', 'name', 'optional_host_permissions']);
    assert.deepEqual(manifest.optional_host_permissions, ['http://*/*']);
    const hash = createHash('sha256').update(Buffer.from(key, 'base64')).digest('hex').slice(0, 32);
    assert.equal([...hash].map((digit) => 'abcdefghijklmnop'[parseInt(digit, 16)]).join(''), EXTENSION_ID);
    const directives = Object.fromEntries(policy.extension_pages.split('; ').map((one) => [one.split(' ')[0], one.split(' ').slice(1).join(' ')]));
    assert.deepEqual(directives, {
      'default-src': "'none'",
      'script-src': "'self' 'wasm-unsafe-eval'",
      'worker-src': "'self'",
      'style-src': "'self'",
      'img-src': "'self'",
      'connect-src': 'http:',
      'base-uri': "'none'",
      'form-action': "'none'",
      'frame-ancestors': "'none'",
    });
    assert.equal(version, JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')).version);
    for (const name of await readdir(built.folder)) {
      const text = await read(name);
      if (name.endsWith('.js')) assert.ok(!/\bnode:|sourceMappingURL|onMessageExternal|onConnectExternal|\bnew Function\b/.test(text), name);
      if (name.endsWith('.html')) for (const [, from] of text.matchAll(/(?:src|href)="([^"]*)"/g)) assert.ok(/^[\w.]+$/.test(from), `${name}: ${from}`);
    }
  }));
