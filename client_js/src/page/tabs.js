/** Messages between the tabs of a browser about logins and logouts at a gateway, and their visibility. */

/** @typedef {'login' | 'logout'} TabMessage */

/**
 * Without BroadcastChannel, tabs do not exchange messages.
 * @param {string} gateway the key of the gateway in a store
 * @param {(news: TabMessage) => void} listen called for messages of other tabs
 * @returns {(news: TabMessage) => void} sends to the other tabs
 */
export function tabChannel(gateway, listen) {
  if (typeof BroadcastChannel !== 'function') return () => {};
  const channel = new BroadcastChannel(`certless ${gateway}`);
  channel.onmessage = ({ data }) => {
    if (data === 'login' || data === 'logout') listen(data);
  };
  return (news) => channel.postMessage(news);
}

const isHidden = () => document.visibilityState === 'hidden';

/** @param {() => void} listen called each time this tab becomes visible */
export function onVisible(listen) {
  document.addEventListener('visibilitychange', () => isHidden() || listen());
}

/** Resolves when this tab is visible. */
export async function untilVisible() {
  while (isHidden()) {
    await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
  }
}
