/** A line chart in SVG: axes with units, a legend with current values, and a cursor for pointer and arrow keys. */
import { BIN_MS, SPAN_MS, summary } from './series.js';

const HEIGHT = 180;
const TOP = 8;
const BOTTOM = 24;
const LEFT = 48;
const RIGHT = 10;
const TICK_MS = 5 * 60_000;
const COLOURS = 6;

const number = new Intl.NumberFormat(undefined, { maximumSignificantDigits: 3 });
const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const exactClock = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium', hourCycle: 'h23' });

export const shown = (value) => (value === null ? '–' : number.format(value));

function svg(name, attributes = {}, text = '') {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  return element;
}

function html(name, className, text = '') {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}

/** A linear axis from 0: round marks, and the position of a value from 0 (bottom) to 1. */
function linearAxis(values, whole) {
  const top = Math.max(0, ...values) || 1;
  const rough = Math.max(top, whole ? 3 : 0) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough * 0.999);
  const count = Math.max(1, Math.ceil(top / step - 0.001));
  const marks = Array.from({ length: Math.max(count, 2) + 1 }, (_, i) => i * step);
  return { marks, share: (value) => value / marks.at(-1) };
}

/** A logarithmic axis, for times: usual and rare values are both visible. */
function logarithmicAxis(values) {
  const low = Math.floor(Math.log10(Math.min(...values, 1)));
  const high = Math.max(Math.ceil(Math.log10(Math.max(...values, 0.1))), low + 2);
  const marks = Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i));
  return { marks, share: (value) => (Math.log10(value) - low) / (high - low) };
}

export class Chart {
  #slots = new Map();
  #series = new Map();
  #endMs = 0;
  #cursor = null;

