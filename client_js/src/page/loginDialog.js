/** Shows the login when a request needs it: in the page's own element, or in a dialog. */
import { element, firstLoginElement, pageDocument } from './dom.js';

/** @typedef {import('./pageSession.js').PageSession} PageSession */
/** @typedef {HTMLElement & { open: () => void }} LoginElement */

/** @param {PageSession} page */
export function openLogin(page) {
  const own = /** @type {LoginElement | null} */ (firstLoginElement());
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
  // The user closed the dialog, which cancels the login.
  dialog.addEventListener('close', () => page.cancelLogin(), { signal });
  pageDocument.body.append(dialog);
  dialog.showModal();
  login.open();
}
