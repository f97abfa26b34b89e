/** What `client.js`, as the gateway serves it, makes of a page. */
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from '../limited.js';
import { INSECURE_HOST, launch, newVisitor, startSite } from './chromium.js';

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; worker-src blob:";

/** A page that is taken over. */
function html(body, head = '') {
  const script = '<script src="/.gateway/client.js" data-certless></script>';
  const text = `<!doctype html><html lang="en"><meta charset="utf-8"><title>shop</title>${head}${script}<body>${body}`;
  return { type: 'text/html', body: text };
}

const LOGIN = '<certless-badge></certless-badge><certless-login></certless-login><p><textarea></textarea>';
const pages = {
  '/shop': html(LOGIN),
  '/bare': html('<button>nothing</button>'),
  '/clobbered': html('', '<img name="currentScript" src="http://elsewhere.example/x" data-certless>'),
  '/two': html('<certless-login></certless-login><certless-login username="bob"></certless-login>'),
  '/password': html('<certless-login password></certless-login>'),
  '/api': { type: 'text/html', body: '<!doctype html><script src="/.gateway/client.js"></script><certless-login></certless-login>' },
  '/strict-shop': html(
    `${LOGIN}<form method="dialog" data-certless="/html"><button>Send</button></form>`,
    `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`,
  ),
};

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
const HTML =
  '<h2>Thank you</h2><a href="/echo?1">Order 1</a> <a href="http://elsewhere.example/">Else</a>' +
  '<script>parent.hacked = 1</script><img src="/img" onerror="parent.hacked = 2"><form action="/echo"><button>Plain</button></form>';
const LINKS =
  '<a href="#last">Last</a> <svg width="99" height="20"><a xlink:href="/echo?svg"><text y="15">Drawn</text></a></svg>' +
  '<div id="host"><template shadowrootmode="closed"><a href="/echo?hidden">Hidden</a></template></div>' +
  '<p style="height: 3000px"><p id="last">Here';
const DRAWING =
  '<svg xmlns="http://www.w3.org/2000/svg"><text y="20">A kettle</text><script>parent.hacked = 7</script></svg>';
const DEPTH = 2000;
/** Answers that a session gets. */
const sealed = {
  '/links': { type: 'text/html', body: LINKS },
  '/svg': { type: 'image/svg+xml', body: DRAWING },
  '/deep': { type: 'application/json', body: '['.repeat(DEPTH) + ']'.repeat(DEPTH) },
  '/long': { type: 'text/plain', body: 'x'.repeat(1024 * 1024 + 1) },
  '/html': { type: 'text/html; charset=utf-8', body: HTML },
  '/text': { type: 'text/plain', body: '<script>hacked = 3</script>' },
  '/json': { type: 'application/json', body: '{"tea":"<img src=x onerror=hacked=4>"}' },
  '/img': { type: 'image/png', body: PNG },
  '/no-img': { type: 'image/png', body: 'no image' },
  '/file': {
    type: 'text/html',
    body: '<script>hacked = 5</script>',
    headers: { 'Content-Disposition': 'attachment; filename="..\\\\..\\\\tea <b>.html"' },
  },
  '/coded': { type: 'application/zip', body: 'zip', headers: { 'Content-Disposition': "attachment; filename*=UTF-8''r%C3%A4ks.zip" } },
  '/none': { status: 204 },
  '/bad': { type: 'application/json', status: 422, body: '{"error":"too much tea"}' },
  '/303': { status: 303, headers: { Location: '/echo?after' } },
  '/307': { status: 307, headers: { Location: '/echo?after' } },
  '/loop': { status: 302, headers: { Location: '/loop' } },
  '/away': { status: 302, headers: { Location: 'http://elsewhere.example/tea' } },
  '/script': { status: 302, headers: { Location: 'javascript:hacked=6' } },
};

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

let users = 0;
const newUser = () => `user-${(users += 1)}@example.org`;

const addressOf = (page) => page.getByLabel('Name or e-mail address');
const codeOf = (page) => page.getByLabel('Code from the mail');
const stateOf = (page) => page.evaluate(() => certless.page.state);
const until = (page, state) => page.waitForFunction((state) => certless.page.state === state, state);
const focused = (page) =>
  page.evaluate(() => {
    let active = document.activeElement;
    while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
    return active.labels?.[0]?.textContent ?? active.textContent;
  });

