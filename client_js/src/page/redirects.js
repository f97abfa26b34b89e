/** Redirects as a browser follows them (Fetch, HTTP-redirect fetch), each step through the session. */

/** @typedef {import('./formRequest.js').FormRequest} FormRequest */

const MAX_REDIRECTS = 5;
const STATUSES = [301, 302, 303, 307, 308];

/** Where an answer leads that is not followed. @typedef {{ response: Response, elsewhere?: URL }} Followed */

/**
 * The last answer; with `elsewhere` where it leads to another host, which the seal does not reach.
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
    if (next.origin !== url.origin) return { response, elsewhere: next };
    const { method } = options;
    const isGet = response.status === 303 ? method !== 'HEAD' : response.status < 303 && method === 'POST';
    if (isGet) options = { method: 'GET' };
    address = next;
  }
}

/**
 * Where something leads that an answer has written, or null: nowhere.
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
