/** A hardened login: from the username and the code to a session (PROTOCOL §2.4). */
import { orCancelled } from '../common/abort.js';
import { serializeJson } from '../common/codec.js';
import { CODE_REFUSED, Enrolment } from './enrolment.js';
import { AnswerNotTrusted, MalformedMessage, Refused } from '../common/errors.js';
import { HARDENED_PATHS } from '../engine/hardenedLogin.js';
import { findSuite } from '../protocol/hardened/suites.js';
import { codeOf, readCode } from '../protocol/typedCodes.js';

/** @typedef {import('./enrolment.js').Enrolled} Enrolled */
/** @typedef {import('./enrolment.js').EnrolmentOptions} EnrolmentOptions */
/** @typedef {import('./gatewayClient.js').GatewayClient} GatewayClient */

// A longer code belongs to a classic login, which somebody else started (PROTOCOL §2.4.3).
const NO_CODE = 'This text contains no code of eight characters. Copy the code from the newest mail.';
const PASSWORD_REFUSED =
  'The password was not accepted, and the code is used up. Ask for a new code, and check the password.';

/** The errors of a gateway that does not have the route. */
const UNKNOWN_ROUTE = ['not_found', 'login_required', 'no_gateway', 'method'];

export class HardenedEnrolment extends Enrolment {
  /** @type {Promise<{ pair: number }> | null} */
  #keys = null;
  #login = 0;

  /** @param {GatewayClient} client @param {EnrolmentOptions} options */
  constructor(client, options) {
    super(client, options);
    if (findSuite(client.suite).wraps) {
      const { rsaKey } = client;
      this.#keys = rsaKey ? client.ask('adoptPair', { rsaKey }, { signal: this.signal }) : this.generateKeys(null);
      // `submit` reports a failure. Until then it must not be an unhandled rejection.
      this.#keys.catch(() => {});
    }
  }

  /**
   * Asks for a code. If the suite needs keys, the client creates them at the same time.
   * @param {GatewayClient} client
   * @param {EnrolmentOptions} options
   */
  static async begin(client, options) {
    const enrolment = new HardenedEnrolment(client, options);
    const { base, suite, realm, fresh, device } = client;
    const subject = { username: options.username, realm, fresh, device };
    try {
      // An unusable key must not cost a mail.
      if (client.rsaKey) await enrolment.#keys;
      enrolment.#login = await client.ask('awaitCode', { base, subject, suite }, { signal: enrolment.signal });
    } catch (error) {
      enrolment.cancel();
      throw refusedHello(error, suite);
    }
    options.onProgress?.({ stage: 'mail' });
    return enrolment;
  }

  /**
   * Opens the session. After Refused with code `rejected`, try another code or start again.
   * @param {string} typed the code as typed, or a mail with a code in it
   * @param {string} [password]
   * @returns {Promise<Enrolled>}
   */
  async submit(typed, password) {
    const code = codeOf(readCode(typed), NO_CODE);
    const { client, options, signal } = this;
    const pair = this.#keys ? (await orCancelled(signal, this.#keys)).pair : null;
    options.onProgress?.({ stage: 'code' });
    const given = { base: client.base, login: this.#login, code, pair, nowMs: client.clock() };
    const enrolled = await client.ask('enterCode', given, { signal }).catch((error) => {
      const isRejected = error instanceof Refused && error.code === 'rejected';
      throw isRejected ? new Refused(error.status, error.code, error.detail, CODE_REFUSED) : error;
    });
    if (pair !== null) void client.ask('forgetPair', { pair }).catch(() => {});
    if (password !== undefined) await this.#sendPassword(enrolled.session, password);
    options.onProgress?.({ stage: 'done' });
    return enrolled;
  }

  /**
   * Sends the password sealed, so only to the gateway that knew the code (PROTOCOL §2.4.7).
   * @param {number} session
   * @param {string} password
   */
  async #sendPassword(session, password) {
    const { client } = this;
    const target = client.prefix + HARDENED_PATHS.password;
    /** @type {[string, string][]} */
    const headers = [['Content-Type', 'application/json']];
    const request = { method: 'POST', target, headers, body: serializeJson({ password }) };
    const given = { route: client.messageRoute, session, request, nowMs: client.clock() };
    const { status } = await client.ask('exchange', given, { signal: this.signal });
    if (status !== 200) throw new Refused(status, 'password_rejected', '', PASSWORD_REFUSED);
  }
}

/**
 * The error for a refused hello. The client never tries another suite, because an attacker on the
 * network can refuse any suite (PROTOCOL §2.2).
 * @param {unknown} error
 * @param {string} suite
 */
function refusedHello(error, suite) {
  // Nothing is sealed yet, so an invalid answer means that there is no gateway.
  const isNonsense = error instanceof AnswerNotTrusted && error.cause instanceof MalformedMessage;
  if (isNonsense) return new Refused(200, 'no_gateway');
  if (!(error instanceof Refused)) return error;
  const isOlder = UNKNOWN_ROUTE.includes(error.code);
  if (!isOlder && error.code !== 'unsupported_suite') return error;
  const words = `This gateway does not accept the suite ${suite}. Check its address, or name a suite that it accepts.`;
  return new Refused(error.status, error.code, error.detail, words);
}
