// Notes of what this page sends, kept until the same exchange appears on the wire.

import { element, prose } from './view.js';
import { knownOf, size } from './words.js';

// In the order of sending, which is also the order on the wire.
const underWay = [];

const TITLES = { 'POST /orders': 'An order', 'GET /orders': 'Your orders', 'POST /picture': 'A picture' };

function described(input, { method = 'GET', headers = {}, body = '' } = {}) {
  const line = `${method} ${new URL(input, location).pathname}`;
  const file = body instanceof File ? body : null;
  const head = Object.entries(file ? { 'Content-Type': file.type } : headers).map((header) => header.join(': '));
  return {
    title: TITLES[line] ?? 'A cancellation',
    request: [`${[line, ...head].join('\n')}\n\n`, ...(file ? shown(file) : [body])],
    isQuiet: method === 'GET',
  };
}

function shown(file) {
  const src = URL.createObjectURL(file);
  return [`${file.name}, ${size(file.size)}`, element('img', { src, alt: '', onload: () => URL.revokeObjectURL(src) })];
}

function withdraw(note) {
  const place = underWay.indexOf(note);
  if (place >= 0) underWay.splice(place, 1);
}

/** `send`, a fetch, which also notes its arguments under the kind of the exchange on the wire. */
export function noted(kind, send, answered) {
  return async (input, init) => {
    const note = { kind, ...described(input, init) };
    underWay.push(note);
    try {
      const response = await send(input, init);
      note.answer = [`${response.status} ${response.statusText}\n\n`, await response.clone().text()];
      answered();
      return response;
    } catch (error) {
      withdraw(note);
      throw error;
    }
  };
}

/** The logout of `page`, with a note. It does not report the response. */
export function notedLogout(page) {
  const logout = page.logout.bind(page);
  return () => {
    const [request, answer] = knownOf({ kind: 'logout' }).map(prose);
    // The session can have another suite than the page.
    const kind = page.session?.suite.startsWith('classic') ? 'logout' : 'message';
    if (page.session) underWay.push({ kind, title: 'A logout', request, answer, isOnce: true });
    return logout();
  };
}

/** `send`, one at a time: two at once could not be distinguished on the wire. */
export function inTurn(send) {
  let last = Promise.resolve();
  return (...given) => {
    const answer = last.then(() => send(...given));
    last = answer.catch(() => {});
    return answer;
  };
}

/** The note of an exchange, if this page has sent it. */
export function noteOf({ kind, isRefused }) {
  const note = underWay.find((one) => one.kind === kind);
  // A refused message can be sent again, in a new session or with a corrected clock.
  if (note && (kind === 'plain' || note.isOnce || !isRefused)) withdraw(note);
  return note;
}
