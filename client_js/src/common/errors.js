/**
 * The errors, in two families.
 *
 *     ProtocolError(code)              an invalid message; for logs and tests (PROTOCOL §5.4)
 *     |- LocalProtocolError            a bug on our side: an object was used twice
 *     `- RemoteProtocolError           the peer's message is invalid
 *        |- MalformedMessage           it is not a message of the protocol
 *        |- UnsupportedSuite           client and server have no suite or version in common
 *        `- RejectedMessage
 *           |- DecryptionFailed  StaleTimestamp  ReplayedNonce  CodeRefused  TicketRefused
 *           `- InvalidPublicKey
 *
 *     CertlessError(code)              errors for programs that use this package; the message is for people
 *     |- Refused                       the gateway refused; it sent `status` and `code`
 *     |  |- StreamsNotAccepted         the gateway is older and takes no large bodies
 *     |  |- SocketsNotAccepted         the gateway, or a proxy before it, takes no WebSockets
 *     |  `- SocketRefused              the application has refused a WebSocket, under the seal
 *     |- AnswerNotTrusted              the gateway cannot have sealed this answer for this request
 *     |- NotLoggedIn                   there is no session (any more); nothing was done
 *     |- OutcomeUnknown                the request failed, and the gateway may still have handled it
 *     |- NoAnswer                      the network failed
 *     |- StreamBroken                  a body or a WebSocket was cut off or changed on its way
 *     |- StreamAborted                 the gateway ended a body or a WebSocket before its end
 *     |- BodyNotDecoded                a body is not in its Content-Encoding, or too long when decoded
 *     `- Cancelled                     an AbortSignal or `cancel()` ended the call
 *
 * None of them holds a key, a code, a token, a password or plaintext.
 *
 * The module is long because it has every error.
 */

export class ProtocolError extends Error {
  /** @param {string} [message] */
  constructor(message) {
    super(message ?? '');
    this.name = new.target.name;
    /** A code of PROTOCOL §5.4. */
    this.code = /** @type {typeof ProtocolError} */ (new.target).code;
    this.message = message || this.code;
  }
}
ProtocolError.code = 'protocol_error';

/** We used the protocol incorrectly; it is not the peer's fault. */
export class LocalProtocolError extends ProtocolError {}
LocalProtocolError.code = 'local_error';

/** The peer's message cannot be used. */
export class RemoteProtocolError extends ProtocolError {}
RemoteProtocolError.code = 'remote_error';

/** Not a message of this protocol. */
export class MalformedMessage extends RemoteProtocolError {}
MalformedMessage.code = 'malformed';

/** We support neither the version nor any of the offered suites. */
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

/** No login waits for this code, or the peer does not know the code. */
export class CodeRefused extends RejectedMessage {}
CodeRefused.code = 'code_refused';

/** The peer does not know the ticket or its secret. */
export class TicketRefused extends RejectedMessage {}
TicketRefused.code = 'ticket_refused';

/** The peer's public key (RSA or a point of P-256) is not acceptable. */
export class InvalidPublicKey extends RejectedMessage {}
InvalidPublicKey.code = 'key_not_admitted';

/** A stream was cut off or changed. What came before is genuine and not whole. */
export class BrokenStream extends RejectedMessage {}
BrokenStream.code = 'broken_stream';

/** The peer ended the stream before its end. */
export class AbortedStream extends RemoteProtocolError {
  /** @param {number} reason of ABORT_REASON */
  constructor(reason) {
    super(`the peer aborted the stream (reason ${reason})`);
    this.reason = reason;
  }
}
AbortedStream.code = 'aborted_stream';

export class CertlessError extends Error {
  /**
   * @param {string} code for programs
   * @param {string} message for people: what happened and what to do
   * @param {{ cause?: unknown }} [options]
   */
  constructor(code, message, options) {
    super(message, options);
    // The bundle does not keep class names.
    this.name = /** @type {{ kind?: string }} */ (new.target).kind ?? 'CertlessError';
    this.code = code;
  }
}

