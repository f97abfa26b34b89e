/** Forms marked `data-certless`: sent through the session, and what they were answered is shown. */
import { CertlessError } from '../errors.js';
import { showAnswer, showElsewhere, showWords } from './answer.js';
import { element } from './elements.js';
import { formRequest } from './formRequest.js';
import { follow } from './redirects.js';

/** @typedef {import('./formRequest.js').FormRequest} FormRequest */
/** @typedef {import('./pageSession.js').PageSession} PageSession */
/** @typedef {HTMLButtonElement | HTMLInputElement} Submitter */

/**
 * One listener, ahead of all others: once a form is marked, nothing of it goes out in plain.
 * @param {PageSession} page
 */
export function sendForms(page) {
  document.addEventListener(
    'submit',
    (event) => {
      const form = event.target;
      if (!(form instanceof HTMLFormElement) || !form.hasAttribute('data-certless')) return;
      event.preventDefault();
      if (form.getAttribute('aria-busy') !== 'true') void send(page, form, /** @type {Submitter | null} */ (event.submitter));
    },
    { capture: true },
  );
}

/**
 * @param {PageSession} page
 * @param {HTMLFormElement} form
 * @param {Submitter | null} submitter
 */
async function send(page, form, submitter) {
  // Read before a disabled button is no more among the fields.
  const request = () => formRequest(form, submitter, (address) => page.url(address));
  const exchanged = exchange(page, form, placeOf(form), request);
  const hadFocus = document.activeElement === submitter;
  form.setAttribute('aria-busy', 'true');
  if (submitter) submitter.disabled = true;
  await exchanged;
  form.removeAttribute('aria-busy');
  if (submitter) submitter.disabled = false;
  // A button that was disabled has lost the focus to nobody.
  if (hadFocus && document.activeElement === document.body) submitter?.focus();
}

/**
 * @param {PageSession} page
 * @param {HTMLFormElement} form
 * @param {HTMLElement} place
 * @param {() => FormRequest} ask
 */
async function exchange(page, form, place, ask) {
  const tell = () => showWords(place, page.state === 'ready' ? 'Sending…' : 'This is sent after the login.');
  page.addEventListener('state', tell);
  try {
    const request = ask();
    tell();
    const followed = await follow(page.fetch, request);
    page.removeEventListener('state', tell);
    const asked = { bubbles: true, cancelable: true, detail: { response: followed.response, form } };
    const isOurs = form.dispatchEvent(new CustomEvent('certless-answer', asked));
    if (!isOurs) return place.replaceChildren();
    /** @param {URL} url */
    const open = (url) => {
      if (url.origin !== request.url.origin) showElsewhere(place, url);
      else void exchange(page, form, place, () => ({ url, init: { method: 'GET' } }));
    };
    await showAnswer(place, followed, open);
  } catch (error) {
    if (!(error instanceof CertlessError || error instanceof TypeError)) throw error;
    showWords(place, error.message, true);
  } finally {
    page.removeEventListener('state', tell);
  }
}

/**
 * Where a form's answers go: the element it names, its own output, or one made behind it.
 * @param {HTMLFormElement} form
 * @returns {HTMLElement}
 */
function placeOf(form) {
  const { certlessAnswer } = form.dataset;
  const named = certlessAnswer ? document.querySelector(certlessAnswer) : null;
  const next = form.nextElementSibling;
  const found = named ?? form.querySelector('output') ?? (next?.matches('output[data-certless-shown]') ? next : null);
  const place = found instanceof HTMLElement ? found : element('output');
  if (place !== found) form.after(place);
  place.setAttribute('data-certless-shown', '');
  // Said once it is there; an output says so by itself.
  if (!place.matches('output')) place.setAttribute('aria-live', 'polite');
  return place;
}
