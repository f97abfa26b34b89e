/**
 * Figures of the bundle in Chromium, on an insecure origin (no WebCrypto) and on a secure one.
 * Usage: npm run build && node scripts/figures.mjs [runs]
 */
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { launch, newVisitor, startSite } from '../test/browser/chromium.js';

const runs = Number(process.argv[2] ?? 30);

/** @param {number[]} times */
function figures(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const [median, worst] = [sorted[sorted.length >> 1], sorted[sorted.length - 1]];
  return `median ${median.toFixed(1)} ms, worst ${worst.toFixed(1)} ms (${times.length} runs)`;
}

/**
 * Runs in the page: everything through the package's own surface.
 * @param {{ dialect: string, runs: number }} given
 */
async function measure({ dialect, runs }) {
  const { certless, mailedCode } = /** @type {any} */ (window);
  /** The longest time in which the page could do nothing else. */
  let blockMs = 0;
  let last = performance.now();
  const beat = new MessageChannel();
  beat.port1.onmessage = () => {
    blockMs = Math.max(blockMs, performance.now() - last);
    last = performance.now();
    beat.port2.postMessage(null);
  };
  beat.port2.postMessage(null);
  const taken = () => {
    const ms = blockMs;
    blockMs = 0;
    return ms;
  };

  const keys = [];
  for (let i = 0; i < runs; i += 1) {
    keys.push(
      await new Promise((resolve, reject) => {
        let startedMs = 0;
        /** @param {{ stage: string, elapsedMs?: number }} progress */
        const onProgress = ({ stage, elapsedMs }) => {
          if (stage === 'keys' && elapsedMs === 0) startedMs = performance.now();
          if (stage === 'keys made') made(performance.now() - startedMs);
        };
        const username = `keys-${dialect}-${i}@example.org`;
        const request = certless.requestLogin({ username, dialect, onProgress });
        request.catch(reject);
        /** @param {number} ms */
        const made = (ms) => request.then((/** @type {any} */ one) => (one.cancel(), resolve(ms)));
      }),
    );
  }
  const keysBlockMs = taken();
  const username = 'figures@example.org';
  const session = await certless.login({ username, dialect, code: () => mailedCode(username) });
  const loginBlockMs = taken();
  await session.fetch('/echo');
  const messages = [];
  for (let i = 0; i < 100; i += 1) {
    const startedMs = performance.now();
    await (await session.fetch('/echo', { method: 'POST', body: 'x'.repeat(1000) })).text();
    messages.push(performance.now() - startedMs);
  }
  const messagesBlockMs = taken();
  const body = new Blob([new Uint8Array(5 * 1024 * 1024)]);
  await new Promise((resolve) => setTimeout(resolve, 0));
  taken();
  const startedMs = performance.now();
  await (await session.fetch('/bytes', { method: 'POST', body })).arrayBuffer();
  const uploadMs = performance.now() - startedMs;
  const uploadBlockMs = taken();
  await session.close();
  return { keys, messages, uploadMs, keysBlockMs, loginBlockMs, messagesBlockMs, uploadBlockMs };
}

/**
 * Logins of `ecdh-gcm`: from the code to the session, each in a Worker of its own as on a page. The
 * gateway's share and the way there and back are in it.
 * @param {{ runs: number }} given
 */
async function measureHardened({ runs }) {
  const { certless, mailedCode } = /** @type {any} */ (window);
  const logins = [];
  let session;
  for (let i = 0; i < runs; i += 1) {
    const username = `login-${i}@example.org`;
    const request = await certless.requestLogin({ username });
    const code = await mailedCode(username);
    const startedMs = performance.now();
    session = await request.submit(code);
    logins.push(performance.now() - startedMs);
  }
  const messages = [];
  for (let i = 0; i < 100; i += 1) {
    const startedMs = performance.now();
    await (await session.fetch('/echo', { method: 'POST', body: 'x'.repeat(1000) })).text();
    messages.push(performance.now() - startedMs);
  }
  const body = new Blob([new Uint8Array(5 * 1024 * 1024)]);
  const startedMs = performance.now();
  await (await session.fetch('/bytes', { method: 'POST', body })).arrayBuffer();
  return { logins, messages, uploadMs: performance.now() - startedMs };
}

const script = await readFile(new URL('../dist/client.js', import.meta.url));
console.log(`bundle: ${script.length} bytes, ${gzipSync(script, { level: 9 }).length} gzipped`);
const browser = await launch();
try {
  const hardened = await startSite('article-2016');
  try {
    for (const origin of [hardened.insecure, hardened.secure]) {
      const visitor = await newVisitor(browser, hardened);
      const page = await visitor.newPage();
      await page.goto(`${origin}/page`);
      const { logins, messages, uploadMs } = await page.evaluate(measureHardened, { runs });
      console.log(`ecdh-gcm, ${origin === hardened.secure ? 'WebCrypto' : 'no WebCrypto'}`);
      console.log(`  from the code to the session: ${figures(logins)}`);
      console.log(`  a message of 1000 bytes there and back: ${figures(messages)}`);
      console.log(`  5 MiB there and back: ${uploadMs.toFixed(0)} ms`);
      await visitor.close();
    }
  } finally {
    await hardened.stop();
  }
  for (const dialect of ['article-2016', 'sfet-4-gcm']) {
    const site = await startSite(dialect);
    try {
      for (const origin of [site.insecure, site.secure]) {
        const visitor = await newVisitor(browser, site);
        const page = await visitor.newPage();
        await page.goto(`${origin}/page`);
        const found = await page.evaluate(measure, { dialect, runs });
        console.log(`${dialect}, ${origin === site.secure ? 'WebCrypto' : 'no WebCrypto'}`);
        console.log(`  RSA keys: ${figures(found.keys)}`);
        console.log(`  a message of 1000 bytes there and back: ${figures(found.messages)}`);
        console.log(`  5 MiB there and back: ${found.uploadMs.toFixed(0)} ms`);
        const { keysBlockMs, loginBlockMs, messagesBlockMs, uploadBlockMs } = found;
        const blocks = { keys: keysBlockMs, login: loginBlockMs, messages: messagesBlockMs, '5 MiB': uploadBlockMs };
        const listed = Object.entries(blocks).map(([what, ms]) => `${what} ${ms.toFixed(0)} ms`);
        console.log(`  longest block of the page: ${listed.join(', ')}`);
        await visitor.close();
      }
    } finally {
      await site.stop();
    }
  }
} finally {
  await browser.close();
}
