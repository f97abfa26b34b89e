/** A session in a real browser when things go wrong around it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from '../limited.js';
import { INSECURE_HOST, launch, newVisitor, startSite } from './chromium.js';
import { slowLine } from './slowLine.js';

let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** A page at `origin` of `site`, with `window.logIn(username, more)` that leaves `window.session`. */
async function visit(visitor, origin) {
  const page = await visitor.newPage();
  await page.goto(`${origin}/page`);
  await page.evaluate(() => {
    window.seen = [];
    window.logIn = async (username, more = {}) => {
      const code = () => mailedCode(username);
      window.session = await certless.login({ username, suite: 'classic', code, ...more });
      session.addEventListener('state', ({ state }) => seen.push(state));
      session.addEventListener('expired', () => seen.push('the event expired'));
    };
    window.send = async (body, init = {}) => {
      const answer = await session.fetch('/bytes', { method: 'POST', body, ...init });
      return answer.text();
    };
    /** Name, code and words of what `work` throws. */
    window.failure = (work) => work().then(
      () => Promise.reject(new Error('nothing failed')),
      ({ name, code, message }) => ({ name, code, message }),
    );
  });
  return page;
}

for (const kind of ['insecure', 'secure']) {
  describe(`on an ${kind} origin`, () => {
    let site;
    let visitor;
    let page;
    let users = 0;
    const newUser = () => `user-${(users += 1)}@example.org`;

    before(async () => {
      site = await startSite('article-2016', { config: ['session_lifetime_s = 3'] });
      visitor = await newVisitor(browser, site);
      page = await visit(visitor, site[kind]);
    });
    after(async () => {
      await visitor?.close();
      await site?.stop();
    });

    test('an expired session reports it, and the next request asks for one code', async () => {
      const lifetimeMs = 3000;
      const seen = await page.evaluate(
        async ({ username, lifetimeMs }) => {
          await logIn(username, { lifetimeMs });
          await new Promise((resolve) => session.addEventListener('expired', resolve));
          const answer = await send('still me');
          return [answer, session.state, ...seen];
        },
        { username: newUser(), lifetimeMs },
      );
      const states = ['expired', 'the event expired', 'renewing', 'ready'];
      assert.deepEqual(seen, ['still me', 'ready', ...states]);
    });

    test('a page with a longer lifetime learns of the end from a refusal', async () => {
      const username = newUser();
      await page.evaluate(async (username) => {
        await logIn(username);
        await send('me');
        await new Promise((resolve) => setTimeout(resolve, 3200));
      }, username);
      const { code } = await page.evaluate(() => failure(() => send('me')));
      assert.equal(code, 'outcome_unknown');
      assert.equal(await page.evaluate(() => send('still me')), 'still me');
    });

    test('a wrong code is an error for people, and then the right one works', async () => {
      const username = newUser();
      const wrong = await page.evaluate(async (username) => {
        window.asked = await certless.requestLogin({ username, suite: 'classic' });
        return failure(() => asked.submit('0000000000000000000000000A'));
      }, username);
      assert.equal(wrong.code, 'rejected');
      assert.match(wrong.message, /^The code was not accepted\. /);
      const state = await page.evaluate(async (username) => {
        window.session = await asked.submit(` ${await mailedCode(username)}\n`);
        return session.state;
      }, username);
      assert.equal(state, 'ready');
    });

    test('after five wrong codes the right one is refused too', async () => {
      const username = newUser();
      const codes = await page.evaluate(async (username) => {
        const asked = await certless.requestLogin({ username, suite: 'classic' });
        const tried = [];
        for (let i = 0; i < 5; i += 1) {
          tried.push(await failure(() => asked.submit(`${i}`.padStart(26, '0'))));
        }
        const right = await mailedCode(username);
        tried.push(await failure(() => asked.submit(right)));
        return tried.map(({ code }) => code);
      }, username);
      assert.deepEqual(codes, Array(6).fill('rejected'));
    });
  });
}

describe('over a slow line', () => {
  const username = 'ann@example.org';
  let site;
  let line;
  let visitor;
  let page;

  before(async () => {
    site = await startSite('article-2016');
    line = await slowLine(site.gateway.port, { latencyMs: 150, bytesPerSecond: 400_000 });
    visitor = await newVisitor(browser, site);
    page = await visit(visitor, `http://${INSECURE_HOST}:${line.port}`);
  });
  after(async () => {
    await visitor?.close();
    await line?.stop();
    await site?.stop();
  });

  test('login, a message, 256 KiB', async () => {
    await page.evaluate((username) => logIn(username), username);
    assert.equal(await page.evaluate(() => send('Räksmörgås')), 'Räksmörgås');
    const length = await page.evaluate(async () => (await send('x'.repeat(256 * 1024))).length);
    assert.equal(length, 256 * 1024);
  });

  test('a request that is cancelled half-way ends at once; the session continues', async () => {
    const halfWay = line.carried(100_000);
    await page.evaluate(() => {
      window.controller = new AbortController();
      window.ended = failure(() => send('x'.repeat(1024 * 1024), { signal: controller.signal }));
    });
    await halfWay;
    const { name, code } = await page.evaluate(() => (controller.abort(), ended));
    assert.deepEqual({ name, code }, { name: 'AbortError', code: 'cancelled' });
    assert.equal(await page.evaluate(() => send('on')), 'on');
  });

  test('a connection that breaks half-way: the browser sends again, and the request runs once', async () => {
    const before = site.upstream.count('/bytes');
    const halfWay = line.carried(100_000);
    const answer = page.evaluate(() => send('x'.repeat(512 * 1024)));
    await halfWay;
    line.cut();
    assert.equal((await answer).length, 512 * 1024);
    assert.equal(site.upstream.count('/bytes'), before + 1);
  });

  test('a connection that breaks before the answer: runs once, OutcomeUnknown; the session continues', async () => {
    const before = site.upstream.count('/hold');
    await page.evaluate(() => {
      window.ended = failure(() => session.fetch('/hold', { method: 'POST' }));
    });
    await site.upstream.holding();
    line.cut();
    const { name, code, message } = await page.evaluate(() => ended);
    assert.deepEqual({ name, code }, { name: 'OutcomeUnknown', code: 'outcome_unknown' });
    assert.match(message, /Check that first/);
    site.upstream.release();
    assert.equal(site.upstream.count('/hold'), before + 1);
    assert.equal(await page.evaluate(() => send('on')), 'on');
    assert.deepEqual(await page.evaluate(() => seen), []);
  });

  test('a connection that breaks during the login: an error for people; another login works', async () => {
    // What was sent on a connection that had answered before is sent again by the browser.
    line.cut();
    const sent = line.carried(1);
    const failed = page.evaluate((username) => failure(() => certless.requestLogin({ username, suite: 'classic' })), username);
    await sent;
    line.cut();
    const { code, message } = await failed;
    assert.equal(code, 'no_answer');
    assert.match(message, /Check the connection/);
    await page.evaluate((username) => logIn(username), 'bob@example.org');
    assert.equal(await page.evaluate(() => send('on')), 'on');
  });
});
