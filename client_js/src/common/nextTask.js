/** Waits until the events that are due, and everything that they cause at once, have run. */

/** @type {(() => void)[]} */
const waiting = [];
/** @type {MessagePort | undefined} */
let port;

function throughPort() {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => waiting.shift()?.();
  return port2;
}

/** Unlike a timer, a message has no minimum delay. Node.js has `setImmediate`, and an open port would keep it running. */
export function nextTask() {
  return /** @type {Promise<void>} */ (
    new Promise((resolve) => {
      if (typeof setImmediate === 'function') return void setImmediate(resolve);
      port ??= throughPort();
      waiting.push(resolve);
      port.postMessage(null);
    })
  );
}
