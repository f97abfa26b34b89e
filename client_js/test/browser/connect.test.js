/** A site through `certless connect` in a real browser, and attacks on it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from '../limited.js';
import { startGateway, startUpstream } from '../gateway.js';
import { within } from '../within.js';
import { launch } from './chromium.js';
import { logInAt, startConnect } from './connect.js';

const PHP_SITE = fileURLToPath(new URL('../../../tests/support/php_site.php', import.meta.url));
const html = (body) => ({ type: 'text/html', body: `<!doctype html><title>site</title>${body}` });

/** Another server on the network: whatever reaches it left the page unsealed. */
async function startOther(page = '') {
  const asked = [];
  const server = http.createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(200, { 'Content-Type': request.url.endsWith('.js') ? 'text/javascript' : 'text/html' });
    response.end(request.url.endsWith('.js') ? 'window.loaded = true;' : page);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    asked,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

describe('a page in connect', () => {
  let other;
  let upstream;
  let gateway;
  let connect;
  let page;
  before(async () => {
    other = await startOther();
    upstream = await startUpstream({
      '/': html('<h1>the site</h1><a id="own" href="/own">own</a>'),
      '/own': html('<script>window.inline = true;</script><script src="/own.js"></script><p>own page</p>'),
      '/own.js': { type: 'text/javascript', body: 'window.loaded = true;' },
      '/script': html(`<script src="${other.url}/evil.js"></script><img src="${other.url}/evil.png"><p>done</p>`),
      '/form': html(`<form action="${other.url}/evil" method="post"><input name="secret" value="s"><button>Send</button></form>`),
      '/untyped': { body: '<!doctype html><h1>no type</h1>' },
      '/frame': html('<iframe src="/own"></iframe>'),
      '/cookie': { ...html('<p>set</p>'), headers: { 'Set-Cookie': ['sid=hidden; HttpOnly', 'theme=dark'] } },
    });
    gateway = await startGateway({ upstream: upstream.url });
    connect = await startConnect(gateway.url);
    page = await browser.newPage();
    await logInAt(page, connect, gateway, 'ann@example.org');
    await page.getByRole('heading', { name: 'the site' }).waitFor();
  });
  after(async () => {
    await page?.close();
    await connect?.stop();
    await gateway?.stop();
    await upstream?.stop();
    other?.stop();
  });

  test('runs its own scripts, and is a secure context', async () => {
    await page.goto(`${connect.own}/own`);
    assert.deepEqual(await page.evaluate(() => [window.inline, window.loaded, window.isSecureContext]), [true, true, true]);
  });

  test('shows a page without a type', async () => {
    await page.goto(`${connect.own}/untyped`);
    await page.getByRole('heading', { name: 'no type' }).waitFor();
  });

  test('loads no script and no picture over plain HTTP', async () => {
    await page.goto(`${connect.own}/script`);
    await page.getByText('done').waitFor();
    assert.equal(await page.evaluate(() => window.loaded), undefined);
    const sent = await page.evaluate(
      (url) => Promise.allSettled([fetch(`${url}/fetch`), fetch(`${url}/fetch`, { method: 'POST', mode: 'no-cors', body: 's' })]),
      other.url,
    );
    assert.deepEqual(sent.map(({ status }) => status), ['rejected', 'rejected']);
    assert.deepEqual(other.asked, []);
  });

  test('sends no form over plain HTTP', async () => {
    await page.goto(`${connect.own}/form`);
    const refused = page.waitForEvent('console', (message) => /form-action/.test(message.text()));
    // Playwright would wait for the navigation that is refused.
    await page.evaluate(() => document.querySelector('button').click());
    await refused;
    assert.deepEqual(other.asked, []);
  });

  test('keeps HttpOnly cookies out of the browser', async () => {
    await page.goto(`${connect.own}/cookie`);
    assert.equal(await page.evaluate(() => document.cookie), 'theme=dark');
    const names = (await page.context().cookies()).map(({ name }) => name.replace(/-\d+$/, ''));
    assert.deepEqual(names.sort(), ['certless-door', 'theme']);
    const seen = await page.evaluate(async () => (await fetch('/echo')).json());
    assert.equal(seen.headers.cookie, 'sid=hidden; theme=dark');
  });

  test('may be framed by its own site only', async () => {
    await page.goto(`${connect.own}/frame`);
    await page.frameLocator('iframe').getByText('own page').waitFor();
    const framing = await startOther(`<!doctype html><iframe src="${connect.own}/own"></iframe>`);
    try {
      await page.goto(framing.url);
      const framed = page.frames()[1];
      await framed.waitForLoadState();
      assert.equal(await framed.getByText('own page').count(), 0);
    } finally {
      framing.stop();
    }
  });

  test('asks about links of other sites, and refuses their forms', async () => {
    const before = upstream.count('/own');
    const evil = await startOther(
      `<!doctype html><a href="${connect.own}/own">link</a><form method="post" action="${connect.own}/own"><button>post</button></form>`,
    );
    try {
      await page.goto(evil.url);
      await page.getByRole('button', { name: 'post' }).click();
      await page.getByRole('heading', { name: /Not admitted|Refused/ }).waitFor();
      await page.goto(evil.url);
      await page.getByRole('link', { name: 'link' }).click();
      await page.getByRole('heading', { name: 'Continue?' }).waitFor();
      assert.equal(upstream.count('/own'), before);
      await page.getByRole('link', { name: /Continue to/ }).click();
      await page.getByText('own page').waitFor();
    } finally {
      evil.stop();
    }
  });

  test('admits no second browser', async () => {
    const context = await browser.newContext();
    try {
      const stranger = await context.newPage();
      assert.equal((await stranger.goto(connect.door)).status(), 403);
      assert.equal((await stranger.goto(`${connect.own}/own`)).status(), 403);
    } finally {
      await context.close();
    }
  });
});

describe('a site in PHP in connect', () => {
  let php;
  let gateway;
  let connect;
  before(async () => {
    const port = await freePort();
    php = spawn('php', ['-S', `127.0.0.1:${port}`, PHP_SITE], { stdio: 'ignore' });
    process.once('exit', () => php.kill('SIGKILL'));
    await within(listening(port), 'PHP listens');
    gateway = await startGateway({ upstream: `http://127.0.0.1:${port}` });
    connect = await startConnect(gateway.url);
  });
  after(async () => {
    await connect?.stop();
    await gateway?.stop();
    php?.kill();
  });

  test('logs in, uploads and logs out', async () => {
    const page = await browser.newPage();
    await logInAt(page, connect, gateway, 'ann@example.org');
    await page.locator('[name=name]').fill('ann');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('Hello ann').waitFor();
    await page.locator('[name=file]').setInputFiles({ name: 'tea.txt', mimeType: 'text/plain', buffer: Buffer.alloc(500_000) });
    await page.getByRole('button', { name: 'Upload' }).click();
    await page.locator('#uploaded').getByText(/^tea\.txt [0-9a-f]{40}$/).waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('button', { name: 'Log in' }).waitFor();
    await page.close();
  });

  test('is gone when connect is stopped, and nothing goes elsewhere', async () => {
    const page = await browser.newPage();
    const asked = [];
    page.on('request', (request) => asked.push(new URL(request.url()).origin));
    await connect.stop();
    await assert.rejects(page.goto(connect.own), /ERR_CONNECTION_REFUSED/);
    assert.deepEqual(new Set(asked), new Set([connect.own]));
    connect = undefined;
    await page.close();
  });
});

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function listening(port) {
  for (;;) {
    const socket = net.connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      socket.destroy();
    }
  }
}