  /**
   * @param {{title: string, unit: string, whole?: boolean, isTime?: boolean}} kind `whole` for
   *   counts
   */
  constructor({ title, unit, whole = false, isTime = false }) {
    this.title = title;
    this.unit = unit;
    this.axis = (values) => (isTime ? logarithmicAxis(values) : linearAxis(values, whole));
    this.element = html('section', 'card chart');
    const heading = html('h2', '', title);
    heading.append(' ', html('span', 'soft', unit));
    this.legend = html('ul', 'legend');
    this.picture = svg('svg', { role: 'img', tabindex: 0, height: HEIGHT });
    this.tip = html('div', 'tip');
    this.tip.hidden = true;
    this.tip.setAttribute('role', 'status');
    const frame = html('div', 'frame');
    frame.append(this.picture, this.tip);
    this.element.append(heading, this.legend, frame);
    this.#listen();
    new ResizeObserver(() => this.#draw()).observe(frame);
  }

  /** @param series by name, one value for ten seconds; the last one ends at `endMs` */
  show({ endMs, series }) {
    this.#endMs = endMs;
    this.#series = series;
    for (const name of this.#slots.keys()) if (!series.has(name)) this.#slots.delete(name);
    for (const name of series.keys()) {
      // A line keeps its colour while it exists.
      const taken = new Set(this.#slots.values());
      const free = Array.from({ length: COLOURS }, (_, i) => i + 1).find((slot) => !taken.has(slot));
      if (!this.#slots.has(name)) this.#slots.set(name, free ?? COLOURS);
    }
    this.#draw();
  }

  #listen() {
    const { picture } = this;
    picture.addEventListener('pointermove', ({ clientX }) => {
      const { left } = picture.getBoundingClientRect();
      const share = (clientX - left - LEFT) / this.#plotWidth;
      this.#moveCursor(Math.floor(share * this.#bins));
    });
    picture.addEventListener('pointerleave', () => this.#moveCursor(null));
    picture.addEventListener('blur', () => this.#moveCursor(null));
    picture.addEventListener('keydown', (event) => {
      const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -this.#bins, End: this.#bins };
      if (event.key === 'Escape') this.#moveCursor(null);
      if (!(event.key in moves)) return;
      event.preventDefault();
      this.#moveCursor((this.#cursor ?? this.#bins - 1) + moves[event.key]);
    });
  }

  #moveCursor(bin) {
    this.#cursor = bin === null || !this.#series.size ? null : Math.min(Math.max(bin, 0), this.#bins - 1);
    this.#draw();
  }

  get #bins() {
    return SPAN_MS / BIN_MS;
  }

  get #plotWidth() {
    return Math.max(this.picture.clientWidth - LEFT - RIGHT, 1);
  }

  #x(bin) {
    return LEFT + ((bin + 0.5) / this.#bins) * this.#plotWidth;
  }

  #draw() {
    const values = [...this.#series.values()].flat().filter((value) => value !== null);
    const { marks, share } = this.axis(values);
    const y = (value) => TOP + (1 - share(value)) * (HEIGHT - TOP - BOTTOM);
    const lines = [...this.#series].flatMap(([name, line]) => this.#line(line, this.#slots.get(name), y));
    this.picture.replaceChildren(...this.#axes(marks, y), ...lines, ...this.#cross(y));
    if (!values.length) {
      const middle = { x: LEFT + this.#plotWidth / 2, y: (y(marks.at(-1)) + y(marks.at(-2))) / 2 + 5, class: 'empty' };
      this.picture.append(svg('text', middle, 'no data in these 15 minutes'));
    }
    this.#describe();
    this.#showTip();
  }

  #axes(marks, y) {
    const right = LEFT + this.#plotWidth;
    const foot = y(marks[0]);
    const across = marks.flatMap((mark) => [
      svg('line', { x1: LEFT, x2: right, y1: y(mark), y2: y(mark), class: y(mark) === foot ? 'axis' : 'grid' }),
      svg('text', { x: LEFT - 6, y: y(mark) + 4, class: 'label left' }, number.format(mark)),
    ]);
    if (!this.#endMs) return across;
    const first = Math.ceil((this.#endMs - SPAN_MS) / TICK_MS) * TICK_MS;
    const times = [];
    for (let at = first; at <= this.#endMs; at += TICK_MS) {
      const x = right - ((this.#endMs - at) / SPAN_MS) * this.#plotWidth;
      // A label at the edge would be cut off.
      if (x < LEFT + 12 || x > right - 12) continue;
      times.push(svg('line', { x1: x, x2: x, y1: foot, y2: foot + 4, class: 'axis' }));
      times.push(svg('text', { x, y: HEIGHT - 6, class: 'label' }, clock.format(at)));
    }
    return [...across, ...times];
  }

  /** One path for each stretch without gaps. */
  #line(values, slot, y) {
    const ranges = [[]];
    values.forEach((value, bin) => {
      if (value === null) ranges.push([]);
      else ranges.at(-1).push([this.#x(bin), y(value)]);
    });
    return ranges.filter((points) => points.length).map((points) => {
      const [[x0, y0], ...more] = points;
      // A single value between two gaps is a dot: a line of length 0 with round ends.
      const rest = (more.length ? more : [[x0, y0]]).map(([x, at]) => `L${x.toFixed(1)} ${at.toFixed(1)}`);
      const kind = more.length ? 'line' : 'line lone';
      return svg('path', { d: `M${x0.toFixed(1)} ${y0.toFixed(1)}${rest.join('')}`, class: `${kind} colour${slot}` });
    });
  }

  #cross(y) {
    if (this.#cursor === null) return [];
    const x = this.#x(this.#cursor);
    const dots = [...this.#series]
      .filter(([, values]) => values[this.#cursor] !== null)
      .map(([name, values]) =>
        svg('circle', { cx: x, cy: y(values[this.#cursor]), r: 4, class: `dot colour${this.#slots.get(name)}` }),
      );
    return [svg('line', { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM, class: 'cross' }), ...dots];
  }

  /** The legend, and a sentence for screen readers. */
  #describe() {
    const now = [...this.#series].map(([name, values]) => [name, shown(summary(values)[0])]);
    this.legend.replaceChildren(
      ...now.map(([name, value]) => {
        const item = html('li');
        const key = svg('svg', { width: 18, height: 8, 'aria-hidden': 'true' });
        key.append(svg('path', { d: 'M1 4H17', class: `line colour${this.#slots.get(name)}` }));
        item.append(key, `${name} `, html('b', '', value));
        return item;
      }),
    );
    const words = now.map(([name, value]) => `${name} ${value}`).join(', ') || 'no data';
    this.picture.setAttribute('aria-label', `${this.title}, ${this.unit}, last 15 minutes. Now: ${words}. Use the arrow keys for earlier values.`);
  }

  #showTip() {
    this.tip.hidden = this.#cursor === null;
    if (this.tip.hidden) return;
    const at = this.#endMs - SPAN_MS + this.#cursor * BIN_MS;
    const rows = [...this.#series].map(([name, values]) => {
      const row = html('div', '', `${name} `);
      row.append(html('b', '', shown(values[this.#cursor])));
      return row;
    });
    this.tip.replaceChildren(html('div', 'soft', exactClock.format(at)), ...rows);
    const x = this.#x(this.#cursor);
    const isRight = x > LEFT + this.#plotWidth / 2;
    this.tip.style.left = isRight ? 'auto' : `${x + 10}px`;
    this.tip.style.right = isRight ? `${this.picture.clientWidth - x + 10}px` : 'auto';
  }
}
