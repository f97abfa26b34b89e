/** The first step of a login: the username or e-mail address. */
import { element, setText } from './dom.js';

/** @typedef {import('./pageSession.js').PageSession} PageSession */

export class AddressStep {
  #page;
  #error = element('p', { id: 'address-error', role: 'alert', part: 'error' });
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
  #send = element('button', { part: 'button' });
  #stop = element('button', { type: 'button', part: 'link', click: () => this.#page.login.reset() }, 'Stop');
  #cancel = element('button', { type: 'button', part: 'link', click: () => this.#page.cancelLogin() }, 'Cancel');
  form = element(
    'form',
    // With this method the form sends nothing if the script fails.
    { method: 'dialog', part: 'form', novalidate: true, submit: (event) => this.#submit(event) },
    element('label', { for: 'address' }, 'Name or e-mail address'),
    this.#address,
    this.#error,
    this.#send,
    element('div', { class: 'more' }, this.#stop, this.#cancel),
  );

  /** @param {PageSession} page */
  constructor(page) {
    this.#page = page;
  }

  /** @param {string | null} username the initial value if nobody was logged in before */
  prefill(username) {
    this.#address.value = username ?? '';
  }

  begin() {
    const { login, username } = this.#page;
    this.#address.value = login.username || username || this.#address.value;
  }

  focus() {
    this.#address.focus();
  }

  update() {
    const { isAwaited, login } = this.#page;
    const isBusy = login.busy === 'mail';
    this.form.setAttribute('aria-busy', `${isBusy}`);
    this.#address.readOnly = isBusy;
    this.#address.setAttribute('aria-invalid', `${!!login.error}`);
    setText(this.#error, login.error);
    // Not `disabled`, which would remove the focus.
    this.#send.setAttribute('aria-disabled', `${isBusy}`);
    setText(this.#send, isBusy ? 'Asking for a code…' : 'Send me a code');
    this.#stop.hidden = !isBusy;
    this.#cancel.hidden = !isAwaited;
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    event.preventDefault();
    const { login } = this.#page;
    if (login.busy) return;
    void login.request(this.#address.value.trim());
    this.focus();
  }
}