const REFUSALS = new Map(
  Object.entries({
    malformed: 'The service did not understand this request.',
    login_required: 'The service requires a login, but has no login at this address.',
    unsupported_suite:
      'The service does not accept this suite. Ask its operator which suites it accepts.',
    rejected: 'The service did not accept this message.',
    stale_timestamp:
      'The clocks of this device and of the service do not agree. Nothing was done. Try again.',
    not_found: 'The service has no such route.',
    too_large: 'This is too large for the service. Send less at once.',
    too_slow: 'The request arrived too slowly. Send less at once.',
    internal: 'The service failed. Try again later.',
    unavailable: 'The service is not available now. Try again in a moment.',
    too_many: 'There were too many requests, or the service is busy.',
    no_gateway: 'There is no Certless gateway at this address.',
  }),
);

/** @param {number} seconds */
function formatDuration(seconds) {
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 120 ? `${minutes} minutes` : `${Math.ceil(minutes / 60)} hours`;
}

/** @param {string} code @param {number | null} retryAfterS */
function messageFor(code, retryAfterS) {
  const words = REFUSALS.get(code) ?? 'The service refused the request.';
  return retryAfterS === null ? words : `${words} Try again in ${formatDuration(retryAfterS)}.`;
}

/**
 * The gateway refused. It sent `status` and `code` (PROTOCOL §5.4), and `detail`, a text for
 * developers. None of them is sealed: an attacker on the network can have written them.
 * `retryAfterS` is the number of seconds to wait (429), or null.
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
    super(code, message ?? messageFor(code, retryAfterS));
    this.status = status;
    this.detail = detail;
    this.retryAfterS = retryAfterS;
  }
}

/** The gateway cannot have sealed this answer for this request. */
export class AnswerNotTrusted extends CertlessError {
  static kind = 'AnswerNotTrusted';

