/** Notes and files on the vault's page of the demo, on an insecure origin: Ann's laptop and her phone. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { python } from '../gateway.js';
import { after, before, describe, test } from '../limited.js';
import { launch } from './chromium.js';
import { startDemo } from './demo.js';
import { create, logIn, says, unlock } from './vaultPage.js';

const run = promisify(execFile);
const ANN = 'ann@example.org';
const PASSWORD = 'correct horse battery';
const VIDEO = Buffer.from(Uint8Array.from({ length: 5_000_000 }, (_, i) => (i * 2654435761) >>> 11));

/** The server's operator gives each block of the database the content of another one. */
const SWAP = `
import sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=20) as connection:
    for table in ("vault_blocks", "vault_pool"):
        rows = connection.execute(f"SELECT id, block FROM {table} WHERE block IS NOT NULL ORDER BY id").fetchall()
        for (one, _), (_, block) in zip(rows, rows[1:] + rows[:1]):
            connection.execute(f"UPDATE {table} SET block = ? WHERE id = ?", (block, one))
`;

let demo;
let browser;
before(async () => {
  demo = await startDemo();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

const complaints = [];

/** A browser of its own. */
async function openPage() {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on('pageerror', (error) => complaints.push(`${error}`));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  await page.goto(demo.vault.insecure);
  await logIn(page, demo, ANN);
  return page;
}

const idle = (page) => page.locator('#vault:not([aria-busy])').waitFor();
const row = (page, name) => page.locator('#files li', { hasText: name });
const act = (page, name) => page.getByRole('button', { name, exact: true }).click();
const words = (page) => page.locator('#words strong').innerText();
/** Resolves when the editor has this text. */
const shows = (page, text) => page.waitForFunction((wanted) => document.querySelector('#editor [name=text]').value === wanted, text);

/** Types into the editor, and saves. */
async function write(page, text, said = 'The note is saved.') {
  await page.locator('#editor [name=text]').fill(text);
  await act(page, 'Save this note');
  await says(page, said);
}

async function openVault(page) {
  await unlock(page, PASSWORD);
  await page.locator('#vault[data-view=open]').waitFor();
  await idle(page);
}

/** All that IndexedDB and localStorage of the page have, as one text. */
const stored = (page) => page.evaluate(async () => {
  const done = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const flat = (value) => {
    if (ArrayBuffer.isView(value)) return Array.from(value, (byte) => String.fromCharCode(byte)).join('');
    return value && typeof value === 'object' ? Object.entries(value).map(([name, one]) => `${name} ${flat(one)}`).join(' ') : String(value);
  };
  const texts = [JSON.stringify(localStorage), JSON.stringify(sessionStorage)];
  for (const { name } of await indexedDB.databases()) {
    const database = await done(indexedDB.open(name));
    for (const store of database.objectStoreNames) {
      const all = database.transaction(store).objectStore(store);
      texts.push(name, ...(await done(all.getAllKeys())).map(String), ...(await done(all.getAll())).map(flat));
    }
    database.close();
  }
  return texts.join('\n');
});

describe('recipes and a video', () => {
  let laptop;
  let phone;

  before(async () => {
    laptop = await openPage();
    await create(laptop, PASSWORD);
    await idle(laptop);
  });
  after(async () => {
    for (const page of [laptop, phone]) await page?.context().close();
  });

  test('a note is written, and a video uploaded and downloaded with progress', async () => {
    assert.equal(await laptop.evaluate(() => isSecureContext), false);
    await act(laptop, 'New note');
    await laptop.locator('#editor [name=name]').fill('Bread');
    await write(laptop, '500 g flour');
    const shown = laptop.evaluate(() => new Promise((resolve) => {
      const seen = [];
      new MutationObserver(() => {
        const bar = document.querySelector('#transfers progress');
        if (bar) seen.push(bar.value / bar.max);
        else if (seen.length) resolve(seen);
      }).observe(document.querySelector('#transfers'), { childList: true, subtree: true, attributes: true });
    }));
    await laptop.locator('#files-chosen').setInputFiles({ name: 'kitchen.mp4', mimeType: 'video/mp4', buffer: VIDEO });
    await says(laptop, 'kitchen.mp4 is in the vault.');
    const seen = await shown;
    assert.ok(seen.some((part) => part > 0 && part < 1), `${seen}`);
    assert.match(await row(laptop, 'kitchen.mp4').innerText(), /File, 5 MB/);
    const downloaded = laptop.waitForEvent('download');
    await act(laptop, 'Download kitchen.mp4');
    assert.ok((await readFile(await (await downloaded).path())).equals(VIDEO));
    await says(laptop, 'kitchen.mp4 is downloaded.');
  });

  test('it is there after a reload, with a date and four words, and on the phone with the same words', async () => {
    await laptop.reload();
    await openVault(laptop);
    await act(laptop, 'Open Bread');
    await shows(laptop, '500 g flour');
    assert.match(await laptop.locator('#safe strong').innerText(), /^\w+ \d+, 20\d\d$/);
    phone = await openPage();
    await openVault(phone);
    assert.equal(await words(phone), await words(laptop));
    assert.equal(await phone.locator('#files li').count(), 2);
  });

  test('what the browser keeps has no key and no text, and a lock takes it from the page', async () => {
    const kept = await stored(laptop);
    assert.ok(kept.includes('certless-vault-blocks-0'));
    for (const secret of ['flour', 'Bread', 'kitchen', PASSWORD, String.fromCharCode(...VIDEO.subarray(0, 24))]) assert.ok(!kept.includes(secret), secret);
    await act(laptop, 'Lock now');
    await says(laptop, 'The vault is locked.');
    assert.doesNotMatch(await laptop.content(), /Bread|kitchen/);
    await shows(laptop, '');
    await openVault(laptop);
  });

  test('an edit on both without a connection: both versions are shown, and each gets a note', async () => {
    for (const page of [laptop, phone]) {
      await act(page, 'Open Bread');
      await shows(page, '500 g flour');
      await page.context().setOffline(true);
    }
    await write(laptop, '500 g flour, salt', 'There is no connection.');
    await row(laptop, 'Waits for a connection').waitFor();
    await write(phone, '400 g flour', 'There is no connection.');
    await write(phone, '400 g flour, yeast', 'There is no connection.');
    assert.ok(!(await stored(phone)).includes('yeast'));
    await laptop.context().setOffline(false);
    await says(laptop, 'Synchronised.');
    await phone.context().setOffline(false);
    await says(phone, 'One entry has several versions now.');
    await act(phone, 'Choose Bread');
    await phone.getByRole('heading', { name: '2 versions of Bread' }).waitFor();
    assert.deepEqual((await phone.locator('#versions pre').allInnerTexts()).sort(), ['400 g flour, yeast', '500 g flour, salt']);
    await act(phone, 'Keep version 1 as an entry of its own');
    await row(phone, 'Bread (2)').waitFor();
    await act(laptop, 'Synchronise');
    await row(laptop, 'Bread (2)').waitFor();
    // The words come after the list.
    for (const page of [laptop, phone]) await idle(page);
    assert.equal(await words(laptop), await words(phone));
  });

  test('an edit that waits survives a reload', async () => {
    await act(laptop, 'Close');
    await act(laptop, 'Open Bread (2)');
    await laptop.getByRole('heading', { name: 'Note: Bread (2)' }).waitFor();
    await laptop.context().setOffline(true);
    await write(laptop, 'from the train', 'There is no connection.');
    await laptop.context().setOffline(false);
    await says(laptop, 'Synchronised.');
    await laptop.context().setOffline(true);
    await write(laptop, 'from the second train', 'There is no connection.');
    // The page is gone before the connection is back.
    const url = laptop.url();
    await laptop.goto('about:blank');
    await laptop.context().setOffline(false);
    await laptop.goto(url);
    await openVault(laptop);
    await act(laptop, 'Open Bread (2)');
    await shows(laptop, 'from the second train');
    await act(phone, 'Synchronise');
    await idle(phone);
    await act(phone, 'Open Bread (2)');
    await shows(phone, 'from the second train');
  });

  test('a deletion', async () => {
    laptop.on('dialog', (dialog) => dialog.accept());
    await act(laptop, 'Delete Bread (2)');
    await says(laptop, 'Bread (2) is deleted.');
    assert.equal(await row(laptop, 'Bread (2)').count(), 0);
  });

  test('on a small screen nothing is wider than the screen; every field has a label, every button is reached', async () => {
    await act(laptop, 'Open Bread');
    await laptop.locator('#editor').waitFor();
    await laptop.setViewportSize({ width: 360, height: 780 });
    const beyond = await laptop.evaluate(() =>
      Array.from(document.querySelectorAll('body *')).filter((one) => one.getBoundingClientRect().right > 360).map((one) => one.outerHTML.slice(0, 80)),
    );
    assert.deepEqual(beyond, []);
    const unnamed = await laptop.evaluate(() =>
      Array.from(document.querySelectorAll('#vault :is(input, select, textarea, progress)')).filter((one) => !one.labels?.length && !one.ariaLabel && !one.getAttribute('aria-labelledby')).map((one) => one.outerHTML),
    );
    assert.deepEqual(unnamed, []);
    for (const button of await laptop.locator('#open button:visible').all()) {
      await button.focus();
      assert.ok(await button.evaluate((one) => one === document.activeElement));
    }
    await laptop.setViewportSize({ width: 1440, height: 900 });
  });

  test('beside the page, the server sees blocks and no more', async () => {
    const seen = await laptop.locator('#sees').innerText();
    assert.match(seen, /vault_blocks \d+ rows/);
    assert.doesNotMatch(seen, /flour|Bread|kitchen/);
  });

  test('a server that swaps blocks: an alarm by name, and nothing of them is shown', async () => {
    const database = /its database is (\S+)/.exec(demo.log)[1];
    await run(python(), ['-c', SWAP, database]);
    const other = await openPage();
    await unlock(other, PASSWORD);
    await other.getByRole('heading', { name: 'Alarm: swapped' }).waitFor();
    assert.match(await other.locator('#alarm').innerText(), /Nothing of it was used/);
    assert.equal(await other.locator('#files li').count(), 0);
    await other.context().close();
    // The laptop has its copies, and the video is too large for them.
    await act(laptop, 'Download kitchen.mp4');
    await laptop.getByRole('heading', { name: 'Alarm: swapped (kitchen.mp4)' }).waitFor();
  });

  test('no script failed', () => {
    assert.deepEqual(complaints.filter((text) => !text.startsWith('Failed to load')), []);
  });
});
