/** In the Worker: runs an engine for the page that started the Worker. */
import { Engine } from './engine.js';
import { describeError } from '../common/errors.js';

/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/**
 * The part of a Worker's global scope that is used here.
 * @typedef {{
 *   postMessage: (message: unknown, transfer?: Transferable[]) => void,
 *   addEventListener: (type: 'message', listener: (event: MessageEvent) => void) => void,
 * }} WorkerScope
 */

/**
 * @param {WorkerScope} scope
 * @param {Primitives} primitives
 */
export function serveEngine(scope, primitives) {
  const engine = /** @type {any} */ (new Engine(primitives));
  /** @type {Map<number, AbortController>} */
  const running = new Map();

  /** @param {{ call: number, name: string, given: unknown }} asked */
  const serve = async ({ call, name, given }) => {
    const controller = new AbortController();
    running.set(call, controller);
    /** @param {unknown} progress */
    const onProgress = (progress) => scope.postMessage({ call, progress });
    try {
      const result = await engine[name](given, { signal: controller.signal, onProgress });
      const body = result?.body;
      scope.postMessage({ call, result }, body instanceof Uint8Array ? [body.buffer] : []);
    } catch (error) {
      scope.postMessage({ call, failed: describeError(error) });
    } finally {
      running.delete(call);
    }
  };

  scope.addEventListener('message', ({ data }) => {
    if (data.cancel === undefined) void serve(data);
    else running.get(data.cancel)?.abort();
  });
  scope.postMessage({ ready: true });
}
