/**
 * A hardened session at the client, as a value that can be stored (PROTOCOL §2.6, §2.7).
 *
 * `readied` returns the session for the next message; `sealRequest` returns the message, and a
 * `PendingMessage` that opens the answer.
 */
import { Members } from '../envelopes.js';
import { DecryptionFailed, MalformedMessage, RejectedMessage, StaleTimestamp } from '../../common/errors.js';
import { findSuite } from './suites.js';
import { label, nextEpochKey } from './keySchedule.js';
import { HttpResponse } from '../messages.js';
import { parseMsgpack, serializeMsgpack } from '../msgpack.js';
import { Once } from '../../common/once.js';
import { equal } from '../../primitives/hashes.js';
import { RsaPublicKey } from '../../primitives/rsaPublicKey.js';
import { parseStreamGrant, serializeSocketRequest, serializeStreamRequest } from '../streams/opening.js';
import { KIND, MAX_FRESH_VALUE, openWithSecret, sealMessage, streamKeys } from './sealedMessages.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('./suites.js').Freshness} Freshness */
/** @typedef {import('../messages.js').HttpRequest} HttpRequest */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('../../primitives/contract.js').RsaPrivateKey} RsaPrivateKey */
/** @typedef {import('./sealedMessages.js').Envelope} Envelope */
/** @typedef {import('../streams/opening.js').SocketRequest} SocketRequest */
/** @typedef {import('../streams/opening.js').StreamRequest} StreamRequest */
/** @typedef {import('../streams/records.js').StreamKeys} StreamKeys */

/** A stream that the server has granted; `recordBytes` is the longest record that it takes. */
export class OpenedStream {
  /** @param {StreamKeys} keys @param {number} recordBytes */
  constructor(keys, recordBytes) {
    this.keys = keys;
    this.recordBytes = recordBytes;
  }
}

const EPOCH_LIFETIME_MS = 900_000;
const CLOCK_MARGIN_MS = 1000;

/**
 * Times are the client's; `offsetMs` is the difference to the server's clock. `sequence` is the number of
 * the last message. `heard`: an answer in this epoch has arrived. `serverKey` is the server's public key
 * (SubjectPublicKeyInfo DER) if the suite wraps, else empty. `exporter` is the secret of the exporter. It is
 * missing if an earlier version stored the session.
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
 *   exporter?: Bytes,
 * }>} ClientSession
 */

/**
 * A ticket, which opens a new session without a code. `expiresMs` is by the client's clock.
 * @typedef {Readonly<{ ticket: Bytes, secret: Bytes, expiresMs: number }>} ClientTicket
 */

/**
 * The server rejected the message because of its time, and will not accept the same message again.
 * `mayRetry`: the message was at no time inside the server's window. Otherwise it may have been carried
 * out before, and an attacker may have held back the answer: then the user must decide.
 */
export class ClockRefused extends StaleTimestamp {
  /** @param {number} serverMs @param {boolean} mayRetry */
  constructor(serverMs, mayRetry) {
    super("the server's clock differs");
    this.serverMs = serverMs;
    this.mayRetry = mayRetry;
  }
}

/**
 * The server rejected the message because its epoch has lasted too long. It was not carried out, so it
 * can be sent once more in the next epoch.
 */
export class EpochRefused extends RejectedMessage {}
EpochRefused.code = 'stale_epoch';

/** Whether the next epoch is due. @param {Pick<ClientSession, 'epochStartedMs'>} session @param {number} nowMs */
export function isEpochOver({ epochStartedMs }, nowMs) {
  return nowMs - epochStartedMs >= EPOCH_LIFETIME_MS;
}

/**
 * The session in its next epoch. Only after an answer in this epoch (PROTOCOL §2.7.1).
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
 * The session for the next message: with the next number, and in a new epoch if one is due.
 * @param {ClientSession} session
 * @param {number} nowMs
 * @returns {ClientSession}
 */
export function readied(session, nowMs) {
  const current = session.heard && isEpochOver(session, nowMs) ? rekeyed(session, nowMs) : session;
  return { ...current, sequence: current.sequence + 1 };
}

/** A request that was sent; opens the answer to it and no other. */
export class PendingMessage {
  #primitives;
  #request;
  #s2c;
  #privateKey;
  #takesStream;
  #opened = new Once();

  /**
   * @param {Primitives} primitives
   * @param {Envelope} request
   * @param {Bytes} s2c
   * @param {RsaPrivateKey | null} privateKey
   * @param {boolean} [takesStream] the request asks for a stream, or offers to take one
   */
  constructor(primitives, request, s2c, privateKey, takesStream = false) {
    this.#takesStream = takesStream;
    this.#primitives = primitives;
    this.#request = request;
    this.#s2c = s2c;
    this.#privateKey = privateKey;
  }

