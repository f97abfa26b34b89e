/** Writes build/extension/certless/, to load in a browser, and build/extension/certless.zip. */
import { fileURLToPath } from 'node:url';
import { MAX_ZIP_BYTES, buildExtension } from './extension.mjs';

const { zip, bytes } = await buildExtension(fileURLToPath(new URL('../build/extension', import.meta.url)));
process.stdout.write(`${zip}: ${bytes} bytes\n`);
if (bytes > MAX_ZIP_BYTES) {
  process.stderr.write(`more than ${MAX_ZIP_BYTES} bytes\n`);
  process.exitCode = 1;
}
