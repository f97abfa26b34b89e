/** What the tabs of one browser tell each other of a gateway: that somebody logged in, or out. */

/** @typedef {'login' | 'logout'} TabNews */

/**
 * Where the browser has no BroadcastChannel a tab goes its own way.
 * @param {string} gateway what a store knows the gateway by
 * @param {(news: TabNews) => void} listen hears the other tabs, never this one
 * @returns {(news: TabNews) => void} tells the other tabs
 */
export function otherTabs(gateway, listen) {
  if (typeof BroadcastChannel !== 'function') return () => {};
  const channel = new BroadcastChannel(`certless ${gateway}`);
  channel.onmessage = ({ data }) => {
    if (data === 'login' || data === 'logout') listen(data);
  };
  return (news) => channel.postMessage(news);
}

const isHidden = () => document.visibilityState === 'hidden';

/** @param {() => void} listen is called whenever a person comes to see this tab */
export function whenSeen(listen) {
  document.addEventListener('visibilitychange', () => isHidden() || listen());
}

/** Resolves once a person can see this tab. */
export async function visible() {
  while (isHidden()) {
    await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true }));
  }
}
