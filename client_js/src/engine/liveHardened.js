/**
 * A hardened session that is open: what an engine holds of it, and sends under it (PROTOCOL §17, §18).
 *
 * What a request needs beside itself is seen to here: a new epoch when one is due, and a clock that
 * is put right after a refusal.
 */
import { ClockRefused, EpochRefused, readied, rekeyed, sealRequest } from '../protocol/hardened/clientSession.js';
import { CONTENT_TYPES } from '../protocol/envelopes.js';
import { OutcomeUnknown, Refused } from '../common/errors.js';
import { HttpRequest } from '../protocol/messages.js';
import { Envelope } from '../protocol/hardened/sealedMessages.js';
import { post } from './transport.js';

/** @typedef {import('../protocol/hardened/clientSession.js').ClientSession} ClientSession */
/** @typedef {import('./engine.js').Control} Control */
/** @typedef {import('./engine.js').PlainRequest} PlainRequest */
/** @typedef {import('./engine.js').PlainResponse} PlainResponse */
/** @typedef {import('./engine.js').Route} Route */
/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('../primitives/contract.js').RsaPrivateKey} RsaPrivateKey */

/**
 * Milliseconds since now. A clock that nobody sets may stand still while the machine sleeps, and
 * one that goes on may be set; the longer of the two makes nobody send twice (PROTOCOL §17.6).
 */
export function stopwatch() {
  const [steadyMs, wallMs] = [performance.now(), Date.now()];
  return () => Math.ceil(Math.max(performance.now() - steadyMs, Date.now() - wallMs));
}

export class LiveHardened {
  #primitives;
  #session;
  #told;
  #privateKey;

  /** @param {Primitives} primitives @param {ClientSession} session @param {RsaPrivateKey | null} privateKey */
  constructor(primitives, session, privateKey) {
    this.#primitives = primitives;
    this.#session = session;
    this.#told = session;
    this.#privateKey = privateKey;
  }

  /** Another tab has begun a later epoch. @param {ClientSession} session */
  follow(session) {
    if (session.epoch > this.#session.epoch) this.#session = this.#told = session;
  }

  /**
   * The answer and, where epoch or clock have changed, the session as it is to be kept.
   * @param {{ route: Route, request: PlainRequest, nowMs: number }} given
   * @param {Control} control
   * @returns {Promise<PlainResponse>}
   * @throws {OutcomeUnknown} the clock was wrong, and yet it may have been carried out
   */
  async exchange({ route, request, nowMs }, control) {
    const elapsedMs = stopwatch();
    let response;
    try {
      response = await this.#send(route, request, nowMs, control);
    } catch (error) {
      if (!this.#corrects(error, nowMs + elapsedMs())) throw error;
      // Once more, and not again: two clocks that cannot agree are a matter for people.
      const laterMs = nowMs + elapsedMs();
      response = await this.#send(route, request, laterMs, control).catch((again) => {
        throw this.#corrects(again, nowMs + elapsedMs()) ? new Refused(403, 'stale_timestamp') : again;
      });
    }
    const session = this.#session;
    const hasChanged = session.epoch !== this.#told.epoch || session.offsetMs !== this.#told.offsetMs;
    this.#told = session;
    return hasChanged ? { ...response, session } : response;
  }

  /**
   * Ends the session, by a request to the gateway itself (PROTOCOL §17.3).
   * @param {{ route: Route, target: string, nowMs: number }} given
   * @param {Control} control
   */
  async logout({ route, target, nowMs }, control) {
    const request = { method: 'POST', target, headers: [], body: new Uint8Array() };
    const { status } = await this.exchange({ route, request, nowMs }, control);
    if (status >= 400) throw new Refused(status, 'logout');
  }

  /**
   * Takes the server's time from a refusal; whether the message may go out once more.
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
   * What was refused for its epoch goes out once more, in the next one (PROTOCOL §18.1).
   * @param {Route} route
   * @param {PlainRequest} request
   * @param {number} nowMs
   * @param {Control} control
   * @returns {Promise<PlainResponse>}
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
   * @returns {Promise<PlainResponse>}
   */
  async #sendOnce({ url, ...limits }, { method, target, headers, body }, nowMs, { signal }) {
    const elapsedMs = stopwatch();
    // Before anything is awaited: no other message may have the same number.
    const session = (this.#session = readied(this.#session, nowMs));
    const whole = new HttpRequest(method, target, headers, body);
    const { envelope, pending } = await sealRequest(this.#primitives, session, whole, nowMs, this.#privateKey);
    const contentType = CONTENT_TYPES.msgpack;
    const answer = await post(url, envelope.serialize('msgpack'), { ...limits, signal, contentType });
    const response = await pending.open(Envelope.parse('msgpack', answer), elapsedMs()).catch((error) => {
      const isOfThisEpoch = pending.epoch === this.#session.epoch;
      if (error instanceof EpochRefused && isOfThisEpoch) this.#session = rekeyed(this.#session, nowMs);
      throw error;
    });
    if (pending.epoch === this.#session.epoch) this.#session = { ...this.#session, heard: true };
    return { ...response };
  }
}
