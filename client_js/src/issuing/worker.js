/** The key holder in a Worker, so that the page never has the private key, and never waits for it. */
import { IssuingError } from './errors.js';
import { KeyHolder } from './keyHolder.js';

/** The Worker's name. The bundle holds a key if its global scope has this name. */
export const WORKER_NAME = 'certless-issuing';
const METHODS = /** @type {const} */ (['request', 'match', 'encryptedKey', 'forget']);

/** @typedef {Pick<KeyHolder, (typeof METHODS)[number]>} Held */
/**
 * What a page and a Worker have in common here.
 * @typedef {{
 *   postMessage: (message: unknown) => void,
 *   addEventListener: (type: 'message', listener: (event: MessageEvent) => void) => void,
 * }} Port
 */

/** In the Worker: does what the page asks. @param {Port} port @param {KeyHolder} holder */
export function serveKeyHolder(port, holder) {
  port.addEventListener('message', async ({ data: { call, name, given } }) => {
    try {
      if (!METHODS.includes(name)) throw new TypeError(`nothing here is called ${name}`);
      const result = await /** @type {any} */ (holder)[name](...given);
      port.postMessage({ call, result });
    } catch (error) {
      const code = error instanceof IssuingError ? error.code : null;
      port.postMessage({ call, failed: { code, message: error instanceof Error ? error.message : 'The call failed.' } });
    }
  });
  port.postMessage({ ready: true });
}

/** On the page: the same methods, which run in the Worker. @param {Port} port @returns {Held} */
export function remoteKeyHolder(port) {
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  const waiting = new Map();
  let last = 0;
  port.addEventListener('message', ({ data: { call, result, failed } }) => {
    const asked = waiting.get(call);
    waiting.delete(call);
    if (failed) asked?.reject(failed.code ? new IssuingError(failed.code, failed.message) : new Error(failed.message));
    else asked?.resolve(result);
  });
  /** @param {string} name */
  const method = (name) => (/** @type {unknown[]} */ ...given) =>
    new Promise((resolve, reject) => {
      last += 1;
      waiting.set(last, { resolve, reject });
      port.postMessage({ call: last, name, given });
    });
  return /** @type {any} */ (Object.fromEntries(METHODS.map((name) => [name, method(name)])));
}
