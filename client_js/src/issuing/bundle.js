/** Entry point of the bundle `issuing.js`: the package on a page, the key holder in the Worker that the page starts. */
import { serveIfWorker } from './index.js';

export * from './index.js';

serveIfWorker();
