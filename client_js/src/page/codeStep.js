/** The second step of a login: the code from the mail, and a password if the service requires one. */
import { readClassicCode, readCode } from '../protocol/typedCodes.js';
import { MAIL_LIMIT } from '../session/enrolment.js';
import { element, setText } from './dom.js';

/** @typedef {import('./pageLogin.js').KeysProgress} KeysProgress */
/** @typedef {import('./pageSession.js').PageSession} PageSession */

const HINT = 'Paste the code or the whole mail. A pasted code is tried at once.';
const NO_MAIL = `No mail? Check your spam folder. ${MAIL_LIMIT}`;

export class CodeStep {
  #page;
  #announce;
  #isCountingDown = false;

  #sent = element('p', { id: 'sent', class: 'hint' });
  // For password managers, which need a username next to the password.
  #name = element('input', { id: 'name', autocomplete: 'username', tabindex: '-1', 'aria-hidden': 'true', readonly: true });
  #passwordLabel = element('label', { for: 'password' }, 'Password');
  #password = element('input', {
    id: 'password',
    type: 'password',
    part: 'input',
    autocomplete: 'current-password',
    'aria-describedby': 'code-error',
  });
  #code = element('input', {
    id: 'code',
    part: 'input',
    autocomplete: 'one-time-code',
    autocapitalize: 'characters',
    autocorrect: 'off',
    spellcheck: 'false',
    'aria-describedby': 'sent hint code-error',
    paste: (event) => this.#pasted(event, event.clipboardData),
    drop: (event) => this.#pasted(event, event.dataTransfer),
    input: (event) => this.#typed(event),
  });
  #error = element('p', { id: 'code-error', role: 'alert', part: 'error' });
  #noMail = element('p', { class: 'hint' }, NO_MAIL);
  #progress = element('progress', { 'aria-label': 'Creating keys' });
  #progressText = element('p', { class: 'hint' });
  #keys = element('div', { part: 'progress' }, this.#progress, this.#progressText);
  #loginButton = element('button', { part: 'button' });
  #resendButton = element('button', { type: 'button', part: 'link', click: () => this.#resend() });
  #otherAddress = element('button', { type: 'button', part: 'link', click: () => this.#page.login.reset() }, 'Use another address');
  #cancel = element('button', { type: 'button', part: 'link', click: () => this.#page.cancelLogin() }, 'Cancel');
  form = element(
    'form',
    { method: 'dialog', part: 'form', novalidate: true, submit: (event) => this.#submit(event) },
    this.#sent,
    this.#name,
    this.#passwordLabel,
    this.#password,
    element('label', { for: 'code' }, 'Code from the mail'),
    this.#code,
    element('p', { id: 'hint', class: 'hint' }, HINT),
    this.#error,
    this.#loginButton,
    element('div', { class: 'more' }, this.#resendButton, this.#otherAddress, this.#cancel),
    this.#noMail,
    // The last, because it goes while the user may be about to press a button.
    this.#keys,
  );

  /** @param {PageSession} page @param {(words: string) => void} announce for screen readers */
  constructor(page, announce) {
    this.#page = page;
    this.#announce = announce;
  }

  begin() {
    this.#code.value = '';
    this.#password.value = '';
  }

  focus() {
    if (this.#asksPassword && !this.#password.value) this.#password.focus();
    else this.#code.focus();
  }

  /** Reads a code of the page's suite from `text`. @param {string} text */
  #found(text) {
    return this.#page.isClassic ? readClassicCode(text) : readCode(text);
  }

  get #asksPassword() {
    return !this.#password.hidden;
  }

  /** @param {boolean} hasPassword whether the service requires one */
  update(hasPassword) {
    const { isAwaited, login } = this.#page;
    const { busy, error, isSpent, keys, username } = login;
    this.form.setAttribute('aria-busy', `${busy !== null}`);
    for (const part of [this.#passwordLabel, this.#password, this.#name]) part.hidden = !hasPassword;
    this.#name.value = username;
    const sent = `If “${username}” may log in here, a mail with a code is on its way.`;
    setText(this.#sent, busy === 'mail' ? 'Asking for another code…' : sent);
    setText(this.#error, error);
    this.#noMail.hidden = error.includes(MAIL_LIMIT);
    for (const field of [this.#code, this.#password]) field.setAttribute('aria-invalid', `${!!error}`);
    this.#code.readOnly = busy === 'code' || isSpent;
    this.#loginButton.setAttribute('aria-disabled', `${busy !== null || isSpent}`);
    setText(this.#loginButton, busy === 'code' ? 'Logging in…' : 'Log in');
    this.#cancel.hidden = !isAwaited;
    this.#showKeys(keys);
    this.countDown();
  }

  /** @param {KeysProgress | null} keys */
  #showKeys(keys) {
    this.#keys.hidden = !keys;
    if (!keys) return;
    const { elapsedMs, usualMs } = keys;
    const usual = `${Math.max(1, Math.round(usualMs / 1000))} s`;
    const isUsual = elapsedMs < usualMs;
    if (isUsual) this.#progress.value = elapsedMs / usualMs;
    else this.#progress.removeAttribute('value');
    const words = isUsual ? `This usually takes ${usual}.` : `This takes longer than the usual ${usual}.`;
    setText(this.#progressText, `Creating keys on this device. ${words}`);
  }

  /** Called once a second: the time until the user can ask for another mail. Only its end is announced. */
  countDown() {
    const { busy, isSpent, resendAtMs, step } = this.#page.login;
    const restMs = isSpent || step !== 'code' ? 0 : resendAtMs - Date.now();
    const isWaiting = restMs > 0;
    this.#resendButton.setAttribute('aria-disabled', `${isWaiting || busy !== null}`);
    setText(this.#resendButton, isWaiting ? `Send another code in ${Math.ceil(restMs / 1000)} s` : 'Send another code');
    if (this.#isCountingDown && !isWaiting && step === 'code') this.#announce('Another code can be sent now.');
    this.#isCountingDown = isWaiting;
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    event.preventDefault();
    void this.#tryCode(this.#code.value);
  }

  /** @param {string} text */
  async #tryCode(text) {
    const { login } = this.#page;
    if (login.busy) return;
    if (this.#asksPassword && !this.#password.value) {
      this.#password.focus();
      return;
    }
    await login.submit(text, this.#asksPassword ? this.#password.value : undefined);
    if (!login.error || !this.form.matches(':focus-within')) return;
    if (login.isSpent) this.#resendButton.focus();
    // So that the user can type or paste another code.
    else this.#code.select();
  }

  /**
   * Reads pasted text before the field does, because the field would remove the line breaks of a mail.
   * @param {Event} event
   * @param {DataTransfer | null} data
   */
  #pasted(event, data) {
    const text = data?.getData('text') ?? '';
    const { code, refusal } = this.#found(text);
    if (refusal === 'no_code' || this.#code.readOnly) return;
    event.preventDefault();
    this.#code.value = code ?? '';
    // For two codes, the login shows an error.
    void this.#tryCode(code ?? text);
  }

  /**
   * Text that arrives at once, from a keyboard's clipboard or from autofill, is handled like pasted text.
   * @param {InputEvent} event
   */
  #typed({ data, inputType }) {
    const isTyped = data?.length === 1 || inputType?.startsWith('delete');
    const { value } = this.#code;
    if (!isTyped && this.#found(value).refusal !== 'no_code') void this.#tryCode(value);
  }

  #resend() {
    const { login } = this.#page;
    if (this.#resendButton.getAttribute('aria-disabled') === 'true') return;
    this.#code.value = '';
    this.#code.focus();
    void login.request(login.username);
  }
}
