/** Converts points of two seconds to the drawn series: ten seconds for a value, 15 minutes in all. */

export const SPAN_MS = 15 * 60_000;
export const BIN_MS = 10_000;
const BINS = SPAN_MS / BIN_MS;
// More lines are hard to tell apart. The others are drawn as one line; the table has all.
const MAX_LINES = 5;
const OTHERS = 'others';

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const highest = (values) => Math.max(...values);

/**
 * @param points the points from the gateway, each with `at_ms`
 * @param key the name of the values in a point
 * @param nowMs the gateway's time
 * @param {{scale?: number, whole?: boolean}} how `scale` multiplies a value; `whole`: counts,
 *   which take the last value instead of a mean
 * @returns {{endMs: number, series: Map<string, (number|null)[]>}} null if there is no value
 */
export function binned(points, key, nowMs, { scale = 1, whole = false } = {}) {
  const endMs = Math.ceil(nowMs / BIN_MS) * BIN_MS;
  const bins = Array.from({ length: BINS }, () => []);
  for (const point of points) {
    const bin = BINS - 1 - Math.floor((endMs - point.at_ms) / BIN_MS);
    if (bins[bin] && bin < BINS - 1) bins[bin].push(point[key]);
    // The last bin is always the last ten seconds: a shorter one would show chance, not traffic.
    if (point.at_ms > nowMs - BIN_MS) bins[BINS - 1].push(point[key]);
  }
  const names = new Set(points.flatMap((point) => Object.keys(point[key])));
  const valueOf = (name) => (bin) => {
    const isKnown = (value) => value !== null;
    const values = bin.map((part) => part[name] ?? (name in part ? null : 0)).filter(isKnown);
    if (!values.length) return null;
    if (whole) return values.at(-1);
    return scale * (name === 'p99' ? highest : mean)(values);
  };
  return { endMs, series: new Map([...names].map((name) => [name, bins.map(valueOf(name))])) };
}

/** At most six lines: series that are always 0 are left out, and the smallest are added up. */
export function limited(series) {
  const sum = (values) => values.reduce((all, value) => all + (value ?? 0), 0);
  const live = [...series].filter(([, values]) => sum(values) > 0);
  if (live.length <= MAX_LINES + 1) return new Map(live);
  const bySize = live.sort(([, one], [, other]) => sum(other) - sum(one));
  const rest = bySize.slice(MAX_LINES).map(([, values]) => values);
  const together = rest[0].map((_, i) => {
    const there = rest.map((values) => values[i]).filter((value) => value !== null);
    return there.length ? there.reduce((all, value) => all + value, 0) : null;
  });
  return new Map([...bySize.slice(0, MAX_LINES), [OTHERS, together]]);
}

/** The values of the table: `[now, mean, highest]`, null if there is no value. */
export function summary(values) {
  const known = values.filter((value) => value !== null);
  return [values.at(-1) ?? values.at(-2) ?? null, known.length ? mean(known) : null, known.length ? highest(known) : null];
}