/** The focus comes to `text` in time: where other tabs are asked first, it comes a little later. */
async function untilFocused(page, text) {
  const endsAt = Date.now() + 10_000;
  let found = await focused(page);
  while (found !== text && Date.now() < endsAt) {
    await page.waitForTimeout(20);
    found = await focused(page);
  }
  assert.equal(found, text);
}

/** The texts of all mails to `username`. */
async function mails({ gateway }, username) {
  const { folder } = gateway.mailbox;
  const names = (await readdir(folder)).filter((name) => name.endsWith('.eml'));
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.filter((text) => text.includes(`\nTo: ${username}`));
}

/** Asks for a mail and waits for the code step. */
async function ask(page, username) {
  await addressOf(page).fill(username);
  await addressOf(page).press('Enter');
  await codeOf(page).waitFor();
}

async function logIn(page, site, username = newUser()) {
  await ask(page, username);
  await codeOf(page).fill(await site.gateway.mailbox.code(username));
  await until(page, 'ready');
  return username;
}

/** The gateway forgets a session that it has served. */
async function lose(page, site) {
  await page.evaluate(() => certless.fetch('/echo'));
  await site.gateway.restart();
}

for (const [kind, suites, shown, codeChars, hello] of [
  ['insecure', 'ecdh-gcm,rsa-gcm,classic', 'ecdh-gcm', 8, 'hello'],
  ['secure', 'rsa-gcm,classic', 'rsa-gcm', 8, 'hello'],
  ['insecure', 'classic', 'classic/article-2016', 26, 'session'],
]) {
  describe(`a page on an ${kind} origin, ${shown}`, () => {
    let site;
    let visitor;
    let page;

    before(async () => (site = await startSite('article-2016', { pages, sealed, suites })));
    after(() => site?.stop());
    beforeEach(async (context) => {
      visitor = await newVisitor(browser, site);
      context.after?.(() => visitor.close());
      page = await visitor.newPage();
      page.on('pageerror', (error) => assert.fail(error));
      await page.goto(`${site[kind]}/shop`);
    });

    test('with the keyboard only: address, code, logout', async () => {
      const username = newUser();
      assert.equal(await page.evaluate(() => document.activeElement === document.body), true);
      await page.keyboard.press('Tab');
      await page.keyboard.press('Tab');
      await untilFocused(page, 'Name or e-mail address');
      await page.keyboard.type(username);
      await page.keyboard.press('Enter');
      await codeOf(page).waitFor();
      await untilFocused(page, 'Code from the mail');
      const code = await site.gateway.mailbox.code(username);
      // As it is read aloud and typed: in groups, small, with letters for digits.
      const kindly = code.toLowerCase().replaceAll('0', 'o').replaceAll('1', 'l').match(/.{1,5}/g).join(' ');
      await page.keyboard.type(kindly);
      await page.keyboard.press('Enter');
      await until(page, 'ready');
      assert.match(await focused(page), /^Logged in as/);
      await page.keyboard.press('Enter');
      await page.keyboard.press('Tab');
      await untilFocused(page, 'Log out');
      assert.ok((await page.locator('body').ariaSnapshot()).includes(`status: Sealed · ${shown}`));
      await page.keyboard.press('Enter');
      await until(page, 'none');
      await untilFocused(page, 'Name or e-mail address');
    });

    test('a pasted mail: its code is found and tried', async () => {
      const username = newUser();
      await ask(page, username);
      await site.gateway.mailbox.code(username);
      const [mail] = await mails(site, username);
      await page.locator('textarea').fill(mail);
      await page.locator('textarea').press('ControlOrMeta+A');
      await page.keyboard.press('ControlOrMeta+C');
      await codeOf(page).press('ControlOrMeta+V');
      await until(page, 'ready');
    });

    test('a wrong code, then the right one', async () => {
      const username = newUser();
      await ask(page, username);
      await codeOf(page).fill('0'.repeat(codeChars));
      await page.getByRole('alert').filter({ hasText: 'The code was not accepted.' }).waitFor();
      assert.equal(await codeOf(page).getAttribute('aria-invalid'), 'true');
      await untilFocused(page, 'Code from the mail');
      await codeOf(page).fill(await site.gateway.mailbox.code(username));
      await until(page, 'ready');
    });

    test('five wrong codes end a login; another code can be sent at once', async () => {
      const username = newUser();
      await ask(page, username);
      await site.gateway.mailbox.code(username);
      for (let i = 0; i < 5; i += 1) {
        await codeOf(page).fill(`${i}`.repeat(codeChars));
        await page.waitForFunction((tried) => !certless.page.login.busy && certless.page.login.isSpent === (tried === 5), i + 1);
      }
      await page.getByRole('alert').filter({ hasText: 'Five codes were not accepted' }).waitFor();
      await page.getByRole('button', { name: 'Send another code' }).click();
      const code = await site.gateway.mailbox.code(username);
      await page.waitForFunction(() => !certless.page.login.busy);
      await codeOf(page).fill(code);
      await until(page, 'ready');
    });

    test('another code after the countdown; then only the newest is valid', async () => {
      await page.clock.install();
      await page.reload();
      const username = newUser();
      await ask(page, username);
      const former = await site.gateway.mailbox.code(username);
      const again = page.getByRole('button', { name: /^Send another code/ });
      assert.match(await again.textContent(), /^Send another code in \d+ s$/);
      await again.click({ force: true });
      assert.equal(await page.evaluate(() => certless.page.login.busy), null);
      await page.clock.fastForward('00:30');
      await page.getByRole('status').filter({ hasText: 'Another code can be sent now.' }).waitFor();
      await again.click();
      const newest = await site.gateway.mailbox.code(username);
      await page.waitForFunction(() => !certless.page.login.busy);
      await codeOf(page).fill(former);
      await page.getByRole('alert').filter({ hasText: 'newest mail' }).waitFor();
      await codeOf(page).fill(newest);
      await until(page, 'ready');
    });

    test('too many requests: the time to wait is shown, and the last code stays valid', async () => {
      await page.clock.install();
      await page.reload();
      const username = newUser();
      await ask(page, username);
      await page.clock.fastForward('00:30');
      const headers = { 'Content-Type': 'application/json', 'Retry-After': '90' };
      const body = '{"error":"too_many","message":"no"}';
      await page.route(`**/${hello}`, (route) => route.fulfill({ status: 429, headers, body }));
      const again = page.getByRole('button', { name: /^Send another code/ });
      await again.click();
      await page.getByRole('alert').filter({ hasText: 'Try again in 90 s.' }).waitFor();
      assert.match(await again.textContent(), /^Send another code in (?:90|89) s$/);
      await codeOf(page).fill(await site.gateway.mailbox.code(username));
      await until(page, 'ready');
    });

    test('no button moves while keys are created', async () => {
      await page.evaluate(() => {
        const { shadowRoot } = document.querySelector('certless-login');
        const button = [...shadowRoot.querySelectorAll('button')].find(({ textContent }) => textContent === 'Use another address');
        window.places = new Set();
        const look = () => {
          const { height, top } = button.getBoundingClientRect();
          if (height) window.places.add(top - button.form.getBoundingClientRect().top);
          requestAnimationFrame(look);
        };
        look();
      });
      const username = newUser();
      await ask(page, username);
      // The session opens when the keys are there. They take seconds or a moment, and ecdh-gcm needs none.
      await codeOf(page).fill(await site.gateway.mailbox.code(username));
      await until(page, 'ready');
      assert.equal(await page.evaluate(() => window.places.size), 1);
    });

    test('cancelled during key generation: the Worker ends, the address can be corrected', async () => {
      const worker = page.waitForEvent('worker');
      const username = newUser();
      await ask(page, username);
      const ended = new Promise((resolve) => worker.then((one) => one.once('close', resolve)));
      await page.getByRole('button', { name: 'Use another address' }).click();
      await ended;
      await untilFocused(page, 'Name or e-mail address');
      assert.equal(await addressOf(page).inputValue(), username);
      await logIn(page, site);
    });

    test('no name, and no service: an error, and the field', async () => {
      await addressOf(page).fill(' ');
      await addressOf(page).press('Enter');
      await page.getByRole('alert').filter({ hasText: 'Check what you typed' }).waitFor();
      await page.route(`**/${hello}`, (route) => route.abort());
      await addressOf(page).fill(newUser());
      await addressOf(page).press('Enter');
      await page.getByRole('alert').filter({ hasText: 'The service did not answer.' }).waitFor();
      await untilFocused(page, 'Name or e-mail address');
      assert.equal(await page.evaluate(() => certless.page.login.keys), null);
    });

    test('a reload continues; the page gets events', async () => {
      await page.evaluate(() => {
        window.seen = [];
        for (const name of ['certless-login', 'certless-logout']) {
          document.addEventListener(name, ({ type, detail, target }) => seen.push([type, detail.username, target.localName]));
        }
      });
      const username = await logIn(page, site);
      await page.getByRole('button', { name: 'Log out' }).click();
      await until(page, 'none');
      const seen = ['certless-login', 'certless-logout'].map((type, i) => [type, i ? '' : username, 'certless-login']);
      assert.deepEqual(await page.evaluate(() => window.seen), seen);
      await logIn(page, site, username);
      await page.reload();
      await page.evaluate(() => certless.page.ready);
      assert.equal(await stateOf(page), 'ready');
      assert.equal(await page.evaluate(() => document.activeElement === document.body), true);
      assert.equal(await page.evaluate(async () => (await certless.fetch('/bytes', { method: 'POST', body: 'x' })).text()), 'x');
    });

    test('several elements show one login', async () => {
      await page.goto(`${site[kind]}/two`);
      assert.equal(await addressOf(page).nth(1).inputValue(), 'bob');
      const username = newUser();
      await addressOf(page).first().fill(username);
      await addressOf(page).first().press('Enter');
      await codeOf(page).nth(1).fill(await site.gateway.mailbox.code(username));
      await page.getByRole('button', { name: 'Log out' }).nth(1).waitFor();
      assert.equal(await page.getByRole('button', { name: 'Log out' }).count(), 2);
    });

    test('a session lost at the gateway: one mail for all waiting requests, and each is sent again once', async () => {
      const username = await logIn(page, site);
      await lose(page, site);
      await page.evaluate(() => {
        window.answers = Promise.all(
          [1, 2, 3].map(async (body) => (await certless.fetch('/bytes', { method: 'PUT', body: `${body}` })).text()),
        );
      });
      await until(page, 'renewing');
      await page.getByText('Your session has ended. Log in again.').waitFor();
      assert.match(await page.locator('body').ariaSnapshot(), /status: Session ended/);
      await codeOf(page).fill(await site.gateway.mailbox.code(username));
      assert.deepEqual(await page.evaluate(() => answers), ['1', '2', '3']);
      assert.equal((await mails(site, username)).length, 2);
    });

    test('a request that must not run twice is not sent again: login, then OutcomeUnknown', async () => {
      const username = await logIn(page, site);
      await lose(page, site);
      await page.evaluate(() => {
        window.failed = certless.fetch('/bytes', { method: 'POST', body: 'tea' }).catch(({ code }) => code);
      });
      await codeOf(page).fill(await site.gateway.mailbox.code(username));
      assert.equal(await page.evaluate(() => failed), 'outcome_unknown');
      assert.equal(await stateOf(page), 'ready');
    });

    test('a cancelled login, and a login by another user', async () => {
      const username = await logIn(page, site);
      const start = () =>
        page.evaluate(() => {
          window.failed = certless.fetch('/echo').catch(({ code, message }) => `${code}: ${message}`);
        });
      await lose(page, site);
      await start();
      await site.gateway.mailbox.code(username);
      await page.getByRole('button', { name: 'Use another address' }).click();
      await logIn(page, site);
      assert.match(await page.evaluate(() => failed), /^not_logged_in: Another user/);
      await lose(page, site);
      await start();
      await codeOf(page).waitFor();
      await page.getByRole('button', { name: 'Cancel' }).click();
      assert.match(await page.evaluate(() => failed), /^not_logged_in: You are not/);
      assert.equal(await stateOf(page), 'none');
    });

    test('without an element the login opens in a dialog', async () => {
      await page.goto(`${site[kind]}/bare`);
      await page.getByRole('button', { name: 'nothing' }).focus();
      const send = () =>
        page.evaluate(() => {
          window.answered = certless.fetch('/echo').then(({ status }) => status, ({ code }) => code);
        });
      await send();
      await page.getByRole('dialog', { name: 'Log in' }).waitFor();
      await page.keyboard.press('Escape');
      assert.equal(await page.evaluate(() => answered), 'not_logged_in');
      assert.equal(await page.getByRole('dialog').count(), 0);
      await untilFocused(page, 'nothing');
      await send();
      await logIn(page, site);
      assert.equal(await page.evaluate(() => answered), 200);
      assert.equal(await page.getByRole('dialog').count(), 0);
    });

    test('two tabs share logins and logouts', async () => {
      const other = await visitor.newPage();
      await other.goto(`${site[kind]}/bare`);
      await other.evaluate(() => {
        window.answered = certless.fetch('/echo').then(({ status }) => status);
      });
      await other.getByRole('dialog').waitFor();
      const username = await logIn(page, site);
      assert.equal(await other.evaluate(() => answered), 200);
      await page.getByRole('button', { name: 'Log out' }).click();
      await until(other, 'none');
      assert.equal(await other.getByRole('dialog').count(), 0);
      assert.equal((await mails(site, username)).length, 1);
    });

    test('a request during a logout and another user’s login in another tab: sent once, as its user', async () => {
      const other = await visitor.newPage();
      await other.goto(`${site[kind]}/shop`);
      await logIn(page, site);
      await until(other, 'ready');
      const before = site.upstream.count('/hold');
      await page.evaluate(() => {
        const sent = ['POST', 'PUT'].map((method) => certless.fetch('/hold', { method }).catch(({ code }) => code));
        window.failed = Promise.all(sent);
      });
      await site.upstream.holding(2);
      await other.getByRole('button', { name: 'Log out' }).click();
      assert.deepEqual(await page.evaluate(() => failed), ['outcome_unknown', 'not_logged_in']);
      const somebodyElse = await logIn(other, site);
      await page.waitForFunction((name) => certless.page.username === name, somebodyElse);
      site.upstream.release();
      assert.equal(site.upstream.count('/hold'), before + 2);
    });

    test('two tabs lose the session at once: the visible one asks for one mail', async () => {
      const username = await logIn(page, site);
      const other = await visitor.newPage();
      await other.goto(`${site[kind]}/shop`);
      await until(other, 'ready');
      await lose(page, site);
      // Chromium without a window shows every tab.
      await other.evaluate(() => Object.defineProperty(document, 'visibilityState', { value: 'hidden' }));
      const send = (tab) =>
        tab.evaluate(() => {
          window.answered = certless.fetch('/echo').then(({ status }) => status);
        });
      await Promise.all([send(page), send(other)]);
      await Promise.all([until(page, 'renewing'), until(other, 'renewing')]);
      await codeOf(page).fill(await site.gateway.mailbox.code(username));
      assert.deepEqual(await Promise.all([page, other].map((tab) => tab.evaluate(() => answered))), [200, 200]);
      assert.equal((await mails(site, username)).length, 2);
    });

    test('a password is sent sealed', async () => {
      await page.goto(`${site[kind]}/password`);
      const username = newUser();
      await ask(page, username);
      await untilFocused(page, 'Password');
      const code = await site.gateway.mailbox.code(username);
      await codeOf(page).fill(code);
      await untilFocused(page, 'Password');
      const bodies = [];
      page.on('request', (request) => bodies.push(request.postData() ?? ''));
      await page.getByLabel('Password').fill('correct horse');
      await page.getByLabel('Password').press('Enter');
      await until(page, 'ready');
      assert.ok(!bodies.join().includes('correct horse'));
    });

    test('a strict Content-Security-Policy: login in a Worker, styles, an answer of HTML', async () => {
      await page.goto(`${site[kind]}/strict-shop`);
      await page.evaluate(() => {
        window.refused = [];
        document.addEventListener('securitypolicyviolation', ({ violatedDirective }) => refused.push(violatedDirective));
      });
      await logIn(page, site);
      assert.equal(page.workers().length, 1);
      assert.equal(await page.locator('certless-login').evaluate((one) => getComputedStyle(one).display), 'block');
      assert.deepEqual(await page.evaluate(() => refused), []);
      await page.getByRole('button', { name: 'Send', exact: true }).click();
      await page.locator('iframe').contentFrame().getByRole('heading', { name: 'Thank you' }).waitFor();
    });

    test('without data-certless: the API with the gateway’s settings, and an unchanged page', async () => {
      await page.goto(`${site[kind]}/api`);
      const username = newUser();
      const found = await page.evaluate(async (username) => {
        const session = await certless.login({ username, code: () => mailedCode(username) });
        const { status } = await session.fetch('/echo');
        return [status, session.url, certless.page, certless.fetch, !!customElements.get('certless-login')];
      }, username);
      assert.deepEqual(found, [200, site[kind], undefined, undefined, false]);
    });
  });
}

