/** One POST to the gateway and its answer, as bytes. */
import { concat } from './bytes.js';
import { CONTENT_TYPES, Members } from './envelopes.js';
import { AnswerNotTrusted, Cancelled, CertlessError, NoAnswer, Refused } from './errors.js';

/** @typedef {import('./codec.js').Bytes} Bytes */

const MAX_ERROR_BYTES = 64 * 1024;
const MAX_WORD_CHARS = 64;
const MAX_TEXT_CHARS = 256;
const SECONDS = /^\d{1,6}$/;

/**
 * @param {Response} response
 * @param {number} maxBytes
 * @returns {Promise<Bytes>}
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
    if (length > maxBytes) {
      await reader.cancel();
      throw new AnswerNotTrusted(new RangeError(`the answer is larger than ${maxBytes} bytes`));
    }
    chunks.push(value);
  }
  return concat(...chunks);
}

/** What the gateway says outside a seal, in the format of the request. @param {Response} response */
async function refusal(response) {
  const noGateway = () => new Refused(response.status, 'no_gateway');
  const isMsgpack = response.headers.get('Content-Type')?.startsWith(CONTENT_TYPES.msgpack);
  let error;
  let message;
  try {
    const members = new Members(isMsgpack ? 'msgpack' : 'json', await read(response, MAX_ERROR_BYTES));
    [error, message] = [members.text('error'), members.text('message')];
  } catch {
    return noGateway();
  }
  const text = message.slice(0, MAX_TEXT_CHARS);
  const after = response.headers.get('Retry-After') ?? '';
  const retryAfterS = SECONDS.test(after) ? Number(after) : null;
  return new Refused(response.status, error.slice(0, MAX_WORD_CHARS), text, undefined, retryAfterS);
}

/**
 * The body of a 2xx answer. Throws Refused, NoAnswer, AnswerNotTrusted or Cancelled.
 * @param {string} url
 * @param {Bytes} body
 * @param {{ signal?: AbortSignal | null, maxAnswerBytes: number, contentType: string }} options
 * @returns {Promise<Bytes>}
 */
export async function post(url, body, { signal, maxAnswerBytes, contentType }) {
  try {
    const response = await globalThis.fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': contentType },
      body,
      cache: 'no-store',
      // A gateway redirects nobody; where another host would send us is not asked.
      redirect: 'manual',
      referrerPolicy: 'no-referrer',
      signal: signal ?? null,
    });
    if (!response.ok) throw await refusal(response);
    return await read(response, maxAnswerBytes);
  } catch (error) {
    if (error instanceof CertlessError) throw error;
    throw signal?.aborted ? new Cancelled(signal.reason) : new NoAnswer(error);
  }
}
