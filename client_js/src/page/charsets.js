/**
 * Text in the charset of a form. Browsers encode only UTF-8 for scripts, but the query of a link in the charset of its
 * document, with the same rules as a form.
 */
import { utf8 } from '../common/codec.js';
import { pageDocument, unclobbered } from './dom.js';

/** `charset` is the name that forms send. @typedef {{ charset: string, encode: (text: string) => Uint8Array<ArrayBuffer> }} Encoder */

const UTF8 = 'utf-8';
const MARKS = /** @type {[string, ...number[]][]} */ ([
  [UTF8, 0xef, 0xbb, 0xbf],
  ['utf-16be', 0xfe, 0xff],
  ['utf-16le', 0xff, 0xfe],
]);
const NO_CHARSET =
  'Nothing was sent: the accept-charset of this form needs "connect-src blob:" in the Content-Security-Policy of this page.';

/** The name of the charset with this label, or null. @param {string} label */
function charsetOf(label) {
  try {
    return new TextDecoder(label).encoding;
  } catch {
    return null;
  }
}

/**
 * The encoder for a form: of its own charset, or that of the page.
 * @param {string} accepted the form's accept-charset
 * @returns {Promise<Encoder>}
 * @throws {TypeError} the page's policy does not allow the charset
 */
export async function encoderFor(accepted) {
  const own = charsetOf(pageDocument.characterSet) ?? UTF8;
  const charset = accepted.split(/[\s,]+/).map(charsetOf).find(Boolean) ?? own;
  if (charset === UTF8 || charset.startsWith('utf-16')) return { charset: 'UTF-8', encode: utf8 };
  // Its bytes can be percent signs, so a query in it cannot be read back.
  if (charset === 'iso-2022-jp') throw new TypeError('Nothing was sent: forms in ISO-2022-JP cannot be sealed. Use UTF-8.');
  const { characterSet, createElement } = charset === own ? pageDocument : unclobbered(await documentIn(charset));
  const link = createElement('a');
  return { charset: characterSet, encode: (text) => encodedBy(link, text) };
}

/** @param {HTMLAnchorElement} link @param {string} text */
function encodedBy(link, text) {
  const escaped = text.replace(/[\0-\x20"#%'<>]/g, (sign) => `%${sign.charCodeAt(0).toString(16).padStart(2, '0')}`);
  link.href = `http://localhost/?${escaped}`;
  const bytes = [];
  const { search } = link;
  for (let at = 1; at < search.length; at += 1) {
    const isEscape = search[at] === '%';
    bytes.push(isEscape ? parseInt(search.slice(at + 1, at + 3), 16) : search.charCodeAt(at));
    if (isEscape) at += 2;
  }
  return new Uint8Array(bytes);
}

/** An empty document. @param {string} charset @returns {Promise<Document>} */
function documentIn(charset) {
  const url = URL.createObjectURL(new Blob(['<!doctype html>'], { type: `text/html;charset=${charset}` }));
  const request = new XMLHttpRequest();
  request.responseType = 'document';
  return new Promise((resolve, reject) => {
    request.onload = () => resolve(request.response);
    request.onerror = () => reject(new TypeError(NO_CHARSET));
    request.open('GET', url);
    request.send();
  }).finally(() => URL.revokeObjectURL(url));
}

/**
 * The text of an answer: by its byte order mark, its Content-Type, or its own declaration; else UTF-8, or windows-1252 if
 * it is not UTF-8.
 * @param {Uint8Array} bytes
 * @param {string} contentType
 */
export function decodeAnswer(bytes, contentType) {
  const start = String.fromCharCode(...bytes.subarray(0, 1024));
  const marked = MARKS.find(([, ...mark]) => mark.every((byte, at) => byte === bytes[at]))?.[0];
  const told = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(contentType)?.[1];
  const declared = /<meta\b[^>]*\bcharset\s*=\s*["']?\s*([^\s"'>;/]+)|^<\?xml[^>]*\bencoding\s*=\s*["']([^"']+)/i.exec(start);
  // Whatever declares itself in ASCII is not UTF-16.
  const own = (declared?.[1] ?? declared?.[2] ?? '').replace(/^utf-16.*/i, UTF8);
  const named = marked ?? charsetOf(told ?? '') ?? charsetOf(own);
  if (named) return new TextDecoder(named).decode(bytes);
  try {
    return new TextDecoder(UTF8, { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder('windows-1252').decode(bytes);
  }
}
