/** A line to the gateway as it is over a poor mobile connection: late, narrow, and cut at will. */
import { once } from 'node:events';
import net from 'node:net';
import { within } from '../within.js';

const SLICE_BYTES = 4096;

/** Forwards the data, each slice after its delay. */
function carry(from, to, { latencyMs, bytesPerSecond }) {
  let freeAtMs = 0;
  const waiting = [];
  const after = (bytes, what) => {
    const nowMs = performance.now();
    freeAtMs = Math.max(freeAtMs, nowMs + latencyMs) + (bytes / bytesPerSecond) * 1000;
    waiting.push(what);
    // On a busy machine a timer may overtake another, so the order is kept explicitly.
    setTimeout(() => waiting.shift()(), freeAtMs - nowMs);
  };
  from.on('data', (chunk) => {
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      const slice = chunk.subarray(at, at + SLICE_BYTES);
      after(slice.length, () => to.write(slice));
    }
  });
  from.on('end', () => after(0, () => to.end()));
}

/**
 * A port that leads to another by such a line. `cut` ends all that is under way, without a word;
 * `carried(bytes)` resolves once so many have come from this side since it was called.
 */
export async function slowLine(port, line) {
  const open = new Set();
  const watchers = new Set();
  const server = net.createServer({ allowHalfOpen: true }, (near) => {
    const far = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      // After a cut there is nothing to report.
      socket.on('error', () => {});
    }
    carry(near, far, line);
    carry(far, near, line);
    near.on('data', ({ length }) => watchers.forEach((watch) => watch(length)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => open.forEach((socket) => socket.destroy());
  return {
    port: server.address().port,
    cut,
    carried: (bytes) => {
      const all = new Promise((resolve) => {
        let rest = bytes;
        const watch = (length) => {
          rest -= length;
          if (rest <= 0 && watchers.delete(watch)) resolve();
        };
        watchers.add(watch);
      });
      return within(all, `${bytes} bytes on the line`);
    },
    stop: async () => {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
