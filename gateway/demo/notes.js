// What this page sends, noted as it was written, until the same has been seen on the wire.

import { element, prose } from './view.js';
import { knownOf, size } from './words.js';

// In the order of sending, and so in that of the wire.
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

/** `send`, a fetch, with a note of what it is given, under the kind that it will be on the wire. */
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

/** The logout of `page`, with a note of it; whether it was answered is not told. */
export function notedLogout(page) {
  const logout = page.logout.bind(page);
  return () => {
    const [request, answer] = knownOf({ kind: 'logout' }).map(prose);
    // The session may be of another suite than the page.
    const kind = page.session?.suite.startsWith('classic') ? 'logout' : 'message';
    if (page.session) underWay.push({ kind, title: 'A logout', request, answer, isOnce: true });
    return logout();
  };
}

/** `send`, one at a time: two at once could not be told apart on the wire. */
export function inTurn(send) {
  let last = Promise.resolve();
  return (...given) => {
    const answer = last.then(() => send(...given));
    last = answer.catch(() => {});
    return answer;
  };
}

/** The note of what an exchange carried, where this page has sent it. */
export function noteOf({ kind, isRefused }) {
  const note = underWay.find((one) => one.kind === kind);
  // A message that was refused may be sent once more, under a new session or by a better clock.
  if (note && (kind === 'plain' || note.isOnce || !isRefused)) withdraw(note);
  return note;
}
