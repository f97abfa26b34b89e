/** Converts between Request and Response of fetch and the messages inside the seal (PROTOCOL §1.8). */
import { utf8 } from '../common/codec.js';
import { MalformedMessage } from '../common/errors.js';
import { HttpRequest } from '../protocol/messages.js';

/** @typedef {import('../engine/engine.js').PlainRequest} PlainRequest */
/** @typedef {import('../engine/engine.js').PlainResponse} PlainResponse */

const WITHOUT_BODY = [204, 205, 304];

/**
 * The request that `fetch(input, init)` would send to the gateway at `origin`.
 *
 * The browser's own Request does the work: it knows every kind of body, its Content-Type, and which
 * combinations are an error. The URL must be at the gateway, because sealed messages go there.
 * @param {string} origin
 * @param {RequestInfo | URL} input
 * @param {RequestInit} [init]
 * @returns {Promise<PlainRequest & { url: string }>}
 * @throws {TypeError}
 */
export async function plainRequest(origin, input, init = {}) {
  const given = input instanceof Request ? input.url : String(input);
  const url = new URL(given, `${origin}/`);
  if (url.origin !== origin) throw new TypeError(`${url.origin} is not the gateway of this session`);
  url.hash = '';
  const isStream = typeof ReadableStream === 'function' && init.body instanceof ReadableStream;
  // The session watches the signal until the answer. A stream needs `duplex`.
  const options = { ...init, signal: null, ...(isStream ? { duplex: 'half' } : {}) };
  const request = new Request(input instanceof Request ? input : url, options);
  const body = new Uint8Array(await request.arrayBuffer());
  const target = url.pathname + url.search;
  const headers = /** @type {[string, string][]} */ ([...request.headers]);
  try {
    // Requests that the gateway would refuse are an error here, before anything is sent.
    const { method } = HttpRequest.parse({ method: request.method, path: target, headers });
    return { method, target, headers, body, url: url.href };
  } catch (error) {
    if (error instanceof MalformedMessage) throw new TypeError(error.message);
    throw error;
  }
}

/**
 * Header values are bytes: fetch shows each byte of UTF-8 as one character.
 * @param {string} value
 */
function byteString(value) {
  return Array.from(utf8(value), (byte) => String.fromCharCode(byte)).join('');
}

/**
 * @param {PlainRequest & { url: string }} request
 * @param {PlainResponse} plain
 * @returns {Response}
 */
export function responseOf(request, { status, headers, body }) {
  const hasBody = !WITHOUT_BODY.includes(status) && request.method !== 'HEAD';
  const response = new Response(hasBody ? body : null, {
    status,
    headers: headers.map(([name, value]) => [name, byteString(value)]),
  });
  Object.defineProperty(response, 'url', { value: request.url });
  return response;
}
