/** Converts between Request and Response of fetch and the messages inside the seal (PROTOCOL §1.8). */
import { utf8 } from '../common/codec.js';
import { MalformedMessage } from '../common/errors.js';
import { HttpRequest } from '../protocol/messages.js';
import { decodedBody } from './contentCodings.js';

/** @typedef {import('../engine/engine.js').PlainRequest} PlainRequest */
/** @typedef {import('../engine/engine.js').PlainResponse} PlainResponse */
/** @typedef {PlainRequest & { url: string, credentials: RequestCredentials }} SessionRequest */

/** A larger body goes as a stream: a message has at most 8 MiB at most gateways. */
const MAX_MESSAGE_BODY_BYTES = 6 * 1024 * 1024;
const WITHOUT_BODY = [204, 205, 304];

/**
 * The request that `fetch(input, init)` would send to the gateway at `origin`.
 *
 * The browser's own Request does the work: it knows every kind of body, its Content-Type, and which
 * combinations are an error. The URL must be at the gateway, because sealed messages go there.
 * @param {string} origin
 * @param {RequestInfo | URL} input
 * @param {RequestInit} init
 * @param {boolean} hasStreams whether a large body can be a Blob, which a browser keeps outside the JavaScript heap
 * @returns {Promise<SessionRequest>}
 * @throws {TypeError}
 */
export async function plainRequest(origin, input, init, hasStreams) {
  const given = input instanceof Request ? input.url : String(input);
  const url = new URL(given, `${origin}/`);
  if (url.origin !== origin) throw new TypeError(`${url.origin} is not the gateway of this session`);
  url.hash = '';
  const isStream = typeof ReadableStream === 'function' && init.body instanceof ReadableStream;
  // The session watches the signal until the answer. A stream needs `duplex`.
  const options = { ...init, signal: null, ...(isStream ? { duplex: 'half' } : {}) };
  const request = new Request(input instanceof Request ? input : url, options);
  const blob = await request.blob();
  const body = hasStreams && blob.size > MAX_MESSAGE_BODY_BYTES ? blob : new Uint8Array(await blob.arrayBuffer());
  const target = url.pathname + url.search;
  const headers = /** @type {[string, string][]} */ ([...request.headers]);
  // An attacker can change the Host outside of the seal.
  if (!request.headers.has('host')) headers.push(['Host', url.host]);
  try {
    // Requests that the gateway would refuse are an error here, before anything is sent.
    const { method } = HttpRequest.parse({ method: request.method, path: target, headers });
    return { method, target, headers, body, url: url.href, credentials: request.credentials };
  } catch (error) {
    if (error instanceof MalformedMessage) throw new TypeError(error.message);
    throw error;
  }
}

/**
 * A header value as fetch has it, one character for each byte. A gateway without streams sends text instead.
 * @param {string} value
 */
const byteString = (value) =>
  /[^\0-\xff]/.test(value) ? Array.from(utf8(value), (byte) => String.fromCharCode(byte)).join('') : value;

/** @param {PlainResponse} plain */
export const headersOf = ({ headers }) => new Headers(headers.map(([name, value]) => [name, byteString(value)]));

const READERS = /** @type {const} */ (['arrayBuffer', 'blob', 'bytes', 'formData', 'json', 'text']);

/**
 * The same stream, and the error that has ended it.
 * @param {ReadableStream<Uint8Array>} content
 */
function watch(content) {
  const reader = content.getReader();
  /** @type {unknown} */
  let error;
  const stream = new ReadableStream(
    {
      async pull(controller) {
        const part = await reader.read().catch((cause) => {
          throw (error = cause);
        });
        if (part.done) controller.close();
        else controller.enqueue(part.value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
  return { stream, error: () => error };
}

/**
 * Lets `text()` and the like throw the error of the stream. Chromium throws a TypeError, which does not tell whether
 * the request was handled.
 * @param {Response} response
 * @param {() => unknown} errorOf
 */
function tellErrors(response, errorOf) {
  for (const name of READERS) {
    const read = /** @type {undefined | (() => Promise<any>)} */ (response[name]);
    const value = () =>
      /** @type {() => Promise<any>} */ (read).call(response).catch((cause) => {
        throw errorOf() ?? cause;
      });
    if (read) Object.defineProperty(response, name, { value });
  }
}

/**
 * @param {SessionRequest} request
 * @param {PlainResponse} plain
 * @param {ReadableStream<Uint8Array>} [stream] the body, if it is streamed
 * @returns {Response}
 */
export function responseOf(request, plain, stream) {
  const { status, body } = plain;
  const hasBody = !WITHOUT_BODY.includes(status) && request.method !== 'HEAD';
  const content = hasBody ? decodedBody(plain.headers, stream ?? body) : null;
  const watched = content instanceof ReadableStream ? watch(content) : null;
  const response = new Response(/** @type {BodyInit | null} */ (watched?.stream ?? content), { status, headers: headersOf(plain) });
  if (watched) tellErrors(response, watched.error);
  Object.defineProperty(response, 'url', { value: request.url });
  return response;
}
