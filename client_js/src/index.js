/**
 * Certless: encrypted, authenticated HTTP sessions over plain HTTP, started by a mailed code.
 *
 *     const session = await login({ url, username, code: async () => prompt('Code') });
 *     const response = await session.fetch('/orders', { method: 'POST', body });
 */
export { DEFAULT_DIALECT, DIALECTS, derive } from './dialects.js';
export {
  AnswerNotTrusted,
  Cancelled,
  CertlessError,
  NoAnswer,
  NotLoggedIn,
  OutcomeUnknown,
  Refused,
} from './errors.js';
export { LoginRequest, login, requestLogin, resume } from './login.js';
export { Session, StateEvent } from './session.js';

/** @typedef {import('./dialects.js').Dialect} Dialect */
/** @typedef {import('./enrolment.js').Progress} Progress */
/** @typedef {import('./login.js').LoginOptions} LoginOptions */
/** @typedef {import('./login.js').RequestLoginOptions} RequestLoginOptions */
/** @typedef {import('./login.js').ResumeOptions} ResumeOptions */
/** @typedef {import('./session.js').CodeRequest} CodeRequest */
/** @typedef {import('./session.js').SessionState} SessionState */
/** @typedef {import('./stores.js').KeptSession} KeptSession */
/** @typedef {import('./stores.js').Store} Store */
