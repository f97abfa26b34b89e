/** A hanging test fails with its name. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from './limited.js';
import { within } from './within.js';

const RUNNER = fileURLToPath(new URL('../scripts/test.mjs', import.meta.url));
const HUNG = fileURLToPath(new URL('./hung/hung.js', import.meta.url));

test('a hanging test fails with its name, the others run, and a hanging file is stopped', () => {
  const { NODE_TEST_CONTEXT: _, ...environment } = process.env;
  const env = { ...environment, CERTLESS_TEST_MS: '500', CERTLESS_TEST_FILE_MS: '5000' };
  const { status, stdout } = spawnSync(process.execPath, [RUNNER, HUNG], { env, encoding: 'utf8', timeout: 50_000 });
  assert.equal(status, 1, stdout);
  assert.match(stdout, /✖ waits for ever.*\n.*timed out after 500ms/);
  assert.match(stdout, /✔ comes after it/);
  assert.match(stdout, /✖ \S*hung\.js.*\n.*timed out after 5000ms/);
});

test('a wait without end reports what it waited for', () =>
  assert.rejects(within(new Promise(() => {}), 'the tide', 10), /not within 0.01 s: the tide/));
