/** A site through the proxy mode of `certless connect`, in a browser with a fixed proxy. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { runInNewContext } from 'node:vm';
import { after, before, describe, test } from '../limited.js';
import { startGateway } from '../gateway.js';
import { launch } from './chromium.js';
import { logInAt, startProxy } from './connect.js';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** A page, and a WebSocket that echoes short messages. `seen` are the targets. */
async function startSite() {
  const seen = [];
  const server = http.createServer((request, response) => {
    seen.push(request.url);
    response.writeHead(200, { 'Content-Type': 'text/html', 'Set-Cookie': 'sid=ann; HttpOnly' });
    response.end('<!doctype html><title>site</title><h1>the site</h1>');
  });
  server.on('upgrade', (request, socket) => {
    seen.push(`${request.url} ${request.headers.cookie}`);
    const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + GUID).digest('base64');
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
    socket.on('data', (frame) => {
      const text = Buffer.from(frame.subarray(6).map((byte, at) => byte ^ frame[2 + (at % 4)]));
      socket.write(Buffer.concat([Buffer.from([frame[0], text.length]), text]));
      if ((frame[0] & 15) === 8) socket.end();
    });
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    seen,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** What a WebSocket to `url` says: its echo and its close, or `error`. */
const socketSays = (url) =>
  new Promise((resolve) => {
    const socket = new WebSocket(url);
    const said = [];
    socket.onopen = () => socket.send('tea');
    socket.onmessage = ({ data }) => {
      said.push(data);
      socket.close(4000);
    };
    socket.onerror = () => resolve('error');
    socket.onclose = ({ code, wasClean }) => resolve([...said, code, wasClean]);
  });

describe('a browser with the fixed proxy', () => {
  let browser;
  let site;
  let other;
  let gateway;
  let connect;
  let page;
  before(async () => {
    browser = await launch();
    site = await startSite();
    other = await startSite();
    gateway = await startGateway({ upstream: site.url });
    connect = await startProxy(gateway.url);
    const context = await browser.newContext({ proxy: connect.proxy });
    page = await context.newPage();
    await logInAt(page, connect, gateway, 'ann@example.org');
    await page.getByRole('heading', { name: 'the site' }).waitFor();
  });
  after(async () => {
    await browser?.close();
    await connect?.stop();
    await gateway?.stop();
    site?.stop();
    other?.stop();
  });

  test('opens a WebSocket of the site, with its cookies', async () => {
    assert.equal(page.url(), `${gateway.url}/`);
    assert.deepEqual(await page.evaluate(socketSays, `${gateway.url.replace('http', 'ws')}/chat`), ['tea', 4000, true]);
    assert.ok(site.seen.includes('/chat sid=ann'));
  });

  test('opens no other address: no page, no WebSocket, nothing with TLS', async () => {
    const elsewhere = other.url.replace('http', 'ws');
    assert.equal(await page.evaluate(socketSays, `${elsewhere}/chat`), 'error');
    const strange = await page.context().newPage();
    assert.equal((await strange.goto(other.url)).status(), 403);
    assert.equal(await strange.evaluate(socketSays, `${elsewhere}/chat`), 'error');
    await assert.rejects(strange.goto(other.url.replace('http', 'https')), /ERR_TUNNEL_CONNECTION_FAILED/);
    await strange.close();
    assert.deepEqual(other.seen, []);
  });

  test('finds its sites in the PAC file, however they are written', async () => {
    const pac = await (await fetch(`${connect.proxy.server}/proxy.pac`)).text();
    const found = (url) => runInNewContext(`${pac}\nFindProxyForURL(${JSON.stringify(url)}, '')`);
    const [scheme, rest] = gateway.url.split('//');
    const [host, port] = rest.split(':');
    for (const url of [`${scheme}//${rest}/a`, `WS://${rest}`, `${scheme}//ann:x@${rest}/`, `${scheme}//${host}.:${port}/`]) {
      assert.equal(found(url), `PROXY ${new URL(connect.proxy.server).host}`, url);
    }
    for (const url of [`${scheme}//${rest}0/`, `https://${rest}/`, `${scheme}//other.example/${gateway.url}`]) {
      assert.equal(found(url), 'DIRECT', url);
    }
  });

  test('gets nothing without the credential', async () => {
    const context = await browser.newContext({ proxy: { server: connect.proxy.server } });
    const before = site.seen.length;
    const stranger = await context.newPage();
    await assert.rejects(stranger.goto(gateway.url), /ERR_INVALID_AUTH_CREDENTIALS|ERR_PROXY_AUTH|407/);
    assert.equal(site.seen.length, before);
    await context.close();
  });

  // The last test: it stops connect.
  test('sends nothing past the proxy when connect has stopped', async () => {
    await connect.stop();
    connect = undefined;
    const before = site.seen.length;
    await assert.rejects(page.goto(gateway.url), /ERR_PROXY_CONNECTION_FAILED/);
    assert.equal(site.seen.length, before);
    assert.doesNotMatch(gateway.log, /"?GET \/ /);
  });
});
