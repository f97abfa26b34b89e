/** Shows what a form was answered. Nothing of an answer runs: what it holds is text, or in a sandbox. */
import { answerFrame } from './answerFrame.js';
import { element } from './elements.js';

/** @typedef {import('./redirects.js').Followed} Followed */

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json$/;
const MARKUP = ['text/html', 'image/svg+xml'];
// Pictures that hold no script, even where somebody opens one in a tab of its own.
const PICTURE = /^image\/(?:png|jpeg|gif|webp|avif|bmp|x-icon|vnd\.microsoft\.icon)$/;
// More than this, as it came or set out, would hold up the page.
const MAX_SHOWN = 1024 * 1024;

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
  // A blob: address is of this page's origin: what is opened there instead of saved must not be a page.
  const file = () => download(object(place, blob, 'application/octet-stream'), blob.size, fileName(disposition, url));
  if (/^\s*attachment\b/i.test(disposition)) return file();
  if (PICTURE.test(type)) return picture(object(place, blob, type), fileName(disposition, url), file);
  const isText = JSON_TYPE.test(type) || MARKUP.includes(type) || type.startsWith('text/');
  if (!isText || blob.size > MAX_SHOWN) return file();
  const text = await blob.text();
  if (MARKUP.includes(type)) return answerFrame(text, url, open);
  return element('pre', {}, JSON_TYPE.test(type) ? pretty(text) : text);
}

/** @param {string} src @param {string} name @param {() => HTMLElement} file what to show where it is none */
function picture(src, name, file) {
  const image = element('img', { src, alt: `The answer, an image: ${name}` });
  // What is no image, and what a Content-Security-Policy without `img-src blob:` does not show.
  image.addEventListener('error', () => image.replaceWith(file()), { once: true });
  return image;
}

/** @param {HTMLElement} place @param {Blob} blob @param {string} type what a browser is to take it for */
function object(place, blob, type) {
  release(place);
  const made = URL.createObjectURL(new Blob([blob], { type }));
  objects.set(place, made);
  return made;
}

/**
 * JSON with a line for each value; as it came where that would be too long, for 8 kB of brackets are 32 MB so.
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
