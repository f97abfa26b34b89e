/**
 * A hardened session at the client, as values that can be kept (PROTOCOL §17, §18).
 *
 * `readied` gives the session as it is from the next message on, `sealRequest` the message and a
 * `PendingMessage` that opens one answer.
 */
import { Members } from '../envelopes.js';
import { DecryptionFailed, MalformedMessage, RejectedMessage, StaleTimestamp } from '../../common/errors.js';
import { findSuite } from './suites.js';
import { nextEpochKey } from './keySchedule.js';
import { HttpResponse } from '../messages.js';
import { parseMsgpack, serializeMsgpack } from '../msgpack.js';
import { Once } from '../../common/once.js';
import { equal } from '../../primitives/hashes.js';
import { RsaPublicKey } from '../../primitives/rsaPublicKey.js';
import { KIND, MAX_FRESH_VALUE, openMessage, sealMessage } from './sealedMessages.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('./suites.js').Freshness} Freshness */
/** @typedef {import('../messages.js').HttpRequest} HttpRequest */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('../../primitives/contract.js').RsaPrivateKey} RsaPrivateKey */
/** @typedef {import('./sealedMessages.js').Envelope} Envelope */

const EPOCH_LIFETIME_MS = 900_000;
const CLOCK_MARGIN_MS = 1000;

/**
 * Times are of the client's clock; `offsetMs` leads to the server's. `sequence` is the number of
 * the last message; `heard`: this epoch was answered in. `serverKey` is the server's public key
 * (SubjectPublicKeyInfo DER) where the suite wraps, else empty.
 * @typedef {Readonly<{
 *   sid: Bytes,
 *   suite: string,
 *   fresh: Freshness,
 *   offsetMs: number,
 *   epoch: number,
 *   epochStartedMs: number,
 *   c2s: Bytes,
 *   s2c: Bytes,
 *   sequence: number,
 *   heard: boolean,
 *   serverKey: Bytes,
 * }>} ClientSession
 */

/**
 * What a client keeps to come back without a code. `expiresMs` is of its own clock.
 * @typedef {Readonly<{ ticket: Bytes, secret: Bytes, expiresMs: number }>} ClientTicket
 */

/**
 * The server has used the message up unread, for its time. `mayRetry`: at no moment of its journey
 * was the message within the window. Otherwise it may have been carried out before, and its answer
 * held back: ask a person, not the server.
 */
export class ClockRefused extends StaleTimestamp {
  /** @param {number} serverMs @param {boolean} mayRetry */
  constructor(serverMs, mayRetry) {
    super("the server's clock is another");
    this.serverMs = serverMs;
    this.mayRetry = mayRetry;
  }
}

/**
 * The server has used the message up unread, for its epoch has lasted too long. It was not carried
 * out before either: it may go out once more, in the next epoch.
 */
export class EpochRefused extends RejectedMessage {}
EpochRefused.code = 'stale_epoch';

/** Whether the epoch has lasted its time. @param {Pick<ClientSession, 'epochStartedMs'>} session @param {number} nowMs */
export function isEpochOver({ epochStartedMs }, nowMs) {
  return nowMs - epochStartedMs >= EPOCH_LIFETIME_MS;
}

/**
 * The session in its next epoch. Not before an answer came in this one (PROTOCOL §18.1).
 * @param {ClientSession} session
 * @param {number} nowMs
 * @returns {ClientSession}
 */
export function rekeyed(session, nowMs) {
  const suite = findSuite(session.suite);
  const [c2s, s2c] = [session.c2s, session.s2c].map((key) => nextEpochKey(suite, key));
  return { ...session, epoch: session.epoch + 1, epochStartedMs: nowMs, c2s, s2c, heard: false };
}

/**
 * The session as the next message is sealed in it: with a number more, in a new epoch if one is due.
 * @param {ClientSession} session
 * @param {number} nowMs
 * @returns {ClientSession}
 */
export function readied(session, nowMs) {
  const current = session.heard && isEpochOver(session, nowMs) ? rekeyed(session, nowMs) : session;
  return { ...current, sequence: current.sequence + 1 };
}

