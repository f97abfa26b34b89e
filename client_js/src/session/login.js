/** The ways to a session: log in in one call, log in step by step, or resume a stored session. */
import { throwIfCancelled } from '../common/abort.js';
import { isRetryable } from '../common/errors.js';
import { GatewayClient } from './gatewayClient.js';
import { SessionPersistence, hasTicket } from './persistence.js';
import { Session, beginEnrolment, enrol } from './session.js';

/** @typedef {import('./gatewayClient.js').GatewayOptions} GatewayOptions */
/** @typedef {import('./session.js').AskCode} AskCode */
/** @typedef {import('./session.js').SessionOptions} SessionOptions */
/** @typedef {GatewayOptions & SessionOptions & { username: string, signal?: AbortSignal | null }} RequestLoginOptions */
/** @typedef {RequestLoginOptions & { code: AskCode }} LoginOptions */
/** @typedef {GatewayOptions & SessionOptions} ResumeOptions */

/**
 * Asks for a code by mail, gets it from `code()`, and opens a session.
 * @param {LoginOptions} options
 * @returns {Promise<Session>}
 */
export async function login(options) {
  const { username, code, password, onProgress, signal } = options;
  const client = new GatewayClient(options);
  try {
    const given = { username, onProgress, signal };
    const enrolled = await enrol(client, given, 'login', code, password);
    return await new Session(client, enrolled, options).keep();
  } catch (error) {
    client.close();
    throw error;
  }
}

/** A login that waits for its code. For forms, where the user can correct a wrong code. */
export class LoginRequest {
  #client;
  #enrolment;
  #options;

  /** @param {GatewayClient} client @param {Awaited<ReturnType<typeof beginEnrolment>>} enrolment @param {RequestLoginOptions} options */
  constructor(client, enrolment, options) {
    this.#client = client;
    this.#enrolment = enrolment;
    this.#options = options;
  }

  get username() {
    return this.#options.username;
  }

  /**
   * Opens the session. After Refused with code `rejected` you can call it again with another code; the
   * gateway allows five attempts.
   * @param {string} code
   * @param {string} [password]
   * @returns {Promise<Session>}
   */
  async submit(code, password = this.#options.password) {
    const enrolled = await this.#enrolment.submit(code, password);
    throwIfCancelled(this.#enrolment.signal);
    return new Session(this.#client, enrolled, this.#options).keep();
  }

  /** Cancels the login. */
  cancel() {
    this.#enrolment.cancel();
    this.#client.close();
  }
}

/**
 * Asks for a code by mail. The client creates its keys at the same time.
 * @param {RequestLoginOptions} options
 * @returns {Promise<LoginRequest>}
 */
export async function requestLogin(options) {
  const { username, onProgress, signal } = options;
  const client = new GatewayClient(options);
  try {
    const enrolment = await beginEnrolment(client, { username, onProgress, signal });
    return new LoginRequest(client, enrolment, options);
  } catch (error) {
    client.close();
    throw error;
  }
}

/**
 * The stored session, or a new session for the stored ticket, or null.
 * @param {ResumeOptions} [options]
 * @returns {Promise<Session | null>}
 * @throws {import('../common/errors.js').CertlessError} there is a ticket, but the gateway does not answer
 *   or is too busy
 */
export async function resume(options = {}) {
  return resumeKept(options, true);
}

/**
 * Like `resume`. Without `byTicket` it sends nothing and uses no ticket.
 * @param {ResumeOptions} options
 * @param {boolean} byTicket
 */
export async function resumeKept(options, byTicket) {
  const asked = new GatewayClient(options);
  const kept = await asked.store.load(asked.name).catch(() => null);
  if (!kept) return null;
  const isOver = kept.expiresMs <= asked.clock();
  if (isOver && !hasTicket(kept, asked.clock())) {
    await asked.store.remove(asked.name, kept.token).catch(() => {});
    return null;
  }
  if (isOver && !byTicket) return null;
  const client = clientOf(kept, { ...options, store: asked.store });
  if (!client) return null;
  const persistence = new SessionPersistence(client, true);
  try {
    const enrolled = isOver
      ? await persistence.fromTicket(kept, new AbortController().signal)
      : { session: await client.ask('adopt', { kept }), kept };
    const was = { isProven: !isOver, isKept: persistence.isKept };
    if (enrolled) return new Session(client, enrolled, options, was);
  } catch (error) {
    client.close();
    if (isRetryable(error)) throw error;
    // This version cannot use the stored session.
    return null;
  }
  client.close();
  return null;
}

/**
 * A client with the suite of the stored session, or null if this version does not know it.
 * @param {import('./stores.js').KeptSession} kept
 * @param {ResumeOptions} options
 */
function clientOf(kept, { suite: _, dialect: __, ...options }) {
  try {
    if (kept.version === 1) return new GatewayClient({ ...options, dialect: kept.dialect });
    const { suite, realm, fresh } = kept;
    const rsaKey = options.rsaKey ?? kept.rsaKey;
    return new GatewayClient({ ...options, suite, realm, fresh, ...(rsaKey && { rsaKey }) });
  } catch {
    return null;
  }
}
