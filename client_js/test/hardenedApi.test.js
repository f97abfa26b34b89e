/** The hardened suites against the real gateway, as a program in Node uses them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from './limited.js';
import { NotLoggedIn, OutcomeUnknown, Refused, login, requestLogin, resume } from '../src/index.js';
import { localStorageStore } from '../src/session/stores.js';
import { startGateway, startUpstream } from './gateway.js';
import { storage } from './support/storage.js';

const FIVE_MIB = 5 * 1024 * 1024;
let upstream;
let gateway;
let users = 0;
const newUser = () => `user-${(users += 1)}@example.org`;

before(async () => {
  upstream = await startUpstream();
  gateway = await startGateway({ upstream: upstream.url, remembers: true });
});
after(async () => {
  await gateway?.stop();
  await upstream?.stop();
});

function options(more = {}, { url, mailbox } = gateway) {
  const username = newUser();
  const reasons = [];
  const code = ({ reason }) => {
    reasons.push(reason);
    return mailbox.code(username);
  };
  return { url, username, code, reasons, ...more };
}

for (const suite of ['ecdh-gcm', 'rsa-gcm']) {
  for (const fresh of ['clock', 'counter']) {
    describe(`${suite}, ${fresh}`, () => {
      let session;
      before(async () => (session = await login(options({ suite, fresh }))));
      after(() => session?.close());

      test('a request with all its parts, and the answer', async () => {
        assert.equal(session.suite, suite);
        const sent = { method: 'POST', body: 'Räksmörgås ☕', headers: { 'X-Unit': 'C' } };
        const answer = await session.fetch('/orders?x=1', sent);
        const { method, path, body, headers } = await answer.json();
        assert.deepEqual([method, path, body, headers['x-unit']], ['POST', '/orders?x=1', 'Räksmörgås ☕', 'C']);
        assert.equal((await session.fetch('/status?code=303')).status, 303);
        assert.equal((await session.fetch('/status?code=204')).status, 204);
      });

      test('5 MiB up and down', async () => {
        const body = new Uint8Array(FIVE_MIB).map((_, i) => i * 7);
        const answer = await session.fetch('/bytes', { method: 'POST', body });
        assert.ok(Buffer.from(await answer.arrayBuffer()).equals(Buffer.from(body)));
      });

      test('forty concurrent requests, each with its own answer', async () => {
        const numbers = Array.from({ length: 40 }, (_, i) => `${i}`);
        const answers = numbers.map(async (body) => (await session.fetch('/bytes', { method: 'POST', body })).text());
        assert.deepEqual(await Promise.all(answers), numbers);
      });

      test('a restart of a gateway with a store goes unnoticed', async () => {
        const before = upstream.count('/bytes');
        await gateway.restart();
        assert.equal(await (await session.fetch('/bytes', { method: 'POST', body: 'on' })).text(), 'on');
        assert.equal(upstream.count('/bytes'), before + 1);
      });
    });
  }
}

test('each device of a user logs in with its own code, and gets no mail', async () => {
  const { url, username } = options();
  const codes = { 'pump-7': await gateway.issueCode(username, 'pump-7'), 'pump-8': await gateway.issueCode(username, 'pump-8') };
  await assert.rejects(login({ url, username, device: 'pump-7', code: () => codes['pump-8'] }), Refused);
  for (const [device, code] of Object.entries(codes)) {
    const session = await login({ url, username, device, code: () => code });
    assert.equal((await session.fetch('/echo')).status, 200);
    await session.close();
  }
});

test('a name that no device can have', async () => {
  for (const device of ['', '-x', 'pump 7', 'pump\n', 'p\u00fcmp', 'a'.repeat(65)]) {
    await assert.rejects(requestLogin({ ...options(), device }), /not a device/);
  }
  await assert.rejects(requestLogin({ ...options(), suite: 'classic', device: 'pump-7' }), TypeError);
});

test('keys are created for rsa-gcm only', async () => {
  for (const [suite, expected] of [
    ['ecdh-gcm', ['mail', 'code', 'done']],
    ['rsa-gcm', ['code', 'done', 'keys', 'keys made', 'mail']],
  ]) {
    const stages = new Set();
    const session = await login(options({ suite, onProgress: ({ stage }) => stages.add(stage) }));
    assert.deepEqual(suite === 'rsa-gcm' ? [...stages].sort() : [...stages], expected);
    await session.close();
  }
});

test('a wrong code, then the right one as people type it; five wrong codes end the login', async () => {
  const { code, ...rest } = options();
  const request = await requestLogin(rest);
  await assert.rejects(request.submit('00000000'), (error) => error instanceof Refused && error.code === 'rejected');
  const right = await code({});
  const typed = right.toLowerCase().replaceAll('0', 'o').replaceAll('1', 'l').replace(/^(.{4})/, '$1-');
  const session = await request.submit(` ${typed}\n`);
  assert.equal((await session.fetch('/echo')).status, 200);
  await session.close();

  const again = options();
  const spent = await requestLogin(again);
  for (let i = 0; i < 5; i += 1) await assert.rejects(spent.submit('00000000'), Refused);
  await assert.rejects(spent.submit(await again.code({})), Refused);
});

test('a gateway without the suite: an error, and no other suite is tried', async () => {
  const classic = await startGateway({ upstream: upstream.url, options: ['--suites', 'classic'] });
  try {
    await assert.rejects(login(options({}, classic)), /does not accept the suite ecdh-gcm/);
    const session = await login(options({ suite: 'classic' }, classic));
    assert.equal(session.suite, 'classic/article-2016');
    await session.close();
  } finally {
    await classic.stop();
  }
});

test('a realm that the gateway does not have', async () => {
  await assert.rejects(login(options({ realm: 'elsewhere' })), (error) => error.code === 'rejected');
});

for (const suite of ['ecdh-gcm', 'rsa-gcm']) {
  test(`${suite}: a clock that is wrong by a day`, async () => {
    for (const wrongMs of [86_400_000, -86_400_000]) {
      let offMs = wrongMs;
      const session = await login(options({ suite, clock: () => Date.now() + offMs }));
      const order = async () => (await session.fetch('/bytes', { method: 'POST', body: 'tea' })).text();
      assert.equal(await order(), 'tea');
      // Somebody sets it, by a quarter of an hour, in the middle of the session.
      offMs += Math.sign(wrongMs) * 900_000;
      const before = upstream.count('/bytes');
      assert.equal(await order(), 'tea');
      assert.equal(upstream.count('/bytes'), before + 1);
      await session.close();
    }
  });
}

test('epochs, with the real gateway', async () => {
  // The client's clock runs away; the offset is corrected, and each quarter of an hour is an epoch.
  let aheadMs = 0;
  const store = localStorageStore(storage());
  const given = options({ store, clock: () => Date.now() + aheadMs });
  const session = await login(given);
  const other = await resume({ ...given, code: undefined });
  for (let i = 0; i < 3; i += 1) {
    for (const tab of [session, session, other]) {
      const answer = await tab.fetch('/bytes', { method: 'POST', body: `${i}` });
      assert.equal(await answer.text(), `${i}`);
    }
    aheadMs += 901_000;
  }
  assert.deepEqual(given.reasons, ['login']);
  await session.close();
});

describe('tickets', () => {
  test('an expired session continues without a mail, also after a reload', async () => {
    const short = await startGateway({ upstream: upstream.url, config: ['session_lifetime_s = 60'] });
    try {
      let aheadMs = 0;
      const store = localStorageStore(storage());
      const given = options({ store, clock: () => Date.now() + aheadMs }, short);
      const session = await login(given);
      await session.fetch('/echo');
      aheadMs = 61_000;
      assert.equal(await (await session.fetch('/bytes', { method: 'POST', body: 'tea' })).text(), 'tea');
      aheadMs += 61_000;
      const again = await resume(given);
      assert.equal(await (await again.fetch('/bytes', { method: 'POST', body: 'tea' })).text(), 'tea');
      assert.deepEqual(given.reasons, ['login']);
      await again.close();
      assert.equal(await resume(given), null);
    } finally {
      await short.stop();
    }
  });

  test('a gateway that forgets everything: one code for all waiting requests, and no POST twice', async () => {
    const forgetful = await startGateway({ upstream: upstream.url });
    try {
      const given = options({}, forgetful);
      const session = await login(given);
      await session.fetch('/echo');
      await forgetful.restart();
      const order = session.fetch('/bytes', { method: 'POST', body: 'tea' });
      const all = await Promise.allSettled([order, ...Array.from({ length: 4 }, () => session.fetch('/echo'))]);
      assert.ok(all[0].reason instanceof OutcomeUnknown);
      assert.deepEqual(all.slice(1).map(({ value }) => value?.status), Array(4).fill(200));
      assert.deepEqual(given.reasons, ['login', 'expired']);
      await session.close();
      await assert.rejects(session.fetch('/echo'), NotLoggedIn);
    } finally {
      await forgetful.stop();
    }
  });

  test('a counter is not reused, but its ticket is', async () => {
    const store = localStorageStore(storage());
    const given = options({ store, fresh: 'counter' });
    await (await login(given)).fetch('/echo');
    const again = await resume(given);
    assert.equal((await again.fetch('/echo')).status, 200);
    assert.deepEqual(given.reasons, ['login']);
    await again.close();
  });
});
