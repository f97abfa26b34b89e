// What there is to say of an exchange: its title, what is known of it here, what a listener learns.

const TITLES = {
  name: 'A login is asked for',
  hello: 'A login is asked for',
  share: 'A code is tried',
  ticket: 'A ticket is shown',
  message: 'A message',
  logout: 'A logout',
  plain: 'A request',
};
const ENDS = {
  code: ['A login is completed', 'A code is refused'],
  confirm: ['A login is completed', 'A code is refused'],
  resumed: ['A session goes on', 'A ticket is refused'],
};

export const titleOf = ({ kind, isRefused }) => TITLES[kind] ?? ENDS[kind][isRefused ? 1 : 0];

/** In a word, how it went over the wire. */
export function wayOf({ kind, suite }) {
  if (['plain', 'name', 'hello', 'ticket'].includes(kind)) return 'in plain';
  if (kind === 'share') return 'blind';
  return suite ? `sealed, ${suite}` : 'sealed';
}

// What is known of messages that this page has not written, or not since it was loaded.
const KNOWN = {
  name: ['A name, to ask for a code.', 'A token. The code itself goes by mail.'],
  code: [
    'The code from the mail. It does not travel: it seals a public key that was made for this session.',
    'The session’s public key, sealed under that key.',
  ],
  hello: [
    'A name and a suite, to ask for a code.',
    'The id of the session that is to come. The code itself goes by mail.',
  ],
  share: [
    'The code from the mail. It does not travel: it shifts a random point of a curve, pA, which then could be any (SPAKE2).',
    'The gateway’s point, pB, shifted by the same code.',
  ],
  confirm: [
    'The proof, cA, that the code was right.',
    'The gateway’s proof, cB, and in a sealed box what the session begins with: its time, and a ticket for the next one.',
  ],
  ticket: ['The ticket of the last session, in place of a code.', 'The id of the session that is to come.'],
  resumed: ['The proof of the ticket’s secret.', 'The gateway’s proof and, in a sealed box, the next ticket.'],
  logout: ['That the session is over.', 'That it is.'],
  message: ['This was not written on this page, or before you loaded it. The wire does not show what was in it.', 'Nor does it show the answer.'],
  plain: ['This was not written on this page, or before you loaded it. It went in plain: all of it is in the bytes.', 'The answer came in plain, too.'],
};
const NOT_ACCEPTED = 'That it was not accepted.';

/** What was written and what was read, where this page has no note of it. */
export function knownOf({ kind, isRefused }) {
  const [request, answer] = KNOWN[kind];
  return [request, isRefused && kind !== 'plain' ? NOT_ACCEPTED : answer];
}

const number = new Intl.NumberFormat('en-GB');
export const size = (bytes) => `${number.format(bytes)} ${bytes === 1 ? 'byte' : 'bytes'}`;
export const clock = (when) => when.toLocaleTimeString('en-GB');

const TRIED_AT_HOME =
  'Anybody who has recorded it can try codes on it at home, as fast as they like. So a code of classic has 26 characters.';
const NOT_TRIED =
  'The points fit every code alike: a code of eight characters cannot be tried on this recording. ' +
  'An attacker on the way can try one with each exchange, and the gateway allows five.';
const ON_THE_WAY = {
  'ecdh-gcm': 'If it is changed on its way or sent once more, it is refused.',
  'rsa-gcm': 'If it is changed on its way or sent once more, it is refused. The wrapped key alone opens nothing.',
  classic: 'If it is sent once more, it is refused. Most dialects do not notice that it was changed on its way.',
};

/**
 * What a listener learns, in words.
 * @param exchange as `exchanges` gives it
 * @param {number} others of how many exchanges the token is
 */
export function learnedOf({ kind, when, status, suite, token, username, isRefused, request, response }, others) {
  const times = `at ${clock(when)}, ${size(request.size)} out and ${size(response.size)} back`;
  const what = token && suite === 'classic' ? 'The token' : 'The session’s id';
  const same = token && others > 1 ? ` ${what} is in ${others} of these exchanges, so they are one visitor’s.` : '';
  const done = isRefused ? 'a code was not accepted' : 'the login was completed';
  switch (kind) {
    case 'plain':
      return `A listener reads all of it${status === '401' ? ', and the gateway refuses it: what comes in plain never gets to the shop' : ''}.`;
    case 'name':
    case 'hello':
      return `A listener learns that ${username || 'somebody'} asks for a code${suite ? ` for ${suite}` : ''}, ${times}. The code goes by mail.`;
    case 'code':
      return `A listener learns that ${done}, ${times}. Not the code, nor any key. ${TRIED_AT_HOME}`;
    case 'share':
      return `A listener learns that a code is tried, ${times}. ${NOT_TRIED}`;
    case 'confirm':
      return `A listener learns that ${done}, ${times}. Not the code, nor any key; and no code can be tried on the proofs.`;
    case 'ticket':
      return `A listener learns that somebody comes back with a ticket, ${times}. It is of no use without its secret, which never travels.`;
    case 'resumed':
      return `A listener learns that a ${isRefused ? 'ticket was not accepted' : 'session goes on under a new id'}, ${times}. Not its keys, nor the next ticket.`;
    case 'logout':
      return `A listener learns that the session has ended, ${times}.`;
    default:
      return `A listener learns that something was sent, ${times}. Not the route, nor what was written, nor the answer. ${ON_THE_WAY[suite] ?? ''}${same}`;
  }
}
