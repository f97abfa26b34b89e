/** The vault in a Worker, so that the page never has the account key and never waits for Argon2id. */
import { channel } from './channel.js';
import { VaultAccount } from './vaultAccount.js';

/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./api.js').Link} Link */
/** @typedef {import('./channel.js').Port} Port */
/** @typedef {import('./vaultAccount.js').VaultOptions} VaultOptions */

/** The Worker's name. The bundle runs as a vault if its global scope has this name. */
export const WORKER_NAME = 'certless-vault';

const METHODS = /** @type {const} */ ([
  ...['create', 'unlock', 'recover', 'unlockTemporarily', 'unlockDevice', 'lock', 'keepOpen', 'note', 'saveNote'],
  ...['changePassword', 'newRecoveryCode', 'rekey', 'temporaryKey', 'account', 'devices', 'addDevice', 'signOut'],
  ...['exportNote', 'importNote', 'reset', 'cancelReset', 'remove'],
]);
const FILES = /** @type {const} */ ([
  ...['list', 'sync', 'waiting', 'put', 'putNote', 'edit', 'rename', 'resolve', 'split', 'remove', 'text', 'read', 'get'],
  ...['status', 'renew', 'check', 'migrate', 'forget'],
]);

/** @typedef {(typeof METHODS)[number]} Method */
/** @typedef {(typeof FILES)[number]} FileMethod */
/** @template {string} Name @typedef {Record<Name, (...given: any[]) => Promise<any>>} Methods */

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
    run: (name, ...given) => /** @type {any} */ (vault)[known(METHODS, name)](...given),
    /** @param {FileMethod} name @param {unknown[]} given */
    runOnFiles: (name, ...given) => /** @type {any} */ (vault.files)[known(FILES, name)](...given),
  };
  const call = channel(port, served);
  /** @type {Link} */
  const link = {
    exported: () => call('exported'),
    request: (...given) => call('request', ...given),
  };
  port.postMessage({ ready: true });
}

/** @param {readonly string[]} names @param {string} name */
function known(names, name) {
  if (!names.includes(name)) throw new TypeError(`a vault has no method ${name}`);
  return name;
}

/**
 * On the page: the same methods, which run in the Worker.
 * @param {Port} port
 * @param {Link} link
 * @param {VaultOptions} options
 * @param {() => void} onlock
 * @returns {Promise<Methods<Method> & { files: Methods<FileMethod> }>}
 */
export async function remoteVault(port, link, options, onlock) {
  const call = channel(port, { ...link, locked: onlock });
  await call('begin', options);
  /** @template {string} Name @param {readonly Name[]} names @param {string} run @returns {Methods<Name>} */
  const methods = (names, run) => /** @type {Methods<Name>} */ (Object.fromEntries(names.map((name) => [name, async (/** @type {unknown[]} */ ...given) => call(run, name, ...given.map(sendable))])));
  return { ...methods(METHODS, 'run'), files: methods(FILES, 'runOnFiles') };
}

/** An iterable cannot be sent. A function that pulls its values can be called from the other side. @param {any} value */
function sendable(value) {
  if (typeof value?.[Symbol.asyncIterator] !== 'function' || value instanceof Blob) return value;
  const iterator = value[Symbol.asyncIterator]();
  return async () => {
    const { done, value: next } = await iterator.next();
    return done ? null : next;
  };
}
