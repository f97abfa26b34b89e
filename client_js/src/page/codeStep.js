/** The second step of a login: the code from the mail, and a password where the service wants one. */
import { readClassicCode, readCode } from '../protocol/typedCodes.js';
import { element, say } from './elements.js';

/** @typedef {import('./pageLogin.js').KeysProgress} KeysProgress */
/** @typedef {import('./pageSession.js').PageSession} PageSession */

const HINT = 'Paste it, or the whole mail. A pasted code is tried at once.';
const NO_MAIL = 'No mail? Look among the spam, too. A service sends only a few in a quarter of an hour.';

export class CodeStep {
  #page;
  #tell;
  #isCountingDown = false;

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
  #code = element('input', {
    id: 'code',
    part: 'input',
    autocomplete: 'one-time-code',
    autocapitalize: 'characters',
    autocorrect: 'off',
    spellcheck: 'false',
    'aria-describedby': 'sent hint code-error',
    paste: (event) => this.#take(event, event.clipboardData),
    drop: (event) => this.#take(event, event.dataTransfer),
    input: (event) => this.#typed(event),
  });
  #error = element('p', { id: 'code-error', role: 'alert', part: 'error' });
  #bar = element('progress', { 'aria-label': 'Keys are being made' });
  #barWords = element('p', { class: 'hint' });
  #keys = element('div', { part: 'progress' }, this.#bar, this.#barWords);
  #try = element('button', { part: 'button' });
  #again = element('button', { type: 'button', part: 'link', click: () => this.#resend() });
  #another = element('button', { type: 'button', part: 'link', click: () => this.#page.login.reset() }, 'Use another address');
  #cancel = element('button', { type: 'button', part: 'link', click: () => this.#page.giveUp() }, 'Cancel');
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
    this.#keys,
    this.#try,
    element('div', { class: 'more' }, this.#again, this.#another, this.#cancel),
    element('p', { class: 'hint' }, NO_MAIL),
  );

  /** @param {PageSession} page @param {(words: string) => void} tell says something to a screen reader */
  constructor(page, tell) {
    this.#page = page;
    this.#tell = tell;
  }

  begin() {
    this.#code.value = '';
    this.#password.value = '';
  }

  focus() {
    if (this.#asksPassword && !this.#password.value) this.#password.focus();
    else this.#code.focus();
  }

  /** The code in `text`, of the kind that this page logs in with. @param {string} text */
  #found(text) {
    return this.#page.isClassic ? readClassicCode(text) : readCode(text);
  }

  get #asksPassword() {
    return !this.#password.hidden;
  }

  /** @param {boolean} hasPassword whether the service asks for one */
  update(hasPassword) {
    const { isAwaited, login } = this.#page;
    const { busy, error, isSpent, keys, username } = login;
    this.form.setAttribute('aria-busy', `${busy !== null}`);
    for (const part of [this.#passwordLabel, this.#password, this.#name]) part.hidden = !hasPassword;
    this.#name.value = username;
    const sent = `If “${username}” may log in here, a mail with a code is on its way.`;
    say(this.#sent, busy === 'mail' ? 'Asking for another code…' : sent);
    say(this.#error, error);
    for (const field of [this.#code, this.#password]) field.setAttribute('aria-invalid', `${!!error}`);
    this.#code.readOnly = busy === 'code' || isSpent;
    this.#try.setAttribute('aria-disabled', `${busy !== null || isSpent}`);
    say(this.#try, busy === 'code' ? 'Logging in…' : 'Log in');
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
    if (isUsual) this.#bar.value = elapsedMs / usualMs;
    else this.#bar.removeAttribute('value');
    const words = isUsual ? `That usually takes ${usual}.` : `It takes longer than the usual ${usual}.`;
    say(this.#barWords, `Keys are being made on this device. ${words}`);
  }

  /** Once a second: how long until another mail can be asked for. Only the end of it is told. */
  countDown() {
    const { busy, isSpent, resendAtMs, step } = this.#page.login;
    const restMs = isSpent || step !== 'code' ? 0 : resendAtMs - Date.now();
    const isWaiting = restMs > 0;
    this.#again.setAttribute('aria-disabled', `${isWaiting || busy !== null}`);
    say(this.#again, isWaiting ? `Send another code in ${Math.ceil(restMs / 1000)} s` : 'Send another code');
    if (this.#isCountingDown && !isWaiting && step === 'code') this.#tell('Another code can be sent now.');
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
    if (login.isSpent) this.#again.focus();
    // To be typed again, or pasted over.
    else this.#code.select();
  }

  /**
   * A field of one line would run the lines of a mail together: what is pasted is read here.
   * @param {Event} event
   * @param {DataTransfer | null} data
   */
  #take(event, data) {
    const text = data?.getData('text') ?? '';
    const { code, refusal } = this.#found(text);
    if (refusal === 'no_code' || this.#code.readOnly) return;
    event.preventDefault();
    this.#code.value = code ?? '';
    // Of two codes the login says what to do.
    void this.#tryCode(code ?? text);
  }

  /**
   * What came in one piece, from a keyboard's clipboard or from the browser, is as good as pasted.
   * @param {InputEvent} event
   */
  #typed({ data, inputType }) {
    const isTyped = data?.length === 1 || inputType?.startsWith('delete');
    const { value } = this.#code;
    if (!isTyped && this.#found(value).refusal !== 'no_code') void this.#tryCode(value);
  }

  #resend() {
    const { login } = this.#page;
    if (this.#again.getAttribute('aria-disabled') === 'true') return;
    this.#code.value = '';
    this.#code.focus();
    void login.request(login.username);
  }
}
