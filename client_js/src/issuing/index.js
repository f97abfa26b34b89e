/**
 * Certificates whose private key no server has (docs/issuing.md).
 *
 *     const issuing = await openIssuing(session);
 *     const { certificate } = await issuing.certificate('P-256', { subject: { commonName: 'Ann' }, names: ['ann.example'] });
 *     const key = await issuing.encryptedKey(passphrase);
 */
import { pure } from '../primitives/pure.js';
import { webCrypto } from '../primitives/webCrypto.js';
import { IssuingError } from './errors.js';
import { KeyHolder } from './keyHolder.js';
import { pureKeys, subtleKeys } from './keys.js';
import { WORKER_NAME, remoteKeyHolder, serveKeyHolder } from './worker.js';

export { IssuingError };

/** @typedef {import('./keys.js').KeyKind} KeyKind */
/** @typedef {import('./request.js').Wanted} Wanted */
/** The part of a session of the package `certless` that is used here. @typedef {{ fetch: (target: string, init: RequestInit) => Promise<Response> }} CertlessSession */

const hasSubtle = () => Boolean(globalThis.crypto?.subtle);
const newHolder = () => (hasSubtle() ? new KeyHolder(webCrypto, subtleKeys) : new KeyHolder(pure, pureKeys));

/** The errors of the signer, for people. */
const MESSAGES = new Map([
  ['suite_required', 'Certificates need a session of a hardened suite. Log in again by ecdh-gcm.'],
  ['malformed', 'The signer takes no such request. Check the names.'],
  ['busy', 'The signer has too many requests now. Try again later.'],
  ['not_signed', 'The signer gave no certificate. Ask the operator.'],
]);

class Issuing {
  #session;
  #holder;
  #prefix;

  /** @param {CertlessSession} session @param {import('./worker.js').Held} holder @param {string} prefix */
  constructor(session, holder, prefix) {
    this.#session = session;
    this.#holder = holder;
    this.#prefix = prefix;
  }

  /** Makes a key pair, and resolves to a request for it in PEM. @param {KeyKind} kind @param {Wanted} wanted */
  async request(kind, wanted) {
    return this.#holder.request(kind, wanted);
  }

  /**
   * Makes a key pair, and resolves to the request and the certificate in PEM. The certificate is for this key.
   * @param {KeyKind} kind
   * @param {Wanted} wanted
   * @throws {IssuingError}
   */
  async certificate(kind, wanted) {
    const request = await this.request(kind, wanted);
    const answer = await this.#session.fetch(`${this.#prefix}/certificate`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-pem-file' },
      body: request,
    });
    const certificate = await answer.text();
    if (!answer.ok) throw new IssuingError('refused', MESSAGES.get(codeIn(certificate)) ?? `The signer refused (status ${answer.status}).`);
    await this.#holder.match(certificate);
    return { request, certificate };
  }

  /** The private key in PEM, under the passphrase. @param {string} passphrase @throws {IssuingError} */
  async encryptedKey(passphrase) {
    return this.#holder.encryptedKey(passphrase);
  }

  /** Drops the private key. */
  async forget() {
    return this.#holder.forget();
  }
}

/** @param {string} text */
function codeIn(text) {
  try {
    return String(JSON.parse(text).error);
  } catch {
    return '';
  }
}

/**
 * Certificates for the user of `session`. On a page, the key is in a Worker; where no Worker can start, in this thread.
 * @param {CertlessSession} session
 * @param {{ prefix?: string }} [options]
 */
export async function openIssuing(session, { prefix = '/issuing' } = {}) {
  const worker = await startWorker();
  return new Issuing(session, worker ? remoteKeyHolder(worker) : newHolder(), prefix);
}

/** @returns {Promise<Worker | null>} */
async function startWorker() {
  if (typeof certlessIssuingBundle !== 'function' || typeof Worker !== 'function') return null;
  const url = URL.createObjectURL(new Blob([`(${certlessIssuingBundle})()`], { type: 'text/javascript' }));
  try {
    const worker = new Worker(url, { name: WORKER_NAME });
    await new Promise((resolve, reject) => {
      worker.addEventListener('message', resolve, { once: true });
      worker.onerror = (event) => {
        event.preventDefault?.();
        reject(new Error('the browser did not start the Worker'));
      };
    });
    return worker;
  } catch {
    return null;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** Holds the key if this is a Worker that `openIssuing` started. */
export function serveIfWorker() {
  const scope = /** @type {any} */ (globalThis);
  if (typeof document === 'undefined' && scope.name === WORKER_NAME) serveKeyHolder(scope, newHolder());
}