  get epoch() {
    return this.#request.header.epoch;
  }

  /**
   * The response inside, or the stream.
   * @param {Envelope} answer
   * @param {number} elapsedMs since before the request was sealed, by a monotonic clock
   * @returns {Promise<HttpResponse | OpenedStream>}
   * @throws {DecryptionFailed | ClockRefused | EpochRefused | MalformedMessage} it is not the answer to this request, or the server rejected the message
   */
  async open(answer, elapsedMs) {
    this.#opened.use("a request's answer");
    const [asked, told] = [this.#request.header, answer.header];
    const isOfSession =
      told.suite === asked.suite && told.epoch === asked.epoch && told.fresh === asked.fresh && equal(told.sid, asked.sid);
    if (!isOfSession) throw new DecryptionFailed('the answer belongs to another session or epoch');
    if (!equal(told.requestTag, this.#request.tag)) throw new DecryptionFailed('the answer belongs to another request');
    if (asked.fresh === 'counter' && told.value !== asked.value) {
      throw new DecryptionFailed('the answer has another number than the request');
    }
    const opened = await openWithSecret(this.#primitives, this.#s2c, answer, this.#privateKey);
    if (!opened) throw new DecryptionFailed('the answer cannot be decrypted');
    const { plaintext, secret } = opened;
    if (told.kind === KIND.streamGrant) {
      if (!this.#takesStream) throw new MalformedMessage('a stream that was not asked for');
      const { streamId, recordBytes } = parseStreamGrant(plaintext);
      return new OpenedStream({ streamId, ...streamKeys(secret, label(told.suite, 'stream')) }, recordBytes);
    }
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
      return new MalformedMessage('the refusal has an unknown reason');
    }
    // The server never accepts a message after it has refused it, so only an earlier acceptance matters.
    // In the meantime the server's clock went from serverMs - elapsedMs to serverMs.
    const isEarly = serverMs < stampMs - windowMs;
    const isLate = serverMs - elapsedMs > stampMs + windowMs;
    return new ClockRefused(serverMs, isEarly || isLate);
  }
}

/**
 * Seals `request` in a session from `readied`.
 * @param {Primitives} primitives
 * @param {ClientSession} session
 * @param {HttpRequest} request
 * @param {number} nowMs
 * @param {RsaPrivateKey | null} privateKey the client's if the suite wraps, else null
 * @param {boolean} [takesStream] the request offers to take a stream as its response
 */
export function sealRequest(primitives, session, request, nowMs, privateKey, takesStream = false) {
  const plaintext = serializeMsgpack(request.toArray());
  return seal(primitives, session, KIND.request, plaintext, nowMs, privateKey, takesStream);
}

/**
 * The opening of a stream whose body follows as records; else as `sealRequest`.
 * @param {Primitives} primitives
 * @param {ClientSession} session
 * @param {StreamRequest} request
 * @param {number} nowMs
 * @param {RsaPrivateKey | null} privateKey
 */
export function sealStreamRequest(primitives, session, request, nowMs, privateKey) {
  return seal(primitives, session, KIND.streamRequest, serializeStreamRequest(request), nowMs, privateKey, true);
}

/**
 * The opening of a socket; else as `sealRequest`.
 * @param {Primitives} primitives
 * @param {ClientSession} session
 * @param {SocketRequest} request
 * @param {number} nowMs
 * @param {RsaPrivateKey | null} privateKey
 */
export function sealSocketRequest(primitives, session, request, nowMs, privateKey) {
  return seal(primitives, session, KIND.socketRequest, serializeSocketRequest(request), nowMs, privateKey, true);
}

/**
 * @param {Primitives} primitives
 * @param {ClientSession} session
 * @param {number} kind
 * @param {Bytes} plaintext
 * @param {number} nowMs
 * @param {RsaPrivateKey | null} privateKey
 * @param {boolean} takesStream
 */
async function seal(primitives, session, kind, plaintext, nowMs, privateKey, takesStream) {
  const { sid, suite, fresh, offsetMs, epoch, c2s, s2c, sequence, serverKey } = session;
  const value = fresh === 'clock' ? Math.max(0, nowMs + offsetMs) : sequence;
  const header = { suite: findSuite(suite), kind, epoch, sid, fresh, value };
  const wrapTo = serverKey.length ? RsaPublicKey.fromDer(serverKey) : null;
  const envelope = await sealMessage(primitives, c2s, header, plaintext, wrapTo);
  return { envelope, pending: new PendingMessage(primitives, envelope, s2c, privateKey, takesStream) };
}
