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

/**
 * A signal that ends with `given` or after `timeoutMs`, whichever is first: AbortSignal.any is not
 * in every browser. `release` lets go of the timer and of `given`.
 * @param {AbortSignal | null | undefined} given
 * @param {number} timeoutMs
 */
export function deadline(given, timeoutMs) {
  const controller = new AbortController();
  /** @param {unknown} reason */
  const end = (reason) => controller.abort(reason);
  const late = () => end(new DOMException(`no whole answer in ${timeoutMs} ms`, 'TimeoutError'));
  const follow = () => end(given?.reason);
  const timer = setTimeout(late, timeoutMs);
  given?.addEventListener('abort', follow, { once: true });
  if (given?.aborted) follow();
  const release = () => {
    clearTimeout(timer);
    given?.removeEventListener('abort', follow);
  };
  return { signal: controller.signal, end, release };
}
