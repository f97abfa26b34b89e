/** Server-Sent Events through a session in Chromium, on an insecure origin. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from '../limited.js';
import { INSECURE_HOST, launch, newVisitor, startSite } from './chromium.js';
import { slowLine } from './slowLine.js';

const username = 'ann@example.org';

describe('session.eventSource', () => {
  let browser;
  let site;
  let line;
  let visitor;
  let page;

  /** A page with `connect()`, which fills `window.seen` and sets `window.source`. */
  const open = async () => {
    const tab = await visitor.newPage();
    await tab.goto(`http://${INSECURE_HOST}:${line.port}/page`);
    await tab.evaluate(() => {
      window.connect = () => {
        window.seen = [];
        window.source = session.eventSource('/events');
        source.onopen = () => seen.push('open');
        source.onmessage = ({ data, lastEventId }) => seen.push([data, lastEventId]);
        source.addEventListener('tick', ({ type, data }) => seen.push([type, data]));
        source.onerror = ({ error }) => seen.push(['error', error?.code, source.readyState]);
      };
    });
    return tab;
  };
  /** What the page has seen, once it is `count` long. */
  const seen = async (tab, count) => {
    await tab.waitForFunction((wanted) => window.seen.length >= wanted, count);
    return tab.evaluate(() => window.seen);
  };

  before(async () => (browser = await launch()));
  before(async () => (site = await startSite('article-2016', { suites: 'ecdh-gcm' })));
  before(async () => (line = await slowLine(site.gateway.port, { latencyMs: 5, bytesPerSecond: 10_000_000 })));
  before(async () => {
    visitor = await newVisitor(browser, site);
    page = await open();
    const login = (name) => certless.login({ username: name, code: () => mailedCode(name) }).then((got) => (window.session = got));
    assert.equal(await page.evaluate(`(${login})('${username}').then(() => isSecureContext)`), false);
  });
  afterEach(() => page?.evaluate(() => window.source?.close()));
  after(() => browser?.close());
  after(() => line?.stop());
  after(() => site?.stop());

  test('each event when it is sent; names, ids', async () => {
    await page.evaluate(() => connect());
    const source = await site.upstream.eventSource();
    assert.equal(source.lastEventId, undefined);
    source.send('id: 1\ndata: Räksmörgås\n\n');
    assert.deepEqual((await seen(page, 2)).slice(1), [['Räksmörgås', '1']]);
    source.send('event: tick\ndata: a\ndata: b\n\nid: 2\ndata: half');
    assert.deepEqual((await seen(page, 3)).slice(2), [['tick', 'a\nb']]);
    source.send('\n\n');
    assert.deepEqual((await seen(page, 4)).slice(3), [['half', '2']]);
  });

  test('again with Last-Event-ID: after the end, and after a cut of the line', async () => {
    await page.evaluate(() => connect());
    const first = await site.upstream.eventSource();
    first.send('id: ☕\ndata: a\n\n');
    await seen(page, 2);
    first.end();
    const second = await site.upstream.eventSource();
    assert.equal(Buffer.from(second.lastEventId, 'latin1').toString(), '☕');
    second.send('id: 2\ndata: b\n\nid: 3\ndata: lost');
    await seen(page, 5);
    line.cut();
    const third = await site.upstream.eventSource();
    assert.equal(third.lastEventId, '2');
    third.send('data: c\n\n');
    const all = await seen(page, 8);
    assert.deepEqual(all.slice(0, 7), [
      'open',
      ['a', '☕'],
      ['error', undefined, 0],
      'open',
      ['b', '2'],
      ['error', 'stream_broken', 0],
      'open',
    ]);
    assert.deepEqual(all[7], ['c', '2']);
  });

  test('two tabs with one session: each has its own', async () => {
    await page.evaluate(() => connect());
    const mine = await site.upstream.eventSource();
    const other = await open();
    await other.evaluate(async () => (window.session = await certless.resume()));
    await other.evaluate(() => connect());
    const theirs = await site.upstream.eventSource();
    mine.send('data: mine\n\n');
    theirs.send('data: theirs\n\n');
    assert.deepEqual([await seen(page, 2), await seen(other, 2)], [['open', ['mine', '']], ['open', ['theirs', '']]]);
    await other.close();
    mine.send('data: on\n\n');
    assert.deepEqual((await seen(page, 3))[2], ['on', '']);
  });
});
