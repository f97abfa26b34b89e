/**
 * What can go wrong. Two families, for two readers.
 *
 *     ProtocolError(code)              a message that does not hold; for logs and tests (PROTOCOL §9)
 *     |- LocalProtocolError            our own bug: an object used twice
 *     `- RemoteProtocolError           the peer's message
 *        |- MalformedMessage           not a message at all
 *        |- UnsupportedSuite           no suite or version that both speak
 *        `- RejectedMessage
 *           |- DecryptionFailed  StaleTimestamp  ReplayedNonce  CodeRefused  TicketRefused
 *           `- InvalidPublicKey
 *
 *     CertlessError(code)              what a user of this package catches; words for a person
 *     |- Refused                       the gateway said no; `status` and `code` are its words
 *     |- AnswerNotTrusted              an answer that the gateway cannot have sealed for this request
 *     |- NotLoggedIn                   there is no session (any more); nothing was done
 *     |- OutcomeUnknown                refused, and yet it may have been handled
 *     |- NoAnswer                      the network failed
 *     `- Cancelled                     an AbortSignal or `cancel()` ended it
 *
 * None of them holds a key, a code, a token, a password or plaintext.
 */

export class ProtocolError extends Error {
  /** @param {string} [message] */
  constructor(message) {
    super(message ?? '');
    this.name = new.target.name;
    /** A word of PROTOCOL §9. */
    this.code = /** @type {typeof ProtocolError} */ (new.target).code;
    this.message = message || this.code;
  }
}
ProtocolError.code = 'protocol_error';

/** We used the protocol wrongly; the peer did nothing. */
export class LocalProtocolError extends ProtocolError {}
LocalProtocolError.code = 'local_error';

/** The peer's message cannot be used. */
export class RemoteProtocolError extends ProtocolError {}
RemoteProtocolError.code = 'remote_error';

/** Not a message of this protocol. */
export class MalformedMessage extends RemoteProtocolError {}
MalformedMessage.code = 'malformed';

/** The version, or every suite that was offered, is not one that we speak. */
export class UnsupportedSuite extends RemoteProtocolError {}
UnsupportedSuite.code = 'unsupported_suite';

/** The uniform rejection. */
export class RejectedMessage extends RemoteProtocolError {}
RejectedMessage.code = 'rejected';

/** The key, the padding, the cipher or the structure of the plaintext is wrong. */
export class DecryptionFailed extends RejectedMessage {}
DecryptionFailed.code = 'decryption_failed';

/** The timestamp lies outside the window. */
export class StaleTimestamp extends RejectedMessage {}
StaleTimestamp.code = 'stale_timestamp';

/** The nonce or the passphrase was seen before, or belongs to another request. */
export class ReplayedNonce extends RejectedMessage {}
ReplayedNonce.code = 'replayed_nonce';

/** No login awaits this code, or the peer does not know it. */
export class CodeRefused extends RejectedMessage {}
CodeRefused.code = 'code_refused';

/** The peer does not know the ticket, or not its secret. */
export class TicketRefused extends RejectedMessage {}
TicketRefused.code = 'ticket_refused';

/** The peer's public key, RSA or a point of P-256, is not one that we use. */
export class InvalidPublicKey extends RejectedMessage {}
InvalidPublicKey.code = 'key_not_admitted';

export class CertlessError extends Error {
  /**
   * @param {string} code for programs
   * @param {string} message for a person: what happened and what to do
   * @param {{ cause?: unknown }} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    // A bundle does not keep the names of classes.
    this.name = /** @type {{ kind?: string }} */ (new.target).kind ?? 'CertlessError';
    this.code = code;
  }
}

const REFUSALS = new Map(
  Object.entries({
    malformed: 'The service did not understand this request.',
    login_required: 'The service asks for a login, and has none at this address.',
    unsupported_suite:
      'The service does not log in this way. Whoever runs it knows which suites it takes.',
    rejected: 'The service did not accept this message.',
    stale_timestamp:
      'The clocks of this device and of the service do not agree. Nothing was done; try again.',
    not_found: 'The service has no such route.',
    too_large: 'This is too large for the service. Send less at once.',
    too_slow: 'This came too slowly over this line. Send less at once.',
    internal: 'The service failed. Try again later.',
    unavailable: 'The service is not available just now. Try again in a moment.',
    too_many: 'The service was asked too often, or has too much to do.',
    no_gateway: 'There is no Certless gateway at this address.',
  }),
);

/** @param {number} seconds */
function inWords(seconds) {
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 120 ? `${minutes} minutes` : `${Math.ceil(minutes / 60)} hours`;
}

/** @param {string} code @param {number | null} retryAfterS */
function wordsFor(code, retryAfterS) {
  const words = REFUSALS.get(code) ?? 'The service refused.';
  return retryAfterS === null ? words : `${words} Try again in ${inWords(retryAfterS)}.`;
}

