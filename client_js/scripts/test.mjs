/**
 * Runs test files, two at a time. A hanging file is stopped, and fails.
 *
 *     node scripts/test.mjs test/*.test.js
 *
 * Each test has its own limit (test/limited.js). This limit is for leftovers of tests: `node --test` waits
 * for ever for a process that something keeps alive.
 */
import { resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const FILE_LIMIT_MS = Number(process.env.CERTLESS_TEST_FILE_MS ?? 1_800_000);

const files = process.argv.slice(2).map((file) => resolve(file));
if (files.length === 0) throw new Error('name the test files');
const tests = run({ files, concurrency: 2, timeout: FILE_LIMIT_MS });
tests.on('test:fail', () => {
  process.exitCode = 1;
});
tests.compose(new spec()).pipe(process.stdout);
