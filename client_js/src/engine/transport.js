/**
 * A POST to the gateway and its answer, as bytes.
 *
 * The peer may be an attacker. Until a seal has been opened, the client reads only a small answer (by its
 * decompressed size), and only until the timeout.
 */
import { deadline } from '../common/abort.js';
import { concat } from '../common/bytes.js';
import { CONTENT_TYPES, Members } from '../protocol/envelopes.js';
import { AnswerNotTrusted, Cancelled, CertlessError, NoAnswer, Refused } from '../common/errors.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */

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

/**
 * Sends `body` and returns the body of a 2xx answer; both have the type `contentType`.
 * Throws Refused, NoAnswer, AnswerNotTrusted or Cancelled.
 * @param {string} url
 * @param {Bytes} body
 * @param {{ signal?: AbortSignal | null, maxAnswerBytes: number, timeoutMs: number, contentType: string }} options
 * @returns {Promise<Bytes>}
 */
export async function post(url, body, { signal, maxAnswerBytes, timeoutMs, contentType }) {
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
    if (mediaType(response) !== contentType) throw new Refused(response.status, 'no_gateway');
    const answer = await read(response, maxAnswerBytes);
    if (answer) return answer;
    throw new AnswerNotTrusted(new RangeError(`the answer is larger than ${maxAnswerBytes} bytes`));
  } catch (error) {
    const isLate = limit.signal.aborted && !signal?.aborted;
    // Stops reading a body that was not read to its end.
    limit.end(error);
    if (error instanceof CertlessError) throw error;
    if (signal?.aborted) throw new Cancelled(signal.reason);
    throw new NoAnswer(isLate ? limit.signal.reason : error);
  } finally {
    limit.release();
  }
}
