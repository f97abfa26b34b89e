// The part of the page about the wire: one exchange, as written and as bytes, and a list of all.

import { GAP } from './envelopes.js';
import { pieces } from './marks.js';
import { clock, knownOf, learnedOf, size, titleOf, wayOf } from './words.js';

// The number of exchanges that the gateway keeps.
const MAX_SHOWN = 100;

const $ = (selector) => document.querySelector(selector);
const number = new Intl.NumberFormat('en-GB');

/** An element with text and nodes. Text is never parsed as markup. */
export function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

/** A description, for content that the page does not have. */
export const prose = (text) => element('span', { className: 'prose' }, text);

/** The request and the response, as far as the page knows them. */
function known(exchange) {
  const { written } = exchange;
  if (written) return [written.request, written.answer ?? '…'];
  return knownOf(exchange).map(prose);
}

const MARKED = ['open', 'same', 'sealed', 'blind'];

/** The first line, with the headers folded: they are long and always the same. */
function headOf(head, isOpen) {
  const [first, ...lines] = head.split('\n');
  const summary = element('summary', {}, `${first}\n`);
  const count = lines.filter(Boolean).length;
  summary.dataset.more = `${count} ${count === 1 ? 'header' : 'headers'}`;
  return element('details', { className: 'head', open: isOpen }, summary, lines.join('\n'));
}

function show(place, side, kind) {
  const isOpen = place.querySelector('details')?.open ?? false;
  const [[head], ...body] = pieces(side, kind);
  place.replaceChildren(headOf(head, isOpen));
  for (const [piece, meaning] of body) {
    const [before, after] = piece.split(GAP);
    const inside = element(MARKED.includes(meaning) ? 'mark' : 'span', { className: meaning }, before);
    if (after !== undefined) inside.append(element('span', { className: 'gap' }, `… ${size(side.left)} more …`), after);
    place.append(inside);
  }
}

/** Lets a line without spaces break after each slash. */
function breakable(line) {
  return line.split(/(?<=\/)/).flatMap((part, place) => (place ? [element('wbr'), part] : [part]));
}

export class View {
  #exchanges = [];
  #selected = null;

  /**
   * Past exchanges are only listed, because they can belong to somebody else.
   * @param exchange as `exchanges` gives them, with `written` if this page sent it, `isPast` if it is older than the page
   */
  add(exchange) {
    this.#exchanges.push(exchange);
    if (this.#exchanges.length > MAX_SHOWN) this.#exchanges.shift().row.parentElement.remove();
    exchange.row = element('button', { type: 'button', onclick: () => this.select(exchange) });
    $('#exchanges').prepend(element('li', {}, exchange.row));
    $('#passed').hidden = false;
    const { written, when, line, status, request, response } = exchange;
    const way = wayOf(exchange);
    const title = written?.title ?? titleOf(exchange);
    exchange.row.append(
      element('span', {}, title, ...(exchange.isPast ? [element('small', {}, ' before you loaded this page')] : [])),
      element('span', { className: way === 'in plain' ? 'plain' : 'soft' }, way),
      element('span', { className: 'line' }, `${clock(when)} `, ...breakable(line), ` ${status}`),
      element('span', { className: 'soft' }, `${number.format(request.size)} → ${number.format(response.size)}`),
    );
    if (!exchange.isPast && !written?.isQuiet) this.select(exchange);
  }

  /** Shows one exchange. */
  select(exchange) {
    this.#selected?.row.removeAttribute('aria-current');
    this.#selected = exchange;
    exchange.row.setAttribute('aria-current', 'true');
    this.refresh();
  }

  /** Shows the same exchange again, because more of it can be known now. */
  refresh() {
    const exchange = this.#selected;
    if (!exchange) return;
    $('#exchange').hidden = false;
    const [wrote, got] = document.querySelectorAll('#exchange pre');
    const [sent, came] = document.querySelectorAll('#exchange .bytes');
    const [request, answer] = known(exchange);
    wrote.replaceChildren(...[request].flat());
    got.replaceChildren(...[answer].flat());
    show(sent, exchange.request, exchange.kind);
    show(came, exchange.response, exchange.kind);
    const [out, back] = document.querySelectorAll('#exchange .size');
    out.textContent = size(exchange.request.size);
    back.textContent = size(exchange.response.size);
    const others = this.#exchanges.filter(({ token }) => token && token === exchange.token).length;
    const text = learnedOf(exchange, others);
    if ($('#learned').textContent !== text) $('#learned').textContent = text;
  }
}
