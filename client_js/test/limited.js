/**
 * `node:test` with a limit on every test and hook: a hanging test fails with its name.
 *
 * The option `--test-timeout` of the runner is not in Node 18, and bounds whole files in Node 20.
 */
import * as runner from 'node:test';

/** Several times what a slow, busy machine needs. */
export const LIMIT_MS = Number(process.env.CERTLESS_TEST_MS ?? 120_000);

export const { describe } = runner;

/** @param {string} name @param {(context: any) => unknown} work */
export const test = (name, work) => runner.test(name, { timeout: LIMIT_MS }, work);

/** @param {(hook: any, options: object) => void} when */
const limited = (when) => (/** @type {(context: any) => unknown} */ work) => when(work, { timeout: LIMIT_MS });

export const before = limited(runner.before);
export const after = limited(runner.after);
export const beforeEach = limited(runner.beforeEach);
export const afterEach = limited(runner.afterEach);
