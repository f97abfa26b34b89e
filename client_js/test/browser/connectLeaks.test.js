/** Nothing leaves a page in `certless connect` unsealed, whatever the page tries. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from '../limited.js';
import { startGateway, startUpstream } from '../gateway.js';
import { within } from '../within.js';
import { INSECURE_HOST, launch } from './chromium.js';
import { logInAt, startConnect } from './connect.js';
import { areBlocked, elements, form, leakingPage, recording, sandboxed, workerScript } from './leaks.js';

const page = (body, headers = {}) => ({ type: 'text/html', body, headers });
const script = (body) => ({ type: 'text/javascript', body });

describe('a page that tries everything', () => {
  const asked = [];
  let server;
  let browser;
  let upstream;
  let gateway;
  let connect;
  let tab;
  let all;
  let other;
  before(async () => {
    server = await recording(asked);
    other = `http://${INSECURE_HOST}:${server.address().port}`;
    all = elements(other);
    upstream = await startUpstream({
      '/': page('<h1>the site</h1>'),
      '/own': page('own'),
      '/elements': page(leakingPage(Object.values(all).join('\n'))),
      '/base': page(leakingPage(`<base href="${other}/"><script src="base"></script>`)),
      '/body': page(leakingPage(`<body background="${other}/body">`)),
      '/policy': page(leakingPage(`<meta http-equiv="Content-Security-Policy" content="default-src *; report-uri ${other}/report"><img src="${other}/policy">`)),
      '/sandboxed': page(leakingPage(sandboxed(other))),
      '/link': page(leakingPage('text'), { Link: `<${other}/link>; rel=preload; as=script` }),
      '/reports': page(leakingPage(`<img src="${other}/reports">`), {
        'Content-Security-Policy': `img-src 'none'; report-uri ${other}/uri; report-to group`,
        'Content-Security-Policy-Report-Only': `img-src 'none'; report-uri ${other}/only`,
        'Report-To': `{"group":"group","max_age":99,"endpoints":[{"url":"${other}/to"}]}`,
        'Reporting-Endpoints': `group="${other}/endpoint", default="${other}/default"`,
        'Speculation-Rules': `"${other}/rules"`,
      }),
      '/again': { status: 307, headers: { Location: `${other}/again` } },
      '/posting': page(form(`${other}/posting`)),
      '/formaction': page(form('/own', `formaction="${other}/formaction"`)),
      '/blanking': page(form(`${other}/blanking`, 'formtarget="_blank"')),
      '/getting': page(form(`${other}/getting`, 'formmethod="get"')),
      '/posting-again': page(form('/again')),
      '/worker.js': script(workerScript(other, 'refused.then(postMessage)')),
      '/shared.js': script(workerScript(other, 'onconnect = async ({ ports }) => ports[0].postMessage(await refused)')),
      '/service.js': script(workerScript(other, 'onmessage = async ({ ports }) => ports[0].postMessage(await refused)')),
    });
    gateway = await startGateway({ upstream: upstream.url });
    connect = await startConnect(gateway.url);
    browser = await launch();
    tab = await browser.newPage();
    await logInAt(tab, connect, gateway, 'ann@example.org');
    await tab.getByRole('heading', { name: 'the site' }).waitFor();
  });
  after(async () => {
    await browser?.close();
    await connect?.stop();
    await gateway?.stop();
    await upstream?.stop();
    server?.closeAllConnections();
    server?.close();
  });

  test('loads and sends nothing by elements, styles, scripts or frames', async () => {
    await tab.goto(`${connect.own}/elements`, { waitUntil: 'commit' });
    const names = Object.keys(all);
    await tab.waitForFunction(areBlocked, names).catch(async (error) => {
      const blocked = await tab.evaluate(() => globalThis.blocked);
      throw new Error(`not refused: ${names.filter((name) => !blocked.includes(name))}`, { cause: error });
    });
    assert.deepEqual(asked, []);
  });

  for (const name of ['body', 'policy', 'reports', 'sandboxed']) {
    test(`loads and sends nothing by /${name}`, async () => {
      await tab.goto(`${connect.own}/${name}`);
      await tab.waitForFunction(areBlocked, [name]);
      assert.deepEqual(asked, []);
    });
  }

  test('takes no base address elsewhere', async () => {
    await tab.goto(`${connect.own}/base`);
    await tab.waitForFunction(areBlocked, ['base-uri']);
    assert.deepEqual(asked, []);
  });

  test('loads nothing by a header field', async () => {
    // The browser refuses it before a script of the page can listen.
    const refused = tab.waitForEvent('console', (message) => message.text().includes(`${other}/link`));
    await tab.goto(`${connect.own}/link`);
    await refused;
    assert.deepEqual(asked, []);
  });

  for (const name of ['posting', 'formaction', 'blanking', 'getting']) {
    test(`sends no form by /${name}`, async () => {
      await tab.goto(`${connect.own}/${name}`);
      await within(tab.evaluate(() => document.querySelector('button').click()), 'the click');
      await tab.waitForFunction(areBlocked, [name]);
      assert.deepEqual(asked, []);
    });
  }

  test('shows a redirect that would send the form again', async () => {
    await tab.goto(`${connect.own}/posting-again`);
    await tab.getByRole('button').click();
    await tab.getByRole('heading', { name: 'This leaves the sealed site' }).waitFor();
    assert.equal(await tab.getByRole('link').getAttribute('href'), `${other}/again`);
    assert.deepEqual(asked, []);
  });

  test('loads and sends nothing by workers', async () => {
    await tab.goto(`${connect.own}/own`);
    const told = await within(
      tab.evaluate(() => {
        const answer = (port) => new Promise((resolve) => (port.onmessage = ({ data }) => resolve(data)));
        const service = async () => {
          await navigator.serviceWorker.register('/service.js');
          const { active } = await navigator.serviceWorker.ready;
          const { port1, port2 } = new MessageChannel();
          active.postMessage('', [port2]);
          return answer(port1);
        };
        return Promise.all([answer(new Worker('/worker.js')), answer(new SharedWorker('/shared.js').port), service()]);
      }),
      'the workers answer',
    );
    assert.deepEqual(told, Array(3).fill(Array(4).fill(true)));
    assert.deepEqual(asked, []);
  });
});
