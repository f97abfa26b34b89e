/** What markup without any script, injected into a page or an answer, can make of the page's script. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, beforeEach, describe, test } from '../limited.js';
import { launch, newVisitor, startSite } from './chromium.js';

const SCRIPT = '<script src="/.gateway/client.js" data-certless></script>';
const html = (body, head = '') => ({ type: 'text/html', body: `<!doctype html><title>shop</title>${head}<body>${body}` });

// Whatever a document has: each name is taken by an image and a form, ahead of the script.
const HIDE_ALL = `<script>
  const names = new Set();
  for (let one = Document.prototype; one; one = Object.getPrototypeOf(one)) {
    for (const name of Object.getOwnPropertyNames(one)) names.add(name);
  }
  for (const name of names) document.write('<img name="' + name + '"><form name="' + name + '"></form>');
</script>`;

const pages = {
  '/shop': html('', SCRIPT),
  '/hidden': html(SCRIPT, HIDE_ALL),
};

// Another site, which counts who asks it for anything.
let askedElsewhere = 0;
const other = http.createServer((_, response) => response.end(void (askedElsewhere += 1)));
const frame = (body) => ({ type: 'text/html', body });
const answers = (elsewhere) => ({
  '/text': { type: 'text/plain', body: 'You owe 1,000' },
  '/head': frame(`<form name="head"></form><img src="${elsewhere}/head"><p>shown`),
  '/documentElement': frame(`<form name="documentElement"><img src="${elsewhere}/root"></form><p>shown`),
  '/querySelector': frame('<img name="querySelector"><img name="querySelectorAll"><base href="/deep/"><p>shown'),
  '/addEventListener': frame('<img name="addEventListener"><a href="/text">In plain</a>'),
  '/closest': frame('<a href="/text"><form><input name="closest" hidden>In plain</form></a>'),
});

let browser;
let site;
let visitor;
let page;
const plain = [];

before(async () => {
  browser = await launch();
  await new Promise((listening) => other.listen(0, '127.0.0.1', listening));
  site = await startSite('article-2016', { pages, sealed: answers(`http://127.0.0.1:${other.address().port}`) });
  visitor = await newVisitor(browser, site);
  page = await visitor.newPage();
  page.setDefaultTimeout(15_000);
  await page.goto(`${site.insecure}/shop`);
  const login = { username: 'ann@example.org' };
  await page.evaluate(async (options) => void (await certless.login({ ...options, code: () => mailedCode(options.username) })), login);
  page.on('request', (request) => {
    const { origin, pathname } = new URL(request.url());
    if (origin === site.insecure && pathname !== '/favicon.ico') plain.push(pathname);
  });
});
after(async () => {
  await browser?.close();
  await site?.stop();
  other.close();
});
beforeEach(async () => {
  await page.goto(`${site.insecure}/shop`);
  await page.evaluate(() => certless.page.ready);
  plain.length = 0;
});

/** The page with this markup; its button is pressed, and what comes of it is waited for. */
async function press(markup, button = 'Send') {
  await page.evaluate((text) => (document.body.innerHTML = text), markup);
  await page.getByRole('button', { name: button }).click();
  await page.waitForFunction(() => document.querySelector('[data-certless-shown]:not(:empty)'));
  await page.waitForFunction(() => !document.querySelector('form[aria-busy]'));
}

const shown = () => page.locator('[data-certless-shown]:not(:empty)').first().innerText();

describe('where an answer is shown', () => {
  for (const selector of ['#balance', 'body', 'certless-login', 'style', '#balance, x', '#gone', '!!', 'x), body:is(x']) {
    test(`not in an element without the mark: ${selector}`, async () => {
      const before = site.upstream.count('/text');
      await press(
        `<style id="look">p { margin: 0 }</style><p id="balance">You own 5</p><certless-login></certless-login>` +
          `<form data-certless="/text" data-certless-answer="${selector}"><button>Send</button></form>`,
      );
      assert.match(await shown(), /names no element with the attribute data-certless-place/);
      assert.equal(await page.locator('#balance').innerText(), 'You own 5');
      assert.equal(await page.locator('body[data-certless-shown], certless-login[data-certless-shown], #look[data-certless-shown]').count(), 0);
      assert.equal(site.upstream.count('/text'), before);
    });
  }

  test('in a marked place, but not in untrusted markup', async () => {
    await press(
      '<div data-certless-untrusted><p class="said" data-certless-place></p></div><p class="said" id="own" data-certless-place></p>' +
        '<form data-certless="/text" data-certless-answer=".said"><button>Send</button></form>',
    );
    assert.equal(await page.locator('#own').innerText(), 'You owe 1,000');
    assert.equal(await page.locator('[data-certless-untrusted]').innerText(), '');
  });

  test('a form after it, with a field of any name, is unchanged', async () => {
    await press('<form data-certless="/text"><button>Send</button></form><form><input name="matches"></form>');
    assert.equal(await shown(), 'You owe 1,000');
  });
});

