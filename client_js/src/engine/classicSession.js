/** An open classic session in an engine (PROTOCOL §3.5). */
import { parseJsonEnvelope, serializeJson, utf8, utf8Text } from '../common/codec.js';
import { CONTENT_TYPES } from '../protocol/envelopes.js';
import { HttpRequest, SealedMessage } from '../protocol/messages.js';
import { post } from './transport.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../common/codec.js').JsonObject} JsonObject */
/** @typedef {import('./engine.js').Control} Control */
/** @typedef {import('./engine.js').PlainRequest} PlainRequest */
/** @typedef {import('./engine.js').PlainResponse} PlainResponse */
/** @typedef {import('./engine.js').Route} Route */
/** @typedef {import('../protocol/classic/exchange.js').ClientExchange} ClientExchange */
/** @typedef {import('../protocol/classic/exchange.js').ClientKeys} ClientKeys */

/**
 * Sends an object and returns the object in the answer.
 * @param {Route} route
 * @param {JsonObject} message
 * @param {Control} control
 */
export async function sendJson({ url, ...limits }, message, { signal }) {
  const contentType = CONTENT_TYPES.json;
  return parseJsonEnvelope(await post(url, serializeJson(message), { ...limits, signal, contentType }));
}

/** The UTF-8 bytes of a header value, one character for each. @param {string} value */
const byteString = (value) => Array.from(utf8(value), (byte) => String.fromCharCode(byte)).join('');

/** The text of a value of one character for each byte: UTF-8, otherwise Latin-1. @param {string} value */
const textOf = (value) => utf8Text(Uint8Array.from(value, (char) => char.charCodeAt(0))) ?? value;

export class ClassicSession {
  #exchange;
  #token;
  #keys;

  /** @param {ClientExchange} exchange @param {string} token @param {ClientKeys} keys */
  constructor(exchange, token, keys) {
    this.#exchange = exchange;
    this.#token = token;
    this.#keys = keys;
  }

  /**
   * @param {{ route: Route, request: PlainRequest, nowMs: number }} given
   * @param {Control} control
   * @returns {Promise<PlainResponse>}
   */
  async exchange({ route, request: { method, target, headers, body }, nowMs }, control) {
    /** @type {import('../protocol/messages.js').Header[]} */
    const fields = headers.map(([name, value]) => [name, textOf(value)]);
    const whole = new HttpRequest(method, target, fields, /** @type {Bytes} */ (body));
    const { message, pending } = await this.#exchange.sealRequest(this.#token, this.#keys, whole, nowMs);
    const { status, headers: told, body: content } = await pending.open(await this.#send(route, message, control));
    return { status, headers: told.map(([name, value]) => [name, byteString(value)]), body: content };
  }

  /**
   * Sends a message that has only timestamp and nonce (PROTOCOL §3.5.3).
   * @param {{ route: Route, nowMs: number }} given
   * @param {Control} control
   */
  async logout({ route, nowMs }, control) {
    const { message, pending } = await this.#exchange.sealFields(this.#token, this.#keys, {}, nowMs);
    await pending.openPlaintext(await this.#send(route, message, control));
  }

  /**
   * @param {Route} route
   * @param {import('../protocol/messages.js').SealedRequest} message
   * @param {Control} control
   */
  async #send(route, message, control) {
    const { names } = this.#exchange.suite.dialect;
    return SealedMessage.parse(await sendJson(route, message.serialize(names), control), names);
  }
}
