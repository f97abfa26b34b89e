/** `<certless-login>`: address, then code, then who is logged in. It shows the page's one login. */
import { element, say, styleSheet } from './elements.js';
import { LOOK } from './look.js';
import { findCode } from './mailedCode.js';

/** @typedef {import('./pageSession.js').PageSession} PageSession */

const RULES = `
:host { display: block; max-width: 28rem; overflow-wrap: anywhere }
[part=box] {
  display: grid; gap: 1rem; padding: clamp(1rem, 5vw, 1.5rem); border: 1px solid var(--line);
  border-radius: calc(var(--radius) * 1.5); background: var(--background);
}
form { display: grid; gap: .5rem; margin: 0 }
label { font-weight: 600 }
input {
  width: 100%; min-height: 2.75rem; padding: .5rem .75rem; border: 1px solid var(--soft);
  border-radius: var(--radius); background: var(--background); color: inherit; font: inherit;
}
input[aria-invalid=true] { border-color: var(--alarm) }
#code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; text-transform: uppercase }
#name { position: absolute; width: 1px; min-height: 0; height: 1px; opacity: 0; pointer-events: none }
.hint { color: var(--soft); font-size: .875em }
[part=error] { color: var(--alarm) }
[part=error]:not(:empty)::before { content: "\\26a0\\fe0e\\2002"; content: "\\26a0\\fe0e\\2002" / "" }
button {
  min-height: 2.75rem; padding: 0 1.25rem; border: 1px solid var(--accent); border-radius: var(--radius);
  background: none; color: var(--accent); font: inherit; font-weight: 600; cursor: pointer;
}
button:hover { filter: brightness(1.1) }
[part=button] { background: var(--accent); color: var(--on-accent) }
[part=button], #code-form [part=button] { margin-top: .5rem }
.more { display: flex; flex-wrap: wrap; gap: 0 1.25rem }
.more button { min-height: 2.25rem; padding: 0; font-size: .9375em; font-weight: 400; border: 0; border-radius: 2px; text-decoration: underline; text-underline-offset: .2em }
button[aria-disabled=true] { opacity: .6; cursor: default; filter: none }
.more button[aria-disabled=true] { color: var(--soft); opacity: 1; text-decoration: none }
progress { width: 100%; accent-color: var(--accent) }
.who { display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: .75rem 1rem }
.told { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }
`;

/** What a person is typing into is not left without a word. */
const TYPED_INTO = 'input, textarea, select, [contenteditable]';

/** @param {number} ms */
const seconds = (ms) => `${Math.max(1, Math.round(ms / 1000))} s`;

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

    /** Shows a person that a login is needed: the field has the focus, unless that would disturb. */
    open() {
      this.#view.open();
    }
  };
}

class LoginView {
  #host;
  #page;
  #root;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #clock;
  #shown = '';
  #wasReady = false;
  #typedChars = 0;

