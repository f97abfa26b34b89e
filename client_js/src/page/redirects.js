/** Follows redirects as a browser does (Fetch, HTTP-redirect fetch), each step through the session. */

/** @typedef {import('./formRequest.js').FormRequest} FormRequest */

const MAX_REDIRECTS = 5;
const STATUSES = [301, 302, 303, 307, 308];

/** The last answer, and the URL of a redirect that was not followed. @typedef {{ response: Response, otherHost?: URL }} Followed */

/**
 * The last answer. `otherHost` is set if it redirects to another host, which cannot be reached sealed.
 * @param {(input: URL, init: RequestInit) => Promise<Response>} fetch
 * @param {FormRequest} request
 * @returns {Promise<Followed>}
 */
export async function follow(fetch, { url, init }) {
  let [address, options] = [url, init];
  for (let left = MAX_REDIRECTS; ; left -= 1) {
    const response = await fetch(address, options);
    const location = response.headers.get('Location');
    const next = STATUSES.includes(response.status) ? addressOf(location, response.url) : null;
    if (!next || left === 0) return { response };
    if (next.origin !== url.origin) return { response, otherHost: next };
    const { method } = options;
    const isGet = response.status === 303 ? method !== 'HEAD' : response.status < 303 && method === 'POST';
    if (isGet) options = { method: 'GET' };
    address = next;
  }
}

/**
 * Resolves a URL from an answer, or null if it is invalid.
 * @param {string | null} written
 * @param {string} base
 */
export function addressOf(written, base) {
  try {
    return written === null ? null : new URL(written, base);
  } catch {
    return null;
  }
}
