/** Responses with a Content-Encoding that the service was not asked for. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { after, before, describe, test } from './limited.js';
import { BodyNotDecoded, login } from '../src/index.js';
import { startGateway, startUpstream } from './gateway.js';

const ANN = 'ann@example.org';
const TEXT = 'tëa and '.repeat(1000);
const LONG = 'tea'.repeat(5_000_000);
// It does not shrink, so it arrives as a stream.
const NOISE = randomBytes(9 * 1024 * 1024);
const gzipped = gzipSync(TEXT);

const DECODED = {
  gzip: ['gzip', gzipped],
  'x-gzip, in other letters': ['X-GZip', gzipped],
  'gzip of several members': ['gzip', Buffer.concat([gzipSync(TEXT.slice(0, 10)), gzipSync(TEXT.slice(10))])],
  'deflate with a header': ['deflate', deflateSync(TEXT)],
  'deflate without a header': ['deflate', deflateRawSync(TEXT)],
  br: ['br', brotliCompressSync(TEXT)],
  'two codings': ['deflate, br', brotliCompressSync(deflateSync(TEXT))],
  identity: ['identity', Buffer.from(TEXT)],
};
const AS_IT_IS = { 'a coding that nobody knows': ['tea', gzipped] };
const REFUSED = {
  'cut off': ['gzip', gzipped.subarray(0, -9), /not in its Content-Encoding/],
  'cut off, br': ['br', brotliCompressSync(TEXT).subarray(0, -3), /not in its Content-Encoding/],
  'not compressed': ['gzip', Buffer.from(TEXT), /not in its Content-Encoding/],
  'too many codings': ['gzip, gzip, gzip, gzip', gzipped, /more than 3 codings/],
  'more than it can become': ['gzip', gzipSync(Buffer.alloc(80 * 1024 * 1024)), /more than 100 times/],
};
const paths = Object.fromEntries(Object.keys({ ...DECODED, ...AS_IT_IS, ...REFUSED }).map((name, at) => [name, `/coded/${at}`]));

describe('compressed responses', () => {
  let upstream;
  let gateway;
  let session;
  before(async () => {
    const pages = Object.entries({ ...DECODED, ...AS_IT_IS, ...REFUSED }).map(([name, [coding, body]]) => [
      paths[name],
      { type: 'text/plain', body, headers: { 'Content-Encoding': coding } },
    ]);
    const more = {
      '/empty': { type: 'text/plain', body: '', headers: { 'Content-Encoding': 'gzip' } },
      '/long': { type: 'text/plain', body: gzipSync(LONG), headers: { 'Content-Encoding': 'gzip' } },
      '/noise': { type: 'text/plain', body: gzipSync(NOISE, { level: 1 }), headers: { 'Content-Encoding': 'gzip' } },
    };
    upstream = await startUpstream({ ...Object.fromEntries(pages), ...more });
    gateway = await startGateway({ upstream: upstream.url });
    session = await login({ url: gateway.url, username: ANN, code: () => gateway.mailbox.code(ANN) });
  });
  after(async () => {
    await session?.close();
    await gateway?.stop();
    await upstream?.stop();
  });

  for (const name of Object.keys(DECODED)) {
    test(name, async () => assert.equal(await (await session.fetch(paths[name])).text(), TEXT));
  }

  for (const [name, [, body]] of Object.entries(AS_IT_IS)) {
    test(name, async () => assert.deepEqual(Buffer.from(await (await session.fetch(paths[name])).arrayBuffer()), body));
  }

  for (const [name, [, , message]] of Object.entries(REFUSED)) {
    test(name, async () => {
      const response = await session.fetch(paths[name]);
      await assert.rejects(response.arrayBuffer(), (error) => {
        assert.ok(error instanceof BodyNotDecoded, error.stack);
        assert.equal(error.code, 'body_not_decoded');
        assert.match(error.message, message);
        return true;
      });
    });
  }

  test('long bodies', async () => {
    assert.equal(await (await session.fetch('/long')).text(), LONG);
    assert.ok(NOISE.equals(Buffer.from(await (await session.fetch('/noise')).arrayBuffer())));
  });

  test('no body', async () => {
    assert.equal(await (await session.fetch('/empty')).text(), '');
    const head = await session.fetch(paths.gzip, { method: 'HEAD' });
    assert.deepEqual([head.headers.get('Content-Encoding'), await head.text()], ['gzip', '']);
  });

  test('a reader that stops', async () => {
    const response = await session.fetch('/noise');
    const reader = response.body.getReader();
    assert.equal((await reader.read()).done, false);
    await reader.cancel();
    assert.equal(await (await session.fetch(paths.gzip)).text(), TEXT);
  });
});
