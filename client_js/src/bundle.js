/** The bundle's entry: the package on a page, the engine in the Worker that the page starts. */
import { serveIfWorker } from './platform/browser.js';

export * from './index.js';
// On a page, with the gateway's own settings as defaults; these stand before those of index.js.
export { fetch, login, page, requestLogin, resume, start } from './page/start.js';

serveIfWorker();
