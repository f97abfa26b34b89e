/** Real applications by the client in Node.js: httpbin, a clock and a WebSocket. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from './limited.js';
import { login } from '../src/index.js';
import { startGateway } from './gateway.js';
import { startPeers } from './peers.js';
import { within } from './within.js';

const ANN = 'ann@example.org';

describe('real applications', () => {
  let peers;
  const gateways = {};
  const sessions = {};
  before(async () => {
    peers = await startPeers('httpbin', 'swagger');
    for (const name of ['httpbin', 'swagger']) {
      gateways[name] = await startGateway({ upstream: peers.urls[name] });
      sessions[name] = await login({ url: gateways[name].url, username: ANN, code: () => gateways[name].mailbox.code(ANN) });
    }
  });
  after(async () => {
    await Promise.all(Object.values(sessions).map((session) => session.close()));
    await Promise.all([...Object.values(gateways), peers].map((server) => server?.stop()));
  });
  const call = (path, init) => sessions.httpbin.fetch(path, init);
  const json = async (path, init) => (await call(path, init)).json();

  test('httpbin: methods, targets and forms', async () => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
      const body = method === 'GET' ? undefined : 'tëa';
      const seen = await json('/anything/a%2Fb?x=%C3%BC', { method, body });
      assert.deepEqual([seen.method, seen.args, seen.data], [method, { x: 'ü' }, body ?? '']);
    }
    const content = randomBytes(300_000);
    const form = new FormData();
    form.append('file', new File([content], 'tea.bin', { type: 'application/octet-stream' }));
    const { files } = await json('/post', { method: 'POST', body: form });
    assert.deepEqual(Buffer.from(files.file.split(',')[1], 'base64'), content);
    const search = new URLSearchParams({ name: 'Früchtetee' });
    assert.deepEqual((await json('/post', { method: 'POST', body: search })).form, { name: 'Früchtetee' });
  });

  test('httpbin: statuses, redirects, cookies and authorization', async () => {
    for (const status of [201, 204, 304, 400, 404, 418, 500, 503]) {
      assert.equal((await call(`/status/${status}`)).status, status);
    }
    const redirect = await call('/redirect/2');
    assert.deepEqual([redirect.status, redirect.headers.get('Location')], [302, '/relative-redirect/1']);
    await call('/cookies/set?tea=green&milk=no');
    assert.deepEqual(await json('/cookies'), { cookies: { milk: 'no', tea: 'green' } });
    await call('/cookies/delete?tea');
    assert.deepEqual(await json('/cookies'), { cookies: { milk: 'no' } });
    assert.equal((await call('/basic-auth/ann/tea')).status, 401);
    const headers = { Authorization: `Basic ${btoa('ann:tea')}` };
    assert.deepEqual(await json('/basic-auth/ann/tea', { headers }), { authenticated: true, user: 'ann' });
  });

  test('httpbin: bodies', async () => {
    for (const [path, name] of [['gzip', 'gzipped'], ['deflate', 'deflated'], ['brotli', 'brotli']]) {
      assert.equal((await json(`/${path}`))[name], true, path);
    }
    assert.equal((await (await call('/stream/30')).text()).trim().split('\n').length, 30);
    assert.equal(await (await call('/drip?duration=0.2&numbytes=20&delay=0')).text(), '*'.repeat(20));
    const range = await call('/range/26', { headers: { Range: 'bytes=2-4' } });
    assert.deepEqual([range.status, await range.text()], [206, 'cde']);
    assert.equal((await (await call('/stream-bytes/100000')).arrayBuffer()).byteLength, 100_000);
    for (const kind of ['png', 'jpeg', 'svg', 'webp']) {
      const image = await (await call(`/image/${kind}`)).blob();
      assert.ok(image.type.startsWith(`image/${kind}`) && image.size > 1000, kind);
    }
    assert.match(await (await call('/encoding/utf8')).text(), /▝▀▘▙▄▟/);
  });

  test('the clock of an application in Starlette', async () => {
    const clock = sessions.swagger.eventSource('/clock');
    const seen = [];
    const ticks = new Promise((resolve, reject) => {
      clock.onerror = ({ error }) => reject(error);
      clock.onmessage = ({ data }) => seen.push(data) === 5 && resolve(seen);
    });
    assert.deepEqual(await within(ticks, 'five ticks'), [0, 1, 2, 3, 4].map((tick) => `tick ${tick}`));
    clock.close();
  });

  test('the WebSocket of an application in Starlette', async () => {
    const socket = new sessions.swagger.WebSocket('/echo');
    const text = 'ü'.repeat(100_000);
    const back = new Promise((resolve, reject) => {
      socket.onerror = () => reject(new Error('no socket'));
      socket.onopen = () => socket.send(text);
      socket.onmessage = ({ data }) => resolve(data);
    });
    assert.equal(await within(back, 'the echo'), text);
    socket.close();
  });
});
