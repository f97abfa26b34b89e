/** The extension in Chromium at the vault of the demo, over plain HTTP: its use, and what a changed page of the site gets. */
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from '../limited.js';
import { startDemo } from './demo.js';
import { addSite, address, startExtension } from './extensionBrowser.js';
import { contrast, texts, unnamed } from './pageChecks.js';
import { create, logIn, save, says, unlock } from './vaultPage.js';

const [ANN, BOB] = ['ann@example.org', 'bob@example.org'];
const PASSWORD = 'correct horse battery';
const NOTE = 'The key is under the flower pot';

let demo;
let extension;
before(async () => {
  demo = await startDemo();
  extension = await startExtension();
});
after(async () => {
  await extension?.stop();
  await demo?.stop();
});

const siteAddress = () => address(`site.html?site=${encodeURIComponent(demo.vault.insecure)}`);
const badge = (page) => page.locator('#sites .mark');

async function open(url) {
  const page = await extension.browser.newPage();
  await page.goto(url);
  return page;
}

const noteOf = (page) => page.getByLabel('Your note').inputValue();

async function unlockedAt(page) {
  await unlock(page, PASSWORD);
  await says(page, 'The vault is open.');
  return noteOf(page);
}

/** Runs in the page: the token of the stored session. With `isToEnd`, the stored session has ended, and its ticket is left. */
async function storedToken(isToEnd) {
  const done = (request) => new Promise((resolve) => Object.assign(request, { onsuccess: () => resolve(request.result) }));
  const database = await done(indexedDB.open('certless'));
  const sessions = database.transaction('sessions', 'readwrite').objectStore('sessions');
  const [name] = await done(sessions.getAllKeys());
  const kept = await done(sessions.get(name));
  if (isToEnd) await done(sessions.put({ ...kept, expiresMs: 0 }, name));
  database.close();
  return kept.token;
}

let code;

test('a site is added by the keyboard, and opened', async () => {
  const sites = await open(address('sites.html'));
  await sites.getByText('There are no sites yet.').waitFor();
  await sites.getByLabel('Address').focus();
  await sites.keyboard.insertText('https://shop.example');
  await sites.keyboard.press('Enter');
  await sites.getByRole('alert').filter({ hasText: 'for sites without HTTPS' }).waitFor();
  await addSite(sites, demo.vault.insecure);
  await badge(sites).filter({ hasText: 'Not logged in' }).waitFor();
  const opened = extension.browser.waitForEvent('page');
  await sites.getByRole('link', { name: 'Open as a page' }).focus();
  await sites.keyboard.press('Tab');
  await sites.keyboard.press('Enter');
  const site = await opened;
  await site.getByLabel('Name or e-mail address').waitFor();
  assert.equal(await site.locator('#site').innerText(), demo.vault.insecure);
  assert.equal(site.url(), siteAddress());
  await site.close();
  await sites.close();
});

test('a login by a code, a new vault, a note; a lock from the list of sites', async () => {
  const site = await open(siteAddress());
  await logIn(site, demo, ANN);
  code = await create(site, PASSWORD);
  await save(site, NOTE);
  await says(site, 'The note is saved.');
  assert.equal(await site.locator('[data-insecure]:visible').count(), 0);
  const sites = await open(address('sites.html'));
  await badge(sites).filter({ hasText: `Logged in as ${ANN}, until ` }).waitFor();
  await sites.getByRole('button', { name: 'Lock all vaults' }).click();
  await site.getByRole('heading', { name: 'Unlock your vault' }).waitFor();
  assert.equal(await noteOf(site), '');
  await sites.close();
  await site.close();
});

test('two sites with the same realm and user do not share what the browser remembers of a vault', async () => {
  const site = await open(siteAddress());
  const keys = await site.evaluate(async () => {
    const done = (request) => new Promise((resolve) => Object.assign(request, { onsuccess: () => resolve(request.result) }));
    const database = await done(indexedDB.open('certless-vault'));
    const found = await done(database.transaction('accounts').objectStore('accounts').getAllKeys());
    database.close();
    return [...found, ...Object.keys(localStorage).filter((name) => name.startsWith('certless-vault-device'))];
  });
  const { insecure } = demo.vault;
  assert.ok(keys.length >= 2);
  for (const key of keys) assert.ok(key.startsWith(`${insecure} `) || key === `certless-vault-device ${insecure} ${ANN}`, key);
  await site.close();
});

