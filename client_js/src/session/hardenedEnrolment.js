/** From a username to a hardened session: the code, and in `rsa-gcm` the client's keys (PROTOCOL §15). */
import { orCancelled, throwIfCancelled } from '../common/abort.js';
import { serializeJson } from '../common/codec.js';
import { CODE_REFUSED, USUAL_MS, checkUsername } from './enrolment.js';
import { AnswerNotTrusted, MalformedMessage, Refused } from '../common/errors.js';
import { HARDENED_PATHS } from '../engine/hardenedLogin.js';
import { findSuite } from '../protocol/hardened/suites.js';
import { codeOf, readCode } from '../protocol/typedCodes.js';

/** @typedef {import('./enrolment.js').Enrolled} Enrolled */
/** @typedef {import('./enrolment.js').EnrolmentOptions} EnrolmentOptions */
/** @typedef {import('./gatewayClient.js').GatewayClient} GatewayClient */

// A longer one is for another kind of login, which somebody else asked for (PROTOCOL §15.3).
const NO_CODE = 'There is no code of eight characters here. Copy it from the newest mail.';
const PASSWORD_REFUSED =
  'The password was not accepted, and the code is spent by now. Ask for a new code, and check the password.';

/** What a gateway answers that knows nothing of the route. */
const UNKNOWN_ROUTE = ['not_found', 'login_required', 'no_gateway', 'method'];

/** One login under way. A code may be tried again until the gateway ends it (five times). */
export class HardenedEnrolment {
  #client;
  #options;
  #controller = new AbortController();
  /** @type {Promise<{ pair: number }> | null} */
  #keys = null;
  #login = 0;

  /** @param {GatewayClient} client @param {EnrolmentOptions} options */
  constructor(client, options) {
    this.#client = client;
    this.#options = options;
    const { signal } = options;
    if (signal?.aborted) this.cancel(signal.reason);
    signal?.addEventListener('abort', () => this.cancel(signal.reason), { once: true });
    if (findSuite(client.suite).wraps) {
      const { rsaKey } = client;
      this.#keys = rsaKey ? client.ask('adoptPair', { rsaKey }, { signal: this.signal }) : this.#generate();
      // Whoever waits for the keys hears of a failure; until then nobody does.
      this.#keys.catch(() => {});
    }
  }

  get signal() {
    return this.#controller.signal;
  }

  /**
   * Asks for a code. Keys, where the suite has any, are made meanwhile.
   * @param {GatewayClient} client
   * @param {EnrolmentOptions} options
   */
  static async begin(client, options) {
    checkUsername(options.username);
    throwIfCancelled(options.signal);
    const enrolment = new HardenedEnrolment(client, options);
    const { base, suite, realm, fresh } = client;
    const subject = { username: options.username, realm, fresh };
    try {
      // One that cannot be used costs no mail.
      if (client.rsaKey) await enrolment.#keys;
      enrolment.#login = await client.ask('awaitCode', { base, subject, suite }, { signal: enrolment.signal });
    } catch (error) {
      enrolment.cancel();
      throw refusedHello(error, suite);
    }
    options.onProgress?.({ stage: 'mail' });
    return enrolment;
  }

  async #generate() {
    const { onProgress } = this.#options;
    onProgress?.({ stage: 'keys', elapsedMs: 0, usualMs: USUAL_MS });
    const made = await this.#client.ask(
      'generate',
      { dialect: null },
      { signal: this.signal, onProgress: (progress) => onProgress?.({ stage: 'keys', ...progress }) },
    );
    onProgress?.({ stage: 'keys made' });
    return made;
  }

  /**
   * Opens the session. Refused with code `rejected`: try another code, or begin anew.
   * @param {string} typed the code as it was typed, or a mail with a code in it
   * @param {string} [password]
   * @returns {Promise<Enrolled>}
   */
  async submit(typed, password) {
    const code = codeOf(readCode(typed), NO_CODE);
    const { signal } = this;
    const client = this.#client;
    const pair = this.#keys ? (await orCancelled(signal, this.#keys)).pair : null;
    this.#options.onProgress?.({ stage: 'code' });
    const given = { base: client.base, login: this.#login, code, pair, nowMs: client.clock() };
    const enrolled = await client.ask('enterCode', given, { signal }).catch((error) => {
      const isRejected = error instanceof Refused && error.code === 'rejected';
      throw isRejected ? new Refused(error.status, error.code, error.detail, CODE_REFUSED) : error;
    });
    if (pair !== null) void client.ask('forgetPair', { pair }).catch(() => {});
    if (password !== undefined) await this.#sendPassword(enrolled.session, password);
    this.#options.onProgress?.({ stage: 'done' });
    return enrolled;
  }

  /**
   * Under the seal, and so to nobody but the gateway that knew the code (PROTOCOL §15.7).
   * @param {number} session
   * @param {string} password
   */
  async #sendPassword(session, password) {
    const client = this.#client;
    const target = client.prefix + HARDENED_PATHS.password;
    /** @type {[string, string][]} */
    const headers = [['Content-Type', 'application/json']];
    const request = { method: 'POST', target, headers, body: serializeJson({ password }) };
    const given = { route: client.messageRoute, session, request, nowMs: client.clock() };
    const { status } = await client.ask('exchange', given, { signal: this.signal });
    if (status !== 200) throw new Refused(status, 'password_rejected', '', PASSWORD_REFUSED);
  }

  /** @param {unknown} [reason] */
  cancel(reason) {
    this.#controller.abort(reason);
  }
}

/**
 * The refusal of a login that was to be hardened. There is no other suite to go on with: whoever
 * stands between can refuse any (PROTOCOL §14.1).
 * @param {unknown} error
 * @param {string} suite
 */
function refusedHello(error, suite) {
  // Nothing is sealed yet: what makes no sense is not from a gateway.
  const isNonsense = error instanceof AnswerNotTrusted && error.cause instanceof MalformedMessage;
  if (isNonsense) return new Refused(200, 'no_gateway');
  if (!(error instanceof Refused)) return error;
  const isOlder = UNKNOWN_ROUTE.includes(error.code);
  if (!isOlder && error.code !== 'unsupported_suite') return error;
  const words = `This gateway does not log in by ${suite}. Check its address, or name a suite that it takes.`;
  return new Refused(error.status, error.code, error.detail, words);
}
