/** Lets events run during long computations. */

const SLICE_MS = 12;

let sliceStartedMs = -Infinity;

/** Resolves at once if the current slice of work is still short, else after the pending events. */
export async function yieldToEventLoop() {
  if (performance.now() - sliceStartedMs < SLICE_MS) return;
  // Unlike a timer, a message has no minimum delay.
  await new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve(undefined);
    };
    port2.postMessage(null);
  });
  sliceStartedMs = performance.now();
}
