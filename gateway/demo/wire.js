// What went over the wire, read as a listener would read it. The bytes are those that the gateway's
// socket has heard; nothing here comes from what the page has sealed itself.

// What a request for a path is to a listener.
const KINDS = new Map([
  ['/.gateway/session', 'name'],
  ['/.gateway/session/authenticate', 'code'],
  ['/.gateway/session/logout', 'logout'],
  ['/.gateway/message', 'message'],
]);
// Stands where bytes were left out. No byte is shown as this.
export const GAP = '\u0000';

const bytes = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

/** An excerpt of `/wire.json` as text, with a GAP for what was left out of its middle. */
function textOf({ size, start_b64, end_b64 }) {
  const parts = [bytes(start_b64), bytes(end_b64)];
  const left = size - parts[0].length - parts[1].length;
  const [start, end] = parts.map((part) =>
    new TextDecoder().decode(part).replaceAll('\r\n', '\n').replace(/[^\P{Cc}\n\t]/gu, '·'));
  return { text: left ? start + GAP + end : start + end, left, size };
}

/** The value of a member of a JSON object that may lack its middle. */
const member = (text, name) => new RegExp(`"${name}":"([^"]*)"`).exec(text)?.[1] ?? '';

/**
 * An exchange of `/wire.json`. `kind` is what it is to a listener: `name` (a login is asked for),
 * `code` (it is completed), `message`, `logout`, or `plain`.
 */
function read({ id, when, request: asked, response: answered }) {
  const request = textOf(asked);
  const response = textOf(answered);
  const [method, target] = request.text.split(' ', 2);
  return {
    id,
    when: new Date(when),
    line: `${method} ${target}`,
    kind: KINDS.get(target) ?? 'plain',
    status: response.text.split(' ', 2)[1] ?? '',
    token: member(request.text, 'token') || member(response.text, 'token'),
    username: member(request.text, 'username'),
    request,
    response,
  };
}

// A part of a body, and what it is to a listener.
const MEMBERS = /"(?<name>username|token|key|iv|payload)":"(?<value>[^"]*)/dg;
const MEANINGS = { username: 'open', token: 'same', key: 'sealed', iv: 'sealed', payload: 'sealed' };

/** The text of one direction in pieces `[text, meaning]`: head, open, same, sealed, or none of these. */
export function pieces(text, kind) {
  const body = text.indexOf('\n\n') + 2;
  if (body < 2) return [[text, '']];
  const found = [[text.slice(0, body), 'head']];
  if (kind === 'plain') return [...found, [text.slice(body), 'open']];
  let done = body;
  for (const { groups, indices } of text.matchAll(MEMBERS)) {
    const [from, to] = indices.groups.value;
    found.push([text.slice(done, from), ''], [text.slice(from, to), MEANINGS[groups.name]]);
    done = to;
  }
  return [...found, [text.slice(done), '']];
}

/**
 * The exchanges of this address, oldest first, in batches, for as long as the page is there. The
 * first are those that were over when the page was loaded. `tellLost(isLost)` is told whether the
 * gateway answers.
 */
export async function* exchanges(tellLost) {
  let query = '';
  for (;;) {
    let found = [];
    try {
      const answer = await fetch(`/wire.json${query}`);
      if (!answer.ok) throw new Error(`${answer.status}`);
      found = await answer.json();
      tellLost(false);
    } catch {
      tellLost(true);
      await new Promise((resume) => { setTimeout(resume, 2000); });
      continue;
    }
    yield found.map(read);
    query = `?after=${found.at(-1)?.id ?? query.slice('?after='.length)}`;
  }
}
