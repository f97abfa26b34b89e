/** Real, unchanged applications through `certless connect` in Chromium: mapped mode and proxy mode. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from '../limited.js';
import { startGateway } from '../gateway.js';
import { INSECURE_HOST, launch } from './chromium.js';
import { logInAt, startConnect, startProxy } from './connect.js';
import { startPeers } from '../peers.js';

const ANN = 'ann@example.org';
// tests/support/peers/servers.py
const PASSWORD = 'a long password';
// A PNG of one pixel, and filler: DokuWiki looks into it.
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII=';
const PICTURE = Buffer.concat([Buffer.from(PIXEL, 'base64'), Buffer.alloc(300_000, 'tea')]);

/** In a page: the first events of the clock. */
const ticks = () =>
  new Promise((resolve, reject) => {
    const seen = [];
    const source = new EventSource('/clock');
    source.onerror = () => reject(new Error('the clock has stopped'));
    source.onmessage = ({ data }) => {
      if (seen.push(data) < 3) return;
      source.close();
      resolve(seen);
    };
  });

/** In a page: a message that comes back. */
const echo = () =>
  new Promise((resolve, reject) => {
    const socket = new WebSocket('/echo');
    socket.onerror = () => reject(new Error('no socket'));
    socket.onopen = () => socket.send('ü'.repeat(100_000));
    socket.onmessage = ({ data }) => {
      socket.close();
      resolve(data);
    };
  });

