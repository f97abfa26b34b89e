/** Entry point of the Worker that has the account key. */
import { serveIfWorker } from '../src/vault/index.js';

serveIfWorker();
