/** The bundle: the same bytes each time, small, and whole. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { gzipSync } from 'node:zlib';
import * as source from '../src/index.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('..', import.meta.url));

const built = async () => {
  await run(process.execPath, ['scripts/build.mjs'], { cwd: ROOT });
  return Promise.all(['client.js', 'client.mjs'].map((name) => readFile(`${ROOT}dist/${name}`, 'utf8')));
};

test('built twice it is the same, at most 60 KiB gzipped, with the surface of the sources', async () => {
  const [script, module] = await built();
  assert.deepEqual(await built(), [script, module]);
  assert.ok(gzipSync(script).length <= 60 * 1024);
  const names = Object.keys(source).sort();
  const context = vm.createContext({ TextEncoder, TextDecoder, Event, EventTarget, crypto, AbortController });
  vm.runInContext(script, context);
  const onPages = ['fetch', 'page', 'start'];
  assert.deepEqual(Object.keys(context.certless).sort(), [...names, ...onPages].sort());
  assert.deepEqual(Object.keys(await import('../dist/client.mjs')).sort(), names);
  for (const text of [script, module]) {
    assert.ok(!text.includes('node:') && !text.includes('sourceMappingURL'));
  }
});
