/** The ways to a session: log in at once, log in step by step, or go on with one that was kept. */
import { Enrolment } from './enrolment.js';
import { GatewayClient } from './gatewayClient.js';
import { Session, enrol } from './session.js';

/** @typedef {import('./gatewayClient.js').GatewayOptions} GatewayOptions */
/** @typedef {import('./session.js').AskCode} AskCode */
/** @typedef {import('./session.js').SessionOptions} SessionOptions */
/** @typedef {GatewayOptions & SessionOptions & { username: string, signal?: AbortSignal | null }} RequestLoginOptions */
/** @typedef {RequestLoginOptions & { code: AskCode }} LoginOptions */
/** @typedef {GatewayOptions & SessionOptions} ResumeOptions */

/**
 * Asks for a code by mail, takes it from `code()`, opens a session.
 * @param {LoginOptions} options
 * @returns {Promise<Session>}
 */
export async function login(options) {
  const { username, code, password, onProgress, signal } = options;
  const client = new GatewayClient(options);
  try {
    const given = { username, onProgress, signal };
    const enrolled = await enrol(client, given, 'login', code, password);
    return await new Session(client, enrolled, options, false).keep();
  } catch (error) {
    client.close();
    throw error;
  }
}

/** A login whose code is yet to come: for forms, where a wrong code is typed again. */
export class LoginRequest {
  #client;
  #enrolment;
  #options;

  /** @param {GatewayClient} client @param {Enrolment} enrolment @param {RequestLoginOptions} options */
  constructor(client, enrolment, options) {
    this.#client = client;
    this.#enrolment = enrolment;
    this.#options = options;
  }

  get username() {
    return this.#options.username;
  }

  /**
   * Opens the session. After Refused with code `rejected` it may be called again with another
   * code; the gateway takes five attempts.
   * @param {string} code
   * @param {string} [password]
   * @returns {Promise<Session>}
   */
  async submit(code, password = this.#options.password) {
    const enrolled = await this.#enrolment.submit(code, password);
    return new Session(this.#client, enrolled, this.#options, false).keep();
  }

  /** Gives up: whatever is under way ends. */
  cancel() {
    this.#enrolment.cancel();
    this.#client.close();
  }
}

/**
 * Asks for a code by mail; the keys are made meanwhile.
 * @param {RequestLoginOptions} options
 * @returns {Promise<LoginRequest>}
 */
export async function requestLogin(options) {
  const { username, onProgress, signal } = options;
  const client = new GatewayClient(options);
  try {
    const enrolment = await Enrolment.begin(client, { username, onProgress, signal });
    return new LoginRequest(client, enrolment, options);
  } catch (error) {
    client.close();
    throw error;
  }
}

/**
 * The session that a store has kept, or null: there is none, or it has expired.
 * @param {ResumeOptions} [options]
 * @returns {Promise<Session | null>}
 */
export async function resume(options = {}) {
  const asked = new GatewayClient(options);
  const kept = await asked.store.load(asked.name).catch(() => null);
  if (!kept) return null;
  if (kept.expiresMs <= asked.clock()) {
    await asked.store.remove(asked.name, kept.token).catch(() => {});
    return null;
  }
  /** @type {GatewayClient | undefined} */
  let client;
  try {
    client = new GatewayClient({ ...options, dialect: kept.dialect });
    const { privateKey: stored, ...rest } = kept;
    const session = await client.ask('adopt', { ...rest, stored });
    return new Session(client, { session, kept }, options, true);
  } catch {
    // What was kept is no session that this version can go on with.
    client?.close();
    return null;
  }
}
