/** The bundle's entry: the package on a page, the engine in the Worker that the page starts. */
import { serveIfWorker } from './platform/browser.js';

export * from './index.js';

serveIfWorker();
