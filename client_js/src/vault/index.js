/**
 * The vault: data that the service keeps and cannot read (spec/VAULT.md).
 *
 *     const vault = await openVault(session);
 *     await vault.unlock(password);
 *     await vault.saveNote('remember the milk');
 */
import { pure } from '../primitives/pure.js';
import { webCrypto } from '../primitives/webCrypto.js';
import { EXPORT_LABEL } from './core/account.js';
import { VaultAccount } from './vaultAccount.js';
import { WORKER_NAME, remoteVault, serveVault } from './worker.js';

export { VaultRefused } from './api.js';
export { Alarm, Malformed, Tampered, TooLarge, VaultError, WeakKdf, WrongSecret } from './core/errors.js';
export { VaultLocked } from './vaultAccount.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('./api.js').Link} Link */
/** @typedef {import('./vaultAccount.js').VaultOptions} VaultOptions */

/**
 * The parts of a session of the package `certless` that a vault needs.
 * @typedef {{
 *   fetch: (target: string, init: RequestInit) => Promise<Response>,
 *   export: (label: string) => Promise<Uint8Array>,
 * }} CertlessSession
 */

const bestPrimitives = () => (globalThis.crypto?.subtle ? webCrypto : pure);

/** @param {CertlessSession} session @returns {Link} */
function linkOf(session) {
  return {
    exported: async () => /** @type {Bytes} */ (await session.export(EXPORT_LABEL)),
    request: async (method, target, headers, body) => {
      const response = await session.fetch(target, { method, headers, ...(body.length ? { body } : {}) });
      return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
    },
  };
}

/**
 * The vault of the user of `session`. It is locked at first. On a page it runs in a Worker; where no Worker can
 * start, it runs in this thread. `worker` is the URL of a module that calls `serveIfWorker`, for pages whose
 * Content-Security-Policy forbids blobs.
 * @param {CertlessSession} session
 * @param {VaultOptions & { onlock?: () => void, worker?: string }} [options]
 */
export async function openVault(session, { onlock = () => {}, worker: script, ...options } = {}) {
  const link = linkOf(session);
  const worker = await startWorker(script);
  if (worker) return remoteVault(worker, link, options, onlock);
  const vault = new VaultAccount(bestPrimitives(), link, options);
  vault.onlock = onlock;
  return vault;
}

/** @param {string | undefined} script @returns {Promise<Worker | null>} */
async function startWorker(script) {
  if (typeof Worker !== 'function') return null;
  if (!script && typeof certlessVaultBundle !== 'function') return null;
  const url = script ?? URL.createObjectURL(new Blob([`(${certlessVaultBundle})()`], { type: 'text/javascript' }));
  try {
    const worker = new Worker(url, { name: WORKER_NAME, type: script ? 'module' : 'classic' });
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

/** Serves the vault if this is a Worker that `openVault` started. */
export function serveIfWorker() {
  const scope = /** @type {any} */ (globalThis);
  if (typeof document === 'undefined' && scope.name === WORKER_NAME) serveVault(scope, bestPrimitives());
}
