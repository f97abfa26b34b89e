/**
 * An open hardened session in an engine (PROTOCOL §2.6, §2.7).
 *
 * It begins a new epoch when one is due, and corrects the clock after a refusal.
 */
import {
  ClockRefused,
  EpochRefused,
  OpenedStream,
  readied,
  rekeyed,
  sealRequest,
  sealSocketRequest,
  sealStreamRequest,
} from '../protocol/hardened/clientSession.js';
import { CONTENT_TYPES } from '../protocol/envelopes.js';
import { MalformedMessage, OutcomeUnknown, Refused, StreamsNotAccepted } from '../common/errors.js';
import { HttpRequest } from '../protocol/messages.js';
import { Envelope } from '../protocol/hardened/sealedMessages.js';
import { MOST_RECORD_LIMIT } from '../protocol/streams/records.js';
import { OFFER_FIELD } from '../protocol/streams/opening.js';
import { SocketConnection, openConnection } from './socketConnection.js';
import { EngineSocket } from './sockets.js';
import { IncomingBody, sendBody } from './streams.js';
import { postForStream } from './transport.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../protocol/hardened/clientSession.js').ClientSession} ClientSession */
/** @typedef {import('./engine.js').Control} Control */
/** @typedef {import('./engine.js').PlainRequest} PlainRequest */
/** @typedef {import('./engine.js').EngineResponse} EngineResponse */
/** @typedef {import('./engine.js').Route} Route */
/** @typedef {import('./socketConnection.js').Dial} Dial */
/** @typedef {import('./transport.js').ByteSource} ByteSource */
/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('../primitives/contract.js').RsaPrivateKey} RsaPrivateKey */

/**
 * Returns a function for the milliseconds since this call. A monotonic clock may stop while the machine
 * sleeps, and the wall clock may be set. The longer time is safe against sending twice (PROTOCOL §2.6.6).
 */
export function stopwatch() {
  const [steadyMs, wallMs] = [performance.now(), Date.now()];
  return () => Math.ceil(Math.max(performance.now() - steadyMs, Date.now() - wallMs));
}

export class HardenedSession {
  #primitives;
  #session;
  #reported;
  #privateKey;
  #dial;

  /** @param {Primitives} primitives @param {ClientSession} session @param {RsaPrivateKey | null} privateKey @param {Dial} dial */
  constructor(primitives, session, privateKey, dial) {
    this.#primitives = primitives;
    this.#session = session;
    this.#reported = session;
    this.#privateKey = privateKey;
    this.#dial = dial;
  }

  /** Takes the session of another tab if its epoch is later. @param {ClientSession} session */
  follow(session) {
    if (session.epoch > this.#session.epoch) this.#session = this.#reported = session;
  }

  /**
   * The answer and, if epoch or clock offset have changed, the session to store.
   * @param {{ route: Route, request: PlainRequest, nowMs: number }} given
   * @param {Control} control
   * @returns {Promise<EngineResponse>}
   * @throws {OutcomeUnknown} the clock was wrong, and the request may have been carried out
   */
  async exchange({ route, request, nowMs }, control) {
    const elapsedMs = stopwatch();
    let response;
    try {
      response = await this.#send(route, request, nowMs, control);
    } catch (error) {
      if (!this.#corrects(error, nowMs + elapsedMs())) throw error;
      // One retry only: if the clocks still differ, people must correct them.
      const laterMs = nowMs + elapsedMs();
      response = await this.#send(route, request, laterMs, control).catch((again) => {
        throw this.#corrects(again, nowMs + elapsedMs()) ? new Refused(403, 'stale_timestamp') : again;
      });
    }
    const session = this.#session;
    const hasChanged = session.epoch !== this.#reported.epoch || session.offsetMs !== this.#reported.offsetMs;
    this.#reported = session;
    return hasChanged ? { ...response, session } : response;
  }

  /**
   * Ends the session with a request to the gateway itself (PROTOCOL §2.6.3).
   * @param {{ route: Route, target: string, nowMs: number }} given
   * @param {Control} control
   */
  async logout({ route, target, nowMs }, control) {
    const request = { method: 'POST', target, headers: [], body: new Uint8Array() };
    const { status } = await this.exchange({ route, request, nowMs }, control);
    if (status >= 400) throw new Refused(status, 'logout');
  }

