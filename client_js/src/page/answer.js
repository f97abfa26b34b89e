/** Shows what a form was answered. Nothing of an answer runs: what it holds is text, or in a sandbox. */
import { element } from './elements.js';

/** @typedef {import('./redirects.js').Followed} Followed */

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json$/;
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
const MAX_FRAME_PX = 10_000;

/** The objects behind blob: addresses, let go of when the next answer takes the place. @type {WeakMap<Element, string>} */
const objects = new WeakMap();

/**
 * Puts words in the place of an answer.
 * @param {HTMLElement} place
 * @param {string} words
 * @param {boolean} [isError]
 */
export function showWords(place, words, isError = false) {
  release(place);
  show(place, element('p', isError ? { role: 'alert' } : {}, words), isError);
}

/**
 * @param {HTMLElement} place
 * @param {Followed} followed
 * @param {(address: URL) => void} open for links in an answer
 */
export async function showAnswer(place, { response, elsewhere }, open) {
  release(place);
  if (elsewhere) return showElsewhere(place, elsewhere);
  const { ok, status } = response;
  const blob = await response.blob();
  const content = blob.size > 0 ? await contentOf(response, blob, place, open) : null;
  if (ok) return show(place, content ?? element('p', {}, 'Done.'));
  const words = element('p', { role: 'alert' }, `The service answered with an error: ${status}.`);
  show(place, element('div', {}, words, ...(content ? [content] : [])), true);
}

/**
 * @param {HTMLElement} place
 * @param {Node} content
 * @param {boolean} [isError]
 */
function show(place, content, isError = false) {
  place.toggleAttribute('data-certless-error', isError);
  place.replaceChildren(content);
}

/** @param {HTMLElement} place */
function release(place) {
  const former = objects.get(place);
  if (former) URL.revokeObjectURL(former);
  objects.delete(place);
}

/**
 * Another host is not gone to: there is a link, which says that nothing is sealed behind it.
 * @param {HTMLElement} place
 * @param {URL} elsewhere
 */
export function showElsewhere(place, { href, protocol }) {
  const isPage = protocol === 'http:' || protocol === 'https:';
  const link = isPage ? element('a', { href, rel: 'noreferrer' }, href) : href;
  const words = 'The answer leads out of this session, where nothing is sealed: ';
  show(place, element('p', {}, words, link));
}

/**
 * @param {Response} response
 * @param {Blob} blob
 * @param {HTMLElement} place
 * @param {(address: URL) => void} open
 * @returns {Promise<HTMLElement>}
 */
async function contentOf({ headers, url }, blob, place, open) {
  const type = (headers.get('Content-Type') ?? '').split(';')[0].trim().toLowerCase();
  const disposition = headers.get('Content-Disposition') ?? '';
  const file = () => download(object(place, blob), blob.size, fileName(disposition, url));
  if (/^\s*attachment\b/i.test(disposition)) return file();
  if (JSON_TYPE.test(type)) return element('pre', {}, pretty(await blob.text()));
  if (type === 'text/html') return frame(await blob.text(), url, open);
  if (type.startsWith('text/')) return element('pre', {}, await blob.text());
  if (!type.startsWith('image/')) return file();
  const image = element('img', { src: object(place, blob), alt: `The answer, an image: ${fileName(disposition, url)}` });
  // What is no image, and what a Content-Security-Policy without `img-src blob:` does not show.
  image.addEventListener('error', () => image.replaceWith(file()), { once: true });
  return image;
}

/** @param {HTMLElement} place @param {Blob} blob */
function object(place, blob) {
  release(place);
  const made = URL.createObjectURL(blob);
  objects.set(place, made);
  return made;
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** @param {string} href @param {number} size @param {string} name */
function download(href, size, name) {
  const words = size < 1024 ? `${size} bytes` : size < 1024 ** 2 ? `${Math.round(size / 1024)} KiB` : `${(size / 1024 ** 2).toFixed(1)} MiB`;
  return element('a', { href, download: name }, `${name} (${words})`);
}

/**
 * The name a file is kept under: never a path (RFC 6266 §4.3).
 * @param {string} disposition
 * @param {string} url
 */
function fileName(disposition, url) {
  const coded = /;\s*filename\*\s*=\s*UTF-8''([^;\s]+)/i.exec(disposition)?.[1];
  const quoted = /;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s"]+))/i.exec(disposition);
  const given = decoded(coded) ?? quoted?.[1]?.replace(/\\(.)/g, '$1') ?? quoted?.[2] ?? decoded(new URL(url).pathname) ?? '';
  const name = given.split(/[/\\]/).pop()?.replace(/[\p{Cc}\p{Cf}]/gu, '').trim();
  return name && !/^\.+$/.test(name) ? name : 'answer';
}

/** @param {string | undefined} text */
function decoded(text) {
  try {
    return text && decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/**
 * HTML in a sandbox: no script of it runs, no form of it is sent, and nothing is fetched for it, which would be
 * in plain. Its links are opened through the session.
 * @param {string} html
 * @param {string} url
 * @param {(address: URL) => void} open
 */
function frame(html, url, open) {
  const parsed = new DOMParser().parseFromString(html, 'text/html');
  const base = parsed.querySelector('base') ?? parsed.createElement('base');
  base.href = new URL(base.getAttribute('href') ?? '', url).href;
  const policy = parsed.createElement('meta');
  policy.httpEquiv = 'Content-Security-Policy';
  policy.content = POLICY;
  parsed.head.prepend(policy, base);
  const made = element('iframe', {
    title: 'The answer',
    sandbox: 'allow-same-origin',
    srcdoc: `<!doctype html>${parsed.documentElement.outerHTML}`,
  });
  made.addEventListener('load', () => {
    const shown = made.contentDocument;
    if (!shown) return;
    made.height = `${Math.min(shown.documentElement.scrollHeight + 4, MAX_FRAME_PX)}`;
    shown.addEventListener('click', (event) => {
      const link = /** @type {Element} */ (event.target).closest('a, area')?.getAttribute('href');
      if (!link || link.startsWith('#')) return;
      event.preventDefault();
      open(new URL(link, shown.baseURI));
    });
  });
  return made;
}