/** A request that was sent; opens one answer, and only the one to it. */
export class PendingMessage {
  #primitives;
  #request;
  #s2c;
  #privateKey;
  #opened = new Once();

  /**
   * @param {Primitives} primitives
   * @param {Envelope} request
   * @param {Bytes} s2c
   * @param {RsaPrivateKey | null} privateKey
   */
  constructor(primitives, request, s2c, privateKey) {
    this.#primitives = primitives;
    this.#request = request;
    this.#s2c = s2c;
    this.#privateKey = privateKey;
  }

  get epoch() {
    return this.#request.header.epoch;
  }

  /**
   * The response inside.
   * @param {Envelope} answer
   * @param {number} elapsedMs since before the request was sealed, by a clock that nobody sets
   * @throws {DecryptionFailed | ClockRefused | EpochRefused | MalformedMessage} not the answer to this request; ...
   */
  async open(answer, elapsedMs) {
    this.#opened.use("a request's answer");
    const [asked, told] = [this.#request.header, answer.header];
    const isOfSession =
      told.suite === asked.suite && told.epoch === asked.epoch && told.fresh === asked.fresh && equal(told.sid, asked.sid);
    if (!isOfSession) throw new DecryptionFailed('an answer of another session or epoch');
    if (!equal(told.requestTag, this.#request.tag)) throw new DecryptionFailed('the answer to another request, or none');
    if (asked.fresh === 'counter' && told.value !== asked.value) {
      throw new DecryptionFailed('an answer with another number than its request');
    }
    const plaintext = await openMessage(this.#primitives, this.#s2c, answer, this.#privateKey);
    if (!plaintext) throw new DecryptionFailed("the answer's seal does not hold");
    if (told.kind === KIND.refusal) throw this.#refusal(plaintext, elapsedMs);
    return HttpResponse.parseArray(parseMsgpack(plaintext));
  }

  /** @param {Bytes} plaintext @param {number} elapsedMs */
  #refusal(plaintext, elapsedMs) {
    const inside = new Members('msgpack', plaintext);
    const error = inside.text('error');
    const serverMs = inside.number('time_ms', MAX_FRESH_VALUE);
    const windowMs = inside.number('window_ms', MAX_FRESH_VALUE) + CLOCK_MARGIN_MS;
    inside.end();
    if (error === 'stale_epoch') return new EpochRefused('the epoch has lasted too long');
    const { fresh, value: stampMs } = this.#request.header;
    if (error !== 'stale_timestamp' || fresh !== 'clock') {
      return new MalformedMessage('a refusal that this version does not know');
    }
    // What is refused was used up, so only acceptance before the refusal is to be feared: the
    // server's clock went from serverMs - elapsedMs to serverMs while the message was away.
    const isEarly = serverMs < stampMs - windowMs;
    const isLate = serverMs - elapsedMs > stampMs + windowMs;
    return new ClockRefused(serverMs, isEarly || isLate);
  }
}

/**
 * `request`, sealed in a session as `readied` gave it.
 * @param {Primitives} primitives
 * @param {ClientSession} session
 * @param {HttpRequest} request
 * @param {number} nowMs
 * @param {RsaPrivateKey | null} privateKey the client's where the suite wraps
 */
export async function sealRequest(primitives, session, request, nowMs, privateKey) {
  const { sid, suite, fresh, offsetMs, epoch, c2s, s2c, sequence, serverKey } = session;
  const value = fresh === 'clock' ? Math.max(0, nowMs + offsetMs) : sequence;
  const header = { suite: findSuite(suite), kind: KIND.request, epoch, sid, fresh, value };
  const wrapTo = serverKey.length ? RsaPublicKey.fromDer(serverKey) : null;
  const plaintext = serializeMsgpack(request.toArray());
  const envelope = await sealMessage(primitives, c2s, header, plaintext, wrapTo);
  return { envelope, pending: new PendingMessage(primitives, envelope, s2c, privateKey) };
}
