/**
 * 200 MB down and up in Chromium on an insecure origin (no WebCrypto), beside an idle page: the longest task of the
 * page's main thread (CPU time), the longest delay of a timer (time), and the peaks of the JavaScript heaps.
 * Usage: make bundle, then node bench/page_streams.mjs RUNS MEGABYTES IDLE-MS. It prints one line of JSON for each row.
 */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { INSECURE_HOST, launch, newVisitor } from '../client_js/test/browser/chromium.js';
import { startGateway } from '../client_js/test/gateway.js';

const [runs, megabytes, idleMs] = process.argv.slice(2).map(Number);
const size = megabytes * 1e6;
const BEAT_MS = 5;
const HEAP_MS = 50;
const LIMIT_MS = 300_000;
const PIECE = Buffer.alloc(64 * 1024, 7);
const script = await readFile(new URL('../gateway/bundle/client.js', import.meta.url));

/** The page, a body of `size` bytes, and a sink for bodies: none of them is held in memory. */
async function startUpstream() {
  const server = http.createServer(async (request, response) => {
    if (request.url === '/page') {
      response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>page</title><script src="/client.js"></script>');
    } else if (request.url === '/client.js') {
      response.setHeader('Content-Type', 'text/javascript').end(script);
    } else if (request.url === '/down') {
      for (let left = size; left > 0; left -= PIECE.length) {
        if (!response.write(PIECE.subarray(0, left))) await once(response, 'drain');
      }
      response.end();
    } else {
      let length = 0;
      for await (const chunk of request) length += chunk.length;
      response.end(String(length));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** Runs in the page: `longestBlock()` is the longest delay of a timer since its last call. */
function watchBlocks(beatMs) {
  let [blockMs, last] = [0, performance.now()];
  setInterval(() => {
    blockMs = Math.max(blockMs, performance.now() - last - beatMs);
    last = performance.now();
  }, beatMs);
  window.longestBlock = () => {
    const ms = blockMs;
    blockMs = 0;
    return ms;
  };
}

/** Runs in the page. */
const works = {
  idle: (_, idleMs) => new Promise((resolve) => setTimeout(resolve, idleMs)),
  down: async (size) => {
    const response = await session.fetch('/down');
    let length = 0;
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      length += value.length;
    }
    if (length !== size) throw new Error(`${length} bytes came`);
  },
  up: async (size) => {
    const piece = new Blob([new Uint8Array(1e6)]);
    const response = await session.fetch('/up', { method: 'PUT', body: new Blob(Array(size / 1e6).fill(piece)) });
    const text = await response.text();
    if (text !== String(size)) throw new Error(`${text} bytes arrived`);
  },
};

/** A function that asks the Worker of a page. Sessions of Playwright cannot: messages through the page's can. */
async function workerOf(cdp) {
  const attached = new Promise((resolve) => cdp.once('Target.attachedToTarget', resolve));
  await cdp.send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: false });
  const { sessionId } = await attached;
  let id = 0;
  return async (method) => {
    const wanted = (id += 1);
    const answer = new Promise((resolve) => {
      const read = (event) => {
        const message = JSON.parse(event.message);
        if (message.id !== wanted) return;
        cdp.off('Target.receivedMessageFromTarget', read);
        resolve(message.result);
      };
      cdp.on('Target.receivedMessageFromTarget', read);
    });
    await cdp.send('Target.sendMessageToTarget', { sessionId, message: JSON.stringify({ id: wanted, method }) });
    return answer;
  };
}

/** Peaks of both heaps, in MB, polled until the returned function is called. */
async function watchHeaps(page) {
  const cdp = await page.context().newCDPSession(page);
  const worker = await workerOf(cdp);
  await cdp.send('HeapProfiler.collectGarbage');
  await worker('HeapProfiler.collectGarbage');
  const peak = { page: 0, worker: 0 };
  let isOver = false;
  const polling = (async () => {
    while (!isOver) {
      peak.page = Math.max(peak.page, (await cdp.send('Runtime.getHeapUsage')).usedSize / 1e6);
      peak.worker = Math.max(peak.worker, (await worker('Runtime.getHeapUsage')).usedSize / 1e6);
      await new Promise((resolve) => setTimeout(resolve, HEAP_MS));
    }
  })();
  return async () => {
    isOver = true;
    await polling;
    await cdp.detach();
    return peak;
  };
}

/** The longest task of the main threads of pages, in ms of CPU time: other programs on the machine do not count. */
function longestTask(trace) {
  const events = JSON.parse(trace).traceEvents;
  const isNamed = (event) => event.name === 'thread_name' && event.args.name === 'CrRendererMain';
  const main = new Set(events.filter(isNamed).map(({ pid, tid }) => `${pid} ${tid}`));
  const tasks = events.filter(({ name, pid, tid }) => /RunTask$/.test(name) && main.has(`${pid} ${tid}`));
  return Math.max(0, ...tasks.map(({ tdur = 0 }) => tdur)) / 1000;
}

const upstream = await startUpstream();
const options = ['--public', '/page', '--public', '/client.js', '--suites', 'ecdh-gcm'];
const gateway = await startGateway({ upstream: `http://127.0.0.1:${upstream.address().port}`, options });
const browser = await launch();
const watchdog = setTimeout(() => process.exit(1), runs * 3 * LIMIT_MS);
try {
  const page = await (await newVisitor(browser, { gateway })).newPage();
  await page.goto(`http://${INSECURE_HOST}:${gateway.port}/page`);
  await page.evaluate(async () => {
    window.session = await certless.login({ username: 'ann@example.org', code: () => mailedCode('ann@example.org') });
  });
  await page.evaluate(watchBlocks, BEAT_MS);
  if (await page.evaluate(() => Boolean(globalThis.crypto?.subtle))) throw new Error('the page has WebCrypto');
  if (page.workers().length === 0) throw new Error('no Worker');
  for (let run = 0; run < runs; run += 1) {
    for (const [name, work] of Object.entries(works)) {
      const stop = name === 'idle' ? async () => ({ page: 0, worker: 0 }) : await watchHeaps(page);
      await browser.startTracing(page, { categories: ['toplevel', 'disabled-by-default-devtools.timeline'] });
      await page.evaluate(() => longestBlock());
      const startedMs = performance.now();
      // Not page.evaluate, which tests bound to a minute.
      await page.mainFrame().evaluate(`(${work})(${size}, ${idleMs})`);
      const seconds = (performance.now() - startedMs) / 1000;
      const blockedMs = await page.evaluate(() => longestBlock());
      const taskMs = longestTask(await browser.stopTracing());
      const peak = await stop();
      const figures = { task_ms: taskMs, late_ms: blockedMs, mb_per_s: size / 1e6 / seconds, page_mb: peak.page, worker_mb: peak.worker };
      if (name === 'idle') delete figures.mb_per_s;
      console.log(JSON.stringify({ name, figures }));
    }
  }
} finally {
  clearTimeout(watchdog);
  await browser.close();
  await gateway.stop();
  upstream.closeAllConnections();
  upstream.close();
}
