// Texts about an exchange: its title, its known content, and what a listener learns from it.

const TITLES = {
  name: 'A login is requested',
  hello: 'A login is requested',
  share: 'A code is tried',
  ticket: 'A ticket is presented',
  message: 'A message',
  logout: 'A logout',
  plain: 'A request',
};
const ENDS = {
  code: ['A login is completed', 'A code is refused'],
  confirm: ['A login is completed', 'A code is refused'],
  resumed: ['A session is resumed', 'A ticket is refused'],
};

export const titleOf = ({ kind, isRefused }) => TITLES[kind] ?? ENDS[kind][isRefused ? 1 : 0];

/** One word for its form on the wire. */
export function wayOf({ kind, suite }) {
  if (['plain', 'name', 'hello', 'ticket'].includes(kind)) return 'in plain';
  if (kind === 'share') return 'blind';
  return suite ? `sealed, ${suite}` : 'sealed';
}

// The content of messages that this page did not write, or wrote before it was loaded.
const KNOWN = {
  name: ['A name, to request a code.', 'A token. The code is sent by mail.'],
  code: [
    'The code from the mail is not sent. It is the key that seals a public key, which is new for this session.',
    'The session’s public key, sealed with the client’s public key.',
  ],
  hello: [
    'A name and a suite, to request a code.',
    'The id of the new session. The code is sent by mail.',
  ],
  share: [
    'The code from the mail is not sent. It shifts a random curve point, pA, so that pA fits every code (SPAKE2).',
    'The gateway’s point, pB, shifted by the same code.',
  ],
  confirm: [
    'cA, the proof that the code was right.',
    'cB, the gateway’s proof, and a sealed box with the time of the session and a ticket for the next one.',
  ],
  ticket: ['The ticket of the last session, instead of a code.', 'The id of the new session.'],
  resumed: ['The proof of the ticket’s secret.', 'The gateway’s proof, and the next ticket in a sealed box.'],
  logout: ['The end of the session.', 'The confirmation.'],
  message: ['This message was sent by another page or before you loaded this one. Its content cannot be read from the wire.', 'The response cannot be read either.'],
  plain: ['This request was sent by another page or before you loaded this one. It was not sealed: read it in the bytes.', 'The response was not sealed either.'],
};
const NOT_ACCEPTED = 'A refusal.';

/** The content of a request and its response, if this page has no note of it. */
export function knownOf({ kind, isRefused }) {
  const [request, answer] = KNOWN[kind];
  return [request, isRefused && kind !== 'plain' ? NOT_ACCEPTED : answer];
}

const number = new Intl.NumberFormat('en-GB');
export const size = (bytes) => `${number.format(bytes)} ${bytes === 1 ? 'byte' : 'bytes'}`;
export const clock = (when) => when.toLocaleTimeString('en-GB');

const TESTED_OFFLINE =
  'Anyone who recorded it can test guesses of the code offline, without a limit. So a classic code has 26 characters.';
const NOT_TESTED =
  'The points fit every code, so guesses of the code cannot be tested on this recording. ' +
  'An attacker on the network can guess one code per exchange, and the gateway allows five.';
const ON_THE_WAY = {
  'ecdh-gcm': 'If somebody changes or repeats it, the gateway refuses it.',
  'rsa-gcm': 'If somebody changes or repeats it, the gateway refuses it. The wrapped key alone opens nothing.',
  classic: 'If somebody repeats it, the gateway refuses it. Most dialects do not detect a change.',
};

/**
 * What a listener learns, as text.
 * @param exchange as `exchanges` gives it
 * @param {number} others the number of exchanges with the same token
 */
export function learnedOf({ kind, when, status, suite, token, username, isRefused, request, response }, others) {
  const times = `at ${clock(when)}, with ${size(request.size)} out and ${size(response.size)} back`;
  const what = token && suite === 'classic' ? 'The token' : 'The session’s id';
  const same = token && others > 1 ? ` ${what} is in ${others} of these exchanges, so they belong to one user.` : '';
  const done = isRefused ? 'a code was not accepted' : 'the login was completed';
  switch (kind) {
    case 'plain':
      return `A listener can read all of it.${status === '401' ? ' The gateway refuses it: a plain request never reaches the shop.' : ''}`;
    case 'name':
    case 'hello':
      return `A listener learns that ${username || 'somebody'} asks for a code${suite ? ` for ${suite}` : ''}, ${times}. The code is sent by mail.`;
    case 'code':
      return `A listener learns that ${done}, ${times}. They learn neither the code nor any key. ${TESTED_OFFLINE}`;
    case 'share':
      return `A listener learns that a code is tried, ${times}. ${NOT_TESTED}`;
    case 'confirm':
      return `A listener learns that ${done}, ${times}. They learn neither the code nor any key, and cannot test guesses on the proofs.`;
    case 'ticket':
      return `A listener learns that somebody presents a ticket, ${times}. It is useless without its secret, which is never sent.`;
    case 'resumed':
      return `A listener learns that a ${isRefused ? 'ticket was not accepted' : 'session is resumed under a new id'}, ${times}. They learn neither its keys nor the next ticket.`;
    case 'logout':
      return `A listener learns that the session has ended, ${times}.`;
    default:
      return `A listener learns that something was sent, ${times}. They learn neither the route, nor the content, nor the response. ${ON_THE_WAY[suite] ?? ''}${same}`;
  }
}