test('the session continues after a reload, by a ticket, and after a restart of the browser', async () => {
  const site = await open(siteAddress());
  assert.equal(await unlockedAt(site), NOTE);
  await site.reload();
  assert.equal(await unlockedAt(site), NOTE);
  const token = await site.evaluate(storedToken, true);
  await site.reload();
  assert.equal(await unlockedAt(site), NOTE);
  assert.notEqual(await site.evaluate(storedToken, false), token);
  await extension.restart();
  const again = await open(siteAddress());
  assert.equal(await unlockedAt(again), NOTE);
  await again.close();
});

/** Runs in the changed page of the site: tries to get something from the extension. Each result is what it got. */
async function attack({ id, files, names }) {
  const within = (work) => Promise.race([work, new Promise((resolve) => setTimeout(() => resolve(null), 1_500))]).catch(() => null);
  const heard = [];
  addEventListener('message', ({ data, origin }) => heard.push([origin, data]));
  const channels = names.map((name) => {
    const channel = new BroadcastChannel(name);
    channel.onmessage = ({ data }) => heard.push([name, data]);
    channel.postMessage('lock');
    channel.postMessage('logout');
    return channel;
  });
  const runtime = globalThis.chrome?.runtime;
  const got = {
    answer: await within(new Promise((resolve) => (runtime?.sendMessage ? runtime.sendMessage(id, { name: 'note' }, (found) => resolve(found ?? null)) : resolve(null)))),
    files: (await Promise.all(files.map((file) => within(fetch(`chrome-extension://${id}/${file}`).then((response) => response.text()))))).filter(Boolean),
    scripts: await within(import(`chrome-extension://${id}/site.js`).then(Object.keys)),
    image: await within(new Promise((resolve, reject) => Object.assign(new Image(), { onload: () => resolve('loaded'), onerror: reject, src: `chrome-extension://${id}/icon16.png` }))),
    frames: [],
    globals: Object.keys(globalThis).filter((name) => /certless/i.test(name)),
    databases: (await indexedDB.databases()).map(({ name }) => name),
    storage: Object.keys(localStorage),
  };
  for (const file of files) {
    const frame = document.createElement('iframe');
    const loaded = new Promise((resolve) => (frame.onload = resolve));
    frame.src = `chrome-extension://${id}/${file}`;
    document.body.append(frame);
    await within(loaded);
    frame.contentWindow.postMessage({ name: 'note' }, '*');
    const text = (() => {
      try {
        return frame.contentDocument?.body.innerText ?? '';
      } catch {
        return '';
      }
    })();
    if (text) got.frames.push(text);
  }
  await within(new Promise(() => {}));
  channels.forEach((channel) => channel.close());
  return { ...got, heard };
}

