/** A browser's platform, but for the engine: in its place is the gateway of the model. */
export { defaultKeys, defaultUrl, storage } from '../../src/platform/browser.js';

export const createEngine = async () => globalThis.newEngine();
