/** A classic login: from the username over token and code to the session's keys (PROTOCOL §4). */
import { orCancelled, throwIfCancelled } from '../common/abort.js';
import { normaliseUsername } from '../protocol/codes.js';
import { AnswerNotTrusted, CertlessError, ProtocolError, Refused } from '../common/errors.js';
import { codeOf, readClassicCode } from '../protocol/typedCodes.js';

/** @typedef {import('./gatewayClient.js').GatewayClient} GatewayClient */
/** @typedef {import('./stores.js').KeptSession} KeptSession */

/**
 * `keys`: the client creates a key pair, which usually takes `usualMs`. `mail`: the gateway accepted the
 * request for a code. `code`: the client tries the code. `done`: the session is open.
 * @typedef {{ stage: 'keys', elapsedMs: number, usualMs: number }
 *   | { stage: 'keys made' | 'mail' | 'code' | 'done' }} Progress
 */

/**
 * @typedef {{
 *   username: string,
 *   onProgress?: (progress: Progress) => void,
 *   signal?: AbortSignal | null,
 * }} EnrolmentOptions
 */

/** An open session: its number in the engine, and the form to store. @typedef {{ session: number, kept: KeptSession }} Enrolled */

/** An estimate for an older phone; during the first second the engine replaces it by a better one. */
export const USUAL_MS = 1500;

const NO_CODE = 'This text contains no code of 26 characters. Copy the line with the code from the newest mail.';

export const MAIL_LIMIT = 'A user usually gets 3 mails in 15 minutes, and then none until that time is over.';

export const CODE_REFUSED =
  'The code was not accepted. Copy it again from the newest mail; it is valid for 10 minutes. ' +
  `If it is correct, check the clock of this device. ${MAIL_LIMIT}`;

// PROTOCOL §4.4: two payloads under one code would share a key stream.
const SPENT = ' A correct code is used up now: ask for a new one.';

/**
 * Refuses usernames that the gateway would refuse, before a message is sent.
 * @param {string} username
 */
export function checkUsername(username) {
  try {
    normaliseUsername(username);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new CertlessError('username', 'This is not a valid username. Check what you typed.', { cause: error });
  }
}

/** A classic login. It accepts codes until the gateway ends it (after five). */
export class Enrolment {
  #client;
  #options;
  #keys;
  #controller;
  #token = '';

  /** @param {GatewayClient} client @param {EnrolmentOptions} options */
  constructor(client, options) {
    this.#client = client;
    this.#options = options;
    this.#controller = new AbortController();
    const { signal } = options;
    if (signal?.aborted) this.cancel(signal.reason);
    signal?.addEventListener('abort', () => this.cancel(signal.reason), { once: true });
    this.#keys = this.#generate();
    // `submit` reports a failure. Until then it must not be an unhandled rejection.
    this.#keys.catch(() => {});
  }

  get signal() {
    return this.#controller.signal;
  }

  /**
   * Asks for a code. The client creates its keys at the same time, and while the user reads the mail.
   * @param {GatewayClient} client
   * @param {EnrolmentOptions} options
   */
  static async begin(client, options) {
    checkUsername(options.username);
    throwIfCancelled(options.signal);
    const enrolment = new Enrolment(client, options);
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

  async #generate() {
    const { onProgress } = this.#options;
    onProgress?.({ stage: 'keys', elapsedMs: 0, usualMs: USUAL_MS });
    const made = await this.#client.ask(
      'generate',
      { dialect: this.#client.dialect },
      {
        signal: this.signal,
        onProgress: (progress) => onProgress?.({ stage: 'keys', ...progress }),
      },
    );
    onProgress?.({ stage: 'keys made' });
    return made;
  }

  /**
   * Opens the session. After Refused with code `rejected`, try another code or start again.
   * @param {string} code as typed, or a mail with a code in it
   * @param {string} [password]
   * @returns {Promise<Enrolled>}
   */
  async submit(code, password) {
    const { signal } = this;
    const client = this.#client;
    const { clock, dialect } = client;
    const text = codeOf(readClassicCode(code), NO_CODE);
    const { pair, stored } = await orCancelled(signal, this.#keys);
    this.#options.onProgress?.({ stage: 'code' });
    const token = this.#token;
    const route = client.route('authenticate');
    const login = { route, pair, token, code: text, nowMs: clock(), password };
    const { session, serverKey } = await client.ask('authenticate', login, { signal }).catch((error) => {
      const isRejected = error instanceof Refused && error.code === 'rejected';
      throw isRejected ? new Refused(error.status, error.code, error.detail, CODE_REFUSED + SPENT) : error;
    });
    void client.ask('forgetPair', { pair }).catch(() => {});
    const { username } = this.#options;
    const expiresMs = clock() + client.lifetimeMs;
    this.#options.onProgress?.({ stage: 'done' });
    const kept = { username, dialect, token, serverKey, privateKey: stored, expiresMs };
    return { session, kept: { version: 1, ...kept } };
  }

  /** @param {unknown} [reason] */
  cancel(reason) {
    this.#controller.abort(reason);
  }
}
