/** The requests of the vault, each with its answer (VAULT §14). */
import { equal } from '../primitives/hashes.js';
import { NOTHING } from './core/account.js';
import { parseError, serialize } from './core/bodies.js';
import { VaultError } from './core/errors.js';
import { requestStatement } from './core/statements.js';
import { sign } from './primitives/ed25519.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('./core/account.js').AccountKey} AccountKey */
/** @typedef {import('./core/bodies.js').Members} Members */

/**
 * The session that carries the requests. `exported` gives e of the session that carries the next one.
 * @typedef {{
 *   exported: () => Promise<Bytes>,
 *   request: (method: string, target: string, headers: [string, string][], body: Bytes) => Promise<{ status: number, body: Bytes }>,
 * }} Link
 */

/** The service refused. `code` is a name of VAULT §15. */
export class VaultRefused extends VaultError {
  /** @override */
  static kind = 'VaultRefused';

  /** @param {number} status @param {string} code */
  constructor(status, code) {
    super(code, MESSAGES.get(code) ?? `The service refused the request (status ${status}).`);
    this.status = status;
  }
}

const MESSAGES = new Map([
  ['refused', 'This was not accepted: the secret is wrong, or there is none, or the vault waits after wrong attempts. Try again later.'],
  ['conflict', 'Another device has changed the vault. Read it again, then try again.'],
  ['exists', 'You have a vault already. Unlock it.'],
  ['not_found', 'There is no change to read.'],
  ['too_large', 'This is too large for the vault.'],
  ['unavailable', 'The service cannot store or mail anything now. Try again later.'],
  ['suite_required', 'The vault needs a session of a hardened suite. Log in again by ecdh-gcm.'],
]);

export class VaultApi {
  #link;
  #prefix;

  /** @param {Link} link @param {string} prefix */
  constructor(link, prefix) {
    this.#link = link;
    this.#prefix = prefix;
  }

  /** e of the session. */
  exported() {
    return this.#link.exported();
  }

  /**
   * The body of the answer to a request that is not signed.
   * @param {string} method
   * @param {string} path
   * @param {Members | null} [members]
   */
  async plain(method, path, members = null) {
    return this.#send(method, path, [], members ? serialize(members) : NOTHING);
  }

  /**
   * The body of the answer to a request that `key` signs.
   * @param {AccountKey} key
   * @param {string} method
   * @param {string} path
   * @param {Bytes} [body]
   */
  async signed(key, method, path, body = NOTHING) {
    const exported = await this.exported();
    try {
      return await this.#send(method, path, [signatureOf(key, exported, method, this.#prefix + path, body)], body);
    } catch (error) {
      // A new session between signature and request has another value, so the server refused unread.
      const now = await this.exported();
      if (!(error instanceof VaultRefused && error.code === 'refused') || equal(now, exported)) throw error;
      return this.#send(method, path, [signatureOf(key, now, method, this.#prefix + path, body)], body);
    }
  }

  /** @param {string} method @param {string} path @param {[string, string][]} headers @param {Bytes} body */
  async #send(method, path, headers, body) {
    const typed = body.length ? [.../** @type {[string, string][]} */ ([['Content-Type', 'application/msgpack']]), ...headers] : headers;
    const answer = await this.#link.request(method, this.#prefix + path, typed, body);
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    throw new VaultRefused(answer.status, codeIn(answer.body));
  }
}

/** @param {Bytes} body */
function codeIn(body) {
  try {
    return parseError(body).error;
  } catch {
    return 'unknown';
  }
}

/**
 * @param {AccountKey} key
 * @param {Bytes} exported
 * @param {string} method
 * @param {string} target
 * @param {Bytes} body
 * @returns {[string, string]}
 */
function signatureOf(key, exported, method, target, body) {
  const signature = sign(key.headSeed, requestStatement(exported, key.account, method, target, body));
  return ['Vault-Signature', base64url(signature)];
}

/** Without padding. @param {Uint8Array} data */
function base64url(data) {
  return btoa(String.fromCharCode(...data)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
