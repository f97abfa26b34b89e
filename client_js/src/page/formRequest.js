/** The request that a browser would send for a form, as arguments for fetch (HTML, form submission). */
import { pageDocument, unclobbered } from './dom.js';

/** @typedef {{ url: URL, init: RequestInit & { method: string } }} FormRequest */

const TARGET = /^(?:([A-Za-z]+)\s+)?(\S+)$/;
const BUTTON_ATTRIBUTES = ['formaction', 'formmethod', 'formenctype'];
const NUMERIC = ['number', 'range'];

/**
 * Reads `data-certless="[METHOD ]PATH"`; without a value, the attributes of the form and of the button.
 * @param {HTMLFormElement} form
 * @param {HTMLElement | null} submitter
 * @param {(address: string) => URL} resolve
 * @returns {FormRequest}
 * @throws {TypeError} the attribute or the URL is invalid
 */
export function formRequest(form, submitter, resolve) {
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
  if (method !== 'GET' && method !== 'HEAD') {
    return { url, init: { method, ...content(own('enctype'), whole, data) } };
  }
  url.search = `${new URLSearchParams(texts(data))}`;
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
 * @param {string | null} enctype
 * @param {HTMLFormElement} form
 * @param {FormData} data
 * @returns {RequestInit}
 */
function content(enctype, form, data) {
  switch (enctype?.toLowerCase()) {
    case 'multipart/form-data':
      return { body: data };
    case 'text/plain':
      return {
        headers: { 'Content-Type': 'text/plain;charset=UTF-8' },
        body: texts(data).map(([name, value]) => `${name}=${value}\r\n`).join(''),
      };
    case 'application/json':
      return { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(members(form, data)) };
    default:
      return { body: new URLSearchParams(texts(data)) };
  }
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
