/** AbortSignals: their reasons become Cancelled, and a signal is combined with a timeout. */
import { Cancelled } from './errors.js';

/** @param {AbortSignal | null | undefined} signal @throws {Cancelled} */
export function throwIfCancelled(signal) {
  if (signal?.aborted) throw new Cancelled(signal.reason);
}

/**
 * The result of `work`, or Cancelled as soon as `signal` aborts. For work that cannot be stopped, such as
 * waiting for a person to type.
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
 * A signal that aborts with `given` or after `timeoutMs`, whichever comes first (some browsers have no
 * AbortSignal.any). `release` removes the timer and the listener on `given`.
 * @param {AbortSignal | null | undefined} given
 * @param {number} timeoutMs
 */
export function deadline(given, timeoutMs) {
  const controller = new AbortController();
  /** @param {unknown} reason */
  const end = (reason) => controller.abort(reason);
  const late = () => end(new DOMException(`no complete answer in ${timeoutMs} ms`, 'TimeoutError'));
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
