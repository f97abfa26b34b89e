/** Entry point of the vault's bundle: the package on a page, the vault in the Worker that the page starts. */
import { serveIfWorker } from './index.js';

export * from './index.js';

serveIfWorker();
