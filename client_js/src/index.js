/**
 * Certless: encrypted, authenticated HTTP sessions over plain HTTP, started by a mailed code.
 *
 *     const session = await login({ url, username, code: async () => prompt('Code') });
 *     const response = await session.fetch('/orders', { method: 'POST', body });
 */
export { DEFAULT_DIALECT, DIALECTS, derive } from './protocol/classic/dialects.js';
export {
  AnswerNotTrusted,
  BodyNotDecoded,
  Cancelled,
  CertlessError,
  NoAnswer,
  NotLoggedIn,
  OutcomeUnknown,
  Refused,
  SocketRefused,
  SocketsNotAccepted,
  StreamAborted,
  StreamBroken,
  StreamsNotAccepted,
} from './common/errors.js';
export { LoginRequest, login, requestLogin, resume } from './session/login.js';
export { Session, StateEvent } from './session/session.js';

/** @typedef {import('./protocol/classic/dialects.js').Dialect} Dialect */
/** @typedef {import('./session/enrolment.js').Progress} Progress */
/** @typedef {import('./session/login.js').LoginOptions} LoginOptions */
/** @typedef {import('./session/login.js').RequestLoginOptions} RequestLoginOptions */
/** @typedef {import('./session/login.js').ResumeOptions} ResumeOptions */
/** @typedef {import('./session/session.js').CodeRequest} CodeRequest */
/** @typedef {import('./session/session.js').SessionState} SessionState */
/** @typedef {import('./session/stores.js').KeptSession} KeptSession */
/** @typedef {import('./session/stores.js').Store} Store */
