/** What classic and hardened logins have in common: the username, the client's keys, and cancellation. */
import { throwIfCancelled } from '../common/abort.js';
import { CertlessError, ProtocolError } from '../common/errors.js';
import { normaliseUsername } from '../protocol/codes.js';

/** @typedef {import('../protocol/classic/dialects.js').Dialect} Dialect */
/** @typedef {import('./gatewayClient.js').GatewayClient} GatewayClient */
/** @typedef {import('../engine/keptSession.js').KeptSession} KeptSession */

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
const USUAL_MS = 1500;

export const MAIL_LIMIT = 'A user usually gets 3 mails in 15 minutes, and then none until that time is over.';

export const CODE_REFUSED =
  'The code was not accepted. Copy it again from the newest mail; it is valid for 10 minutes. ' +
  `If it is correct, check the clock of this device. ${MAIL_LIMIT}`;

/**
 * Refuses usernames that the gateway would refuse, before a message is sent.
 * @param {string} username
 */
function checkUsername(username) {
  try {
    normaliseUsername(username);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw new CertlessError('username', 'This is not a valid username. Check what you typed.', { cause: error });
  }
}

/** A login that waits for a code. It accepts codes until the gateway ends it (after five). */
export class Enrolment {
  #controller = new AbortController();

  /** @param {GatewayClient} client @param {EnrolmentOptions} options */
  constructor(client, options) {
    const { signal, username } = options;
    checkUsername(username);
    throwIfCancelled(signal);
    this.client = client;
    this.options = options;
    signal?.addEventListener('abort', () => this.cancel(signal.reason), { once: true });
  }

  get signal() {
    return this.#controller.signal;
  }

  /** @param {unknown} [reason] */
  cancel(reason) {
    this.#controller.abort(reason);
  }

  /** Creates the client's keys. @param {Dialect | null} dialect null for `rsa-gcm` */
  async generateKeys(dialect) {
    const { onProgress } = this.options;
    onProgress?.({ stage: 'keys', elapsedMs: 0, usualMs: USUAL_MS });
    const made = await this.client.ask(
      'generate',
      { dialect },
      { signal: this.signal, onProgress: (progress) => onProgress?.({ stage: 'keys', ...progress }) },
    );
    onProgress?.({ stage: 'keys made' });
    return made;
  }
}
