/**
 * Unlocks of the demo's vault in Chromium, on an insecure origin (no WebCrypto): one line of JSON for each figure.
 * Usage: npm run build && node scripts/vaultFigures.mjs [runs]
 */
import { launch } from '../test/browser/chromium.js';
import { startDemo } from '../test/browser/demo.js';
import { create, logIn } from '../test/browser/vaultPage.js';
import { watchBlocks } from './blocks.mjs';

const runs = Number(process.argv[2] ?? 15);
const PASSWORD = 'correct horse battery';

/**
 * Runs in the page: the times of one unlock.
 * @param {string} password
 */
async function measureUnlock(password) {
  const { certless, certlessVault, longestBlock } = /** @type {any} */ (window);
  /** @type {{ began: number, ended: number }[]} */
  const requests = [];
  const session = {
    /** @param {string} target @param {RequestInit} init */
    fetch: async (target, init) => {
      const began = performance.now();
      const response = await certless.page.fetch(target, init);
      await response.clone().arrayBuffer();
      requests.push({ began, ended: performance.now() });
      return response;
    },
    /** @param {string} label */
    export: (label) => certless.page.session.export(label),
  };
  const vault = await certlessVault.openVault(session);
  longestBlock();
  const began = performance.now();
  await vault.unlock(password);
  const whole = performance.now() - began;
  const held = longestBlock();
  const [parameters, run, confirm] = requests;
  // An export reads the note, and then computes Argon2id with the same parameters.
  await vault.exportNote(password);
  const argon2id = performance.now() - requests[3].ended;
  await vault.lock();
  const sum = [parameters, run, confirm].reduce((ms, one) => ms + one.ended - one.began, 0);
  return {
    whole: { ms: whole, held_ms: held },
    'Argon2id and the first half of SPAKE2+': { ms: run.began - parameters.ended },
    'Argon2id alone': { ms: argon2id },
    'the second half of SPAKE2+': { ms: confirm.began - run.ended },
    'three requests': { ms: sum },
  };
}

const demo = await startDemo();
const browser = await launch();
try {
  const page = await browser.newPage();
  await page.goto(demo.vault.insecure);
  await logIn(page, demo, 'ann@example.org');
  await create(page, PASSWORD);
  await page.evaluate(watchBlocks);
  for (let i = 0; i < runs; i += 1) {
    for (const [name, figures] of Object.entries(await page.evaluate(measureUnlock, PASSWORD))) {
      console.log(JSON.stringify({ name: `an unlock on a page: ${name}`, figures }));
    }
  }
} finally {
  await browser.close();
  await demo.stop();
}
