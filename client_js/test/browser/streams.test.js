/** Bodies of any length in a real browser, on an insecure origin: through the Worker, and without it. */
import assert from 'node:assert/strict';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { after, before, describe, test } from '../limited.js';
import { launch, newVisitor, startSite } from './chromium.js';

const username = 'ann@example.org';
const TEXT = 'tëa and '.repeat(50_000);
const coded = (coding, body) => ({ type: 'text/plain', body, headers: { 'Content-Encoding': coding } });
const sealed = {
  '/gzip': coded('gzip', gzipSync(TEXT)),
  '/deflate': coded('deflate', deflateSync(TEXT)),
  '/raw': coded('deflate', deflateRawSync(TEXT)),
  '/cut': coded('gzip', gzipSync(TEXT).subarray(0, -9)),
};
const pages = {
  '/form': {
    type: 'text/html',
    body:
      '<!doctype html><meta charset="utf-8"><title>form</title><script src="/.gateway/client.js" data-certless></script>' +
      '<form data-certless="/bytes" enctype="multipart/form-data"><input type="file" name="file"><button>Send</button></form>',
  },
};

describe('streams in Chromium, on an insecure origin', () => {
  let browser;
  let site;
  let visitor;
  let page;

  before(async () => (browser = await launch()));
  before(async () => (site = await startSite('article-2016', { pages, sealed, suites: 'ecdh-gcm,rsa-gcm' })));
  after(() => browser?.close());
  after(() => site?.stop());

  /** A page with `window.session`. */
  const enter = async (path, options = {}) => {
    page = await visitor.newPage();
    await page.goto(site.insecure + path);
    await page.waitForFunction(() => window.certless);
    await page.evaluate(
      async ([name, more]) => (window.session = await certless.login({ username: name, code: () => mailedCode(name), ...more })),
      [username, options],
    );
  };
  before(async () => {
    visitor = await newVisitor(browser, site);
    await enter('/page');
  });

  const down = (size) =>
    page.evaluate(async (path) => {
      const response = await session.fetch(path);
      let [length, isRight] = [0, true];
      for (const reader = response.body.getReader(); ; ) {
        const { done, value } = await reader.read();
        if (done) return [length, isRight];
        isRight &&= value.every((byte) => byte === 0x5a);
        length += value.length;
      }
    }, `/blob?size=${size}`);
  const upAndBack = (size) =>
    page.evaluate(async (length) => {
      const body = new Uint8Array(length).map((_, i) => i * 7);
      const response = await session.fetch('/bytes', { method: 'POST', body: new Blob([body]) });
      const back = new Uint8Array(await response.arrayBuffer());
      return back.length === length && back.every((byte, i) => byte === body[i]);
    }, size);

  test('12 MiB down in pieces, 12 MiB up and back', async () => {
    assert.equal(page.workers().length, 1);
    assert.deepEqual(await down(12 * 1024 * 1024), [12 * 1024 * 1024, true]);
    assert.ok(await upAndBack(12 * 1024 * 1024));
  });

  test('bodies that the service has compressed', async () => {
    const text = (path) => page.evaluate(async (at) => (await session.fetch(at)).text(), path);
    for (const path of ['/gzip', '/deflate', '/raw']) assert.equal(await text(path), TEXT, path);
    const read = (name) =>
      page.evaluate(async (reader) => (await session.fetch('/cut'))[reader]().catch((error) => [error.name, error.code]), name);
    for (const name of ['text', 'json', 'blob', 'arrayBuffer']) {
      assert.deepEqual(await read(name), ['BodyNotDecoded', 'body_not_decoded'], name);
    }
  });

  test('a body that is cancelled, and one whose signal aborts', async () => {
    const ended = await page.evaluate(async () => {
      const first = await session.fetch('/blob?size=50000000');
      await first.body.cancel();
      const controller = new AbortController();
      const { signal } = controller;
      const reader = (await session.fetch('/blob?size=50000000', { signal })).body.getReader();
      await reader.read();
      controller.abort();
      return reader.read().then(() => 'read', ({ name }) => name);
    });
    assert.equal(ended, 'AbortError');
    assert.deepEqual(await down(1024 * 1024), [1024 * 1024, true]);
  });

  test('the gateway ends while a body is read: an error, and no end', async () => {
    const gone = page.evaluate(async () => {
      const reader = (await session.fetch('/blob?size=100000000')).body.getReader();
      await reader.read();
      window.isReading = true;
      await new Promise((resolve) => (window.goOn = resolve));
      for (;;) {
        const end = await reader.read().catch(({ name, code }) => ({ name, code }));
        if (end.done || end.name) return end;
      }
    });
    await page.waitForFunction(() => window.isReading);
    await site.gateway.restart();
    await page.evaluate(() => window.goOn());
    assert.deepEqual(await gone, { name: 'StreamBroken', code: 'stream_broken' });
  });

  test('without the Worker', async () => {
    await page.close();
    await enter('/strict', { keys: 'memory' });
    assert.equal(page.workers().length, 0);
    assert.deepEqual(await down(3 * 1024 * 1024), [3 * 1024 * 1024, true]);
    assert.ok(await upAndBack(7 * 1024 * 1024));
  });

  test('a sealed form with a file of 8 MiB', async () => {
    await page.close();
    await enter('/form');
    // The page's own session continues with the stored one.
    await page.reload();
    await page.waitForFunction(() => certless.page.state === 'ready');
    await page.setInputFiles('input', { name: 'film.bin', mimeType: 'application/octet-stream', buffer: Buffer.alloc(8 * 1024 * 1024, 7) });
    await page.click('button');
    const words = await page.locator('output a').textContent();
    assert.match(words, /\(8\.0 MiB\)/);
  });
});
