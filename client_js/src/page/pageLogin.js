/** The login of a page, step by step; every `<certless-login>` shows it. */
import { Cancelled, CertlessError, Refused } from '../common/errors.js';
import { requestLogin } from '../session/login.js';

/** @typedef {import('../session/gatewayClient.js').GatewayOptions} GatewayOptions */
/** @typedef {import('../session/login.js').LoginRequest} LoginRequest */
/** @typedef {import('../session/session.js').Session} Session */
/** @typedef {{ elapsedMs: number, usualMs: number }} KeysProgress */

const RESEND_MS = 30_000;
const CODE_ATTEMPTS = 5;

const CODE_ENDED = 'Five codes were not accepted, so this login has ended. Ask for a new code.';
const CODE_OR_PASSWORD =
  'The code or the password was not accepted. A wrong password uses up the code: ask for a new one.';

/** Dispatches an event `change` after each change of its properties. */
export class PageLogin extends EventTarget {
  #options;
  #opened;
  /** @type {AbortController | null} */
  #controller = null;
  /** @type {LoginRequest | null} */
  #request = null;
  #attempts = 0;

  /** @type {'address' | 'code'} */
  step = 'address';
  username = '';
  /** The current request: for a mail, or with a code. @type {'mail' | 'code' | null} */
  busy = null;
  /** An error for the user. */
  error = '';
  /** While keys are created. @type {KeysProgress | null} */
  keys = null;
  /** When the user can ask for another mail; milliseconds since 1970. */
  resendAtMs = 0;
  /** The gateway accepts no more codes for this login. */
  isSpent = false;

  /**
   * @param {GatewayOptions} options
   * @param {(session: Session) => void} opened
   */
  constructor(options, opened) {
    super();
    this.#options = options;
    this.#opened = opened;
  }

  #changed() {
    this.dispatchEvent(new Event('change'));
  }

  /**
   * Runs a step. Results of an earlier step are ignored.
   * @param {'mail' | 'code'} busy
   * @param {(controller: AbortController) => Promise<void>} work
   */
  async #run(busy, work) {
    const controller = /** @type {AbortController} */ (this.#controller);
    this.busy = busy;
    this.error = '';
    this.#changed();
    try {
      await work(controller);
    } catch (error) {
      if (controller !== this.#controller || error instanceof Cancelled) return;
      if (!(error instanceof CertlessError)) throw error;
      this.error = error.message;
      if (error instanceof Refused && error.retryAfterS) this.resendAtMs = Date.now() + error.retryAfterS * 1000;
    } finally {
      if (controller === this.#controller) {
        this.busy = null;
        // The login has failed, so its keys are not needed.
        if (!this.#request) this.keys = null;
        this.#changed();
      }
    }
  }

  /** Cancels the current login and ends its Worker. */
  #stop() {
    this.#controller?.abort();
    this.#request?.cancel();
    this.#controller = null;
    this.#request = null;
    this.busy = null;
    this.keys = null;
    this.error = '';
  }

  /**
   * Asks for a mail with a code, or for another one. If that fails, the last login stays valid.
   * @param {string} username
   */
  async request(username) {
    const isAgain = this.step === 'code' && this.#request !== null && username === this.username;
    const last = isAgain ? { controller: this.#controller, request: this.#request } : null;
    if (last) this.#request = null;
    else this.#stop();
    const started = new AbortController();
    this.username = username;
    this.#controller = started;
    await this.#run('mail', async (controller) => {
      /** @param {import('../session/enrolment.js').Progress} progress */
      const onProgress = (progress) => {
        if (controller !== this.#controller) return;
        this.keys = progress.stage === 'keys' ? progress : progress.stage === 'keys made' ? null : this.keys;
        this.#changed();
      };
      const { signal } = controller;
      const request = await requestLogin({ ...this.#options, username, signal, onProgress });
      if (controller !== this.#controller) {
        request.cancel();
        return;
      }
      this.#request = request;
      this.step = 'code';
      this.#attempts = 0;
      this.isSpent = false;
      this.resendAtMs = Date.now() + RESEND_MS;
    });
    if (!last) return;
    const isLastGood = this.#controller === started && !this.#request;
    if (isLastGood) [this.#controller, this.#request] = [last.controller, last.request];
    else last.request?.cancel();
  }

  /**
   * @param {string} code
   * @param {string} [password]
   */
  async submit(code, password) {
    const request = this.#request;
    if (!request || this.busy || this.isSpent) return;
    await this.#run('code', async (controller) => {
      try {
        const session = await request.submit(code, password);
        if (controller !== this.#controller) {
          await session.close().catch(() => {});
          return;
        }
        // The login has become a session, so `reset` must not cancel it.
        this.#controller = null;
        this.#request = null;
        this.reset();
        this.#opened(session);
      } catch (error) {
        if (!(error instanceof Refused && error.code === 'rejected')) throw error;
        this.#attempts += 1;
        this.isSpent = this.#attempts >= CODE_ATTEMPTS;
        const words = this.isSpent ? CODE_ENDED : password ? CODE_OR_PASSWORD : error.message;
        throw new CertlessError(error.code, words, { cause: error });
      }
    });
  }

  /** Returns to the first step, with the username kept in the field. */
  reset() {
    this.#stop();
    this.step = 'address';
    this.#changed();
  }
}

