/** Calls between a page and its Worker, in both directions. */
import { CertlessError } from '../common/errors.js';
import { VaultLocked } from './vaultAccount.js';
import { Malformed, Tampered, TooLarge, VaultError, WeakKdf, WrongSecret } from './core/errors.js';
import { VaultRefused } from './api.js';

/**
 * What a page and a Worker have in common here.
 * @typedef {{
 *   postMessage: (message: unknown) => void,
 *   addEventListener: (type: 'message', listener: (event: MessageEvent) => void) => void,
 * }} Port
 */

/** @typedef {(...given: any[]) => unknown} Served */

const CLASSES = [Error, CertlessError, VaultError, Malformed, TooLarge, Tampered, WeakKdf, WrongSecret, VaultLocked, VaultRefused];

/** Anything can be thrown, for instance by a page. The message can always be sent. @param {unknown} thrown */
function described(thrown) {
  const error = thrown instanceof Error ? thrown : new Error(typeof thrown === 'string' ? thrown : 'The call was cancelled.');
  const fields = Object.entries(error).filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value));
  const kind = CLASSES.findLastIndex((Class) => error instanceof Class);
  return { kind, message: error.message, fields: Object.fromEntries(fields) };
}

/** @param {ReturnType<typeof described>} description */
function restored({ kind, message, fields }) {
  return Object.assign(Object.setPrototypeOf(new Error(message), CLASSES[kind].prototype), fields);
}

/**
 * Serves the calls of the other side, and returns a function that calls it.
 * @param {Port} port
 * @param {Readonly<Record<string, Served>>} served
 * @returns {(name: string, ...given: unknown[]) => Promise<any>}
 */
export function channel(port, served) {
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: unknown) => void }>} */
  const waiting = new Map();
  let last = 0;

  /** @param {number} call @param {string} name @param {unknown[]} given */
  const serve = async (call, name, given) => {
    try {
      if (!Object.hasOwn(served, name)) throw new TypeError(`nothing here is called ${name}`);
      port.postMessage({ answered: call, result: await served[name](...given) });
    } catch (error) {
      port.postMessage({ answered: call, failed: described(error) });
    }
  };

  port.addEventListener('message', ({ data }) => {
    if (data.call !== undefined) {
      void serve(data.call, data.name, data.given);
    } else if (data.answered !== undefined) {
      const call = waiting.get(data.answered);
      waiting.delete(data.answered);
      if (data.failed) call?.reject(restored(data.failed));
      else call?.resolve(data.result);
    }
  });

  return (name, ...given) =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      port.postMessage({ call: last, name, given });
    });
}
