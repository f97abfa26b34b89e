/** Sends forms that have `data-certless` through the session, and shows the answers. */
import { CertlessError } from '../common/errors.js';
import { showAnswer, showLinkToOtherHost, showMessage } from './answerView.js';
import { element, isUntrusted, matches, pageDocument, unclobbered } from './dom.js';
import { formRequest } from './formRequest.js';
import { follow } from './redirects.js';

/** @typedef {import('./formRequest.js').FormRequest} FormRequest */
/** @typedef {import('./pageSession.js').PageSession} PageSession */
/** @typedef {HTMLButtonElement | HTMLInputElement} Submitter */

const UNTRUSTED =
  'Nothing was sent: the form, or one of its fields or buttons, is inside an element with data-certless-untrusted.';
const BROKEN = 'An error occurred in this page. Reload it, and check whether this was done before you send it again.';

/**
 * Installs a listener before all others, and replaces the method that sends without an event. So a marked
 * form is never sent unsealed.
 * @param {PageSession} page
 */
export function sendForms(page) {
  /** @param {HTMLFormElement} form @param {Submitter | null} submitter */
  const sendOnce = (form, submitter) => {
    if (unclobbered(form).getAttribute('aria-busy') !== 'true') void send(page, form, submitter);
  };
  pageDocument.addEventListener(
    'submit',
    (event) => {
      const form = event.target;
      if (!(form instanceof HTMLFormElement) || !isMarked(form)) return;
      event.preventDefault();
      sendOnce(form, /** @type {Submitter | null} */ (event.submitter));
    },
    { capture: true },
  );
  const { submit } = HTMLFormElement.prototype;
  HTMLFormElement.prototype.submit = function () {
    if (isMarked(this)) sendOnce(this, null);
    else submit.call(this);
  };
}

/** @param {HTMLFormElement} form */
const isMarked = (form) => unclobbered(form).hasAttribute('data-certless');

/**
 * @param {PageSession} page
 * @param {HTMLFormElement} form
 * @param {Submitter | null} submitter
 */
async function send(page, form, submitter) {
  const whole = unclobbered(form);
  const place = placeOf(form);
  // Read before the button is disabled, because a disabled button is not a field.
  const request = () => {
    if (!place.isNamed) throw new TypeError(notMarked(form));
    if ([form, submitter, ...whole.elements].some((one) => one && isUntrusted(one))) throw new TypeError(UNTRUSTED);
    return formRequest(form, submitter, (address) => page.url(address));
  };
  const exchanged = exchange(page, form, place.element, request);
  const hadFocus = pageDocument.activeElement === submitter;
  whole.setAttribute('aria-busy', 'true');
  if (submitter) submitter.disabled = true;
  await exchanged;
  whole.removeAttribute('aria-busy');
  if (submitter) submitter.disabled = false;
  // A disabled button loses the focus.
  if (hadFocus && pageDocument.activeElement === pageDocument.body) submitter?.focus();
}

/**
 * @param {PageSession} page
 * @param {HTMLFormElement} form
 * @param {HTMLElement} place
 * @param {() => FormRequest | Promise<FormRequest>} ask
 */
async function exchange(page, form, place, ask) {
  const tell = () => showMessage(place, page.state === 'ready' ? 'Sending…' : 'Waiting for the login.');
  page.addEventListener('state', tell);
  try {
    tell();
    const request = await ask();
    const followed = await follow(page.fetch, request);
    page.removeEventListener('state', tell);
    const asked = { bubbles: true, cancelable: true, detail: { response: followed.response, form } };
    const isOurs = unclobbered(form).dispatchEvent(new CustomEvent('certless-answer', asked));
    if (!isOurs) return place.replaceChildren();
    /** @param {URL} url */
    const open = (url) => {
      if (url.origin !== request.url.origin) showLinkToOtherHost(place, url);
      else void exchange(page, form, place, () => ({ url, init: { method: 'GET' } }));
    };
    await showAnswer(place, followed, open);
  } catch (error) {
    const isKnown = error instanceof CertlessError || error instanceof TypeError;
    showMessage(place, isKnown ? error.message : BROKEN, true);
    if (!isKnown) reportError(error);
  } finally {
    page.removeEventListener('state', tell);
  }
}

/** @param {HTMLFormElement} form */
const notMarked = (form) =>
  `Nothing was sent: data-certless-answer="${unclobbered(form).dataset.certlessAnswer}" names no element with the attribute data-certless-place.`;

/**
 * Where a form's answers are shown: the place that it names, its own output, or a new output after it.
 * `isNamed` is false if it names an element that is not a place.
 * @param {HTMLFormElement} form
 */
function placeOf(form) {
  const { after, dataset, nextElementSibling: next, querySelector } = unclobbered(form);
  const named = dataset.certlessAnswer ? namedPlace(dataset.certlessAnswer) : null;
  const isMade = next instanceof HTMLOutputElement && next.hasAttribute('data-certless-shown');
  const found = named ?? querySelector('output') ?? (isMade ? next : null);
  const place = found instanceof HTMLElement ? found : element('output');
  if (place !== found) after(place);
  place.setAttribute('data-certless-shown', '');
  // So that screen readers announce the answer. An output is a live region already.
  if (!place.matches('output')) place.setAttribute('aria-live', 'polite');
  return { element: place, isNamed: !dataset.certlessAnswer || named !== null };
}

/**
 * Injected markup can contain a form. It must not choose the element that its answer replaces, so the page
 * marks the places.
 * @param {string} selector
 */
function namedPlace(selector) {
  try {
    const found = [...pageDocument.querySelectorAll(selector)];
    return found.find((one) => matches(one, '[data-certless-place]:not(form)') && !isUntrusted(one)) ?? null;
  } catch {
    return null; // not a valid selector
  }
}
