// The wire's part of the page: one exchange, what was written beside what passed, and a list of all.

import { GAP, pieces } from './wire.js';

// As many as the gateway remembers.
const MAX_SHOWN = 100;

const $ = (selector) => document.querySelector(selector);
const number = new Intl.NumberFormat('en-GB');
export const size = (bytes) => `${number.format(bytes)} ${bytes === 1 ? 'byte' : 'bytes'}`;
const clock = (when) => when.toLocaleTimeString('en-GB');

/** An element with text and nodes in it; never with markup from text. */
export function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

// What is known of messages that this page has not written, or not since it was loaded.
const KNOWN = {
  name: ['Who one is, to ask for a code.', 'A token. The code itself goes by mail.'],
  code: [
    'The code from the mail. It does not travel: it seals a public key that was made for this session.',
    'The session’s public key, sealed for whoever has the private one.',
  ],
  logout: ['That the session is over.', 'That it is.'],
  message: ['This page does not know any more what was in it, and the wire never did.', 'Nor what was answered.'],
  plain: ['Not written on this page, or before it was loaded.', ''],
};
const NOT_ACCEPTED = 'That it was not accepted.';

/** What was written and what was read, as far as the page knows. */
function known({ kind, status, written }) {
  if (written) return [written.request, written.answer ?? '…'];
  const [request, answer] = KNOWN[kind];
  const isRefused = kind !== 'plain' && !status.startsWith('2');
  return [request, isRefused ? NOT_ACCEPTED : answer].map((text) => element('span', { className: 'prose' }, text));
}

const TITLES = { name: 'A login is asked for', message: 'A message', logout: 'A logout', plain: 'A request' };

function titleOf({ kind, status }) {
  return TITLES[kind] ?? (status === '200' ? 'A login is completed' : 'A code is refused');
}

function learned({ kind, when, status, token, username, request, response }, others) {
  const times = `at ${clock(when)}, ${size(request.size)} out and ${size(response.size)} back`;
  const same = others > 1 ? ` The token is in ${others} of these exchanges, so they are one visitor’s.` : '';
  switch (kind) {
    case 'name':
      return `A listener learns that ${username || 'somebody'} asks for a code, ${times}. The code goes by mail.`;
    case 'code':
      return `A listener learns that ${status === '200' ? 'the login was completed' : 'a code was not accepted'}, ${times}. Not the code, nor any key.`;
    case 'logout':
      return `A listener learns that the session has ended, ${times}.`;
    case 'plain':
      return `A listener reads all of it${status === '401' ? ', and the gateway refuses it: what comes in plain never gets to the shop' : ''}.`;
    default:
      return `A listener learns that something was sent, ${times}. Not the route, nor what was written, nor the answer.${token && same}`;
  }
}

const MARKED = ['open', 'same', 'sealed'];

function show(place, { text, left }, kind) {
  place.replaceChildren();
  for (const [piece, meaning] of pieces(text, kind)) {
    const [before, after] = piece.split(GAP);
    const inside = element(MARKED.includes(meaning) ? 'mark' : 'span', { className: meaning }, before);
    if (after !== undefined) inside.append(element('span', { className: 'gap' }, `… ${size(left)} more …`), after);
    place.append(inside);
  }
}

export class View {
  #exchanges = [];
  #selected = null;

  /** @param exchange as `listen` gives them, with `written` where this page has sent it */
  add(exchange) {
    this.#exchanges.push(exchange);
    if (this.#exchanges.length > MAX_SHOWN) this.#exchanges.shift().row.parentElement.remove();
    exchange.row = element('button', { type: 'button', onclick: () => this.select(exchange) });
    $('#exchanges').prepend(element('li', {}, exchange.row));
    $('#passed').hidden = false;
    const { written, kind, when, line, status, request, response } = exchange;
    const inPlain = kind === 'plain' || kind === 'name';
    exchange.row.append(
      element('span', {}, written?.title ?? titleOf(exchange)),
      element('span', { className: inPlain ? 'plain' : 'soft' }, inPlain ? 'in plain' : 'sealed'),
      element('span', { className: 'line' }, `${clock(when)} ${line} ${status}`),
      element('span', { className: 'soft' }, `${number.format(request.size)} → ${number.format(response.size)}`),
    );
    if (!written?.isQuiet || !this.#selected) this.select(exchange);
  }

  /** Shows one exchange. */
  select(exchange) {
    this.#selected?.row.removeAttribute('aria-current');
    this.#selected = exchange;
    exchange.row.setAttribute('aria-current', 'true');
    this.refresh();
  }

  /** Shows the same one, of which more may be known by now. */
  refresh() {
    const exchange = this.#selected;
    if (!exchange) return;
    $('#exchange').hidden = false;
    $('#first').hidden = true;
    const [wrote, sent, got, came] = document.querySelectorAll('#exchange pre');
    const [request, answer] = known(exchange);
    wrote.replaceChildren(...[request].flat());
    got.replaceChildren(...[answer].flat());
    show(sent, exchange.request, exchange.kind);
    show(came, exchange.response, exchange.kind === 'plain' ? 'answer' : exchange.kind);
    const [out, back] = document.querySelectorAll('#exchange .size');
    out.textContent = size(exchange.request.size);
    back.textContent = size(exchange.response.size);
    const others = this.#exchanges.filter(({ token }) => token && token === exchange.token).length;
    const text = learned(exchange, others);
    if ($('#learned').textContent !== text) $('#learned').textContent = text;
  }
}
