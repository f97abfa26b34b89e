/** `<certless-login>`: the address, then the code, then the logged-in user. All elements show the same login. */
import { AddressStep } from './addressStep.js';
import { CodeStep } from './codeStep.js';
import { element, firstLoginElement, pageDocument, setText, styleSheet } from './dom.js';
import { LOGIN_STYLES, BASE_STYLES } from './styles.js';

/** @typedef {import('./pageSession.js').PageSession} PageSession */

// The focus stays if the user is typing in one of these.
const TYPED_INTO = 'input, textarea, select, [contenteditable]';

/**
 * The class of the element for a page.
 * @param {PageSession} page
 * @returns {CustomElementConstructor}
 */
export function loginElement(page) {
  return class extends HTMLElement {
    #view = new LoginView(this, page);

    connectedCallback() {
      this.#view.attach();
    }

    disconnectedCallback() {
      this.#view.detach();
    }

    /** Asks for a login: moves the focus to the field, unless the user is typing elsewhere. */
    open() {
      this.#view.open();
    }
  };
}

class LoginView {
  #host;
  #page;
  #root;
  #address;
  #code;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;
  /** @type {'address' | 'code' | 'done' | null} */
  #shown = null;
  #wasReady = false;

  #notice = element('p', { part: 'notice' });
  #user = element('strong');
  #logout = element('button', { type: 'button', part: 'logout', click: () => void this.#page.logout() }, 'Log out');
  #loggedIn = element('span', { tabindex: '-1' }, 'Logged in as ', this.#user);
  #done = element('div', { class: 'who', part: 'user' }, this.#loggedIn, this.#logout);
  /** For screen readers only. */
  #announcement = element('p', { class: 'announced', role: 'status' });

  /** @param {HTMLElement} host @param {PageSession} page */
  constructor(host, page) {
    this.#host = host;
    this.#page = page;
    this.#address = new AddressStep(page);
    this.#code = new CodeStep(page, (words) => setText(this.#announcement, words));
    this.#root = host.attachShadow({ mode: 'open' });
    this.#root.adoptedStyleSheets = [styleSheet(BASE_STYLES + LOGIN_STYLES)];
    const parts = [this.#notice, this.#address.form, this.#code.form, this.#done, this.#announcement];
    this.#root.append(element('div', { part: 'box', role: 'group', 'aria-label': 'Log in' }, ...parts));
  }

  attach() {
    this.#page.addEventListener('state', this.#update);
    this.#page.login.addEventListener('change', this.#update);
    this.#clock = setInterval(() => this.#code.countDown(), 1000);
    this.#wasReady = this.#page.state === 'ready';
    this.#shown = null;
    this.#address.prefill(this.#host.getAttribute('username'));
    this.#update();
  }

  detach() {
    this.#page.removeEventListener('state', this.#update);
    this.#page.login.removeEventListener('change', this.#update);
    clearInterval(this.#clock);
  }

  open() {
    const active = pageDocument.activeElement;
    // A form that is being sent has just caused this.
    const isTyping = active?.matches(TYPED_INTO) && !active.closest('[aria-busy=true]');
    const hasInteracted = navigator.userActivation?.hasBeenActive ?? true;
    this.#update();
    if (hasInteracted && !isTyping) this.#focus();
  }

  #update = () => {
    const { login, state, username } = this.#page;
    const shown = state === 'ready' ? 'done' : login.step;
    const hadFocus = this.#root.activeElement !== null;
    this.#address.form.hidden = shown !== 'address';
    this.#code.form.hidden = shown !== 'code';
    this.#done.hidden = shown !== 'done';
    this.#showNotice();
    this.#address.update();
    this.#code.update(this.#host.hasAttribute('password'));
    setText(this.#user, username);
    if (shown !== this.#shown) {
      const isFirst = this.#shown === null;
      this.#shown = shown;
      if (shown === 'address') this.#address.begin();
      this.#code.begin();
      setText(this.#announcement, shown === 'done' && !isFirst ? `Logged in as ${username}.` : '');
      if (hadFocus) this.#focus();
    }
    this.#announce(state === 'ready');
  };

  #focus() {
    // Not the button: an extra press of Enter must not log the user out.
    if (this.#shown === 'done') this.#loggedIn.focus();
    else if (this.#shown === 'code') this.#code.focus();
    else this.#address.focus();
  }

  #showNotice() {
    const { isAwaited, state } = this.#page;
    const isLost = state === 'expired' || state === 'renewing';
    const words = isLost ? 'Your session has ended. Log in again.' : 'Log in to continue.';
    this.#notice.hidden = !isLost && !isAwaited;
    setText(this.#notice, this.#notice.hidden ? '' : words);
  }

  /**
   * Dispatches one event for the page, at its first login element.
   * @param {boolean} isReady
   */
  #announce(isReady) {
    if (isReady === this.#wasReady) return;
    this.#wasReady = isReady;
    if (firstLoginElement() !== this.#host) return;
    const { username } = this.#page;
    const name = isReady ? 'certless-login' : 'certless-logout';
    this.#host.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail: { username } }));
  }
}
