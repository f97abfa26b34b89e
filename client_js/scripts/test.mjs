/**
 * Runs test files, two at a time; one that does not end is ended, and fails.
 *
 *     node scripts/test.mjs test/*.test.js
 *
 * Each test has a limit of its own (test/limited.js). This one is for what a test leaves behind:
 * `node --test` waits for ever for a process that something keeps alive.
 */
import { resolve } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';

const LIMIT_OF_A_FILE_MS = Number(process.env.CERTLESS_TEST_FILE_MS ?? 1_800_000);

const files = process.argv.slice(2).map((file) => resolve(file));
if (files.length === 0) throw new Error('name the test files');
const tests = run({ files, concurrency: 2, timeout: LIMIT_OF_A_FILE_MS });
tests.on('test:fail', () => {
  process.exitCode = 1;
});
tests.compose(new spec()).pipe(process.stdout);
