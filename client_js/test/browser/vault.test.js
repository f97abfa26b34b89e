/** The vault's page of the demo on an insecure origin: one user's story, and what the page must never have. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { webCrypto } from '../../src/primitives/webCrypto.js';
import { Owner } from '../../src/vault/core/account.js';
import { parseOpened, parseParameters } from '../../src/vault/core/bodies.js';
import { passwordSecrets } from '../../src/vault/core/password.js';
import { unwrap } from '../../src/vault/core/wraps.js';
import { python } from '../gateway.js';
import { after, before, describe, test } from '../limited.js';
import { within } from '../within.js';
import { INSECURE_HOST, launch } from './chromium.js';
import { startDemo } from './demo.js';
import { chooseInForm, create, fails, logIn, nextMail, save, says, typeBack, unlock } from './vaultPage.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const [ANN, BOB] = ['ann@example.org', 'bob@example.org'];
const [PASSWORD, NEXT, THIRD] = ['correct horse battery', 'staple and a saddle', 'a third one, quite long'];
const NOTE = 'Räksmörgås, and the key under the flower pot';

let demo;
let browser;
let line;
before(async () => {
  demo = await startDemo();
  line = await recordingLine(Number(new URL(demo.vault.secure).port));
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await line?.stop();
  await demo?.stop();
});

/** Passes connections on to `port`, and keeps the bytes of both directions. `change` changes what the gateway sends. */
async function recordingLine(port, change = (data) => data) {
  const passed = [];
  const sockets = new Set();
  const server = net.createServer((client) => {
    const gateway = net.connect(port, '127.0.0.1');
    for (const [from, to] of [[client, gateway], [gateway, client]]) {
      sockets.add(from);
      from.on('data', (data) => {
        passed.push(data);
        to.write(from === gateway ? change(data) : data);
      });
      from.on('error', () => to.destroy());
      from.on('end', () => to.end());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://${INSECURE_HOST}:${server.address().port}`,
    bytes: () => Buffer.concat(passed),
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A page of the vault, of a browser of its own. `complaints` are errors of the page. */
async function openPage({ origin } = line) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(`${error}`));
  page.on('console', (message) => message.type() === 'error' && page.complaints.push(message.text()));
  await page.addInitScript(recordInside);
  await page.goto(origin);
  return page;
}

/** In the page: keeps what the page passes on inside the seal, with its times, and all that Workers send to the page. */
function recordInside() {
  window.inside = [];
  window.fromWorkers = [];
  const hex = (data) => Array.from(new Uint8Array(data), (byte) => byte.toString(16).padStart(2, '0')).join('');
  /** All texts and bytes of a value, at any depth. */
  window.flat = (value) => {
    if (value instanceof ArrayBuffer) return hex(value);
    if (ArrayBuffer.isView(value)) return hex(value.buffer.slice(value.byteOffset, value.byteOffset + value.byteLength));
    if (value instanceof Map || value instanceof Set) return flat([...value]);
    return value && typeof value === 'object' ? Object.values(value).map(flat).join(' ') : String(value);
  };
  window.Worker = class extends Worker {
    constructor(...given) {
      super(...given);
      this.addEventListener('message', ({ data }) => window.fromWorkers.push(flat(data)));
    }
  };
  document.addEventListener('DOMContentLoaded', () => {
    const { fetch } = certless.page;
    certless.page.fetch = async (target, init) => {
      const began = performance.now();
      const response = await fetch(target, init);
      const came = hex(await response.clone().arrayBuffer());
      window.inside.push({ target, sent: init.body ? hex(init.body) : '', came, began, ended: performance.now() });
      return response;
    };
  });
}

const open = (page) => page.locator('#vault[data-view=open]').waitFor();
const noteOf = (page) => page.getByLabel('Your note').inputValue();
const details = (page, name) => page.locator('summary', { hasText: name }).click();

/** The account key, from the last unlock by password that passed through the page. */
async function accountKey(page, password) {
  const inside = await page.evaluate(() => window.inside);
  const last = (target) => Buffer.from(inside.findLast((one) => one.target === target).came, 'hex');
  const { username, realm, kdf, salt } = parseParameters(new Uint8Array(last('/vault/parameters')));
  const owner = new Owner(username, realm);
  const { kek } = await passwordSecrets(password, salt, kdf, owner);
  const { wrap } = parseOpened(new Uint8Array(last('/vault/unlock/confirm')));
  return Buffer.from((await unwrap(webCrypto, kek, wrap, owner.account, 'password')).n);
}

/** The command line, without a terminal. `input` is what it reads; before that the code of a mail, if it asks for one. */
async function cli(folder, args, { input = '', asksForCode = false } = {}) {
  const mail = await nextMail(demo, ANN);
  const given = ['-m', 'certless', 'vault', '--url', demo.vault.secure, '--login', ANN, '--state', folder, ...args];
  // In a session of its own it has no terminal, and reads the password from its input.
  const child = spawn(python(), given, { cwd: ROOT, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  child.stdout.on('data', (data) => (output += data));
  child.stderr.on('data', (data) => (errors += data));
  child.stdin.on('error', () => {});
  const closed = once(child, 'close');
  try {
    if (asksForCode) child.stdin.write(`${(await mail()).code}\n`);
    child.stdin.end(input);
    const [status] = await within(closed, `vault ${args.join(' ')}`);
    return { status, output, errors };
  } finally {
    child.kill('SIGKILL');
  }
}

describe('one user, on an insecure origin', () => {
  let page;
  let folder;
  let recovery;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'certless-vault-'));
    page = await openPage();
  });
  after(async () => {
    await page?.context().close();
    await rm(folder, { recursive: true });
  });

  test('the origin is insecure, and the login comes first', async () => {
    assert.equal(await page.evaluate(() => isSecureContext), false);
    assert.equal(await page.getByRole('heading', { name: 'Unlock your vault' }).count(), 0);
    await logIn(page, demo, ANN);
    await page.locator('#tables .values:empty').first().waitFor({ state: 'attached' });
  });

  test('onboarding: two equal passwords, and the recovery code typed back', async () => {
    await page.getByRole('button', { name: 'I have no vault yet' }).click();
    const form = page.locator('form[data-does=create]');
    await form.locator('[name=password]').fill(PASSWORD);
    await form.locator('[name=again]').fill(NEXT);
    await page.keyboard.press('Enter');
    assert.equal(await form.locator('[name=again]').evaluate((field) => field.validationMessage), 'The two are different.');
    await page.getByRole('button', { name: 'Back' }).first().click();
    await page.reload();
    await page.getByRole('button', { name: 'I have no vault yet' }).click();
    await chooseInForm(page, 'create', PASSWORD);
    await page.getByRole('dialog').waitFor();
    await page.getByRole('button', { name: 'I have written it down' }).click();
    assert.equal(await page.locator('#code output').isVisible(), false);
    await page.keyboard.type('0000-0000');
    await page.keyboard.press('Enter');
    await page.getByText('This is not the code that was shown.').waitFor();
    await page.getByRole('button', { name: 'Show the code again' }).click();
    recovery = await typeBack(page);
    await says(page, 'Your vault is ready and open.');
    assert.match(recovery, /^(?:[0-9A-HJKMNP-TV-Z]{4}-){8}[0-9A-HJKMNP-TV-Z]{4}$/);
  });

  test('a note; beside it the server sees its pages alone', async () => {
    await save(page, NOTE);
    await says(page, 'The note is saved.');
    await details(page, 'vault_notes');
    await page.locator('#tables .values li', { hasText: '(4,125 bytes)' }).waitFor();
    assert.doesNotMatch(await page.locator('#sees').innerText(), /Räksmörgås|flower|horse/);
    await page.locator('#devices li', { hasText: 'this browser' }).waitFor();
  });

  test('after a reload the vault is locked; the password opens it', async () => {
    await page.reload();
    await unlock(page, NEXT);
    await fails(page, 'This password does not open your vault.');
    assert.equal(await page.locator('form[data-does=unlock] [name=password]').inputValue(), '');
    await unlock(page, PASSWORD);
    await open(page);
    assert.equal(await noteOf(page), NOTE);
  });

  test('neither N nor the password is in the objects, the DOM or the storage of the page, on the wire or in a log', async () => {
    // Until then, the page itself has what was typed.
    await page.locator('#vault:not([aria-busy])').waitFor();
    const n = await accountKey(page, PASSWORD);
    const forms = [n.toString('hex'), n.toString('base64').replace(/=+$/, ''), n.toString('base64url'), PASSWORD, 'horse'];
    const marker = `marker-${Date.now()}`;
    await page.evaluate((text) => (window.marker = { text }), marker);
    const session = await page.context().newCDPSession(page);

    // All strings of the page's heap, after a garbage collection.
    let heap = '';
    session.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }) => (heap += chunk));
    await session.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
    assert.ok(heap.includes(marker), 'the snapshot has strings of the page');
    for (const form of forms) assert.ok(!heap.includes(form), 'a secret is in the heap of the page');

    // The page has bytes of the Worker only from its messages.
    const { fromWorkers, share } = await page.evaluate(() => ({
      fromWorkers: window.fromWorkers.join('\n'),
      share: window.inside.find(({ target }) => target === '/vault/unlock/password').sent,
    }));
    assert.ok(fromWorkers.includes(share));

    const kept = await page.evaluate(async () => {
      const done = (request) => new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
      const texts = [document.documentElement.outerHTML, JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie];
      texts.push(...Array.from(document.querySelectorAll('input'), ({ value }) => value));
      for (const { name } of await indexedDB.databases()) {
        const database = await done(indexedDB.open(name));
        for (const store of database.objectStoreNames) texts.push(flat(await done(database.transaction(store).objectStore(store).getAll())));
        database.close();
      }
      return [...texts, JSON.stringify(window.inside)];
    });
    assert.ok(kept.some((text) => text.includes('certless-vault-device')));
    const database = /its database is (\S+)/.exec(demo.log)[1];
    const files = await Promise.all(['', '-wal'].map((end) => readFile(`${database}${end}`)));
    const places = [...[...kept, fromWorkers].map((text) => Buffer.from(text)), line.bytes(), Buffer.from(demo.log), ...files];
    for (const place of places) {
      for (const form of [n, ...forms.map((text) => Buffer.from(text))]) assert.ok(!place.includes(form));
    }
    for (const place of [line.bytes(), ...files]) assert.ok(!place.includes('flower pot'));
  });

  test('the command line reads the note of the page, and the page reads its note', async () => {
    assert.equal((await cli(folder, ['unlock'], { input: `${PASSWORD}\n`, asksForCode: true })).status, 0);
    assert.equal((await cli(folder, ['note'])).output, NOTE);
    const saved = await cli(folder, ['note', '--set'], { input: 'from the command line' });
    assert.equal(saved.status, 0, saved.errors);
    await page.getByLabel('Your note').fill('mine');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('Another device has saved another note').waitFor();
    assert.equal(await noteOf(page), 'mine');
    await page.getByRole('button', { name: 'Show the other note' }).click();
    await says(page, 'This is the note of the other device.');
    assert.equal(await noteOf(page), 'from the command line');
    await save(page, 'from the page');
    await says(page, 'The note is saved.');
    assert.equal((await cli(folder, ['note'])).output, 'from the page');
  });

  test('devices: a list, and one is signed out', async () => {
    await page.reload();
    await unlock(page, PASSWORD);
    await page.locator('#devices li').nth(1).waitFor();
    await page.locator('#devices li').filter({ hasNotText: 'this browser' }).getByRole('button').click();
    await page.locator('#said', { hasText: 'is signed out.' }).waitFor();
    assert.equal(await page.locator('#devices li').count(), 1);
    const { status, output } = await cli(folder, ['note']);
    assert.notEqual(status, 0);
    assert.equal(output, '');
  });

  test('a forgotten password: the recovery code, and a new password', async () => {
    await page.getByRole('button', { name: 'Lock now' }).click();
    await says(page, 'The vault is locked.');
    assert.equal(await noteOf(page), '');
    await page.getByRole('button', { name: 'I forgot the password' }).click();
    await page.getByLabel('Recovery code', { exact: true }).fill(recovery.toLowerCase());
    await chooseInForm(page, 'recover', NEXT);
    await open(page);
    assert.equal(await noteOf(page), 'from the page');
    await page.reload();
    await unlock(page, PASSWORD);
    await fails(page, 'This password does not open your vault.');
    await unlock(page, NEXT);
    await open(page);
  });

  test('a temporary key opens the vault once, in another browser', async () => {
    await details(page, 'Make a temporary key');
    await page.getByRole('button', { name: 'Make a temporary key' }).click();
    await page.locator('#temporary-key:not(:empty)').waitFor();
    const key = await page.locator('#temporary-key').innerText();
    const other = await openPage();
    await logIn(other, demo, ANN);
    const type = async () => {
      await other.getByRole('button', { name: 'I have a temporary key' }).click();
      await other.getByLabel('Temporary key', { exact: true }).fill(key);
      await other.keyboard.press('Enter');
    };
    await type();
    await open(other);
    assert.equal(await noteOf(other), 'from the page');
    await other.reload();
    await other.getByRole('heading', { name: 'Unlock your vault' }).waitFor();
    await type();
    await fails(other, 'This key does not open your vault.');
    await other.context().close();
  });

  test('revoke: the vault has a new key, and another open page is shut out', async () => {
    const other = await openPage();
    await logIn(other, demo, ANN);
    await unlock(other, NEXT);
    await other.locator('#devices li', { hasText: 'this browser' }).waitFor();
    await details(page, 'Revoke all other devices');
    await chooseInForm(page, 'rekey', THIRD);
    const newest = await typeBack(page);
    await says(page, 'All other devices are revoked.');
    assert.notEqual(newest, recovery);
    assert.equal(await page.locator('#devices li').count(), 1);
    assert.equal(await noteOf(page), 'from the page');
    // The session of the other page has ended, too.
    await save(other, 'late');
    await other.getByText('Your session has ended. Log in again.').waitFor();
    await other.context().close();
    await save(page, NOTE);
    await says(page, 'The note is saved.');
  });

  test('export and import', async () => {
    await details(page, 'Export the short note');
    const downloaded = page.waitForEvent('download');
    await chooseInForm(page, 'exportNote', 'for the drawer');
    const file = await (await downloaded).path();
    assert.ok(!(await readFile(file)).includes('flower'));
    await save(page, 'another note');
    await says(page, 'The note is saved.');
    await details(page, 'Import a note');
    const form = page.locator('form[data-does=importNote]');
    await form.locator('[name=file]').setInputFiles(file);
    await form.locator('[name=password]').fill('for the drawer');
    await page.keyboard.press('Enter');
    await says(page, 'The note of the file is now your note.');
    assert.equal(await noteOf(page), NOTE);
  });

  test('reset: a mail, a warning in the open vault, and the end of it', async () => {
    const mail = await nextMail(demo, ANN, ({ subject }) => subject.includes('reset'));
    await page.getByRole('button', { name: 'Lock now' }).click();
    await page.getByRole('button', { name: 'I forgot the password' }).click();
    await details(page, 'I have lost the code too');
    await page.getByRole('button', { name: 'Ask for a reset' }).click();
    await says(page, 'A mail about the reset is on its way to you.');
    assert.match((await mail()).text, /a new, empty vault can replace it/);
    await page.locator('[data-in=recover]').getByRole('button', { name: 'Back' }).click();
    await unlock(page, THIRD);
    await page.getByText('Somebody has asked to reset this vault.').waitFor();
    await details(page, 'Cancel a reset');
    await page.getByRole('button', { name: 'Cancel the reset' }).click();
    await says(page, 'There is no reset now.');
    assert.equal(await page.locator('#reset-warning').isVisible(), false);
  });

  test('deletion', async () => {
    const mail = await nextMail(demo, ANN, ({ subject }) => subject === 'Your vault was deleted');
    await details(page, 'Delete the vault');
    await page.getByLabel('Type DELETE').fill('DELETE');
    await page.keyboard.press('Enter');
    await says(page, 'The vault is deleted.');
    await mail();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByRole('button', { name: 'Send me a code' }).waitFor();
    assert.equal(await page.locator('#vault').getAttribute('data-view'), 'login');
  });

  test('nothing broke the policy, and no script failed', () => {
    assert.deepEqual(page.complaints.filter((text) => !text.startsWith('Failed to load')), []);
  });
});

