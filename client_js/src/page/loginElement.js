/** `<certless-login>`: address, then code, then who is logged in. It shows the page's one login. */
import { AddressStep } from './addressStep.js';
import { CodeStep } from './codeStep.js';
import { element, ownLogin, pageDocument, say, styleSheet } from './elements.js';
import { LOGIN_LOOK, LOOK } from './look.js';

/** @typedef {import('./pageSession.js').PageSession} PageSession */

// The focus is not taken away from a person who types in one of these.
const TYPED_INTO = 'input, textarea, select, [contenteditable]';

/**
 * The class of the element, of one page.
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

    /** Shows that a login is needed: the field has the focus, unless that would disturb. */
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
  #who = element('span', { tabindex: '-1' }, 'Logged in as ', this.#user);
  #done = element('div', { class: 'who', part: 'user' }, this.#who, this.#logout);
  /** Told to screen readers only, and seldom. */
  #told = element('p', { class: 'told', role: 'status' });

  /** @param {HTMLElement} host @param {PageSession} page */
  constructor(host, page) {
    this.#host = host;
    this.#page = page;
    this.#address = new AddressStep(page);
    this.#code = new CodeStep(page, (words) => say(this.#told, words));
    this.#root = host.attachShadow({ mode: 'open' });
    this.#root.adoptedStyleSheets = [styleSheet(LOOK + LOGIN_LOOK)];
    const parts = [this.#notice, this.#address.form, this.#code.form, this.#done, this.#told];
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
    // A form that is being sent has just asked for this.
    const isTyping = active?.matches(TYPED_INTO) && !active.closest('[aria-busy=true]');
    const isMet = navigator.userActivation?.hasBeenActive ?? true;
    this.#update();
    if (isMet && !isTyping) this.#focus();
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
    say(this.#user, username);
    if (shown !== this.#shown) {
      const isFirst = this.#shown === null;
      this.#shown = shown;
      if (shown === 'address') this.#address.begin();
      this.#code.begin();
      say(this.#told, shown === 'done' && !isFirst ? `Logged in as ${username}.` : '');
      if (hadFocus) this.#focus();
    }
    this.#announce(state === 'ready');
  };

  #focus() {
    // Not the button: to press Enter once too often must not log a person out.
    if (this.#shown === 'done') this.#who.focus();
    else if (this.#shown === 'code') this.#code.focus();
    else this.#address.focus();
  }

  #showNotice() {
    const { isAwaited, state } = this.#page;
    const isLost = state === 'expired' || state === 'renewing';
    const words = isLost ? 'Your session has ended. Log in again.' : 'Log in, and the page goes on.';
    this.#notice.hidden = !isLost && !isAwaited;
    say(this.#notice, this.#notice.hidden ? '' : words);
  }

  /**
   * One event for the page, from the first of its elements.
   * @param {boolean} isReady
   */
  #announce(isReady) {
    if (isReady === this.#wasReady) return;
    this.#wasReady = isReady;
    if (ownLogin() !== this.#host) return;
    const { username } = this.#page;
    const name = isReady ? 'certless-login' : 'certless-logout';
    this.#host.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail: { username } }));
  }
}
