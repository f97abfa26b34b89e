/** Runs in the page: `longestBlock()` is the longest time since its last call in which the page was blocked. */
export function watchBlocks() {
  let blockMs = 0;
  let last = performance.now();
  const beat = new MessageChannel();
  beat.port1.onmessage = () => {
    blockMs = Math.max(blockMs, performance.now() - last);
    last = performance.now();
    beat.port2.postMessage(null);
  };
  beat.port2.postMessage(null);
  Object.assign(window, {
    longestBlock: () => {
      const ms = blockMs;
      blockMs = 0;
      return ms;
    },
  });
}