test('a changed page of the site gets nothing from the extension', async () => {
  const own = await open(siteAddress());
  assert.equal(await unlockedAt(own), NOTE);
  const { insecure } = demo.vault;
  const page = await extension.browser.newPage();
  await page.route(`${insecure}/`, (route) => route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>changed</title><body><p>hello' }));
  await page.goto(`${insecure}/`);
  const files = ['manifest.json', 'site.js', 'sites.html', `site.html?site=${encodeURIComponent(insecure)}`];
  const names = ['certless extension', `certless ${insecure}/.gateway`];
  const got = await page.evaluate(attack, { id: new URL(own.url()).host, files, names });
  assert.deepEqual(got, { answer: null, files: [], scripts: null, image: null, frames: [], globals: [], databases: [], storage: [], heard: [] });
  assert.deepEqual(page.frames().map((frame) => frame.url()).filter((url) => url.startsWith('chrome-extension:')), []);
  // A window, and the page itself.
  const opened = extension.browser.waitForEvent('page');
  await page.evaluate((url) => void (globalThis.opened = open(url)), own.url());
  const other = await opened;
  await other.waitForLoadState();
  assert.ok(!other.url().startsWith('chrome-extension:'), other.url());
  await page.evaluate((url) => void location.assign(url), own.url());
  await page.waitForLoadState();
  assert.ok(!page.url().startsWith('chrome-extension:'), page.url());
  assert.equal(await noteOf(own), NOTE);
  assert.equal(await own.locator('#vault').getAttribute('data-view'), 'open');
  await own.close();
  await other.close();
  await page.close();
});

test('the extension reaches only the sites that were added', async () => {
  const sites = await open(address('sites.html'));
  const reached = (url) => sites.evaluate((where) => fetch(where).then(({ status }) => status, () => null), url);
  assert.equal(await reached(`${demo.vault.insecure}/.gateway/client.js`), 200);
  assert.equal(await reached(`${demo.vault.secure}/.gateway/client.js`), null);
  const other = await open(address('site.html?site=http%3A%2F%2F127.0.0.1%3A1'));
  await other.getByText('This site is not on your list').waitFor();
  // The question is in a window of the browser, which a browser without windows does not have. The site waits for its permission.
  await sites.evaluate(() => (chrome.permissions.request = async () => false));
  await sites.getByLabel('Address').fill('other.test:8440');
  await sites.getByRole('button', { name: 'Add the site' }).click();
  await sites.getByRole('alert').filter({ hasText: 'Certless cannot reach http://other.test:8440.' }).waitFor();
  await badge(sites).filter({ hasText: 'Not allowed yet' }).waitFor();
  await sites.getByRole('button', { name: 'Remove http://other.test:8440' }).click();
  await sites.getByText('http://other.test:8440 is removed.').waitFor();
  await other.close();
  await sites.close();
});

test('each page fits 360 and 1440 pixels, light and dark, with names and contrast', async () => {
  const [sites, site] = [await open(address('sites.html')), await open(siteAddress())];
  await badge(sites).waitFor();
  await unlockedAt(site);
  for (const page of [sites, site]) {
    for (const [width, colorScheme] of [[360, 'light'], [360, 'dark'], [1440, 'light'], [1440, 'dark']]) {
      await page.setViewportSize({ width, height: 800 });
      await page.emulateMedia({ colorScheme });
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= width, `${page.url()} at ${width}`);
      const found = await page.evaluate(texts);
      assert.ok(found.length > 5);
      for (const { text, front, back } of found) assert.ok(contrast(front, back) >= 4.5, `${text}: ${contrast(front, back).toFixed(2)}, ${colorScheme}`);
    }
    assert.deepEqual(await page.evaluate(unnamed), []);
    await page.close();
  }
});

test('on a page without HTTPS, the vault says why it has no passkeys', async () => {
  const page = await open(demo.vault.insecure);
  await logIn(page, demo, BOB);
  await page.locator('[data-in=unlock]').getByText('Passkeys do not work on this page').waitFor();
  await page.evaluate(() => globalThis.certless.page.logout());
  await page.close();
});

/** The files of a folder that have one of the texts or byte strings. */
async function filesWith(folder, wanted) {
  const found = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const content = await readFile(path);
    if (wanted.some((one) => content.includes(one))) found.push(path.slice(folder.length + 1));
  }
  return found;
}

test('the profile folder has the session and names, and no note, password or recovery code', async () => {
  const site = await open(siteAddress());
  await unlockedAt(site);
  await save(site, `${NOTE}!`);
  await says(site, 'The note is saved.');
  await site.locator('#lock').click();
  const token = await site.evaluate(storedToken, false);
  await extension.restart();
  const spellings = (text) => [Buffer.from(text), Buffer.from(text, 'utf16le')];
  for (const secret of [NOTE, PASSWORD, code]) assert.deepEqual(await filesWith(extension.profile, spellings(secret)), [], secret);
  assert.ok((await filesWith(extension.profile, spellings(token))).length > 0, 'the session');
  assert.ok((await filesWith(extension.profile, spellings(ANN))).length > 0, 'the username');
});

test('a logout in the list of sites ends the session in all pages', async () => {
  const [sites, site] = [await open(address('sites.html')), await open(siteAddress())];
  await unlockedAt(site);
  await sites.getByRole('button', { name: 'Log out' }).click();
  await badge(sites).filter({ hasText: 'Not logged in' }).waitFor();
  await site.getByLabel('Name or e-mail address').waitFor();
  assert.equal(await noteOf(site), '');
  await site.reload();
  await site.getByLabel('Name or e-mail address').waitFor();
  await sites.getByRole('button', { name: 'Remove' }).click();
  await sites.getByText('There are no sites yet.').waitFor();
  await site.reload();
  await site.getByText('This site is not on your list').waitFor();
});