/** What a user does, by the peer. `own` is the site's origin in the browser, `trail` a name for new data. */
const visits = {
  async django(page, own, trail) {
    await page.goto(`${own}/admin/`);
    await page.getByLabel('Username:').fill('root');
    await page.getByLabel('Password:').fill(PASSWORD);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { name: 'Site administration' }).waitFor();
    assert.equal(await page.locator('#header').evaluate((header) => getComputedStyle(header).display), 'flex');
    await page.locator('#content-main').getByRole('link', { name: 'Add' }).last().click();
    await page.getByLabel('Name:').fill(`Earl Grey ${trail}`);
    await page.getByLabel('Picture:').setInputFiles({ name: `${trail}.png`, mimeType: 'image/png', buffer: PICTURE });
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('was added successfully').waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByText('Thanks for spending some quality time').waitFor();
    await page.goto(`${own}/admin/`);
    await page.getByLabel('Username:').waitFor();
  },

  async dokuwiki(page, own, trail) {
    // The buttons need the scripts of the page, so each step waits until it has loaded.
    const follow = async (name, part) => {
      await page.getByRole('link', { name }).first().click();
      await page.waitForURL((url) => url.search.includes(part));
    };
    await page.goto(`${own}/doku.php?id=${trail}`);
    await follow('Log In', 'do=login');
    await page.getByLabel('Username').fill('ann');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Log In' }).click();
    await page.getByText('Logged in as:').waitFor();
    await follow('Create this page', 'do=edit');
    await page.locator('#wiki__text').fill(`====== Über Tee ======\n\n**Earl Grey** of ${trail}`);
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Über Tee' }).waitFor();
    await page.getByText(`Earl Grey of ${trail}`).waitFor();
    await follow('Media Manager', 'do=media');
    await page.goto(`${own}/doku.php?id=${trail}&do=media&tab_files=upload`);
    await page.locator('.qq-uploader input[type=file]').setInputFiles({ name: `${trail}.png`, mimeType: 'image/png', buffer: PICTURE });
    await page.getByRole('button', { name: 'Upload', exact: true }).click();
    await page.locator('.qq-upload-success').waitFor();
    const media = `${own}/lib/exe/fetch.php?media=${trail}.png`;
    assert.equal(await page.evaluate(async (url) => (await (await fetch(url)).blob()).size, media), PICTURE.length);
    await page.goto(`${own}/doku.php?id=${trail}`);
    await page.getByRole('link', { name: 'Log Out' }).first().click();
    await page.getByRole('link', { name: 'Log In' }).first().waitFor();
  },

  async swagger(page, own) {
    await page.goto(`${own}/docs`);
    const call = async (path, fill) => {
      const block = page.locator('.opblock').filter({ has: page.locator(`[data-path="${path}"]`) });
      await block.locator('.opblock-summary-control').click();
      await block.getByRole('button', { name: 'Try it out' }).click();
      await fill(block);
      await block.getByRole('button', { name: 'Execute' }).click();
      const table = block.locator('.live-responses-table .response');
      await table.waitFor();
      return [await table.locator('.response-col_status').innerText(), await table.locator('.microlight').first().innerText()];
    };
    const [status, tea] = await call('/teas/{name}', async (block) => {
      await block.getByPlaceholder('name').fill('Früchtetee');
      await block.getByPlaceholder('cups').fill('3');
    });
    assert.match(status, /200/);
    assert.deepEqual(JSON.parse(tea), { name: 'Früchtetee', cups: 3 });
    const [created] = await call('/orders', async (block) => {
      await block.locator('textarea').fill('{"item": "tea", "quantity": 2}');
    });
    assert.match(created, /201/);
    const [, file] = await call('/pictures', async (block) => {
      await block.locator('input[type=file]').setInputFiles({ name: 'tea.png', mimeType: 'image/png', buffer: PICTURE });
    });
    assert.equal(JSON.parse(file).sha256, createHash('sha256').update(PICTURE).digest('hex'));
    await call('/login', (block) => block.getByPlaceholder('name').fill('ann'));
    const [, me] = await call('/me', () => {});
    assert.equal(me, '"ann"');
    assert.deepEqual(await page.evaluate(ticks), ['tick 0', 'tick 1', 'tick 2']);
    assert.equal(await page.evaluate(echo), 'ü'.repeat(100_000));
  },

  async datasette(page, own) {
    await page.goto(own);
    await page.getByRole('link', { name: 'shop', exact: true }).click();
    await page.getByRole('link', { name: 'tea', exact: true }).click();
    await page.getByText('300 rows').waitFor();
    await page.getByRole('link', { name: 'Next page' }).first().click();
    await page.getByText('tea number 101').waitFor();
    await page.locator('[name=_search]').fill('number 7');
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.getByText('tea number 7').first().waitFor();
    await page.goto(`${own}/shop/tea?_facet=country`);
    await page.locator('.facet-results').getByRole('link', { name: 'India' }).click();
    await page.getByText(/200 rows/).first().waitFor();
    await page.getByText('Advanced export').click();
    await page.getByLabel('download file').check();
    await page.getByLabel('stream all rows').check();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Export CSV' }).click()]);
    const rows = (await readFile(await download.path(), 'utf8')).trim().split('\r\n');
    assert.equal(rows.length, 201);
    await page.getByRole('link', { name: 'View and edit SQL' }).click();
    await page.getByRole('button', { name: 'Run SQL' }).click();
    await page.getByText('200 rows').or(page.getByText('tea number 1')).first().waitFor();
  },

  async httpbin(page, own) {
    const call = (path, options) =>
      page.evaluate(
        async ([address, given]) => {
          const answer = await fetch(address, given);
          return { status: answer.status, url: answer.url, text: await answer.text() };
        },
        [`${own}${path}`, options],
      );
    await page.goto(`${own}/html`);
    await page.getByRole('heading', { name: 'Herman Melville' }).waitFor();
    for (const path of ['/redirect/3', '/absolute-redirect/2', '/relative-redirect/1']) {
      assert.equal((await call(path)).url, `${own}/get`);
    }
    await page.goto(`${own}/cookies/set/tea/green`);
    assert.match(await page.innerText('body'), /"tea": "green"/);
    for (const coding of ['gzip', 'deflate', 'brotli']) {
      assert.match((await call(`/${coding}`)).text, /"(?:gzipped|deflated|brotli)": true/);
    }
    assert.equal((await call('/stream/20')).text.trim().split('\n').length, 20);
    assert.equal((await call('/drip?duration=0.2&numbytes=20&delay=0')).text, '*'.repeat(20));
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const { text } = await call('/anything/a%2Fb?x=1', { method, body: 'tëa' });
      const { method: seen, data } = JSON.parse(text);
      assert.deepEqual([seen, data], [method, 'tëa']);
    }
    for (const status of [201, 204, 304]) assert.equal((await call(`/status/${status}`)).status, status);
    for (const kind of ['png', 'jpeg', 'webp', 'svg']) {
      const isShown = await page.evaluate(async (url) => {
        const image = new Image();
        image.src = url;
        await image.decode();
        return image.naturalWidth > 0;
      }, `${own}/image/${kind}`);
      assert.ok(isShown, kind);
    }
  },
};
const NAMES = Object.keys(visits);
// Each process that starts here is killed at the end of this one.
process.setMaxListeners(30);

