/** Where a person logs in when a request needs it: in the page's own element, else in a dialog. */
import { element, styleSheet } from './elements.js';

/** @typedef {import('./pageSession.js').PageSession} PageSession */
/** @typedef {HTMLElement & { open: () => void }} LoginElement */

// Rules that any rule of the page outweighs.
const RULES = `
:where(dialog.certless-dialog) {
  max-width: calc(100vw - 2rem); padding: 0; border: 0; border-radius: .75rem; background: none;
}
:where(dialog.certless-dialog)::backdrop { background: rgb(0 0 0 / .5) }
`;

/** @param {PageSession} page */
export function openLogin(page) {
  const own = /** @type {LoginElement | null} */ (document.querySelector('certless-login'));
  if (own) own.open();
  else if (document.body) showDialog(page);
  else document.addEventListener('DOMContentLoaded', () => page.isAwaited && openLogin(page), { once: true });
}

let isStyled = false;

/** @param {PageSession} page */
function showDialog(page) {
  if (!isStyled) document.adoptedStyleSheets = [...document.adoptedStyleSheets, styleSheet(RULES)];
  isStyled = true;
  const login = /** @type {LoginElement} */ (document.createElement('certless-login'));
  const dialog = element('dialog', { class: 'certless-dialog', 'aria-label': 'Log in' }, login);
  const end = () => {
    if (!page.isAwaited && dialog.open) dialog.close();
  };
  page.addEventListener('state', end);
  dialog.addEventListener('close', () => {
    page.removeEventListener('state', end);
    dialog.remove();
    // Closed by a person: nobody logs in.
    if (page.isAwaited) page.giveUp();
  });
  document.body.append(dialog);
  dialog.showModal();
  login.open();
}
