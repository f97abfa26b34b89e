/** Locks the vaults in all pages of the extension. */
const channel = () => new BroadcastChannel('certless extension');

export function lockAll() {
  const sender = channel();
  sender.postMessage('lock');
  sender.close();
}

/** @param {() => void} lock */
export function onLockAll(lock) {
  channel().onmessage = ({ data }) => data === 'lock' && lock();
}
