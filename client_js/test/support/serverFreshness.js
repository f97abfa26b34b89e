/** Whether a message is fresh: how a server reads timestamp and nonce (PROTOCOL §3.6). */

/** @typedef {import('../../src/common/codec.js').JsonValue} JsonValue */
/** @typedef {import('../../src/protocol/classic/dialects.js').TimestampFormat} TimestampFormat */

const MAX_NONCE_CHARS = 256;
const MAX_TIMESTAMP_MS = 2 ** 53;
const ISO8601 = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z$/;

/** @param {string} value */
function parseIso8601(value) {
  const found = ISO8601.exec(value);
  if (!found) return null;
  const ms = Date.parse(value);
  // Date.parse takes hour 24 and February 30; written out again they are something else.
  const whole = found[1] === undefined ? value.replace('Z', '.000Z') : value;
  return ms >= 0 && new Date(ms).toISOString() === whole ? ms : null;
}

/**
 * Milliseconds since 1970 UTC, or null for any other type, sign or size (PROTOCOL §3.6.1).
 * @param {TimestampFormat} form
 * @param {JsonValue | undefined} value
 */
export function parseTimestamp(form, value) {
  if (form === 'iso8601') return typeof value === 'string' ? parseIso8601(value) : null;
  if (typeof value !== 'number' || !(value >= 0 && value <= MAX_TIMESTAMP_MS)) return null;
  if (form === 'ms') return Number.isInteger(value) ? value : null;
  return Math.round(value * 1000);
}

/**
 * Whether `timestampMs` is at most `windowMs` from `nowMs`; the edge is inside.
 * @param {number} timestampMs
 * @param {number} nowMs
 * @param {number} windowMs
 */
export function withinWindow(timestampMs, nowMs, windowMs) {
  return Math.abs(nowMs - timestampMs) <= windowMs;
}

/**
 * Whether `value` is a string of 1 to 256 characters (PROTOCOL §3.6.2).
 * @param {JsonValue | undefined} value
 * @returns {value is string}
 */
export function isNonce(value) {
  if (typeof value !== 'string' || !value) return false;
  // Characters, not UTF-16 units: one outside the first plane has two of those.
  return value.length <= 2 * MAX_NONCE_CHARS && [...value].length <= MAX_NONCE_CHARS;
}
