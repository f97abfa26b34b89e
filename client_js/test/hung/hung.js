/** Tests that hang, to be run by limits.test.js. */
import { describe, test } from '../limited.js';

// Something that keeps the process alive, as a server that nobody stops.
setInterval(() => {}, 1000);

describe('a suite', () => {
  test('waits for ever', () => new Promise(() => {}));
  test('comes after it', () => {});
});
