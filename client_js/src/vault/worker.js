/** The vault in a Worker, so that the page never has the account key and never waits for Argon2id. */
import { channel } from './channel.js';
import { VaultAccount } from './vaultAccount.js';

/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./api.js').Link} Link */
/** @typedef {import('./channel.js').Port} Port */
/** @typedef {import('./vaultAccount.js').VaultOptions} VaultOptions */
/** @typedef {import('./parts.js').TypeBack} TypeBack */

/** The Worker's name. The bundle runs as a vault if its global scope has this name. */
export const WORKER_NAME = 'certless-vault';

/** The methods of a vault, each with the place of its `typeBack`, if it has one. */
const METHODS = /** @type {const} */ ({
  create: 1,
  unlock: undefined,
  recover: undefined,
  unlockTemporarily: undefined,
  unlockDevice: undefined,
  lock: undefined,
  keepOpen: undefined,
  note: undefined,
  saveNote: undefined,
  changePassword: undefined,
  newRecoveryCode: 0,
  rekey: 1,
  temporaryKey: undefined,
  account: undefined,
  devices: undefined,
  addDevice: undefined,
  signOut: undefined,
  exportNote: undefined,
  importNote: undefined,
  reset: undefined,
  cancelReset: undefined,
  remove: undefined,
});

/** @typedef {keyof typeof METHODS} Method */

/**
 * In the Worker: a vault for the page that started the Worker.
 * @param {Port} port
 * @param {Primitives} primitives
 */
export function serveVault(port, primitives) {
  /** @type {VaultAccount} */
  let vault;
  const served = {
    /** @param {VaultOptions} options */
    begin: (options) => {
      vault = new VaultAccount(primitives, link, options);
      vault.onlock = () => void call('locked');
    },
    /** @param {Method} name @param {unknown[]} given */
    run: (name, given) => {
      if (!Object.hasOwn(METHODS, name)) throw new TypeError(`a vault has no method ${name}`);
      const at = METHODS[name];
      const typeBack = (/** @type {string} */ code) => call('typeBack', code);
      return /** @type {any} */ (vault)[name](...given.map((value, place) => (place === at ? typeBack : value)));
    },
  };
  const call = channel(port, served);
  /** @type {Link} */
  const link = {
    exported: () => call('exported'),
    request: (...given) => call('request', ...given),
  };
  port.postMessage({ ready: true });
}

/**
 * On the page: the same methods, which run in the Worker.
 * @param {Port} port
 * @param {Link} link
 * @param {VaultOptions} options
 * @param {() => void} onlock
 * @returns {Promise<Record<Method, (...given: any[]) => Promise<any>>>}
 */
export async function remoteVault(port, link, options, onlock) {
  /** @type {TypeBack | undefined} */
  let typeBack;
  const call = channel(port, {
    ...link,
    locked: onlock,
    typeBack: (/** @type {string} */ code) => typeBack?.(code),
  });
  await call('begin', options);
  const methods = Object.entries(METHODS).map(([name, at]) => [
    name,
    async (/** @type {unknown[]} */ ...given) => {
      if (at !== undefined) typeBack = /** @type {TypeBack} */ (given[at]);
      // A function cannot be sent to a Worker.
      return call('run', name, given.map((value, place) => (place === at ? null : value)));
    },
  ]);
  return Object.fromEntries(methods);
}
