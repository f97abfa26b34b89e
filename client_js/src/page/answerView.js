/** Shows the answer to a form. Nothing in an answer is executed: it is shown as text or in a sandbox. */
import { answerFrame } from './answerFrame.js';
import { decodeAnswer } from './charsets.js';
import { element } from './dom.js';

/** @typedef {import('./redirects.js').Followed} Followed */

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json$/;
const MARKUP = ['text/html', 'image/svg+xml'];
// Image types that cannot contain a script, not even if the user opens the image in a new tab.
const PICTURE = /^image\/(?:png|jpeg|gif|webp|avif|bmp|x-icon|vnd\.microsoft\.icon)$/;
// Longer texts would block the page.
const MAX_SHOWN = 1024 * 1024;

/** The blob: URL in each place, revoked when the next answer replaces it. @type {WeakMap<Element, string>} */
const objects = new WeakMap();

/**
 * Shows a message in the place of an answer.
 * @param {HTMLElement} place
 * @param {string} message
 * @param {boolean} [isError]
 */
export function showMessage(place, message, isError = false) {
  release(place);
  show(place, element('p', isError ? { role: 'alert' } : {}, message), isError);
}

/**
 * @param {HTMLElement} place
 * @param {Followed} followed
 * @param {(address: URL) => void} open for links in an answer
 */
export async function showAnswer(place, { response, otherHost }, open) {
  release(place);
  if (otherHost) return showLinkToOtherHost(place, otherHost);
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
 * Shows a link to another host, with a warning that nothing is sealed there.
 * @param {HTMLElement} place
 * @param {URL} otherHost
 */
export function showLinkToOtherHost(place, { href, protocol }) {
  const isPage = protocol === 'http:' || protocol === 'https:';
  const link = isPage ? element('a', { href, rel: 'noreferrer' }, href) : href;
  const words = 'The answer leads to another host, where nothing is sealed: ';
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
  // A blob: URL has the page's origin, so the browser must never show it as a page.
  const file = () => download(object(place, blob, 'application/octet-stream'), blob.size, fileName(disposition, url));
  if (/^\s*attachment\b/i.test(disposition)) return file();
  if (PICTURE.test(type)) return picture(object(place, blob, type), fileName(disposition, url), file);
  const isText = JSON_TYPE.test(type) || MARKUP.includes(type) || type.startsWith('text/');
  if (!isText || blob.size > MAX_SHOWN) return file();
  const isJson = JSON_TYPE.test(type);
  const bytes = new Uint8Array(await blob.arrayBuffer());
  const text = isJson ? await blob.text() : decodeAnswer(bytes, headers.get('Content-Type') ?? '');
  if (MARKUP.includes(type)) return answerFrame(text, url, open);
  return element('pre', {}, isJson ? pretty(text) : text);
}

/** @param {string} src @param {string} name @param {() => HTMLElement} file the fallback if the image cannot be shown */
function picture(src, name, file) {
  const image = element('img', { src, alt: `The answer, an image: ${name}` });
  // The data is not an image, or the Content-Security-Policy lacks `img-src blob:`.
  image.addEventListener('error', () => image.replaceWith(file()), { once: true });
  return image;
}

/** @param {HTMLElement} place @param {Blob} blob @param {string} type the type for the browser */
function object(place, blob, type) {
  release(place);
  const made = URL.createObjectURL(new Blob([blob], { type }));
  objects.set(place, made);
  return made;
}

/**
 * JSON with a line for each value, or unchanged if that is too long (8 kB of brackets become 32 MB).
 * @param {string} text
 */
function pretty(text) {
  try {
    const lines = JSON.stringify(JSON.parse(text), null, 2);
    return lines.length > MAX_SHOWN ? text : lines;
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
 * The file name for a download, never a path (RFC 6266 §4.3).
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