/**
 * The gateway refused. `status` and `code` are its words (PROTOCOL §9), and `detail` its text: for
 * developers. What it says came unsealed: anybody on the way can have written it. `retryAfterS`:
 * how many seconds it asks to wait (429), or null.
 */
export class Refused extends CertlessError {
  static kind = 'Refused';

  /**
   * @param {number} status
   * @param {string} code
   * @param {string} [detail]
   * @param {string} [message]
   * @param {number | null} [retryAfterS]
   */
  constructor(status, code, detail = '', message = undefined, retryAfterS = null) {
    super(code, message ?? wordsFor(code, retryAfterS));
    this.status = status;
    this.detail = detail;
    this.retryAfterS = retryAfterS;
  }
}

/** An answer came that the gateway cannot have sealed for this request. */
export class AnswerNotTrusted extends CertlessError {
  static kind = 'AnswerNotTrusted';

  /** @param {unknown} [cause] */
  constructor(cause) {
    super(
      'answer_not_trusted',
      'The answer did not come from your session, or was changed on its way. It was thrown away.',
      { cause },
    );
  }
}

/** There is no session: log in. */
export class NotLoggedIn extends CertlessError {
  static kind = 'NotLoggedIn';

  /**
   * @param {string} [message]
   * @param {{ cause?: unknown }} [options]
   */
  constructor(message = 'You are not logged in. Log in and try again.', options = undefined) {
    super('not_logged_in', message, options);
  }
}

/**
 * A request that must not be done twice was refused, and that proves nothing: refusals are not
 * sealed, and browsers send again what a broken connection took (PROTOCOL §9).
 */
export class OutcomeUnknown extends CertlessError {
  static kind = 'OutcomeUnknown';

  /** @param {{ cause?: unknown }} [options] */
  constructor(options) {
    super(
      'outcome_unknown',
      'It is not known whether this was done: the connection or the session was lost on the way. ' +
        'Look first, then send it again.',
      options,
    );
  }
}

/** The network failed before an answer was complete. */
export class NoAnswer extends CertlessError {
  static kind = 'NoAnswer';

  /** @param {unknown} [cause] */
  constructor(cause) {
    super('no_answer', 'The service did not answer. Check the connection and try again.', { cause });
  }
}

/** Ended on request. Its name is that of an aborted fetch, so that existing checks find it. */
export class Cancelled extends CertlessError {
  static kind = 'Cancelled';

  /** @param {unknown} [cause] the signal's reason */
  constructor(cause) {
    super('cancelled', 'Cancelled.', { cause });
    this.name = 'AbortError';
  }
}

/**
 * Whether an error decides nothing: what was shown, a ticket above all, is as good as before.
 * @param {unknown} error
 */
export function isRetryable(error) {
  return error instanceof NoAnswer || (error instanceof Refused && FOR_LATER.includes(error.code));
}

const FOR_LATER = ['too_many', 'unavailable'];

/**
 * @typedef {{ kind: string, code: string, message: string, status: number, detail: string,
 *   retryAfterS: number | null }} DescribedError
 */

const PROTOCOL_ERRORS = [
  LocalProtocolError,
  MalformedMessage,
  UnsupportedSuite,
  RejectedMessage,
  DecryptionFailed,
  StaleTimestamp,
  ReplayedNonce,
  CodeRefused,
  TicketRefused,
  InvalidPublicKey,
];

/**
 * What of an error can be sent to another thread.
 * @param {any} error
 * @returns {DescribedError}
 */
export function describeError(error) {
  const { status = 0, detail = '', retryAfterS = null } = error;
  const family = error instanceof ProtocolError ? 'ProtocolError' : error.constructor.kind;
  const kind = family ?? (error instanceof CertlessError ? 'CertlessError' : 'Error');
  const described = { code: String(error.code), message: String(error.message), status, detail, retryAfterS };
  return { kind, ...described };
}

/**
 * The error that was described.
 * @param {DescribedError} described
 * @returns {Error}
 */
export function restoreError({ kind, code, message, status, detail, retryAfterS }) {
  switch (kind) {
    case 'ProtocolError': {
      const Class = PROTOCOL_ERRORS.find((one) => one.code === code) ?? ProtocolError;
      return new Class(message);
    }
    case 'CertlessError':
      return new CertlessError(code, message);
    case 'Refused':
      return new Refused(status, code, detail, undefined, retryAfterS);
    case 'AnswerNotTrusted':
      return new AnswerNotTrusted(new Error(message));
    case 'OutcomeUnknown':
      return new OutcomeUnknown({ cause: new Error(message) });
    case 'NoAnswer':
      return new NoAnswer(new Error(message));
    case 'Cancelled':
      return new Cancelled();
    default:
      return new Error(message);
  }
}
