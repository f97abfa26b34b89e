/** Sends the messages of a hardened login and of a resumption (PROTOCOL §2.4, §2.8). */
import { beginLogin, beginResumption } from '../protocol/hardened/clientHandshake.js';
import { CONTENT_TYPES } from '../protocol/envelopes.js';
import {
  CLIENT_CONFIRMATION,
  CLIENT_SHARE,
  SERVER_HELLO,
  CLIENT_HELLO,
  RESUMPTION_SERVER_HELLO,
  RESUMPTION_CLIENT_HELLO,
  SERVER_CONFIRMATION,
  SERVER_SHARE,
} from '../protocol/hardened/handshakeMessages.js';
import { stopwatch } from './hardenedSession.js';
import { SMALL_ANSWER_BYTES, post } from './transport.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../protocol/hardened/clientHandshake.js').AwaitedCode} AwaitedCode */
/** @typedef {import('../protocol/hardened/clientHandshake.js').Subject} Subject */
/** @typedef {import('../protocol/hardened/clientHandshake.js').ForDevice} ForDevice */
/** @typedef {import('../protocol/hardened/clientSession.js').ClientTicket} ClientTicket */
/** @typedef {import('./engine.js').Control} Control */
/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** The gateway's URL with its prefix, and the timeout for an answer. @typedef {{ url: string, timeoutMs: number }} Base */
/** @typedef {import('../primitives/contract.js').RsaKeyPair} RsaKeyPair */

/** The routes below the prefix (PROTOCOL §5.5). Password and logout are targets inside sealed messages. */
export const HARDENED_PATHS = Object.freeze({
  hello: '/session/hello',
  share: '/session/share',
  confirm: '/session/confirm',
  resume: '/session/resume',
  resumeConfirm: '/session/resume/confirm',
  message: '/message',
  stream: '/stream',
  socket: '/socket',
  password: '/session/authenticate',
  logout: '/session/logout',
});

const FORMAT = 'msgpack';

/**
 * Sends a message and returns the answer.
 * @template Sent, Answer
 * @param {Base} base
 * @param {keyof typeof HARDENED_PATHS} path
 * @param {{ serialize: (format: 'msgpack', values: Sent) => Bytes }} kind
 * @param {Sent} message
 * @param {{ parse: (format: 'msgpack', data: Bytes) => Answer }} answerKind
 * @param {Control} control
 */
async function send(base, path, kind, message, answerKind, { signal }) {
  const limits = { maxAnswerBytes: SMALL_ANSWER_BYTES, timeoutMs: base.timeoutMs };
  const options = { ...limits, signal, contentType: CONTENT_TYPES[FORMAT] };
  const answer = await post(base.url + HARDENED_PATHS[path], kind.serialize(FORMAT, message), options);
  return answerKind.parse(FORMAT, answer);
}

/**
 * ClientHello and ServerHello: the gateway sends a code.
 * @param {Primitives} primitives
 * @param {{ base: Base, subject: Subject & ForDevice, suite: string }} given
 * @param {Control} control
 * @returns {Promise<AwaitedCode>}
 */
export async function awaitCode(primitives, { base, subject, suite }, control) {
  const { message, pending } = beginLogin(primitives, subject, [suite]);
  return pending.open(await send(base, 'hello', CLIENT_HELLO, message, SERVER_HELLO, control));
}

/**
 * ClientShare to ServerConfirmation: one attempt, with a code that `typedCodes.js` has read.
 * @param {AwaitedCode} awaited
 * @param {{ base: Base, code: string, pair: RsaKeyPair | null, nowMs: number }} given
 * @param {Control} control
 */
export async function enterCode(awaited, { base, code, pair, nowMs }, control) {
  const elapsedMs = stopwatch();
  const share = await awaited.enter(code);
  const answer = await send(base, 'share', CLIENT_SHARE, share.message, SERVER_SHARE, control);
  const { message, pending } = await share.pending.open(answer, pair);
  const proof = await send(base, 'confirm', CLIENT_CONFIRMATION, message, SERVER_CONFIRMATION, control);
  return pending.open(proof, nowMs + elapsedMs());
}

/**
 * ResumptionClientHello to ServerConfirmation: a ticket for a new session.
 * @param {Primitives} primitives
 * @param {{ base: Base, subject: Subject, suite: string, ticket: ClientTicket,
 *   pair: RsaKeyPair | null, nowMs: number }} given
 * @param {Control} control
 */
export async function redeemTicket(primitives, { base, subject, suite, ticket, pair, nowMs }, control) {
  const elapsedMs = stopwatch();
  const hello = beginResumption(primitives, subject, suite, ticket);
  const answer = await send(base, 'resume', RESUMPTION_CLIENT_HELLO, hello.message, RESUMPTION_SERVER_HELLO, control);
  const { message, pending } = await hello.pending.open(answer, pair);
  const proof = await send(base, 'resumeConfirm', CLIENT_CONFIRMATION, message, SERVER_CONFIRMATION, control);
  return pending.open(proof, nowMs + elapsedMs());
}
