/**
 * A POST to the gateway and its answer, as bytes.
 *
 * The peer may be an attacker. Until a seal has been opened, the client reads only a small answer (by its
 * decompressed size), and only until the timeout.
 */
import { deadline } from '../common/abort.js';
import { concat } from '../common/bytes.js';
import { CONTENT_TYPES, Members } from '../protocol/envelopes.js';
import { AnswerNotTrusted, Cancelled, CertlessError, MalformedMessage, NoAnswer, Refused } from '../common/errors.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */

export const STREAM_TYPE = 'application/certless-stream';
/** The limit for refusals and login messages; the largest contains a public key. */
export const SMALL_ANSWER_BYTES = 64 * 1024;
const MAX_CODE_CHARS = 64;
const MAX_TEXT_CHARS = 256;
const SECONDS = /^\d{1,6}$/;

/**
 * The body, or null if it is longer than `maxBytes`. The rest is not read then.
 * @param {Response} response
 * @param {number} maxBytes
 * @returns {Promise<Bytes | null>}
 */
async function read(response, maxBytes) {
  const reader = response.body?.getReader();
  if (!reader) return new Uint8Array();
  const chunks = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > maxBytes) return null;
    chunks.push(value);
  }
  return concat(...chunks);
}

/** @param {Response} response */
function mediaType(response) {
  return (response.headers.get('Content-Type') ?? '').split(';')[0].trim().toLowerCase();
}

/** The error in an unsealed answer, in the format of the request. @param {Response} response */
async function refusal(response) {
  const noGateway = () => new Refused(response.status, 'no_gateway');
  const body = await read(response, SMALL_ANSWER_BYTES);
  if (!body) return noGateway();
  let error;
  let message;
  try {
    const members = new Members(mediaType(response) === CONTENT_TYPES.msgpack ? 'msgpack' : 'json', body);
    [error, message] = [members.text('error'), members.text('message')];
  } catch {
    return noGateway();
  }
  const text = message.slice(0, MAX_TEXT_CHARS);
  const after = response.headers.get('Retry-After') ?? '';
  const retryAfterS = SECONDS.test(after) ? Number(after) : null;
  return new Refused(response.status, error.slice(0, MAX_CODE_CHARS), text, undefined, retryAfterS);
}

/** The bytes of an answer as they arrive. An answer that is silent for `silenceMs` ends. */
export class ByteSource {
  #reader;
  #abort;
  #silenceMs;
  /** @type {Uint8Array} */
  #held = new Uint8Array();

  /**
   * @param {ReadableStreamDefaultReader<Uint8Array>} reader
   * @param {(reason?: unknown) => void} abort ends the connection
   * @param {number} silenceMs
   */
  constructor(reader, abort, silenceMs) {
    this.#reader = reader;
    this.#abort = abort;
    this.#silenceMs = silenceMs;
  }

  /** The next bytes, or null at the end. @returns {Promise<Uint8Array | null>} @throws {NoAnswer} */
  async read() {
    if (this.#held.length) {
      const held = this.#held;
      this.#held = new Uint8Array();
      return held;
    }
    const late = () => this.#abort(new DOMException(`nothing arrived for ${this.#silenceMs} ms`, 'TimeoutError'));
    const timer = setTimeout(late, this.#silenceMs);
    try {
      return (await this.#reader.read()).value ?? null;
    } catch (error) {
      throw new NoAnswer(error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Four bytes with a length, and that many bytes. @returns {Promise<Bytes>} @throws {NoAnswer | MalformedMessage} */
  async block() {
    const start = await this.#take(4);
    const length = new DataView(start.buffer, start.byteOffset).getUint32(0);
    if (length > SMALL_ANSWER_BYTES) throw new MalformedMessage('a grant is too large');
    return this.#take(length);
  }

  cancel() {
    this.#abort();
  }

  /** @param {number} length @returns {Promise<Bytes>} */
  async #take(length) {
    while (this.#held.length < length) {
      const before = this.#held;
      this.#held = new Uint8Array();
      const more = await this.read();
      if (!more) throw new NoAnswer(new Error('the connection ended'));
      this.#held = concat(before, more);
    }
    const taken = this.#held.slice(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }
}

/**
 * `silenceMs` is for a streamed answer, whose end `timeoutMs` does not limit.
 * @typedef {{ signal?: AbortSignal | null, maxAnswerBytes: number, timeoutMs: number, silenceMs?: number, contentType: string }} PostOptions
 */

/**
 * Sends `body` and returns the body of a 2xx answer; both have the type `contentType`.
 * Throws Refused, NoAnswer, AnswerNotTrusted or Cancelled.
 * @param {string} url
 * @param {Bytes} body
 * @param {PostOptions} options
 * @returns {Promise<Bytes>}
 */
export const post = (url, body, options) => begin(url, body, options, (response) => whole(response, options));

/**
 * Like `post`, but the answer can be a stream.
 * @param {string} url
 * @param {Bytes | Blob} body
 * @param {PostOptions} options
 * @returns {Promise<Bytes | ByteSource>}
 */
export function postForStream(url, body, options) {
  return begin(url, body, options, async (response, abort) => {
    const reader = mediaType(response) === STREAM_TYPE && response.body?.getReader();
    return reader ? new ByteSource(reader, abort, options.silenceMs ?? options.timeoutMs) : whole(response, options);
  });
}

/** @param {Response} response @param {PostOptions} options */
async function whole(response, { maxAnswerBytes, contentType }) {
  if (mediaType(response) !== contentType) throw new Refused(response.status, 'no_gateway');
  const answer = await read(response, maxAnswerBytes);
  if (answer) return answer;
  throw new AnswerNotTrusted(new RangeError(`the answer is larger than ${maxAnswerBytes} bytes`));
}

/**
 * @template Result
 * @param {string} url
 * @param {Bytes | Blob} body
 * @param {PostOptions} options
 * @param {(response: Response, abort: (reason?: unknown) => void) => Promise<Result>} use
 * @returns {Promise<Result>}
 */
async function begin(url, body, { signal, timeoutMs, contentType }, use) {
  const limit = deadline(signal, timeoutMs);
  try {
    const response = await globalThis.fetch(url, {
      method: 'POST',
      // Browsers ignore Accept-Encoding here. For them the decompressed size counts.
      headers: { 'Content-Type': contentType, 'Accept-Encoding': 'identity' },
      body,
      cache: 'no-store',
      // A gateway never redirects, so redirects are not followed.
      redirect: 'manual',
      referrerPolicy: 'no-referrer',
      signal: limit.signal,
    });
    if (!response.ok) throw await refusal(response);
    return await use(response, limit.end);
  } catch (error) {
    const isLate = limit.signal.aborted && !signal?.aborted;
    // Stops reading a body that was not read to its end.
    limit.end(error);
    if (error instanceof CertlessError) throw error;
    if (signal?.aborted) throw new Cancelled(signal.reason);
    if (isLate) throw new NoAnswer(limit.signal.reason);
    throw new NoAnswer(error, otherOrigin(error, url));
  } finally {
    limit.release();
  }
}

/**
 * The page's origin, if a browser may have blocked its request to another one. Browsers give the same error
 * for this (CORS) and for a broken connection.
 * @param {unknown} error
 * @param {string} url
 */
export function otherOrigin(error, url) {
  const own = globalThis.location?.origin;
  return error instanceof TypeError && own !== undefined && own !== new URL(url).origin ? own : null;
}