  #notice = element('p', { part: 'notice' });
  #addressError = element('p', { id: 'address-error', role: 'alert', part: 'error' });
  #address = element('input', {
    id: 'address',
    name: 'username',
    part: 'input',
    autocomplete: 'username',
    inputmode: 'email',
    autocapitalize: 'none',
    spellcheck: 'false',
    maxlength: '254',
    required: true,
    'aria-describedby': 'address-error',
  });
  #send = element('button', { part: 'button' }, 'Send me a code');
  #addressMore = element('div', { class: 'more' });
  #addressForm = element(
    'form',
    { method: 'dialog', part: 'form', novalidate: true, submit: (event) => this.#submitAddress(event) },
    element('label', { for: 'address' }, 'Name or e-mail address'),
    this.#address,
    this.#addressError,
    this.#send,
    this.#addressMore,
  );

  #sent = element('p', { id: 'sent', class: 'hint' });
  // For password managers, which look for the name beside the password.
  #name = element('input', { id: 'name', autocomplete: 'username', tabindex: '-1', 'aria-hidden': 'true', readonly: true });
  #passwordLabel = element('label', { for: 'password' }, 'Password');
  #password = element('input', {
    id: 'password',
    type: 'password',
    part: 'input',
    autocomplete: 'current-password',
    'aria-describedby': 'code-error',
  });
  #codeError = element('p', { id: 'code-error', role: 'alert', part: 'error' });
  #code = element('input', {
    id: 'code',
    part: 'input',
    autocomplete: 'one-time-code',
    autocapitalize: 'characters',
    autocorrect: 'off',
    spellcheck: 'false',
    'aria-describedby': 'hint code-error',
    paste: (event) => this.#take(event, event.clipboardData),
    drop: (event) => this.#take(event, event.dataTransfer),
    input: () => this.#typed(),
  });
  #hint = element('p', { id: 'hint', class: 'hint' });
  #try = element('button', { part: 'button' }, 'Log in');
  #bar = element('progress', { 'aria-label': 'Keys are being made' });
  #barWords = element('p', { class: 'hint' });
  #keys = element('div', { part: 'progress' }, this.#bar, this.#barWords);
  #again = element('button', { type: 'button', part: 'link', click: () => this.#resend() });
  #another = element('button', { type: 'button', part: 'link', click: () => this.#page.login.reset() }, 'Use another address');
  #codeMore = element('div', { class: 'more' }, this.#again, this.#another);
  #codeForm = element(
    'form',
    { id: 'code-form', method: 'dialog', part: 'form', novalidate: true, submit: (event) => this.#submitCode(event) },
    this.#sent,
    this.#name,
    this.#passwordLabel,
    this.#password,
    element('label', { for: 'code' }, 'Code from the mail'),
    this.#code,
    this.#hint,
    this.#codeError,
    this.#keys,
    this.#try,
    this.#codeMore,
    element('p', { class: 'hint' }, 'No mail? Look among the spam, too. A service sends at most three in 15 minutes.'),
  );
  #stop = element('button', { type: 'button', part: 'link', click: () => this.#page.login.reset() }, 'Stop');
  #giveUp = element('button', { type: 'button', part: 'link', click: () => this.#page.giveUp() }, 'Cancel');

  #user = element('strong');
  #logout = element('button', { type: 'button', part: 'logout', click: () => void this.#page.logout() }, 'Log out');
  #done = element('div', { class: 'who', part: 'user' }, element('span', {}, 'Logged in as ', this.#user), this.#logout);

  /** Told to screen readers only, and seldom. */
  #told = element('p', { class: 'told', role: 'status' });

  /** @param {HTMLElement} host @param {PageSession} page */
  constructor(host, page) {
    this.#host = host;
    this.#page = page;
    this.#root = host.attachShadow({ mode: 'open' });
    this.#root.adoptedStyleSheets = [styleSheet(LOOK + RULES)];
    this.#addressMore.append(this.#stop);
    const box = { part: 'box', role: 'group', 'aria-label': 'Log in' };
    this.#root.append(
      element('div', box, this.#notice, this.#addressForm, this.#codeForm, this.#done, this.#told),
    );
  }

  attach() {
    this.#page.addEventListener('state', this.#update);
    this.#page.login.addEventListener('change', this.#update);
    this.#clock = setInterval(() => this.#countDown(), 1000);
    this.#wasReady = this.#page.state === 'ready';
    this.#address.value = this.#host.getAttribute('username') ?? '';
    this.#update();
  }

  detach() {
    this.#page.removeEventListener('state', this.#update);
    this.#page.login.removeEventListener('change', this.#update);
    clearInterval(this.#clock);
  }

  open() {
    const active = document.activeElement;
    // A form that is being sent has just asked for this; anybody else who types is left alone.
    const isTyping = active?.matches(TYPED_INTO) && !active.closest('[aria-busy=true]');
    const isMet = navigator.userActivation?.hasBeenActive ?? true;
    this.#update();
    if (isMet && !isTyping) this.#focus();
  }

  #update = () => {
    const { login, state, username } = this.#page;
    const isReady = state === 'ready';
    const shown = isReady ? 'done' : login.step;
    const hadFocus = this.#root.activeElement !== null;

    this.#addressForm.hidden = shown !== 'address';
    this.#codeForm.hidden = shown !== 'code';
    this.#done.hidden = shown !== 'done';
    this.#showNotice();
    this.#showAddress();
    this.#showCode();
    say(this.#user, username);

    if (shown !== this.#shown) {
      if (shown === 'address') this.#address.value = login.username || username || this.#address.value;
      this.#code.value = '';
      this.#password.value = '';
      this.#typedChars = 0;
      if (shown === 'done') say(this.#told, `Logged in as ${username}.`);
      else if (this.#shown) say(this.#told, '');
      this.#shown = shown;
      if (hadFocus) this.#focus();
    }
    if (isReady !== this.#wasReady) this.#announce(isReady);
  };

  /** One event for the page, from the first of its elements. @param {boolean} isReady */
  #announce(isReady) {
    this.#wasReady = isReady;
    if (document.querySelector('certless-login') !== this.#host) return;
    const { username } = this.#page;
    const name = isReady ? 'certless-login' : 'certless-logout';
    this.#host.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail: { username } }));
  }

  #showNotice() {
    const { isAwaited, state } = this.#page;
    const isLost = state === 'expired' || state === 'renewing';
    const words = isLost ? 'Your session has ended. Log in again.' : 'Log in, and what you sent will follow.';
    this.#notice.hidden = !isLost && !isAwaited;
    say(this.#notice, this.#notice.hidden ? '' : words);
    this.#giveUp.hidden = !isAwaited;
    const place = this.#codeForm.hidden ? this.#addressMore : this.#codeMore;
    if (this.#giveUp.parentNode !== place) place.append(this.#giveUp);
  }

  #showAddress() {
    const { busy, error } = this.#page.login;
    const isBusy = busy === 'mail';
    this.#addressForm.setAttribute('aria-busy', `${isBusy}`);
    this.#address.readOnly = isBusy;
    this.#address.setAttribute('aria-invalid', `${!!error}`);
    say(this.#addressError, error);
    this.#send.setAttribute('aria-disabled', `${isBusy}`);
    say(this.#send, isBusy ? 'Asking for a code…' : 'Send me a code');
    this.#stop.hidden = !isBusy;
  }

  #showCode() {
    const { busy, error, isSpent, keys, username } = this.#page.login;
    const isBusy = busy === 'code';
    const hasPassword = this.#host.hasAttribute('password');
    this.#codeForm.setAttribute('aria-busy', `${busy !== null}`);
    this.#passwordLabel.hidden = !hasPassword;
    this.#password.hidden = !hasPassword;
    this.#name.hidden = !hasPassword;
    this.#name.value = username;
    const isAsking = busy === 'mail';
    say(this.#sent, isAsking ? 'Asking for another code…' : `If ${username} may log in here, a mail with a code is on its way.`);
    say(this.#hint, 'Paste it, or the whole mail. A pasted code is tried at once.');
    say(this.#codeError, error);
    this.#code.setAttribute('aria-invalid', `${!!error}`);
    this.#password.setAttribute('aria-invalid', `${!!error}`);
    this.#code.readOnly = isBusy;
    this.#try.setAttribute('aria-disabled', `${busy !== null || isSpent}`);
    say(this.#try, isBusy ? 'Logging in…' : 'Log in');
    this.#showKeys(keys);
    this.#countDown();
  }

  /** @param {import('./pageLogin.js').KeysProgress | null} keys */
  #showKeys(keys) {
    this.#keys.hidden = !keys;
    if (!keys) return;
    const { elapsedMs, usualMs } = keys;
    if (elapsedMs < usualMs) {
      this.#bar.value = elapsedMs / usualMs;
      say(this.#barWords, `Keys are being made on this device. That usually takes ${seconds(usualMs)}.`);
    } else {
      this.#bar.removeAttribute('value');
      say(this.#barWords, `Keys are being made on this device. It takes longer than the usual ${seconds(usualMs)}.`);
    }
  }

  #countDown() {
    if (this.#codeForm.hidden) return;
    const { busy, isSpent, resendAtMs } = this.#page.login;
    const restMs = isSpent ? 0 : resendAtMs - Date.now();
    const wasWaiting = this.#again.textContent?.includes(' in ');
    this.#again.setAttribute('aria-disabled', `${restMs > 0 || busy !== null}`);
    say(this.#again, restMs > 0 ? `Send another code in ${Math.ceil(restMs / 1000)} s` : 'Send another code');
    if (wasWaiting && restMs <= 0) say(this.#told, 'Another code can be sent now.');
  }

  #focus() {
    if (!this.#done.hidden) this.#logout.focus();
    else if (this.#codeForm.hidden) this.#address.focus();
    else if (!this.#password.hidden && !this.#password.value) this.#password.focus();
    else this.#code.focus();
  }

  /** @param {SubmitEvent} event */
  #submitAddress(event) {
    event.preventDefault();
    const { login } = this.#page;
    if (login.busy) return;
    void login.request(this.#address.value.trim());
    this.#address.focus();
  }

  /** @param {SubmitEvent} event */
  #submitCode(event) {
    event.preventDefault();
    void this.#tryCode();
  }

  async #tryCode() {
    const { login } = this.#page;
    const hasPassword = !this.#password.hidden;
    if (login.busy || (hasPassword && !this.#password.value)) {
      if (!login.busy) this.#password.focus();
      return;
    }
    const code = findCode(this.#code.value) ?? this.#code.value.trim();
    await login.submit(code, hasPassword ? this.#password.value : undefined);
    // To be typed again, or pasted over.
    if (login.error && this.#root.activeElement) this.#code.select();
  }

  /**
   * A field of one line would run the lines of a mail together: what is pasted is read here.
   * @param {Event} event
   * @param {DataTransfer | null} data
   */
  #take(event, data) {
    const code = findCode(data?.getData('text') ?? '');
    if (!code || this.#code.readOnly) return;
    event.preventDefault();
    this.#code.value = code;
    this.#typedChars = code.length;
    void this.#tryCode();
  }

  /** What came in one piece from a keyboard's clipboard or from the browser is as good as pasted. */
  #typed() {
    const { length } = this.#code.value;
    const isPiece = length > this.#typedChars + 1;
    this.#typedChars = length;
    if (isPiece && findCode(this.#code.value)) void this.#tryCode();
  }

  #resend() {
    const { login } = this.#page;
    if (this.#again.getAttribute('aria-disabled') === 'true') return;
    this.#code.value = '';
    this.#code.focus();
    void login.request(login.username);
  }
}