/** What goes wrong in a page without a visible sign. */
function listenForFaults(context) {
  const faults = [];
  context.on('page', (page) => {
    page.on('pageerror', (error) => faults.push(`script: ${error.message}`));
    page.on('requestfailed', (request) => {
      const { errorText } = request.failure();
      // The test goes to the next page before all pictures are there.
      if (errorText !== 'net::ERR_ABORTED') faults.push(`failed: ${request.url()} ${errorText}`);
    });
    page.on('console', (message) => message.type() === 'error' && faults.push(`console: ${message.text()} ${message.location().url}`));
    page.on('response', (answer) => answer.status() >= 400 && faults.push(`${answer.status()}: ${answer.url()}`));
  });
  return faults;
}

describe('real applications in connect', () => {
  let browser;
  let peers;
  let proxy;
  const gateways = {};
  const mapped = {};
  before(async () => {
    peers = await startPeers(...NAMES);
    await Promise.all(NAMES.map(async (name) => (gateways[name] = await startGateway({ upstream: peers.urls[name] }))));
    await Promise.all([
      (async () => (browser = await launch()))(),
      ...NAMES.map(async (name) => (mapped[name] = await startConnect(gateways[name].url))),
      (async () => (proxy = await startProxy(...NAMES.map((name) => gateways[name].url))))(),
    ]);
  });
  after(async () => {
    await browser?.close();
    await Promise.all([...Object.values(mapped), proxy].map((connect) => connect?.stop()));
    await Promise.all([...Object.values(gateways), peers].map((server) => server?.stop()));
  });

  const visit = async (name, mode, door, own, settings) => {
    const context = await browser.newContext(settings);
    try {
      const page = await context.newPage();
      await logInAt(page, { door }, gateways[name], ANN);
      await page.waitForLoadState();
      const faults = listenForFaults(context);
      const seen = await context.newPage();
      await visits[name](seen, own, mode);
      assert.deepEqual(faults, []);
    } finally {
      await context.close();
    }
  };

  for (const name of NAMES) {
    test(`${name}, under a local address`, () => visit(name, 'mapped', mapped[name].door, mapped[name].own, {}));
    test(`${name}, through the proxy`, () => visit(name, 'proxy', gateways[name].url, gateways[name].url, { proxy: proxy.proxy }));
  }

  /** The login page of the gateway, which then shows the page in a frame without scripts. */
  const read = async (name, path, steps) => {
    const page = await browser.newPage();
    await page.goto(`http://${INSECURE_HOST}:${gateways[name].port}${path}`);
    await page.getByLabel('Name or e-mail address').fill(ANN);
    await page.keyboard.press('Enter');
    await page.getByLabel('Code from the mail').fill(await gateways[name].mailbox.code(ANN));
    await steps(page.frameLocator('[data-certless-page] iframe'));
    await page.close();
  };

  test('datasette, without connect: pages to read', () =>
    read('datasette', '/shop', async (frame) => {
      await frame.getByRole('link', { name: 'tea', exact: true }).click();
      await frame.getByText('300 rows').waitFor();
      await frame.getByRole('link', { name: 'Next page' }).first().click();
      await frame.getByText('tea number 101').waitFor();
    }));

  test('dokuwiki, without connect: pages to read', () =>
    read('dokuwiki', '/doku.php?id=mapped', async (frame) => {
      await frame.getByText('Earl Grey of mapped').waitFor();
      await frame.getByRole('link', { name: 'Recent Changes' }).first().click();
      await frame.getByRole('link', { name: 'mapped' }).first().waitFor();
    }));
});
