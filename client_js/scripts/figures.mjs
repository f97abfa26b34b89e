/**
 * Figures of the bundle in Chromium, on an insecure origin (no WebCrypto) and on a secure one.
 * Usage: npm run build && node scripts/figures.mjs [runs] [suites and dialects, for example ecdh-gcm]
 */
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { launch, newVisitor, startSite } from '../test/browser/chromium.js';
import { watchBlocks } from './blocks.mjs';

const runs = Number(process.argv[2] ?? 30);
const names = process.argv.slice(3);

/** @param {number[]} times */
function figures(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const [median, worst] = [sorted[sorted.length >> 1], sorted[sorted.length - 1]];
  return `median ${median.toFixed(1)} ms, worst ${worst.toFixed(1)} ms (${times.length} runs)`;
}

/**
 * Runs in the page: measures the generation of RSA keys.
 * @param {{ options: object, runs: number }} given
 */
async function measureKeys({ options, runs }) {
  const { certless, longestBlock } = /** @type {any} */ (window);
  const times = [];
  longestBlock();
  for (let i = 0; i < runs; i += 1) {
    times.push(
      await new Promise((resolve, reject) => {
        let startedMs = 0;
        /** @param {{ stage: string, elapsedMs?: number }} progress */
        const onProgress = ({ stage, elapsedMs }) => {
          if (stage === 'keys' && elapsedMs === 0) startedMs = performance.now();
          if (stage === 'keys made') made(performance.now() - startedMs);
        };
        const request = certless.requestLogin({ username: `keys-${i}@example.org`, ...options, onProgress });
        request.catch(reject);
        /** @param {number} ms */
        const made = (ms) => request.then((/** @type {any} */ one) => (one.cancel(), resolve(ms)));
      }),
    );
  }
  return { times, blockMs: longestBlock() };
}

/**
 * Runs in the page: measures logins from the code to the session, each in its own Worker. The times
 * include the gateway and the network.
 * @param {{ options: object, runs: number, visit: string }} given
 */
async function measureLogins({ options, runs, visit }) {
  const { certless, longestBlock, mailedCode } = /** @type {any} */ (window);
  const times = [];
  longestBlock();
  for (let i = 0; i < runs; i += 1) {
    const username = `login-${i}.${visit}@example.org`;
    const request = await certless.requestLogin({ username, ...options });
    const code = await mailedCode(username);
    const startedMs = performance.now();
    const session = await request.submit(code);
    times.push(performance.now() - startedMs);
    await session.close();
  }
  return { times, blockMs: longestBlock() };
}

/**
 * Runs in the page: measures small messages and large ones, both ways.
 * @param {{ options: object, visit: string }} given
 */
async function measureMessages({ options, visit }) {
  const { certless, longestBlock, mailedCode } = /** @type {any} */ (window);
  const username = `messages.${visit}@example.org`;
  const session = await certless.login({ username, ...options, code: () => mailedCode(username) });
  await session.fetch('/echo');
  longestBlock();
  const times = [];
  for (let i = 0; i < 100; i += 1) {
    const startedMs = performance.now();
    await (await session.fetch('/echo', { method: 'POST', body: 'x'.repeat(1000) })).text();
    times.push(performance.now() - startedMs);
  }
  const blockMs = longestBlock();
  const large = [];
  for (const kib of [64, 512, 5 * 1024]) {
    const body = new Blob([new Uint8Array(kib * 1024)]);
    await new Promise((resolve) => setTimeout(resolve, 0));
    longestBlock();
    const startedMs = performance.now();
    await (await session.fetch('/bytes', { method: 'POST', body })).arrayBuffer();
    large.push({ kib, ms: performance.now() - startedMs, blockMs: longestBlock() });
  }
  await session.close();
  return { times, blockMs, large };
}

const script = await readFile(new URL('../dist/client.js', import.meta.url));
console.log(`bundle: ${script.length} bytes, ${gzipSync(script, { level: 9 }).length} gzipped`);
const browser = await launch();
try {
  for (const [name, dialect, options] of [
    ['ecdh-gcm', 'article-2016', { suite: 'ecdh-gcm' }],
    ['article-2016', 'article-2016', { dialect: 'article-2016' }],
    ['sfet-4-gcm', 'sfet-4-gcm', { dialect: 'sfet-4-gcm' }],
  ]) {
    if (names.length > 0 && !names.includes(name)) continue;
    const site = await startSite(dialect);
    try {
      for (const [origin, path] of [site.insecure, site.secure].flatMap((one) => [[one, 'page'], [one, 'strict']])) {
        const visitor = await newVisitor(browser, site);
        const page = await visitor.newPage();
        await page.goto(`${origin}/${path}`);
        await page.evaluate(watchBlocks);
        const parts = [origin === site.secure ? 'WebCrypto' : 'no WebCrypto', path === 'page' ? 'a Worker' : 'no Worker'];
        console.log(`${name}, ${parts.join(', ')}`);
        const given = { options, runs, visit: parts.join('.').replaceAll(' ', '-').toLowerCase() };
        if (name !== 'ecdh-gcm') {
          const keys = await page.evaluate(measureKeys, given);
          console.log(`  RSA keys: ${figures(keys.times)}; the page held for ${keys.blockMs.toFixed(0)} ms`);
        }
        const logins = await page.evaluate(measureLogins, given);
        console.log(`  from the code to the session: ${figures(logins.times)}; held for ${logins.blockMs.toFixed(0)} ms`);
        const { times, blockMs, large } = await page.evaluate(measureMessages, given);
        console.log(`  1000 bytes there and back: ${figures(times)}; held for ${blockMs.toFixed(0)} ms`);
        for (const one of large) {
          console.log(`  ${one.kib} KiB there and back: ${one.ms.toFixed(0)} ms; held for ${one.blockMs.toFixed(0)} ms`);
        }
        await visitor.close();
      }
    } finally {
      await site.stop();
    }
  }
} finally {
  await browser.close();
}
