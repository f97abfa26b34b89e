/** Gives events their turn in the middle of long work. */

const SLICE_MS = 12;

let sliceStartedMs = -Infinity;

/** Resolves at once while this slice of work is short, else behind the events that wait. */
export async function turn() {
  if (performance.now() - sliceStartedMs < SLICE_MS) return;
  // A message has no least delay, as timers have.
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
