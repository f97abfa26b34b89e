/** The vault's page in Firefox, over plain HTTP: onboarding, notes, and an unlock after a reload. */
import assert from 'node:assert/strict';
import { startDemo } from '../browser/demo.js';
import { nextMail } from '../browser/vaultPage.js';
import { after, before, describe, test } from '../limited.js';
import { inPage, launch, part } from './firefox.js';

const FOX = 'fox@example.org';
const PASSWORD = 'correct horse battery';
const NOTE = 'Räksmörgås';
const RECIPE = '500 g flour\n'.repeat(2000);

describe('the vault in Firefox, over plain HTTP', () => {
  let demo;
  let firefox;
  let page;
  const view = (name) => page.waitForSelector(`#vault[data-view=${name}]`);
  const says = (text) => page.waitForFunction((wanted) => document.querySelector('#said').textContent === wanted, {}, text);
  const field = (does, name) => page.locator(`form[data-does=${does}] [name=${name}]`);

  before(async () => (demo = await startDemo()));
  before(async () => (firefox = await launch()));
  after(() => firefox?.close());
  after(() => demo?.stop());

  test('login and onboarding', async () => {
    page = await firefox.newPage(demo.vault.insecure);
    assert.equal(await inPage(page, () => isSecureContext), false);
    const mail = await nextMail(demo, FOX);
    await part(page, '#address').fill(FOX);
    await page.keyboard.press('Enter');
    await part(page, '#code').fill((await mail()).code);
    await page.keyboard.press('Enter');
    await view('unlock');
    await page.locator('[data-show=create]').click();
    await field('create', 'password').fill(PASSWORD);
    await field('create', 'again').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await page.waitForSelector('#code[open]');
    const code = await inPage(page, () => document.querySelector('#code output').value);
    await page.locator('#code-written').click();
    await page.locator('#code [name=typed]').fill(code);
    await page.keyboard.press('Enter');
    await says('Your vault is ready and open.');
  });

  test('a note, also after a reload and an unlock', async () => {
    await page.locator('[name=note]').fill(NOTE);
    await page.locator('form[data-does=saveNote] button').click();
    await says('The note is saved.');
    await page.reload();
    await view('unlock');
    await field('unlock', 'password').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await view('open');
    assert.equal(await inPage(page, () => document.querySelector('[name=note]').value), NOTE);
  });

  test('a note in blocks, also after a reload, and IndexedDB without its text', async () => {
    await page.locator('[data-does=newNote]').click();
    await page.locator('#editor [name=name]').fill('Bread');
    await page.locator('#editor [name=text]').fill(RECIPE);
    await page.locator('#editor form button').click();
    await says('The note is saved.');
    await page.reload();
    await view('unlock');
    await field('unlock', 'password').fill(PASSWORD);
    await page.keyboard.press('Enter');
    await page.locator('#files button').click();
    await page.waitForFunction((wanted) => document.querySelector('#editor [name=text]').value === wanted, {}, RECIPE);
    const kept = await inPage(page, async () => {
      const done = (request) => new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
      const database = await done(indexedDB.open('certless-vault-blocks-0'));
      const blocks = await done(database.transaction('blocks').objectStore('blocks').getAll());
      database.close();
      return blocks.map((block) => String.fromCharCode(...block)).join('');
    });
    assert.ok(kept.length >= 3 * 16_384);
    assert.ok(!kept.includes('flour'));
  });
});
