/** Timestamps of messages (PROTOCOL §3.6). */

/** @typedef {import('../../common/codec.js').JsonValue} JsonValue */
/** @typedef {import('./dialects.js').TimestampFormat} TimestampFormat */

export const WINDOW_MS = 60_000;
/**
 * `ms` since 1970 UTC as the dialect writes it; whole seconds for `s`.
 * @param {TimestampFormat} form
 * @param {number} ms
 * @returns {JsonValue}
 */
export function formatTimestamp(form, ms) {
  if (form === 'ms') return ms;
  return form === 's' ? Math.floor(ms / 1000) : new Date(ms).toISOString();
}
