/** On the page: calls an engine in a Worker. */
import { restoreError } from '../common/errors.js';

/** @typedef {import('./engine.js').Control} Control */
/** @typedef {import('./engine.js').EngineLink} EngineLink */
/** @typedef {{ resolve: (value: any) => void, reject: (error: unknown) => void, control: Control }} Call */

/** The Worker's name. The bundle runs as an engine if its global scope has this name. */
export const WORKER_NAME = 'certless-engine';

/**
 * Resolves when the Worker has reported that it runs. If a Content-Security-Policy forbids the Worker,
 * some browsers throw at once and others dispatch an error event.
 * @param {Worker} worker
 */
function ready(worker) {
  return new Promise((resolve, reject) => {
    worker.onmessage = resolve;
    worker.onerror = (event) => {
      event.preventDefault?.();
      reject(new Error('the browser did not start the Worker'));
    };
  });
}

/**
 * @param {string} source the text of a script that calls `serveEngine`
 * @returns {Promise<EngineLink>}
 */
export async function workerEngine(source) {
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  /** @type {Worker} */
  let worker;
  try {
    worker = new Worker(url, { name: WORKER_NAME });
    await ready(worker);
  } finally {
    URL.revokeObjectURL(url);
  }

  /** @type {Map<number, Call>} */
  const calls = new Map();
  let last = 0;
  let isClosed = false;

  /** @param {Error} error */
  const end = (error) => {
    isClosed = true;
    worker.terminate();
    for (const { reject } of calls.values()) reject(error);
    calls.clear();
  };

  worker.onerror = () => end(new Error('the Worker failed'));
  worker.onmessage = ({ data: { call: number, progress, failed, result } }) => {
    const call = calls.get(number);
    if (!call) {
      // The call was cancelled after it had opened a stream, which nobody will end.
      const { stream } = result ?? {};
      if (stream) worker.postMessage({ call: 0, name: 'streamCancel', given: { stream } });
      return;
    }
    if (progress) {
      call.control.onProgress?.(progress);
      return;
    }
    calls.delete(number);
    if (failed) call.reject(restoreError(failed));
    else call.resolve(result);
  };

  return {
    call: (name, given, control = {}) =>
      new Promise((resolve, reject) => {
        const { signal } = control;
        if (isClosed) throw new Error('the Worker has ended');
        signal?.throwIfAborted();
        last += 1;
        const number = last;
        const cancel = () => {
          calls.delete(number);
          worker.postMessage({ cancel: number });
          reject(signal?.reason);
        };
        signal?.addEventListener('abort', cancel, { once: true });
        const settled = () => signal?.removeEventListener('abort', cancel);
        calls.set(number, {
          control,
          resolve: (value) => (settled(), resolve(value)),
          reject: (error) => (settled(), reject(error)),
        });
        worker.postMessage({ call: number, name, given });
      }),
    close: () => end(new Error('the Worker has ended')),
  };
}
