/**
 * How a stream is opened: what is inside the envelopes (PROTOCOL §2.10.1).
 *
 *     stream request   [method, target, headers, length, record_bytes]   kind 4, client
 *     stream grant     {"stream", "record_bytes"}                        kind 5, server
 *     socket request   [target, headers, protocols, record_bytes]        kind 6, client
 */
import { MalformedMessage } from '../../common/errors.js';
import { Members } from '../envelopes.js';
import { isToken } from '../messages.js';
import { serializeMsgpack } from '../msgpack.js';
import { lengthValue } from './bodies.js';
import { LEAST_RECORD_LIMIT, MOST_RECORD_LIMIT } from './records.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../msgpack.js').MsgpackValue} MsgpackValue */

/**
 * A request whose body follows as records. `length` is that of the body, null if it is unknown; `recordBytes` the
 * longest record that the client takes.
 * @typedef {Readonly<{
 *   method: string,
 *   target: string,
 *   headers: [string, string][],
 *   length: number | null,
 *   recordBytes: number,
 * }>} StreamRequest
 */

/**
 * A request for a WebSocket. `protocols` are the subprotocols that the client offers.
 * @typedef {Readonly<{
 *   target: string,
 *   headers: [string, string][],
 *   protocols: string[],
 *   recordBytes: number,
 * }>} SocketRequest
 */

export const STREAM_ID_BYTES = 16;
const MAX_PROTOCOLS = 32;
const MAX_PROTOCOL_CHARS = 256;
/** The inner field by which a request offers to take a stream as its response. */
export const OFFER_FIELD = 'Certless-Stream';

/** @param {unknown} value @returns {number} @throws {MalformedMessage} */
export function parseRecordLimit(value) {
  if (typeof value !== 'number' || !(value >= LEAST_RECORD_LIMIT && value <= MOST_RECORD_LIMIT)) {
    throw new MalformedMessage('a record limit is from 4096 to 65536 bytes');
  }
  return value;
}

/** Subprotocols: tokens of HTTP, each once. @param {unknown} value @returns {string[]} @throws {MalformedMessage} */
export function parseProtocols(value) {
  if (!Array.isArray(value) || value.length > MAX_PROTOCOLS) throw new MalformedMessage('subprotocols are a list of at most 32');
  if (!value.every((name) => typeof name === 'string' && name.length <= MAX_PROTOCOL_CHARS && isToken(name))) {
    throw new MalformedMessage('a subprotocol is a token of HTTP');
  }
  if (new Set(value).size < value.length) throw new MalformedMessage('a subprotocol is named twice');
  return value;
}

/** @param {SocketRequest} request */
export const serializeSocketRequest = ({ target, headers, protocols, recordBytes }) =>
  serializeMsgpack([target, /** @type {MsgpackValue} */ (headers), protocols, recordBytes]);

/** @param {StreamRequest} request */
export const serializeStreamRequest = ({ method, target, headers, length, recordBytes }) =>
  serializeMsgpack([method, target, /** @type {MsgpackValue} */ (headers), lengthValue(length), recordBytes]);

/** @param {Bytes} data @throws {MalformedMessage} */
export function parseStreamGrant(data) {
  const inside = new Members('msgpack', data);
  const streamId = inside.raw('stream', STREAM_ID_BYTES);
  const recordBytes = parseRecordLimit(inside.number('record_bytes', MOST_RECORD_LIMIT));
  inside.end();
  return { streamId, recordBytes };
}
