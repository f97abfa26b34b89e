/** The package against the real gateway, as a program in Node uses it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, test } from './limited.js';
import {
  AnswerNotTrusted,
  Cancelled,
  CertlessError,
  DIALECTS,
  NoAnswer,
  NotLoggedIn,
  OutcomeUnknown,
  Refused,
  login,
  requestLogin,
  resume,
} from '../src/index.js';
import { localStorageStore } from '../src/session/stores.js';
import { MAX_BODY_BYTES, startGateway, startUpstream } from './gateway.js';
import { storage } from './support/storage.js';

const FIVE_MIB = 5 * 1024 * 1024;
let upstream;
let gateways;
let users = 0;

const newUser = () => `user-${(users += 1)}@example.org`;

before(async () => {
  upstream = await startUpstream();
  const started = [...DIALECTS.keys()].map((dialect) => startGateway({ dialect, upstream: upstream.url }));
  gateways = new Map((await Promise.all(started)).map((one, i) => [[...DIALECTS.keys()][i], one]));
});

after(async () => {
  await Promise.all([...(gateways?.values() ?? [])].map((gateway) => gateway.stop()));
  await upstream?.stop();
});

function options(dialect = 'article-2016', more = {}) {
  const { url, mailbox } = gateways.get(dialect);
  const username = newUser();
  return { url, dialect, username, code: () => mailbox.code(username), ...more };
}

function states(session) {
  const seen = [];
  session.addEventListener('state', ({ state }) => seen.push(state));
  return seen;
}

const is = (Class, code) => (error) => {
  assert.ok(error instanceof Class, error.stack);
  assert.ok(error instanceof CertlessError);
  assert.equal(error.code, code);
  assert.equal(error.name, Class === Cancelled ? 'AbortError' : Class.name);
  assert.match(error.message, /^[A-Z].*\.$/);
  return true;
};

describe('every dialect', () => {
  for (const dialect of DIALECTS.keys()) {
    test(dialect, async () => {
      const session = await login(options(dialect));
      assert.equal(session.suite, `classic/${dialect}`);
      const answer = await session.fetch('/orders?x=1', { method: 'POST', body: 'Räksmörgås ☕' });
      assert.equal(answer.status, 200);
      const { method, path, body } = await answer.json();
      assert.deepEqual({ method, path, body }, { method: 'POST', path: '/orders?x=1', body: 'Räksmörgås ☕' });
      await session.close();
      assert.equal(session.state, 'closed');
      await assert.rejects(session.fetch('/orders'), is(NotLoggedIn, 'not_logged_in'));
    });
  }
});

describe('like fetch', () => {
  let session;
  before(async () => (session = await login(options())));
  after(() => session.close());

  const form = new FormData();
  form.set('name', 'Ann');
  form.set('picture', new Blob([Uint8Array.of(0, 255, 10)], { type: 'image/png' }), 'a.png');
  const words = new TextEncoder().encode('bytes');
  for (const [name, body, type] of [
    ['text', 'tea', /^text\/plain;charset=utf-8$/i],
    ['parameters', new URLSearchParams({ a: '1 2', b: 'ä' }), /^application\/x-www-form-urlencoded/],
    ['a form', form, /^multipart\/form-data; boundary=/],
    ['a blob', new Blob(['bytes'], { type: 'image/png' }), /^image\/png$/],
    ['a typed array', words, /^text\/plain$/],
    ['a buffer', words.buffer, /^text\/plain$/],
    ['a stream', new Blob(['bytes']).stream(), /^text\/plain$/],
    ['nothing', undefined, /^text\/plain$/],
  ]) {
    test(`a body of ${name}`, async () => {
      const sent = body instanceof ReadableStream ? 'bytes' : body;
      const same = sent instanceof FormData ? null : await new Response(sent).arrayBuffer();
      const answer = await session.fetch('/bytes', { method: 'PUT', body });
      assert.match(answer.headers.get('content-type'), type);
      if (same) assert.deepEqual(await answer.arrayBuffer(), same);
      else assert.equal((await answer.formData()).get('picture').size, 3);
    });
  }

  test('headers, both ways', async () => {
    const sent = await session.fetch('/echo', { headers: new Headers({ 'X-Unit': 'C' }) });
    assert.equal((await sent.json()).headers['x-unit'], 'C');
    // A value has one character for each byte: this is the UTF-8 of "café". A classic message contains text.
    const bytes = 'caf\xc3\xa9';
    const back = await session.fetch('/echo', { headers: { 'X-Unit': bytes } });
    assert.equal((await back.json()).headers['x-unit'], bytes);
    const { headers } = await session.fetch('/cookies');
    assert.equal(headers.get('x-two'), 'a, b');
  });

  test('a Request, a URL, a fragment, characters outside ASCII', async () => {
    const request = new Request(`${session.url}/a`, { method: 'POST', body: 'x' });
    assert.equal((await (await session.fetch(request)).json()).body, 'x');
    const answer = await session.fetch(new URL('/ä b?q=ö#there', session.url));
    assert.equal((await answer.json()).path, '/%C3%A4%20b?q=%C3%B6');
    assert.equal(answer.url, `${session.url}/%C3%A4%20b?q=%C3%B6`);
  });

  test('redirects as they are, and statuses without a body', async () => {
    const moved = await session.fetch('/status?code=302');
    assert.deepEqual([moved.status, moved.headers.get('location'), moved.redirected], [302, '/elsewhere', false]);
    for (const code of [204, 304]) {
      const answer = await session.fetch(`/status?code=${code}`);
      assert.deepEqual([answer.status, answer.body], [code, null]);
    }
    assert.equal((await session.fetch('/echo', { method: 'HEAD' })).body, null);
    assert.equal((await session.fetch('/status?code=503')).status, 503);
  });

  test('requests that fetch refuses', async () => {
    await assert.rejects(session.fetch('http://elsewhere.test/'), TypeError);
    await assert.rejects(session.fetch('//elsewhere.test/'), TypeError);
    await assert.rejects(session.fetch('/', { method: 'GET', body: 'x' }), TypeError);
    await assert.rejects(session.fetch('/', { method: 'TRACE' }), TypeError);
    await assert.rejects(session.fetch(`/${'x'.repeat(9000)}`), TypeError);
  });

  test('5 MiB up and down', async () => {
    const body = new Uint8Array(FIVE_MIB).map((_, i) => i * 7);
    const answer = await session.fetch('/bytes', { method: 'POST', body });
    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(Buffer.from(body)));
    const blob = await session.fetch(`/blob?size=${FIVE_MIB}`);
    assert.equal((await blob.text()).length, FIVE_MIB);
  });

  test('a body that is too large for the gateway', async () => {
    const body = new Uint8Array(MAX_BODY_BYTES);
    await assert.rejects(session.fetch('/bytes', { method: 'POST', body }), (error) => {
      // The gateway closes the connection while the body is still on its way.
      return error instanceof NoAnswer || is(Refused, 'too_large')(error);
    });
    assert.equal((await session.fetch('/echo')).status, 200);
  });

  test('forty concurrent requests, each with its own answer', async () => {
    const numbers = Array.from({ length: 40 }, (_, i) => `${i}`);
    const answers = numbers.map(async (body) => {
      const answer = await session.fetch('/bytes', { method: 'POST', body });
      return answer.text();
    });
    assert.deepEqual(await Promise.all(answers), numbers);
  });

  test('cancelled before the request, and during it', async () => {
    await assert.rejects(session.fetch('/echo', { signal: AbortSignal.abort() }), is(Cancelled, 'cancelled'));
    const controller = new AbortController();
    const held = session.fetch('/hold', { signal: controller.signal });
    await upstream.holding();
    controller.abort();
    await assert.rejects(held, (error) => error.name === 'AbortError' && is(Cancelled, 'cancelled')(error));
    upstream.release();
    assert.equal((await session.fetch('/echo')).status, 200);
  });
});

describe('login', () => {
  test('progress is reported in order', async () => {
    const stages = [];
    const session = await login(options(undefined, { onProgress: ({ stage }) => stages.push(stage) }));
    const found = ['keys', 'mail', 'code', 'done'].map((stage) => stages.indexOf(stage));
    assert.deepEqual([...found].sort((a, b) => a - b), found);
    assert.ok(stages.indexOf('keys made') > 0);
    await session.close();
  });

  test('a wrong code, then the right one', async () => {
    const { code, ...rest } = options();
    const request = await requestLogin(rest);
    await assert.rejects(request.submit('0'.repeat(26)), is(Refused, 'rejected'));
    await assert.rejects(request.submit('  '), is(CertlessError, 'no_code'));
    const session = await request.submit(` ${await code()}\n`);
    assert.equal((await session.fetch('/echo')).status, 200);
    await session.close();
  });

  test('cancelled while the user looks for the code', async () => {
    const controller = new AbortController();
    const code = ({ signal }) => {
      controller.abort();
      assert.ok(signal.aborted);
      return new Promise(() => {});
    };
    await assert.rejects(login(options(undefined, { code, signal: controller.signal })), is(Cancelled, 'cancelled'));
  });

  test('cancelled step by step', async () => {
    const { code: _, ...rest } = options();
    const request = await requestLogin(rest);
    request.cancel();
    await assert.rejects(request.submit('0'.repeat(26)), is(Cancelled, 'cancelled'));
    await assert.rejects(requestLogin({ ...rest, signal: AbortSignal.abort() }), is(Cancelled, 'cancelled'));
  });

  test('a wrong clock uses up the code, and the error says so', async () => {
    const clock = () => Date.now() - 120_000;
    await assert.rejects(login(options(undefined, { clock })), (error) => {
      assert.ok(is(Refused, 'rejected')(error));
      assert.match(error.message, /check the clock of this device\. .*A correct code is used up now/);
      return true;
    });
  });

  test('invalid options', async () => {
    await assert.rejects(login(options(undefined, { username: ' ' })), is(CertlessError, 'username'));
    await assert.rejects(login(options(undefined, { url: 'http://127.0.0.1:1' })), is(NoAnswer, 'no_answer'));
    await assert.rejects(login(options(undefined, { url: upstream.url })), is(Refused, 'no_gateway'));
    await assert.rejects(login(options(undefined, { prefix: '/nowhere' })), is(Refused, 'login_required'));
    await assert.rejects(login(options(undefined, { url: 'ftp://127.0.0.1' })), TypeError);
    await assert.rejects(login(options(undefined, { url: undefined })), TypeError);
    await assert.rejects(login(options(undefined, { dialect: 'sfet-9' })), TypeError);
  });

  test('a dialect that the gateway does not use', async () => {
    const given = options('sfet-4-gcm', { dialect: 'sfet-3' });
    await assert.rejects(login(given), is(Refused, 'rejected'));
  });
});

describe('a session that is lost', () => {
  let gateway;
  before(async () => (gateway = await startGateway({ upstream: upstream.url })));
  after(() => gateway.stop());

  function counted(more) {
    const username = newUser();
    const reasons = [];
    const code = ({ reason }) => {
      reasons.push(reason);
      return gateway.mailbox.code(username);
    };
    return { reasons, given: { url: gateway.url, suite: 'classic', username, code, ...more } };
  }

  test('one new login for all requests in flight', async () => {
    const { reasons, given } = counted();
    const session = await login(given);
    assert.equal((await session.fetch('/echo')).status, 200);
    const seen = states(session);
    let expired = 0;
    session.addEventListener('expired', () => (expired += 1));
    await gateway.restart();
    const answers = await Promise.all(Array.from({ length: 5 }, () => session.fetch('/echo')));
    assert.deepEqual(answers.map(({ status }) => status), Array(5).fill(200));
    assert.deepEqual(reasons, ['login', 'expired']);
    assert.deepEqual(seen, ['expired', 'renewing', 'ready']);
    assert.equal(expired, 1);
    await session.close();
  });

  test('a request that must not run twice is not sent again', async () => {
    const { reasons, given } = counted();
    const session = await login(given);
    await session.fetch('/echo');
    await gateway.restart();
    const order = () => session.fetch('/bytes', { method: 'POST', body: 'tea' });
    const all = await Promise.allSettled([order(), order(), session.fetch('/echo', { method: 'PUT' })]);
    is(OutcomeUnknown, 'outcome_unknown')(all[0].reason);
    is(OutcomeUnknown, 'outcome_unknown')(all[1].reason);
    assert.equal(all[2].value.status, 200);
    assert.deepEqual(reasons, ['login', 'expired']);
    assert.equal(await (await order()).text(), 'tea');
    await session.close();
  });

  test('not sent again if there is no code', async () => {
    const { given } = counted({ onLoginNeeded: () => false });
    const session = await login(given);
    await session.fetch('/echo');
    await gateway.restart();
    const order = session.fetch('/bytes', { method: 'POST', body: 'tea' });
    await assert.rejects(order, is(OutcomeUnknown, 'outcome_unknown'));
    assert.equal(session.state, 'closed');
  });

  test('not sent again if an attacker forwards it and forges the refusal', async () => {
    let orders = 0;
    const liar = http.createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const init = { method: 'POST', headers: { 'Content-Type': 'application/json' } };
      const answer = await fetch(gateway.url + request.url, { ...init, body: Buffer.concat(chunks) });
      const body = Buffer.from(await answer.arrayBuffer());
      const isOrder = request.url.endsWith('/message') && (orders += 1) === 2;
      const refusal = '{"error":"rejected","message":"not accepted; if this lasts, log in again"}';
      response.writeHead(isOrder ? 403 : answer.status, { 'Content-Type': 'application/json' });
      response.end(isOrder ? refusal : body);
    });
    liar.listen(0, '127.0.0.1');
    await once(liar, 'listening');
    const { reasons, given } = counted();
    const session = await login({ ...given, url: `http://127.0.0.1:${liar.address().port}` });
    await session.fetch('/echo');
    const before = upstream.count('/bytes');
    const order = session.fetch('/bytes', { method: 'POST', body: 'tea' });
    await assert.rejects(order, is(OutcomeUnknown, 'outcome_unknown'));
    assert.equal(upstream.count('/bytes'), before + 1);
    assert.deepEqual([session.state, reasons], ['ready', ['login']]);
    await session.close();
    liar.closeAllConnections();
    liar.close();
  });

  test('a new session that is rejected at once is an error', async () => {
    const { reasons, given } = counted();
    const session = await login(given);
    await gateway.restart();
    await assert.rejects(session.fetch('/echo'), is(Refused, 'rejected'));
    await assert.rejects(session.fetch('/echo'), is(NotLoggedIn, 'not_logged_in'));
    assert.deepEqual(reasons, ['login']);
  });

  test('a renewed session that is rejected at once is an error, not a loop', async () => {
    const { reasons, given } = counted();
    let isLost = false;
    const session = await login({ ...given, clock: () => Date.now() + (isLost ? 120_000 : 0) });
    assert.equal((await session.fetch('/echo')).status, 200);
    // A clock that is wrong by two minutes: neither messages nor logins are fresh.
    isLost = true;
    await assert.rejects(session.fetch('/echo'), is(Refused, 'rejected'));
    assert.deepEqual(reasons, ['login', 'expired']);
    assert.equal(session.state, 'closed');
  });

  test('the application can refuse a new login', async () => {
    let asked = 0;
    const { reasons, given } = counted({ onLoginNeeded: () => ((asked += 1), false) });
    const session = await login(given);
    await session.fetch('/echo');
    await gateway.restart();
    const both = await Promise.allSettled([session.fetch('/echo'), session.fetch('/echo')]);
    for (const { reason } of both) is(NotLoggedIn, 'not_logged_in')(reason);
    assert.deepEqual([asked, reasons], [1, ['login']]);
    await session.close();
  });

  test('an expired session', async () => {
    let aheadMs = 0;
    const { reasons, given } = counted({ clock: () => Date.now() + aheadMs, lifetimeMs: 30_000 });
    const session = await login(given);
    await session.fetch('/echo');
    aheadMs = 31_000;
    assert.equal((await session.fetch('/echo')).status, 200);
    assert.deepEqual(reasons, ['login', 'expired']);
    await session.close();
  });

  test('a session that expires while it is idle', async () => {
    const { given } = counted({ lifetimeMs: 300 });
    const session = await login(given);
    const states = [session.state];
    if (session.state === 'ready') {
      await new Promise((resolve) => session.addEventListener('expired', resolve));
    }
    states.push(session.state);
    assert.equal(states.at(-1), 'expired');
    await session.close();
  });
});

describe('a stored session', () => {
  test('a reload continues it, until it is closed', async () => {
    const store = localStorageStore(storage());
    const given = options(undefined, { store });
    assert.equal(await resume(given), null);
    const session = await login(given);
    assert.equal(session.keptIn, 'localStorage');
    const again = await resume({ url: given.url, store });
    assert.equal(again.username, given.username);
    assert.equal((await again.fetch('/echo')).status, 200);
    await again.close();
    assert.equal(await resume(given), null);
  });

  test('an unusable stored session is ignored', async () => {
    const gateway = await startGateway({ upstream: upstream.url });
    const items = storage();
    const username = newUser();
    const code = () => gateway.mailbox.code(username);
    const session = await login({ url: gateway.url, suite: 'classic', username, code, store: localStorageStore(items) });
    await session.fetch('/echo');
    const [[name, text]] = items.items;
    for (const privateKey of ['AAAA', '', null, { a: 1 }]) {
      items.setItem(name, JSON.stringify({ ...JSON.parse(text), token: 'another', privateKey }));
      await gateway.restart();
      assert.equal((await session.fetch('/echo')).status, 200);
    }
    await session.close();
    await gateway.stop();
  });

  test('two tabs do not interfere', async () => {
    const store = localStorageStore(storage());
    const given = options(undefined, { store });
    const one = await login(given);
    const other = await resume(given);
    const both = [one, other, one, other].map((tab, i) => tab.fetch('/bytes', { method: 'POST', body: `${i}` }));
    const texts = await Promise.all(both.map(async (answer) => (await answer).text()));
    assert.deepEqual(texts, ['0', '1', '2', '3']);
    await one.close();
  });

  test('a tab uses the session of another, without a second code', async () => {
    const store = localStorageStore(storage());
    const codes = [];
    const given = options(undefined, { store });
    const code = async (asked) => {
      codes.push(asked.reason);
      return given.code();
    };
    const one = await login({ ...given, code });
    const other = await resume({ ...given, code });
    await other.fetch('/echo');
    await one.close();
    const third = await login({ ...given, code });
    assert.equal((await other.fetch('/echo')).status, 200);
    assert.deepEqual(codes, ['login', 'login']);
    await third.close();
  });

  test('not after expiry, and not if it is invalid', async () => {
    const items = storage();
    const store = localStorageStore(items);
    const given = options(undefined, { store });
    const session = await login(given);
    assert.equal(await resume({ ...given, clock: () => session.expiresMs }), null);
    assert.equal(items.items.size, 0);
    await session.close();
    const again = await login({ ...options(undefined, { store }) });
    const name = `certless ${given.url}/.gateway`;
    const whole = JSON.parse(items.getItem(name));
    const spoilt = { dialect: { name: 'x', aes: 'ecb' }, serverKey: 'x', privateKey: 'AAAA', token: 1 };
    for (const [member, value] of Object.entries(spoilt)) {
      items.setItem(name, JSON.stringify({ ...whole, [member]: value }));
      assert.equal(await resume(given), null, member);
    }
    for (const text of ['', '{}', '[]', '{"version":1}', '{"version":2}', '{"privateKey":null}']) {
      items.setItem(name, text);
      assert.equal(await resume(given), null);
    }
    await again.close();
  });

  test('the memory store stores nothing', async () => {
    const given = options(undefined, { keys: 'memory' });
    const session = await login(given);
    assert.equal(session.keptIn, 'memory');
    assert.equal(await resume(given), null);
    await session.close();
  });
});

test('an answer that is too large is not read to its end', async () => {
  const session = await login(options(undefined, { maxAnswerBytes: 10_000 }));
  await assert.rejects(session.fetch('/blob?size=20000'), is(AnswerNotTrusted, 'answer_not_trusted'));
  assert.equal((await session.fetch('/echo')).status, 200);
  await session.close();
});
