/** A classic login: from the username over token and code to the session's keys (PROTOCOL §3.3). */
import { orCancelled } from '../common/abort.js';
import { AnswerNotTrusted, Refused } from '../common/errors.js';
import { codeOf, readClassicCode } from '../protocol/typedCodes.js';
import { CODE_REFUSED, Enrolment } from './enrolment.js';

/** @typedef {import('./gatewayClient.js').GatewayClient} GatewayClient */
/** @typedef {import('./enrolment.js').Enrolled} Enrolled */
/** @typedef {import('./enrolment.js').EnrolmentOptions} EnrolmentOptions */

const NO_CODE = 'This text contains no code of 26 characters. Copy the line with the code from the newest mail.';

// PROTOCOL §3.3.3: two payloads under one code would share a key stream.
const SPENT = ' A correct code is used up now: ask for a new one.';

export class ClassicEnrolment extends Enrolment {
  #keys;
  #token = '';

  /** @param {GatewayClient} client @param {EnrolmentOptions} options */
  constructor(client, options) {
    super(client, options);
    this.#keys = this.generateKeys(client.dialect);
    // `submit` reports a failure. Until then it must not be an unhandled rejection.
    this.#keys.catch(() => {});
  }

  /**
   * Asks for a code. The client creates its keys at the same time, and while the user reads the mail.
   * @param {GatewayClient} client
   * @param {EnrolmentOptions} options
   */
  static async begin(client, options) {
    const enrolment = new ClassicEnrolment(client, options);
    try {
      const { dialect } = client;
      const { username } = options;
      const asked = { route: client.route('session'), dialect, username };
      enrolment.#token = await client.ask('initiate', asked, { signal: enrolment.signal });
    } catch (error) {
      enrolment.cancel();
      if (!(error instanceof AnswerNotTrusted)) throw error;
      // Nothing is sealed yet, so an invalid answer means that there is no gateway.
      throw new Refused(200, 'no_gateway');
    }
    options.onProgress?.({ stage: 'mail' });
    return enrolment;
  }

  /**
   * Opens the session. After Refused with code `rejected`, try another code or start again.
   * @param {string} code as typed, or a mail with a code in it
   * @param {string} [password]
   * @returns {Promise<Enrolled>}
   */
  async submit(code, password) {
    const { client, options, signal } = this;
    const { clock, dialect } = client;
    const text = codeOf(readClassicCode(code), NO_CODE);
    const { pair, stored } = await orCancelled(signal, this.#keys);
    options.onProgress?.({ stage: 'code' });
    const token = this.#token;
    const route = client.route('authenticate');
    const login = { route, pair, token, code: text, nowMs: clock(), password };
    const { session, serverKey } = await client.ask('authenticate', login, { signal }).catch((error) => {
      const isRejected = error instanceof Refused && error.code === 'rejected';
      throw isRejected ? new Refused(error.status, error.code, error.detail, CODE_REFUSED + SPENT) : error;
    });
    void client.ask('forgetPair', { pair }).catch(() => {});
    const { username } = options;
    const expiresMs = clock() + client.lifetimeMs;
    options.onProgress?.({ stage: 'done' });
    const kept = { username, dialect, token, serverKey, privateKey: stored, expiresMs };
    return { session, kept: { version: 1, ...kept } };
  }
}
