/** Waits with a limit. The error says what the test waited for, because a test has several waits. */

/** Less than a test has (limited.js). */
const LIMIT_MS = 60_000;

/**
 * @template Result
 * @param {Promise<Result>} work
 * @param {string} what
 * @param {number} [limitMs]
 * @returns {Promise<Result>}
 */
export async function within(work, what, limitMs = LIMIT_MS) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${limitMs / 1000} s: ${what}`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
