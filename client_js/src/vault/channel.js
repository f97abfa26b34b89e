/** Calls between a page and its Worker, in both directions. A function among the values is called on the side that has it. */
import { CertlessError } from '../common/errors.js';
import { VaultLocked } from './vaultAccount.js';
import { Alarm, Malformed, Tampered, TooLarge, VaultError, WeakKdf, WrongSecret } from './core/errors.js';
import { VaultRefused } from './api.js';

/**
 * What a page and a Worker have in common here.
 * @typedef {{
 *   postMessage: (message: unknown) => void,
 *   addEventListener: (type: 'message', listener: (event: MessageEvent) => void) => void,
 * }} Port
 */

/** @typedef {(...given: any[]) => unknown} Served */

const CLASSES = [Error, CertlessError, VaultError, Malformed, TooLarge, Tampered, Alarm, WeakKdf, WrongSecret, VaultLocked, VaultRefused];

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
  /** The functions that the other side can call while their call lasts. @type {Map<number, Served>} */
  const lent = new Map();
  let last = 0;

  /** @param {number} call @param {string | number} name @param {unknown[]} given */
  const serve = async (call, name, given) => {
    try {
      const work = typeof name === 'number' ? lent.get(name) : Object.hasOwn(served, name) && served[name];
      if (!work) throw new TypeError(`nothing here is called ${name}`);
      port.postMessage({ answered: call, result: await work(...given.map(borrowed)) });
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

  /** @param {string | number} name @param {unknown[]} given @param {number[]} ids of the functions in `given` */
  const send = (name, given, ids = []) =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      port.postMessage({ call: last, name, given: given.map((value) => lentOut(value, ids)) });
    }).finally(() => {
      for (const id of ids) lent.delete(id);
    });

  /** A function cannot be sent, so its number is. @param {unknown} value @param {number[]} ids @returns {unknown} */
  const lentOut = (value, ids) => {
    if (isPlain(value)) return mapped(value, (one) => lentOut(one, ids));
    if (typeof value !== 'function') return value;
    last += 1;
    ids.push(last);
    lent.set(last, /** @type {Served} */ (value));
    return { [LENT]: last };
  };

  /** @param {unknown} value @returns {unknown} */
  const borrowed = (value) => {
    if (!isPlain(value)) return value;
    const id = value[LENT];
    return typeof id === 'number' ? (/** @type {unknown[]} */ ...given) => send(id, given) : mapped(value, borrowed);
  };

  return (name, ...given) => send(name, given);
}

const LENT = 'lent function';

/** @param {unknown} value @returns {value is Record<string, unknown>} */
const isPlain = (value) => typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;

/** @param {Record<string, unknown>} object @param {(value: unknown) => unknown} change */
const mapped = (object, change) => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