/** The fields that every kind of form is sent with. */
const FIELDS =
  '<input name="item" value="Räksmörgås"><input name="n" type="number" value="2"><input name="a" value="1">' +
  '<input name="a" value="x y"><input name="__proto__" value="p"><input type="file" name="f">';

describe('forms', () => {
  let site;
  let visitor;
  let page;

  before(async () => {
    site = await startSite('article-2016', { pages: { ...pages, '/form': html('') }, sealed });
    visitor = await newVisitor(browser, site);
    page = await visitor.newPage();
    await page.goto(`${site.insecure}/form`);
    await page.evaluate(() => void certless.fetch('/echo').catch(() => {}));
    await logIn(page, site);
  });
  after(async () => {
    await visitor?.close();
    await site?.stop();
  });
  beforeEach(() => page.goto(`${site.insecure}/form`));

  /** Sends a form, gives its answer's place once it is there. */
  async function send(attributes, fields = '', button = '<button>Send</button>') {
    await page.evaluate((text) => (document.body.innerHTML = text), `<form ${attributes}>${fields}${button}</form>`);
    await page.evaluate(() => certless.page.ready);
    await page.getByRole('button', { name: 'Send' }).click();
    await page.waitForFunction(() => !document.querySelector('form[aria-busy]'));
    return page.locator('output');
  }
  const echoed = async (...form) => JSON.parse(await (await send(...form)).textContent());

  test('JSON: numbers, a repeated name, any name', async () => {
    const { method, path, headers, body } = await echoed('method="dialog" data-certless="/echo" enctype="application/json"', FIELDS);
    assert.deepEqual([method, path, headers['content-type']], ['POST', '/echo', 'application/json']);
    assert.equal(body, '{"item":"Räksmörgås","n":2,"a":["1","x y"],"__proto__":"p","f":""}');
  });

  test('urlencoded, with the button that was pressed', async () => {
    const button = '<button name="do" value="buy" formaction="/never" formmethod="get">Send</button>';
    const { method, headers, body } = await echoed('data-certless="PUT /echo"', FIELDS, button);
    assert.deepEqual([method, headers['content-type']], ['PUT', 'application/x-www-form-urlencoded;charset=UTF-8']);
    assert.equal(body, 'item=R%C3%A4ksm%C3%B6rg%C3%A5s&n=2&a=1&a=x+y&__proto__=p&f=&do=buy');
  });

  test('multipart, with a file', async () => {
    const fields = `${FIELDS}<input name="action" value="a field of this name">`;
    await page.evaluate((text) => (document.body.innerHTML = text), `<form method="post" action="/echo" data-certless enctype="multipart/form-data">${fields}<button>Send</button></form>`);
    await page.locator('[type=file]').setInputFiles({ name: 'tea.txt', mimeType: 'text/plain', buffer: Buffer.from('green') });
    await page.getByRole('button', { name: 'Send' }).click();
    const { headers, body } = JSON.parse(await page.locator('output pre').textContent());
    assert.match(headers['content-type'], /^multipart\/form-data; boundary=/);
    assert.match(body, /name="f"; filename="tea.txt"\r\nContent-Type: text\/plain\r\n\r\ngreen\r\n/);
  });

  test('text/plain, and the button’s attributes if data-certless is empty', async () => {
    const button = '<button formaction="/echo?b" formmethod="post" formenctype="text/plain">Send</button>';
    const { method, path, body } = await echoed('action="/never" data-certless', '<input name="a" value="1">', button);
    assert.deepEqual([method, path, body], ['POST', '/echo?b', 'a=1\r\n']);
  });

  test('form.submit(), and a field with a method’s name: still sealed', async () => {
    const plain = [];
    page.on('request', (request) => {
      const { pathname, protocol } = new URL(request.url());
      // The browser asks for the icon by itself, some time after the page came. The Worker's script
      // is a blob, which goes over no line.
      if (pathname !== '/favicon.ico' && protocol !== 'blob:') plain.push(pathname);
    });
    const fields = '<input name="hasAttribute"><input name="after"><input name="submit"><input name="a" value="1">';
    await page.evaluate(async (text) => {
      await certless.page.ready;
      document.body.innerHTML = text;
      HTMLFormElement.prototype.submit.call(document.forms[0]);
    }, `<form method="post" action="/never" data-certless="/echo">${fields}<button>Send</button></form>`);
    const answer = page.locator('output pre');
    assert.match(JSON.parse(await answer.textContent()).body, /&a=1$/);
    await page.locator('button').evaluate((button) => {
      document.querySelector('output').replaceChildren();
      button.click();
    });
    assert.match(JSON.parse(await answer.textContent()).body, /&a=1$/);
    assert.deepEqual(new Set(plain), new Set(['/.gateway/message']));
  });

  test('an element that clobbers currentScript does not change the gateway', async () => {
    await page.goto(`${site.insecure}/clobbered`);
    assert.equal(await page.evaluate(() => certless.page.url('/x').href), `${site.insecure}/x`);
  });

  test('GET: the fields are the query', async () => {
    const { method, path, body } = await echoed('data-certless="GET /echo?gone#too"', '<input name="a" value="1 2">');
    assert.deepEqual([method, path, body], ['GET', '/echo?a=1+2', '']);
  });

  test('redirects are followed as in a browser, sealed', async () => {
    const after303 = await echoed('data-certless="/303"', '<input name="a" value="1">');
    assert.deepEqual([after303.method, after303.path, after303.body], ['GET', '/echo?after', '']);
    const after307 = await echoed('data-certless="/307"', '<input name="a" value="1">');
    assert.deepEqual([after307.method, after307.path, after307.body], ['POST', '/echo?after', 'a=1']);
    const before = site.upstream.count('/loop');
    assert.match(await (await send('data-certless="GET /loop"')).textContent(), /error: 302/);
    assert.equal(site.upstream.count('/loop'), before + 6);
  });

  test('a redirect to another host is a link; to a script it is text', async () => {
    await send('data-certless="/away"');
    assert.equal(await page.getByRole('link').getAttribute('href'), 'http://elsewhere.example/tea');
    const place = await send('data-certless="/script"');
    assert.match(await place.textContent(), /javascript:hacked=6/);
    assert.equal(await page.getByRole('link').count(), 0);
  });

  test('answers of every kind, and nothing in them is executed', async () => {
    assert.equal(await (await send('data-certless="/json"')).textContent(), '{\n  "tea": "<img src=x onerror=hacked=4>"\n}');
    assert.equal(await (await send('data-certless="/text"')).textContent(), '<script>hacked = 3</script>');
    await send('data-certless="/img"');
    await page.waitForFunction(() => document.querySelector('output img')?.naturalWidth === 1);
    await send('data-certless="/no-img"');
    await page.getByRole('link', { name: 'no-img (8 bytes)' }).waitFor();
    assert.equal(await (await send('data-certless="/none"')).textContent(), 'Done.');
    await send('data-certless="/coded"');
    assert.equal(await page.getByRole('link').getAttribute('download'), 'räks.zip');
    await send('data-certless="/file"');
    const link = page.getByRole('link', { name: 'tea <b>.html (27 bytes)' });
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    assert.equal(await readFile(await download.path(), 'utf8'), '<script>hacked = 5</script>');
    assert.equal(await link.getAttribute('download'), 'tea <b>.html');
    assert.equal(await page.evaluate(() => window.hacked), undefined);
  });

  test('HTML: shown completely, no script, nothing unsealed; its links go through the session', async () => {
    const plain = [];
    page.on('response', (response) => {
      const { pathname, protocol } = new URL(response.url());
      if (protocol === 'http:') plain.push(pathname);
    });
    await send('data-certless="/html"');
    const frame = page.locator('iframe');
    await frame.contentFrame().getByRole('heading', { name: 'Thank you' }).waitFor();
    await page.waitForFunction(() => {
      const { clientHeight, contentDocument } = document.querySelector('iframe');
      return clientHeight >= contentDocument.documentElement.scrollHeight;
    });
    await frame.contentFrame().getByRole('button', { name: 'Plain' }).click();
    await frame.contentFrame().getByRole('link', { name: 'Order 1' }).click();
    await page.locator('output pre').waitFor();
    assert.equal(JSON.parse(await page.locator('output pre').textContent()).path, '/echo?1');
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.deepEqual(new Set(plain), new Set(['/.gateway/message']));
  });

  test('links in an answer: none is followed unsealed', async () => {
    const plain = [];
    page.on('request', (request) => plain.push(request.url()));
    await send('data-certless="GET /links"', '<input name="secret" value="1">');
    const shown = page.locator('iframe').contentFrame();
    await shown.getByRole('link', { name: 'Last' }).click();
    await page.waitForFunction(() => scrollY > 1000);
    const isHidden = await page.evaluate(() => {
      const { contentDocument, contentWindow } = document.querySelector('iframe');
      contentWindow.addEventListener('auxclick', (event) => (window.isHeld = event.defaultPrevented));
      return !contentDocument.querySelector('#host').shadowRoot && !contentDocument.querySelector('template');
    });
    assert.ok(isHidden);
    await shown.getByText('Drawn').click({ button: 'middle' });
    assert.equal(await page.evaluate(() => window.isHeld), true);
    await shown.getByText('Drawn').click();
    await page.locator('output pre').waitFor();
    assert.equal(JSON.parse(await page.locator('output pre').textContent()).path, '/echo?svg');
    assert.deepEqual(plain.filter((url) => url.startsWith('http:') && !url.endsWith('/.gateway/message')), []);
  });

  test('an answer that is opened in a new tab is not a page of this origin', async () => {
    const typeOf = (selector, name) =>
      page.evaluate(async ([selector, name]) => (await (await fetch(document.querySelector(selector)[name])).blob()).type, [selector, name]);
    await send('data-certless="/file"');
    assert.equal(await typeOf('output a', 'href'), 'application/octet-stream');
    await send('data-certless="/img"');
    assert.equal(await typeOf('output img', 'src'), 'image/png');
    await send('data-certless="/svg"');
    await page.locator('iframe').contentFrame().getByText('A kettle').waitFor();
    assert.equal(await page.evaluate(() => window.hacked), undefined);
  });

  test('answers that would block the page: brackets unchanged, long texts as a download', async () => {
    assert.equal((await (await send('data-certless="/deep"')).textContent()).length, 2 * DEPTH);
    await send('data-certless="/long"');
    await page.getByRole('link', { name: 'long (1.0 MiB)' }).waitFor();
  });

  test('a failed Worker leaves no form waiting', async () => {
    await page.evaluate(() => (document.body.innerHTML = '<form data-certless="/hold"><button>Send</button></form>'));
    await page.getByRole('button', { name: 'Send' }).click();
    await site.upstream.holding();
    const failed = page.waitForEvent('pageerror');
    await page.workers()[0].evaluate(() => void setTimeout(() => { throw new Error('out of memory'); }));
    await failed;
    await page.getByRole('alert').filter({ hasText: 'Reload it' }).waitFor();
    await page.waitForFunction(() => !document.querySelector('form[aria-busy], button:disabled'));
    site.upstream.release();
  });

  test('an error is an alert, with the service’s text', async () => {
    const place = await send('data-certless="/bad"');
    assert.match(await place.getByRole('alert').textContent(), /error: 422/);
    assert.match(await place.textContent(), /too much tea/);
    await send('data-certless="http://elsewhere.example/"');
    await page.getByRole('alert').filter({ hasText: 'is not the gateway' }).waitFor();
    await send('data-certless="a b c"');
    await page.getByRole('alert').filter({ hasText: 'is not "METHOD /path"' }).waitFor();
  });

  test('a named place; an answer that the page shows itself', async () => {
    await page.evaluate(() => {
      document.body.innerHTML = '<form data-certless="/none" data-certless-answer="#there"><button>Send</button></form><p id="there" data-certless-place>';
    });
    await page.getByRole('button', { name: 'Send' }).click();
    await page.locator('#there').getByText('Done.').waitFor();
    await page.evaluate(() => {
      window.own = new Promise((resolve) => {
        document.addEventListener('certless-answer', (event) => {
          event.preventDefault();
          resolve([event.detail.response.status, event.detail.form === document.forms[0]]);
        });
      });
    });
    await page.getByRole('button', { name: 'Send' }).click();
    assert.deepEqual(await page.evaluate(() => own), [204, true]);
    await page.waitForFunction(() => !document.querySelector('form[aria-busy]'));
    assert.equal(await page.locator('#there').textContent(), '');
  });

  test('while a form is sent: busy, and sent once; the button gets its focus back', async () => {
    await page.evaluate(() => {
      document.body.innerHTML = '<form data-certless="/hold"><input name="a"><button>Send</button></form>';
    });
    await page.getByRole('button', { name: 'Send' }).click();
    await site.upstream.holding();
    assert.equal(await page.getByRole('button', { name: 'Send' }).isDisabled(), true);
    assert.equal(await page.locator('output').textContent(), 'Sending…');
    const before = site.upstream.count('/hold');
    await page.evaluate(() => document.forms[0].requestSubmit());
    site.upstream.release();
    await page.getByRole('link', { name: 'hold (8 bytes)' }).waitFor();
    assert.equal(site.upstream.count('/hold'), before);
    await untilFocused(page, 'Send');
  });

  test('without a session the login opens first', async () => {
    const stranger = await newVisitor(browser, site);
    const fresh = await stranger.newPage();
    await fresh.goto(`${site.insecure}/strict-shop`);
    await fresh.getByRole('button', { name: 'Send', exact: true }).click();
    await untilFocused(fresh, 'Name or e-mail address');
    await fresh.getByText('Waiting for the login.').waitFor();
    await logIn(fresh, site);
    await fresh.locator('iframe').contentFrame().getByRole('heading', { name: 'Thank you' }).waitFor();
    assert.ok(fresh.url().includes(INSECURE_HOST));
    await stranger.close();
  });
});
