/** Where a person logs in when a request needs it: in the page's own element, else in a dialog. */
import { element, ownLogin, pageDocument } from './elements.js';

/** @typedef {import('./pageSession.js').PageSession} PageSession */
/** @typedef {HTMLElement & { open: () => void }} LoginElement */

/** @param {PageSession} page */
export function openLogin(page) {
  const own = /** @type {LoginElement | null} */ (ownLogin());
  if (own) own.open();
  else if (pageDocument.body) showDialog(page);
  else pageDocument.addEventListener('DOMContentLoaded', () => page.isAwaited && openLogin(page), { once: true });
}

/** @param {PageSession} page */
function showDialog(page) {
  const login = /** @type {LoginElement} */ (pageDocument.createElement('certless-login'));
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
  pageDocument.body.append(dialog);
  dialog.showModal();
  login.open();
}
