/** Shows the page of the address bar, sealed, on the gateway's page for a login. */
import { CertlessError } from '../common/errors.js';
import { showAnswer, showLinkToOtherHost, showMessage } from './answerView.js';
import { isUntrusted, pageDocument } from './dom.js';
import { follow } from './redirects.js';

/** @typedef {import('./pageSession.js').PageSession} PageSession */

const PLACE = '[data-certless-page]';
const HEADERS = { Accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };
const BROKEN = 'An error occurred in this page. Reload it.';

/**
 * Fills the element with `data-certless-page`, if there is one, whenever somebody has logged in.
 * @param {PageSession} page
 */
export function showSealedPage(page) {
  const begin = () => {
    const found = [...pageDocument.querySelectorAll(PLACE)].find((one) => !isUntrusted(one));
    if (!(found instanceof HTMLElement)) return;
    let isShown = false;
    const update = () => {
      if (page.state === 'none') found.replaceChildren();
      if (page.state === 'ready' && !isShown) void show(page, found, new URL(pageDocument.URL));
      isShown = page.state !== 'none';
    };
    found.setAttribute('data-certless-shown', '');
    found.setAttribute('aria-live', 'polite');
    page.addEventListener('state', update);
    update();
  };
  if (pageDocument.readyState === 'loading') pageDocument.addEventListener('DOMContentLoaded', begin, { once: true });
  else begin();
}

/**
 * @param {PageSession} page
 * @param {HTMLElement} place
 * @param {URL} url
 */
async function show(page, place, url) {
  showMessage(place, 'Loading…');
  try {
    const followed = await follow(page.fetch, { url, init: { method: 'GET', headers: HEADERS } });
    await showAnswer(place, followed, (next) => {
      if (next.origin !== url.origin) showLinkToOtherHost(place, next);
      else void show(page, place, next);
    });
  } catch (error) {
    const isKnown = error instanceof CertlessError || error instanceof TypeError;
    showMessage(place, isKnown ? error.message : BROKEN, true);
    if (!isKnown) reportError(error);
  }
}
