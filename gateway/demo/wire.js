// Reads the bytes on the wire as a listener would. They come from the gateway's socket, not from
// the page itself.

import { GAP, membersOf } from './envelopes.js';

// The kind of a request, by its path. The first three belong to classic.
const KINDS = new Map([
  ['/.gateway/session', 'name'],
  ['/.gateway/session/authenticate', 'code'],
  ['/.gateway/session/logout', 'logout'],
  ['/.gateway/session/hello', 'hello'],
  ['/.gateway/session/share', 'share'],
  ['/.gateway/session/confirm', 'confirm'],
  ['/.gateway/session/resume', 'ticket'],
  ['/.gateway/session/resume/confirm', 'resumed'],
  ['/.gateway/message', 'message'],
]);
const CLASSIC = ['name', 'code', 'logout'];
const HARDENED = ['hello', 'share', 'confirm', 'ticket', 'resumed'];

const bytesOf = (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
const shown = (bytes) =>
  new TextDecoder().decode(bytes).replaceAll('\r\n', '\n').replace(/[^\P{Cc}\n\t]/gu, '·');

/** The start of the body. */
function bodyAt(bytes) {
  const at = bytes.findIndex((_, place) => [13, 10, 13, 10].every((byte, step) => bytes[place + step] === byte));
  return at < 0 ? bytes.length : at + 4;
}

/**
 * One direction of an exchange of `/wire.json`: `head` as text, and the body as `text`, with a GAP
 * for the omitted middle; `members` if it is a hardened message, else null.
 */
function sideOf({ size, start_b64, end_b64 }) {
  const [start, end] = [bytesOf(start_b64), bytesOf(end_b64)];
  const left = size - start.length - end.length;
  const at = bodyAt(start);
  const head = shown(start.subarray(0, at));
  const bytes = Uint8Array.of(...start.subarray(at), ...end);
  const cut = left ? start.length - at : -1;
  const text = left ? shown(bytes.subarray(0, cut)) + GAP + shown(bytes.subarray(cut)) : shown(bytes);
  const type = /^content-type: ([^;\n]*)/im.exec(head)?.[1] ?? '';
  return { size, left, head, text, type, members: membersOf({ bytes, cut, type }) };
}

/** The value of a member of classic's JSON, whose middle can be omitted. */
const classicMember = (text, name) => new RegExp(`"${name}":"([^"]*)"`).exec(text)?.[1] ?? '';

/**
 * An exchange of `/wire.json`. `kind` is a value of KINDS, or `plain`. `suite` is empty if a
 * listener cannot know it. `token` is the same in all messages of a session.
 */
function read({ id, when, request: asked, response: answered }) {
  const request = sideOf(asked);
  const response = sideOf(answered);
  const [method, target = ''] = request.head.trim().split(/\s/, 2);
  const status = response.head.split(' ', 2)[1] ?? '';
  const kind = KINDS.get(target) ?? 'plain';
  const isHardened = HARDENED.includes(kind) || (kind === 'message' && !!member(request, 'header'));
  for (const side of [request, response]) side.members = isHardened ? side.members : null;
  const hardened = (name) => member(request, name)?.text || member(response, name)?.text || '';
  const classic = (name) => classicMember(request.text, name) || classicMember(response.text, name);
  const isClassic = CLASSIC.includes(kind) || (kind === 'message' && !isHardened);
  return {
    id,
    when: new Date(when),
    line: `${method} ${target}`,
    kind,
    status,
    suite: isClassic ? 'classic' : hardened('suite'),
    token: isHardened ? hardened('sid') : classic('token'),
    username: isHardened ? hardened('username') : classic('username'),
    // The refusal of a wrong clock is sealed, so its HTTP status is that of any response.
    isRefused: !status.startsWith('2') || member(response, 'kind')?.text === 'refusal',
    request,
    response,
  };
}

/** A member of a hardened message by its name, or a field of its header. */
const member = ({ members }, name) => members?.find((one) => one.name === name);

/**
 * The exchanges of this address, oldest first, in batches, while the page is open. The first batch
 * are those from before the page was loaded. `reportLost(isLost)` is called with `true` if the
 * gateway does not answer.
 */
export async function* exchanges(reportLost) {
  let query = '';
  for (;;) {
    let found = [];
    try {
      const answer = await fetch(`/wire.json${query}`);
      if (!answer.ok) throw new Error(`${answer.status}`);
      found = await answer.json();
      reportLost(false);
    } catch {
      reportLost(true);
      await new Promise((resume) => { setTimeout(resume, 2000); });
      continue;
    }
    yield found.map(read);
    query = `?after=${found.at(-1)?.id ?? query.slice('?after='.length)}`;
  }
}
