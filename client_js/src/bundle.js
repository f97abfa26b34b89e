/** Entry point of the bundle: the package on a page, the engine in the Worker that the page starts. */
import { serveIfWorker } from './platform/browser.js';

export * from './index.js';
// These use the gateway's settings as defaults. They replace the exports of index.js with the same names.
export { WebSocket, eventSource, fetch, login, page, requestLogin, resume, start } from './page/start.js';

serveIfWorker();
