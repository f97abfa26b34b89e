// Polls the gateway every two seconds and draws the charts.
import { Chart, shown } from './charts.js';
import { SPAN_MS, binned, limited, summary } from './series.js';

const POLL_MS = 2000;
const TIMEOUT_MS = 8000;

const KINDS = [
  { key: 'messages', title: 'Messages', unit: 'per second' },
  { key: 'message_ms', title: 'Message duration', unit: 'ms', isTime: true },
  { key: 'rejections', title: 'Rejections', unit: 'per second' },
  { key: 'logins', title: 'Logins', unit: 'per minute', scale: 60 },
  { key: 'mails', title: 'Mails', unit: 'per minute', scale: 60 },
  { key: 'store_ms', title: 'Store duration', unit: 'ms', isTime: true },
  { key: 'sessions', title: 'Sessions', unit: 'open', whole: true },
  { key: 'key_pool', title: 'Key pool', unit: 'RSA pairs ready', whole: true },
];

const status = document.getElementById('status');
const table = document.getElementById('metrics-table');
const charts = KINDS.map((kind) => ({ ...kind, chart: new Chart(kind) }));
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });

let points = [];
let lastAnswerMs = 0;

document.getElementById('charts').replaceWith(...charts.map(({ chart }) => chart.element));

/** Sets the status only if it differs, because a screen reader would repeat it each time. */
function showStatus(text, state) {
  if (status.textContent !== text) status.textContent = text;
  status.className = state;
  document.body.classList.toggle('stale', state === 'lost');
}

function draw(nowMs) {
  const bodies = charts.map(({ key, title, unit, scale, whole, chart }) => {
    const { endMs, series } = binned(points, key, nowMs, { scale, whole });
    chart.show({ endMs, series: whole ? series : limited(series) });
    return tableBody(`${title}, ${unit}`, series);
  });
  table.querySelectorAll('tbody').forEach((body) => body.remove());
  table.append(...bodies);
}

function cell(name, text, scope) {
  const element = document.createElement(name);
  element.textContent = text;
  if (scope) element.scope = scope;
  return element;
}

function tableBody(title, series) {
  const body = document.createElement('tbody');
  const heading = cell('th', title, 'rowgroup');
  heading.colSpan = 4;
  body.insertRow().append(heading);
  for (const [name, values] of series) {
    body.insertRow().append(cell('th', name, 'row'), ...summary(values).map((value) => cell('td', shown(value))));
  }
  return body;
}

function duration(seconds) {
  if (seconds === null) return '–';
  if (seconds < 120) return `${shown(seconds)} s`;
  return seconds < 7200 ? `${shown(seconds / 60)} min` : `${shown(seconds / 3600)} h`;
}

function showStats(stats) {
  const texts = {
    active_sessions: shown(stats.active_sessions),
    total_keys_generated: shown(stats.total_keys_generated),
    avg_session_duration: duration(stats.avg_session_duration),
    encryption_success_rate: stats.encryption_success_rate === null ? '–' : `${(stats.encryption_success_rate * 100).toFixed(2)} %`,
  };
  for (const [id, text] of Object.entries(texts)) document.getElementById(id).textContent = text;
}

async function poll() {
  const response = await fetch(`figures?after=${points.at(-1)?.at_ms ?? 0}`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`status ${response.status}`);
  const { now_ms: nowMs, points: fresh, stats, troubles } = await response.json();
  lastAnswerMs = Date.now();
  points = [...points, ...fresh].filter(({ at_ms: atMs }) => atMs > nowMs - SPAN_MS);
  showStats(stats);
  draw(nowMs);
  if (troubles.length) showStatus(`Not ready: ${troubles.join('; ')}.`, 'trouble');
  else showStatus('Ready. The charts show the last 15 minutes and are updated every 2 seconds.', 'ready');
}

for (;;) {
  try {
    await poll();
  } catch {
    const since = lastAnswerMs ? ` The charts are from ${clock.format(lastAnswerMs)}.` : '';
    showStatus(`The gateway does not answer.${since} This page keeps trying.`, 'lost');
  }
  await new Promise((resume) => { setTimeout(resume, POLL_MS); });
}