describe('markup that the page does not trust', () => {
  for (const [name, markup] of [
    ['a form', '<div data-certless-untrusted><form data-certless="/text"><button>Send</button></form></div>'],
    ['a form that would go in plain', '<div data-certless-untrusted><form method="post" action="/text" data-certless><button>Send</button></form></div>'],
    [
      'a button of a form elsewhere',
      '<form id="order" data-certless="/text"><output></output></form><div data-certless-untrusted><button form="order">Send</button></div>',
    ],
    [
      'a field of a form elsewhere',
      '<form id="order" data-certless="/text"><button>Send</button></form><div data-certless-untrusted><input form="order" name="to" value="mallory"></div>',
    ],
  ]) {
    test(`${name}: nothing is sent, and an error says so`, async () => {
      const before = site.upstream.count('/text');
      await press(markup);
      assert.match(await shown(), /inside an element with data-certless-untrusted/);
      assert.equal(site.upstream.count('/text'), before);
      assert.deepEqual(plain, []);
    });
  }

  test('a login does not open there', async () => {
    const stranger = await newVisitor(browser, site);
    const other = await stranger.newPage();
    await other.goto(`${site.insecure}/shop`);
    await other.evaluate(() => {
      document.body.innerHTML = '<div data-certless-untrusted><certless-login username="mallory"></certless-login></div>';
      void certless.fetch('/text').catch(() => {});
    });
    await other.getByRole('dialog', { name: 'Log in' }).waitFor();
    await other.evaluate(async () => {
      document.body.insertAdjacentHTML('afterbegin', '<certless-login id="own"></certless-login>');
      window.told = new Promise((resolve) => document.addEventListener('certless-login', ({ target }) => resolve(target.id)));
    });
    await other.getByRole('dialog').getByLabel('Name or e-mail address').fill('bob@example.org');
    await other.getByRole('dialog').getByRole('button', { name: 'Send me a code' }).click();
    const field = other.getByRole('dialog').getByLabel('Code from the mail');
    await field.fill(await other.evaluate(() => mailedCode('bob@example.org')));
    assert.equal(await other.evaluate(() => window.told), 'own');
    await stranger.close();
  });
});

test('a button outside of its form does not change where or how the form is sent', async () => {
  for (const words of ['formaction="/text"', 'formmethod="get"', 'formenctype="text/plain"']) {
    const before = site.upstream.count('/text') + site.upstream.count('/echo');
    await press(`<form id="note" method="post" action="/echo" data-certless><input name="a" value="1"></form><button form="note" ${words}>Send</button>`);
    assert.match(await shown(), /only a button inside the form/);
    assert.equal(site.upstream.count('/text') + site.upstream.count('/echo'), before);
  }
  await press('<form id="note" method="post" action="/echo" data-certless></form><button form="note" name="a" value="1">Send</button>');
  assert.equal(JSON.parse(await shown()).body, 'a=1');
});

describe('DOM clobbering of the document', () => {
  /** An answer of HTML, shown; a link in it clicked, if there is one. */
  async function open(name) {
    await press(`<form data-certless="GET ${name}"><button>Send</button></form>`);
    const link = page.locator('iframe').contentFrame().getByText('In plain');
    const isThere = await link.or(page.locator('iframe').contentFrame().getByText('shown')).innerText();
    if (isThere === 'In plain') {
      // Not by the locator, which calls members of the form that are hidden.
      const { x, y, width, height } = await link.boundingBox();
      await page.mouse.click(x + width / 2, y + height / 2);
      await page.locator('output pre').getByText('You owe').waitFor();
    }
    assert.deepEqual(plain.filter((one) => one !== '/.gateway/message'), []);
    assert.equal(askedElsewhere, 0);
  }

  for (const name of ['head', 'documentElement', 'querySelector', 'addEventListener', 'closest']) {
    test(`in an answer, ${name}: it loads nothing, and its links stay sealed`, () => open(`/${name}`));
  }

  test('in the page: its forms are still sealed, and its login opens', async () => {
    await page.goto(`${site.insecure}/hidden`);
    const found = await page.evaluate(async () => {
      await certless.page.ready;
      return [certless.page.url('/x').href, certless.page.state];
    });
    assert.deepEqual(found, [`${site.insecure}/x`, 'ready']);
    plain.length = 0;
    await page.evaluate(async () => {
      const { createElement, body, querySelector } = Object.getOwnPropertyDescriptors(Document.prototype);
      const find = (selector) => querySelector.value.call(document, selector);
      const form = createElement.value.call(document, 'form');
      form.innerHTML = '<button id="send">Send</button>';
      for (const [name, value] of [['method', 'post'], ['action', '/text'], ['data-certless', '']]) form.setAttribute(name, value);
      body.get.call(document).append(form);
      const answered = new Promise((resolve) => form.addEventListener('certless-answer', resolve, { once: true }));
      find('#send').click();
      await answered;
      await certless.page.logout();
      void certless.fetch('/text').catch(() => {});
      while (!find('dialog[open] certless-login')) await new Promise(requestAnimationFrame);
    });
    assert.deepEqual(plain.filter((path) => !path.startsWith('/.gateway/')), []);
  });
});