  /**
   * Takes the server's time from a refusal. Whether the message can be sent again.
   * @param {unknown} error
   * @param {number} nowMs
   * @throws {OutcomeUnknown}
   */
  #corrects(error, nowMs) {
    if (!(error instanceof ClockRefused)) return false;
    this.#session = { ...this.#session, offsetMs: error.serverMs - nowMs };
    if (!error.mayRetry) throw new OutcomeUnknown({ cause: error });
    return true;
  }

  /**
   * Sends a request; if it was refused for its epoch, sends it again in the next one (PROTOCOL §2.7.1).
   * @param {Route} route
   * @param {PlainRequest} request
   * @param {number} nowMs
   * @param {Control} control
   * @returns {Promise<EngineResponse>}
   */
  async #send(route, request, nowMs, control) {
    const elapsedMs = stopwatch();
    try {
      return await this.#sendOnce(route, request, nowMs, control);
    } catch (error) {
      if (!(error instanceof EpochRefused)) throw error;
      return this.#sendOnce(route, request, nowMs + elapsedMs(), control);
    }
  }

  /**
   * @param {Route} route
   * @param {PlainRequest} request
   * @param {number} nowMs
   * @param {Control} control
   * @returns {Promise<EngineResponse>}
   */
  async #sendOnce(route, request, nowMs, control) {
    const elapsedMs = stopwatch();
    const isUpload = request.body instanceof Blob;
    // Before the first await, so that no other message gets the same number.
    const session = (this.#session = readied(this.#session, nowMs));
    const { envelope, pending } = await this.#seal(session, request, nowMs);
    const answer = await this.#begin(route, request, envelope.serialize('msgpack'), control);
    const source = answer instanceof Uint8Array ? null : answer;
    const cut = () => source?.cancel();
    control.signal?.addEventListener('abort', cut);
    try {
      const sealed = Envelope.parse('msgpack', answer instanceof Uint8Array ? answer : await answer.block());
      const opened = await pending.open(sealed, elapsedMs());
      if (pending.epoch === this.#session.epoch) this.#session = { ...this.#session, heard: true };
      if (opened instanceof OpenedStream) {
        if (isUpload === Boolean(source)) throw new MalformedMessage('records must follow a grant, and nothing else');
        if (source instanceof SocketConnection) {
          return await new EngineSocket(this.#primitives, opened, source, route.maxAnswerBytes).open(request.protocols ?? []);
        }
        const records = source ?? (await this.#upload(opened, request, route, control));
        return await this.#received(opened, records, request);
      }
      if (source && !request.protocols) throw new MalformedMessage('records without a grant');
      source?.cancel();
      return { ...opened };
    } catch (error) {
      source?.cancel();
      const isOfThisEpoch = pending.epoch === this.#session.epoch;
      if (error instanceof EpochRefused && isOfThisEpoch) this.#session = rekeyed(this.#session, nowMs);
      throw error;
    } finally {
      control.signal?.removeEventListener('abort', cut);
    }
  }

  /**
   * Sends a sealed request; the answer, or what it comes from.
   * @param {Route} route
   * @param {PlainRequest} request
   * @param {Bytes} sealed
   * @param {Control} control
   * @returns {Promise<Bytes | ByteSource | SocketConnection>}
   */
  async #begin(route, { protocols, body }, sealed, { signal }) {
    const options = { ...route, signal, contentType: CONTENT_TYPES.msgpack };
    if (protocols) return openConnection(this.#dial, route.socketUrl, sealed, options);
    if (!(body instanceof Blob)) return postForStream(route.url, sealed, options);
    return postForStream(route.streamUrl, sealed, options).catch((error) => {
      throw error.status === 404 ? new StreamsNotAccepted(404) : error;
    });
  }

  /** @param {ClientSession} session @param {PlainRequest} request @param {number} nowMs */
  #seal(session, { method, target, headers, body, protocols }, nowMs) {
    const [primitives, key] = [this.#primitives, this.#privateKey];
    if (protocols) {
      return sealSocketRequest(primitives, session, { target, headers, protocols, recordBytes: MOST_RECORD_LIMIT }, nowMs, key);
    }
    if (body instanceof Blob) {
      const asked = { method, target, headers, length: body.size, recordBytes: MOST_RECORD_LIMIT };
      return sealStreamRequest(primitives, session, asked, nowMs, key);
    }
    const offered = new HttpRequest(method, target, [...headers, [OFFER_FIELD, `${MOST_RECORD_LIMIT}`]], body);
    return sealRequest(primitives, session, offered, nowMs, key, true);
  }

  /** @param {OpenedStream} opened @param {PlainRequest} request @param {Route} route @param {Control} control */
  #upload(opened, { body }, { streamUrl: url, timeoutMs }, control) {
    return sendBody(this.#primitives, opened, /** @type {Blob} */ (body), { url, timeoutMs }, control);
  }

  /**
   * The response, once its head has arrived.
   * @param {OpenedStream} opened
   * @param {ByteSource} records
   * @param {PlainRequest} request
   * @returns {Promise<EngineResponse>}
   */
  async #received(opened, records, { method, body }) {
    const incoming = new IncomingBody(this.#primitives, opened, records, { method, isUpload: body instanceof Blob });
    const { status, headers, hasBody } = await incoming.head();
    if (hasBody) return { status, headers, body: incoming };
    await incoming.read();
    return { status, headers, body: new Uint8Array() };
  }
}