  /** @param {unknown} [cause] */
  constructor(cause) {
    super(
      'answer_not_trusted',
      'The answer does not belong to your session, or was changed on the way. It was discarded.',
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
 * A request that must not run twice failed, and it is not known whether it ran. Refusals are not sealed,
 * and browsers repeat a request after a broken connection (PROTOCOL §1.12).
 */
export class OutcomeUnknown extends CertlessError {
  static kind = 'OutcomeUnknown';

  /** @param {{ cause?: unknown }} [options] */
  constructor(options) {
    super(
      'outcome_unknown',
      'It is not known whether this was done: the connection or the session was lost. ' +
        'Check that first, then send it again.',
      options,
    );
  }
}

const NO_ANSWER = 'The service did not answer. Check the connection and try again.';

/** The network failed before an answer was complete. */
export class NoAnswer extends CertlessError {
  static kind = 'NoAnswer';

  /** @param {unknown} [cause] @param {string | null} [origin] of the page, if that of the gateway is another */
  constructor(cause, origin = null) {
    const blocked = `The browser did not get an answer that a page of ${origin} can read. Check the connection. If the service`;
    const words = origin ? `${blocked} does not accept such pages, start the gateway with --cors ${origin}.` : NO_ANSWER;
    super('no_answer', words, { cause });
    this.reason = origin;
  }
}

/** A body or a WebSocket was cut off or changed on its way. What came before is genuine, and not whole. */
export class StreamBroken extends CertlessError {
  static kind = 'StreamBroken';

  /** @param {string} reason */
  constructor(reason) {
    super('stream_broken', `The stream did not arrive whole: ${reason}. Try again.`);
    this.reason = reason;
  }
}

const ABORTED = new Map([
  [1, 'it was cancelled'],
  [2, 'the application or the upstream failed'],
  [3, 'it is too large'],
  [4, 'the session has ended, log in again'],
  [5, 'it took too long'],
  [6, 'the request did not arrive whole'],
]);

/** The gateway ended the stream before its end. `reason` is a number of PROTOCOL §2.10.5. */
export class StreamAborted extends CertlessError {
  static kind = 'StreamAborted';

  /** @param {number} reason */
  constructor(reason) {
    super('stream_aborted', `The gateway ended the stream: ${ABORTED.get(reason) ?? 'the reason is not known'}.`);
    this.reason = reason;
  }
}

/** A body is not in its Content-Encoding, or is too long when decoded. The request was handled. */
export class BodyNotDecoded extends CertlessError {
  static kind = 'BodyNotDecoded';

  /** @param {string} reason @param {unknown} [cause] */
  constructor(reason, cause) {
    super('body_not_decoded', `The answer could not be decoded: ${reason}.`, { cause });
    this.reason = reason;
  }
}

/** The gateway takes no streams. The client sends the body in no other way by itself. */
export class StreamsNotAccepted extends Refused {
  /** @override */
  static kind = 'StreamsNotAccepted';

  /** @param {number} status */
  constructor(status) {
    super(status, 'no_streams', '', 'This gateway takes no streams (it is older than 0.3.0). Send at most 6 MiB at once.');
  }
}

/** The gateway takes no WebSockets. The client opens none without a seal instead. */
export class SocketsNotAccepted extends Refused {
  /** @override */
  static kind = 'SocketsNotAccepted';

  /** @param {number} status */
  constructor(status) {
    super(status, 'no_sockets', '', 'This gateway takes no WebSockets (it is older than 0.3.0), or a reverse proxy in front of it does not pass them on.');
  }
}

/** The application, or a policy of the gateway, has refused a WebSocket. `status`, `headers` and `body` came sealed. */
export class SocketRefused extends Refused {
  /** @override */
  static kind = 'SocketRefused';

  /** @param {number} status @param {Headers} headers @param {Uint8Array} body */
  constructor(status, headers, body) {
    super(status, 'socket_refused', '', `The service opens no WebSocket here: status ${status}.`);
    this.headers = headers;
    this.body = body;
  }
}

/** The caller ended the call. The name is the same as for an aborted fetch, so existing checks work. */
export class Cancelled extends CertlessError {
  static kind = 'Cancelled';

  /** @param {unknown} [cause] the signal's reason */
  constructor(cause) {
    super('cancelled', 'Cancelled.', { cause });
    this.name = 'AbortError';
  }
}

/**
 * Whether the same request can be sent again later. A ticket that was sent is still valid then.
 * @param {unknown} error
 */
export function isRetryable(error) {
  return error instanceof NoAnswer || (error instanceof Refused && RETRYABLE.includes(error.code));
}

const RETRYABLE = ['too_many', 'unavailable'];

/** Every class comes after the class that it extends. */
const CLASSES = [
  ...[Error, ProtocolError, LocalProtocolError, RemoteProtocolError, MalformedMessage, UnsupportedSuite, RejectedMessage],
  ...[DecryptionFailed, StaleTimestamp, ReplayedNonce, CodeRefused, TicketRefused, InvalidPublicKey],
  ...[CertlessError, Refused, StreamsNotAccepted, SocketsNotAccepted, AnswerNotTrusted, OutcomeUnknown, NoAnswer],
  ...[StreamBroken, StreamAborted, Cancelled],
];

/** @typedef {{ kind: number, message: string, fields: object, cause?: { name: string, message: string } }} DescribedError */

/**
 * An error as a plain object, which can be sent to another thread.
 * @param {any} error
 * @returns {DescribedError}
 */
export function describeError(error) {
  const { message, cause } = error;
  const kind = CLASSES.findLastIndex((Class) => error instanceof Class);
  return { kind, message, fields: { ...error }, cause: cause && { name: cause.name, message: cause.message } };
}

/**
 * The error for a description of `describeError`.
 * @param {DescribedError} described
 * @returns {Error}
 */
export function restoreError({ kind, message, fields, cause }) {
  const error = new Error(message, { cause: cause && Object.assign(new Error(cause.message), { name: cause.name }) });
  return Object.assign(Object.setPrototypeOf(error, CLASSES[kind].prototype), fields);
}
