/** The body of a streamed response: read from the engine when the reader asks for it (PROTOCOL §2.10). */
import { Cancelled, StreamAborted } from '../common/errors.js';

/** @typedef {import('./gatewayClient.js').GatewayClient} GatewayClient */

export const SESSION_ENDED = 4;

/**
 * Ends the connections of bodies that nobody reads. It watches the source, which the stream holds, and not the
 * stream: Chromium collects the JavaScript object of a stream that is still in use, and makes another one.
 */
const abandoned = new FinalizationRegistry((/** @type {() => void} */ cancel) => cancel());

/**
 * Reading throws if the body was cut off, changed or aborted, and if the session was closed.
 * @param {GatewayClient} client
 * @param {number} stream the number of the body in the engine
 * @param {AbortSignal | null} signal of the request
 * @returns {ReadableStream<Uint8Array>}
 */
export function bodyStream(client, stream, signal) {
  const cancel = () => void client.ask('streamCancel', { stream }).catch(() => {});
  /** @type {() => void} */
  let stop = () => {};
  const release = () => signal?.removeEventListener('abort', stop);
  /** @type {UnderlyingDefaultSource<Uint8Array>} */
  const source = {
    start(controller) {
      stop = () => {
        controller.error(new Cancelled(signal?.reason));
        cancel();
      };
      signal?.addEventListener('abort', stop, { once: true });
      if (signal?.aborted) stop();
    },
    async pull(controller) {
      try {
        const { body } = await client.ask('streamRead', { stream });
        if (body) return controller.enqueue(body);
        controller.close();
      } catch (error) {
        // The session was closed.
        controller.error(error instanceof Cancelled ? new StreamAborted(SESSION_ENDED) : error);
      }
      release();
    },
    cancel() {
      release();
      cancel();
    },
  };
  abandoned.register(source, cancel);
  return new ReadableStream(source, { highWaterMark: 0 });
}
