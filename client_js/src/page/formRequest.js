/** The request that a browser would send for a form, as arguments for fetch (HTML, form submission). */
import { utf8 } from '../common/codec.js';
import { encoderFor } from './charsets.js';
import { pageDocument, unclobbered } from './dom.js';

/** @typedef {import('./charsets.js').Encoder} Encoder */
/** @typedef {{ url: URL, init: RequestInit & { method: string } }} FormRequest */

const TARGET = /^(?:([A-Za-z]+)\s+)?(\S+)$/;
const BUTTON_ATTRIBUTES = ['formaction', 'formmethod', 'formenctype'];
const NUMERIC = ['number', 'range'];

/**
 * Reads `data-certless="[METHOD ]PATH"`; without a value, the attributes of the form and of the button.
 * @param {HTMLFormElement} form
 * @param {HTMLElement | null} submitter
 * @param {(address: string) => URL} resolve
 * @returns {Promise<FormRequest>} the fields are those of the time of the call
 * @throws {TypeError} the attribute or the URL is invalid
 */
export async function formRequest(form, submitter, resolve) {
  const whole = unclobbered(form);
  const given = whole.dataset.certless?.trim() ?? '';
  /** @param {string} name */
  const own = (name) => (given ? null : submitter?.getAttribute(`form${name}`)) ?? whole.getAttribute(name);
  const isElsewhere = submitter !== null && !whole.contains(submitter);
  if (isElsewhere && !given && BUTTON_ATTRIBUTES.some((name) => submitter.hasAttribute(name))) {
    throw new TypeError('Nothing was sent: only a button inside the form can change where or how the form is sent.');
  }
  const found = TARGET.exec(given);
  if (given && !found) throw new TypeError(`data-certless="${given}" is not "METHOD /path"`);
  const isDialog = own('method')?.toLowerCase() === 'dialog';
  const method = (found ? found[1] ?? 'POST' : isDialog ? 'POST' : own('method') ?? 'GET').toUpperCase();
  const url = resolve(found ? found[2] : own('action') || pageDocument.URL);
  url.hash = '';
  const data = new FormData(form, submitter);
  const enctype = own('enctype')?.toLowerCase();
  if (method !== 'GET' && method !== 'HEAD' && enctype === 'application/json') {
    return { url, init: { method, headers: { 'Content-Type': enctype }, body: JSON.stringify(members(whole, data)) } };
  }
  const encoder = await encoderFor(whole.getAttribute('accept-charset') ?? '');
  if (method !== 'GET' && method !== 'HEAD') return { url, init: { method, ...content(enctype, data, encoder) } };
  url.search = urlEncoded(data, encoder);
  return { url, init: { method } };
}

/**
 * The fields as texts; files become their names, because the encoding cannot contain files.
 * @param {FormData} data
 */
function texts(data) {
  return [...data].map(([name, value]) => /** @type {[string, string]} */ ([name, typeof value === 'string' ? value : value.name]));
}

/**
 * @param {string | undefined} enctype
 * @param {FormData} data
 * @param {Encoder} encoder
 * @returns {RequestInit}
 */
function content(enctype, data, encoder) {
  const isUtf8 = encoder.encode === utf8;
  if (enctype === 'multipart/form-data') return isUtf8 ? { body: data } : multipart(data, encoder);
  if (enctype === 'text/plain') {
    const text = texts(data).map(([name, value]) => `${name}=${value}\r\n`).join('');
    return { headers: { 'Content-Type': `text/plain;charset=${encoder.charset}` }, body: encoder.encode(text) };
  }
  const type = `application/x-www-form-urlencoded${isUtf8 ? ';charset=UTF-8' : ''}`;
  return { headers: { 'Content-Type': type }, body: urlEncoded(data, encoder) };
}

/** A value with the line ends of a form; the field `_charset_` has the name of the charset. @param {Encoder} encoder @param {string} name @param {string} value */
function fieldValue({ charset }, name, value) {
  return name === '_charset_' && value === 'UTF-8' ? charset : value.replace(/\r\n|\r|\n/g, '\r\n');
}

/** @param {FormData} data @param {Encoder} encoder */
function urlEncoded(data, encoder) {
  /** @param {string} text */
  const coded = (text) =>
    Array.from(encoder.encode(text), (byte) => {
      const sign = String.fromCharCode(byte);
      if (/[\w*.-]/.test(sign)) return sign;
      return byte === 0x20 ? '+' : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    }).join('');
  return texts(data)
    .map(([name, value]) => `${coded(fieldValue(encoder, '', name))}=${coded(fieldValue(encoder, name, value))}`)
    .join('&');
}

/** @param {FormData} data @param {Encoder} encoder @returns {RequestInit} */
function multipart(data, encoder) {
  const boundary = `certless-${Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16)).join('')}`;
  /** @param {string} text */
  const quoted = (text) =>
    text.replace(/[\r\n"]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
  const parts = [...data].flatMap(([name, value]) => {
    const isText = typeof value === 'string';
    const more = isText ? '' : `; filename="${quoted(value.name)}"\r\nContent-Type: ${value.type || 'application/octet-stream'}`;
    const start = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(fieldValue(encoder, '', name))}"${more}\r\n\r\n`;
    return [encoder.encode(start), isText ? encoder.encode(fieldValue(encoder, name, value)) : value, '\r\n'];
  });
  return {
    headers: { 'Content-Type': `multipart/form-data; boundary=${boundary}` },
    body: new Blob([...parts, `--${boundary}--\r\n`]),
  };
}

/**
 * A repeated name becomes an array; an empty number field becomes null.
 * @param {HTMLFormElement} form
 * @param {FormData} data
 */
function members(form, data) {
  const fields = [...form.elements].filter((field) => field instanceof HTMLInputElement);
  const numbers = new Set(fields.filter((field) => NUMERIC.includes(field.type)).map((field) => field.name));
  /** @type {Map<string, unknown[]>} */
  const values = new Map();
  for (const [name, value] of texts(data)) {
    const meant = numbers.has(name) ? (value === '' ? null : Number(value)) : value;
    values.set(name, [...(values.get(name) ?? []), meant]);
  }
  // fromEntries creates own members for every name, including __proto__.
  return Object.fromEntries([...values].map(([name, all]) => [name, all.length > 1 ? all : all[0]]));
}