describe('another user', () => {
  let page;

  before(async () => {
    page = await openPage();
    await logIn(page, demo, BOB);
    await create(page, PASSWORD);
    await save(page, NOTE);
    await says(page, 'The note is saved.');
  });
  after(() => page?.context().close());

  test('Argon2id does not hold the page; how long an unlock takes', async (context) => {
    await page.reload();
    await page.getByRole('heading', { name: 'Unlock your vault' }).waitFor();
    await page.evaluate(() => {
      window.inside = [];
      window.longest = 0;
      let last = performance.now();
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        const now = performance.now();
        window.longest = Math.max(window.longest, now - last);
        last = now;
        port2.postMessage(null);
      };
      port2.postMessage(null);
    });
    await unlock(page, PASSWORD);
    await open(page);
    const { inside, longest } = await page.evaluate(() => ({ inside: window.inside, longest: window.longest }));
    const [parameters, run, confirm] = ['parameters', 'unlock/password', 'unlock/confirm'].map((name) => inside.find((one) => one.target === `/vault/${name}`));
    const requests = [parameters, run, confirm].reduce((sum, { began, ended }) => sum + ended - began, 0);
    const figures = {
      'Argon2id, with the first half of SPAKE2+': run.began - parameters.ended,
      'the second half of SPAKE2+': confirm.began - run.ended,
      'three requests': requests,
      'from the first request to the last': confirm.ended - parameters.began,
      'the page was held for at most': longest,
    };
    for (const [name, ms] of Object.entries(figures)) context.diagnostic(`${name}: ${ms.toFixed(0)} ms`);
  });

  for (const [name, allowed, instead] of [
    ['WebAssembly', " 'wasm-unsafe-eval'", ''],
    ['a Worker', 'worker-src blob:', "worker-src 'none'"],
  ]) {
    test(`without ${name}, by the policy, it works as well`, async () => {
      let changed = 0;
      const changing = await recordingLine(Number(new URL(demo.vault.secure).port), (data) => {
        const text = data.toString('latin1');
        if (text.includes(allowed)) changed += 1;
        return Buffer.from(text.replace(allowed, instead), 'latin1');
      });
      const other = await openPage(changing);
      assert.ok(changed > 0);
      await logIn(other, demo, BOB);
      await unlock(other, PASSWORD);
      await open(other);
      assert.equal(await noteOf(other), NOTE);
      await other.context().close();
      await changing.stop();
    });
  }

  test('on a small screen nothing is wider than the screen', async () => {
    await page.setViewportSize({ width: 360, height: 780 });
    for (const one of await page.locator('#open details').all()) await one.evaluate((element) => (element.open = true));
    const beyond = await page.evaluate(() =>
      Array.from(document.querySelectorAll('body *')).filter((one) => one.getBoundingClientRect().right > 360).map((one) => one.outerHTML.slice(0, 80)),
    );
    assert.deepEqual(beyond, []);
  });

  test('every field has a label, and all is reached with the keyboard', async () => {
    const unnamed = await page.evaluate(() =>
      Array.from(document.querySelectorAll('#vault :is(input, select, textarea)')).filter((one) => !one.labels?.length).map((one) => one.outerHTML),
    );
    assert.deepEqual(unnamed, []);
    const buttons = page.locator('#open button:visible');
    for (const button of await buttons.all()) {
      await button.focus();
      assert.ok(await button.evaluate((one) => one === document.activeElement));
    }
    for (const place of ['#said', '#work', '#failed']) assert.match(await page.locator(place).getAttribute('role'), /^(status|alert)$/);
  });

  test('after 5 wrong passwords the vault waits, also for the right one, and mails it', async () => {
    const mail = await nextMail(demo, BOB, ({ subject }) => subject === 'Wrong passwords for your vault');
    await page.reload();
    for (let i = 1; i <= 5; i += 1) {
      await unlock(page, `wrong ${i}`);
      // The answer to the attempt before is gone now.
      await page.locator('#working').waitFor();
      await fails(page, i < 5 ? 'This password does not open your vault.' : 'the vault accepts none for 30 seconds');
    }
    await mail();
    await unlock(page, PASSWORD);
    await page.locator('#working').waitFor();
    await fails(page, 'Wait and try again, or use your recovery code.');
  });
});
