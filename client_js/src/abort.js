/** AbortSignals: their reasons become one error, and several become one. */
import { Cancelled } from './errors.js';

/** @param {AbortSignal | null | undefined} signal @throws {Cancelled} */
export function throwIfCancelled(signal) {
  if (signal?.aborted) throw new Cancelled(signal.reason);
}

/**
 * `work`, or Cancelled as soon as `signal` says so: for what cannot be stopped, as a person typing.
 * @template Result
 * @param {AbortSignal | null | undefined} signal
 * @param {Promise<Result>} work
 * @returns {Promise<Result>}
 */
export function orCancelled(signal, work) {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const cancel = () => reject(new Cancelled(signal.reason));
    if (signal.aborted) cancel();
    signal.addEventListener('abort', cancel, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', cancel));
  });
}
