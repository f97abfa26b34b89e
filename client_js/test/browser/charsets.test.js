/** Charsets of forms and answers: a sealed form sends the bytes that the browser itself would send. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from '../limited.js';
import { launch, newVisitor, startSite } from './chromium.js';

const username = 'ann@example.org';
const TEXT = 'Räksmörgås ☕ 100%+#&="\'<\u00a0ü€ 日本語ソ 한국 中文\r\nzwei\tdrei~';
const form = (accepted) =>
  `<!doctype html><title>form</title><script src="/.gateway/client.js" data-certless></script>` +
  `<form data-certless="/bytes" action="/native" method="post" ${accepted ? `accept-charset="${accepted}"` : ''}>` +
  '<textarea name="text"></textarea><input type="hidden" name="_charset_"><input name="sm\u00f6r&quot;" value="1"></form>';
const page = (charset, accepted = '') => ({
  type: `text/html; charset=${charset}`,
  body: Buffer.from(form(accepted), charset === 'utf-8' ? 'utf8' : 'latin1'),
});
const FORMS = {
  '/iso-8859-1': page('iso-8859-1'),
  '/shift_jis': page('shift_jis'),
  '/utf-8': page('utf-8'),
  '/accept-latin': page('utf-8', 'x-unknown ISO-8859-1, utf-8 windows-1252'),
  '/accept-gb18030': page('utf-8', 'gb18030'),
  '/accept-euc-kr': page('utf-8', 'euc-kr'),
  '/accept-utf-8': page('iso-8859-1', 'utf-8'),
};
const ANSWERS = {
  '/a/latin-1': ['text/plain; charset=iso-8859-1', Buffer.from('caf\xe9', 'latin1'), 'café'],
  '/a/windows': ['text/plain; charset="Windows-1252"', Buffer.from([0x80, 0x31]), '€1'],
  '/a/shift-jis': ['text/plain; charset=shift_jis', Buffer.from([0x93, 0xfa, 0x96, 0x7b]), '日本'],
  '/a/utf-8': ['text/plain', Buffer.from('café'), 'café'],
  '/a/none': ['text/plain', Buffer.from('caf\xe9', 'latin1'), 'café'],
  '/a/mark': ['text/plain; charset=iso-8859-1', Buffer.from('\ufeffcafé'), 'café'],
  '/a/html': ['text/html', Buffer.from('<meta charset=iso-8859-1><p>caf\xe9', 'latin1'), 'café'],
  '/a/html-header': ['text/html; charset=utf-8', Buffer.from('<meta charset=iso-8859-1><p>café'), 'café'],
};

describe('charsets', () => {
  let browser;
  let site;
  let tab;

  before(async () => (browser = await launch()));
  before(async () => {
    const sealed = Object.fromEntries(Object.entries(ANSWERS).map(([path, [type, body]]) => [path, { type, body }]));
    site = await startSite('article-2016', { pages: FORMS, sealed, suites: 'ecdh-gcm' });
    const visitor = await newVisitor(browser, site);
    tab = await visitor.newPage();
    await tab.goto(`${site.insecure}/page`);
    await tab.waitForFunction(() => window.certless);
    await tab.evaluate((name) => certless.login({ suite: 'ecdh-gcm', username: name, code: () => mailedCode(name) }), username);
  });
  after(() => browser?.close());
  after(() => site?.stop());

  const visit = async (path) => {
    await tab.goto(site.insecure + path);
    await tab.waitForFunction(() => certless.page.state === 'ready');
  };
  const fill = (enctype) =>
    tab.evaluate(
      ([text, type]) => {
        document.forms[0].enctype = type;
        document.forms[0].elements[0].value = text;
      },
      [TEXT, enctype],
    );
  /** Type and bytes of the sealed request. */
  const sealed = () =>
    tab.evaluate(
      () =>
        new Promise((resolve) => {
          document.forms[0].addEventListener('certless-answer', async (event) => {
            event.preventDefault();
            const { response } = event.detail;
            const bytes = new Uint8Array(await response.arrayBuffer());
            resolve([response.headers.get('Content-Type'), Array.from(bytes, (byte) => String.fromCharCode(byte)).join('')]);
          });
          document.forms[0].requestSubmit();
        }),
    );
  /** The bytes of the browser's own request, which goes nowhere. */
  const native = async () => {
    const asked = tab.waitForRequest('**/native');
    await tab.route('**/native', (route) => route.fulfill({ body: 'ok' }));
    await tab.evaluate(() => {
      document.forms[0].removeAttribute('data-certless');
      document.forms[0].submit();
    });
    return (await asked).postDataBuffer().toString('latin1');
  };
  /** Without the boundary, which is random. */
  const withoutBoundary = (body) => body.replaceAll(/\r\n$/.test(body) ? /^--\S+?(?=-*\r\n)/.exec(body)[0] : '', '--x');

  for (const path of Object.keys(FORMS)) {
    for (const enctype of ['application/x-www-form-urlencoded', 'multipart/form-data']) {
      test(`${path}, ${enctype}`, async () => {
        await visit(path);
        await fill(enctype);
        const [type, body] = await sealed();
        assert.ok(type.startsWith(enctype), type);
        const own = await native();
        const isMultipart = enctype.startsWith('multipart');
        assert.equal(isMultipart ? withoutBoundary(body) : body, isMultipart ? withoutBoundary(own) : own);
      });
    }
  }

  test('a GET has its query in the charset of the page', async () => {
    await visit('/iso-8859-1');
    await tab.evaluate(() => {
      document.forms[0].setAttribute('data-certless', 'GET /echo');
      document.forms[0].elements[0].value = 'é☕';
    });
    const [, body] = await sealed();
    assert.equal(JSON.parse(body).path, '/echo?text=%E9%26%239749%3B&_charset_=windows-1252&sm%F6r%22=1');
  });

  test('answers', async () => {
    await visit('/utf-8');
    for (const [path, [type, , expected]] of Object.entries(ANSWERS)) {
      await tab.evaluate((target) => {
        document.forms[0].setAttribute('data-certless', `GET ${target}`);
        document.forms[0].requestSubmit();
      }, path);
      const shown = type.startsWith('text/html') ? tab.frameLocator('output iframe').locator('p') : tab.locator('output pre');
      await shown.waitFor();
      assert.equal(await shown.textContent(), expected, path);
      await tab.evaluate(() => document.querySelector('output').replaceChildren());
    }
  });
});
