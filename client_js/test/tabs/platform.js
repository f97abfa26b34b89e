/** A browser's platform with an engine of the model. */
export { CloseEvent, decompressor, defaultKeys, defaultUrl, storage } from '../../src/platform/browser.js';

export const createEngine = async () => globalThis.newEngine();
