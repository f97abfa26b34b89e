/** Where a person logs in when a request needs it: in the page's own element, else in a dialog. */
import { element } from './elements.js';

/** @typedef {import('./pageSession.js').PageSession} PageSession */
/** @typedef {HTMLElement & { open: () => void }} LoginElement */

/** @param {PageSession} page */
export function openLogin(page) {
  const own = /** @type {LoginElement | null} */ (document.querySelector('certless-login'));
  if (own) own.open();
  else if (document.body) showDialog(page);
  else document.addEventListener('DOMContentLoaded', () => page.isAwaited && openLogin(page), { once: true });
}

/** @param {PageSession} page */
function showDialog(page) {
  const login = /** @type {LoginElement} */ (document.createElement('certless-login'));
  const dialog = element('dialog', { class: 'certless-dialog', 'aria-label': 'Log in' }, login);
  const open = new AbortController();
  const { signal } = open;
  const end = () => {
    if (page.isAwaited) return;
    open.abort();
    dialog.close();
    dialog.remove();
  };
  page.login.addEventListener('change', end, { signal });
  // Closed by a person: nobody logs in, which ends it.
  dialog.addEventListener('close', () => page.giveUp(), { signal });
  document.body.append(dialog);
  dialog.showModal();
  login.open();
}
