/** Lets events run during long computations. */
import { nextTask } from '../common/nextTask.js';

const SLICE_MS = 12;

let sliceStartedMs = -Infinity;

/** Resolves at once if the current slice of work is still short, else after the pending events. */
export async function yieldToEventLoop() {
  if (performance.now() - sliceStartedMs < SLICE_MS) return;
  await nextTask();
  sliceStartedMs = performance.now();
}
