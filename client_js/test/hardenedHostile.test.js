/** Attacks on a client of the hardened suites: by the gateway, and by somebody on the network. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from './limited.js';
import { serializeMembers, Members } from '../src/protocol/envelopes.js';
import { HttpResponse } from '../src/protocol/messages.js';
import {
  AnswerNotTrusted,
  CertlessError,
  NoAnswer,
  NotLoggedIn,
  OutcomeUnknown,
  Refused,
  login,
  requestLogin,
  resume,
} from '../src/index.js';
import { localStorageStore } from '../src/session/stores.js';
import { CODE, HardenedGateway, refusal } from './hardenedGateway.js';
import { storage } from './support/storage.js';

const FORMAT = 'msgpack';
let gateway;
beforeEach(async () => (gateway = await new HardenedGateway().start()));
afterEach(() => gateway.stop());

const enter = (more = {}) => login({ url: gateway.url, username: 'ann', code: () => CODE, ...more });
const rejects = (work, Class, code) =>
  assert.rejects(work, (error) => {
    assert.ok(error instanceof Class, error.stack);
    if (code) assert.equal(error.code, code);
    assert.match(error.message, /^[A-Z].*\.$/);
    return true;
  });
const notTrusted = (work) => rejects(work, AnswerNotTrusted, 'answer_not_trusted');
const flipped = (data, at = -1) => {
  const changed = Uint8Array.from(data);
  changed[(changed.length + at) % changed.length] ^= 1;
  return changed;
};

/** The refusal of a rate-limited gateway. */
const tooMany = (seconds) => (response) => {
  response.writeHead(429, { 'Content-Type': 'application/json', 'Retry-After': `${seconds}` });
  response.end(refusal(429, 'too_many').body);
};

/** An answer with one member changed. */
function withMember(name, change, lengths) {
  return ({ body }) => {
    const members = new Members(FORMAT, body);
    const values = Object.fromEntries(Object.entries(lengths).map(([one, take]) => [one, take(members, one)]));
    return { body: serializeMembers(FORMAT, { ...values, [name]: change(values[name]) }) };
  };
}
const raw = (members, name) => members.raw(name);
const GREETING = {
  sid: raw,
  suite: (members, name) => members.text(name),
  sn: raw,
  expires_s: (members, name) => members.number(name, 1e6),
};
const PROOF = { cB: raw, box: raw };

describe('a hardened login', () => {
  for (const suite of ['ecdh-gcm', 'rsa-gcm']) {
    for (const fresh of ['clock', 'counter']) {
      test(`${suite}, ${fresh}`, async () => {
        const session = await enter({ suite, fresh });
        assert.equal(session.suite, suite);
        const answer = await session.fetch('/a?b', { method: 'POST', body: 'tea' });
        assert.equal(await answer.text(), 'tea');
        const several = Array.from({ length: 20 }, (_, i) => session.fetch('/n', { method: 'PUT', body: `${i}` }));
        const texts = await Promise.all(several.map(async (one) => (await one).text()));
        assert.deepEqual(texts, Array.from({ length: 20 }, (_, i) => `${i}`));
        await session.close();
        assert.equal(gateway.done.at(-1), 'POST /.gateway/session/logout');
      });
    }
  }

  test('text that is not a code is not sent', async () => {
    const request = await requestLogin({ url: gateway.url, username: 'ann' });
    for (const typed of ['', '7K3QWXY', '7K3QWXYZ7', '0123456789ABCDEFGHJKMNPQRS', '7K3QWXYU', '7\u041a3QWXYZ']) {
      await rejects(request.submit(typed), CertlessError, 'no_code');
    }
    await rejects(request.submit('7K3QWXYZ\n00000000'), CertlessError, 'two_codes');
    assert.equal(gateway.counts['session/share'], undefined);
    await rejects(request.submit('00000000'), Refused, 'rejected');
    assert.equal((await request.submit(' 7k3q-wxyz\n')).state, 'ready');
  });

  test('the list of suites was changed on the way', async () => {
    gateway.arrives['session/hello'] = (body) => {
      const members = new Members(FORMAT, body);
      const hello = { v: members.number('v', 9), username: members.text('username'), suites: members.texts('suites') };
      assert.deepEqual(hello.suites, ['ecdh-gcm']);
      const rest = { fresh: members.text('fresh'), cn: members.raw('cn') };
      return serializeMembers(FORMAT, { ...hello, suites: ['ecdh-gcm', 'classic'], ...rest });
    };
    // The client's proof then does not match the gateway's transcript.
    await rejects(enter(), Refused, 'rejected');
  });

  const GREETINGS = {
    'another suite': withMember('suite', () => 'rsa-gcm', GREETING),
    'a suite of no version': withMember('suite', () => 'none', GREETING),
  };
  for (const [name, harm] of Object.entries(GREETINGS)) {
    test(`a greeting with ${name}`, async () => {
      gateway.harm['session/hello'] = harm;
      await notTrusted(enter());
      assert.equal(gateway.counts['session/share'], undefined);
    });
  }

  for (const [name, change] of [['sid', flipped], ['sn', flipped], ['expires_s', (value) => value + 1]]) {
    test(`a greeting whose ${name} was changed`, async () => {
      gateway.harm['session/hello'] = withMember(name, change, GREETING);
      // An unknown sid crashes no honest gateway; this one knows one login.
      const { get } = gateway.logins;
      gateway.logins.get = (sid) => get.call(gateway.logins, sid) ?? [...gateway.logins.values()][0];
      await rejects(enter(), Refused, 'rejected');
    });
  }

  const SHARES = {
    'an echo of pA': (body) => body,
    'another point': async () => {
      const { encodePoint, ofGenerator } = await import('../src/primitives/p256.js');
      return encodePoint(ofGenerator(5n));
    },
    'no point': () => new Uint8Array(65).fill(4),
    'half a point': (body) => body.slice(0, 33),
  };
  for (const [name, change] of Object.entries(SHARES)) {
    test(`${name} for pB`, async () => {
      let pA;
      gateway.arrives['session/share'] = (body) => {
        const members = new Members(FORMAT, body);
        members.raw('sid');
        pA = members.raw('pA');
        return body;
      };
      gateway.harm['session/share'] = async () => ({ body: serializeMembers(FORMAT, { pB: await change(pA) }) });
      const isAPoint = name === 'another point';
      await (isAPoint ? rejects(enter(), Refused, 'rejected') : notTrusted(enter()));
      // For an invalid point, the client sends no proof, so there is nothing to test guesses against.
      assert.equal(gateway.counts['session/confirm'], isAPoint ? 1 : undefined);
    });
  }

  const PROOFS = {
    'a proof with a bit changed': withMember('cB', flipped, PROOF),
    'a box with a bit changed': withMember('box', flipped, PROOF),
    'an empty box': withMember('box', () => new Uint8Array(), PROOF),
    'a box of 4097 bytes': withMember('box', () => new Uint8Array(4097), PROOF),
    'a member too many': ({ body }) => ({ body: Uint8Array.from([body[0] + 1, ...body.slice(1), 0xa1, 0x78, 1]) }),
    'a truncated answer': ({ body }) => ({ body: body.slice(0, -1) }),
    'an answer that goes on': ({ body }) => ({ body: Uint8Array.from([...body, 0]) }),
    'an empty answer': () => ({ body: new Uint8Array() }),
    'an answer of 1 MiB': () => ({ body: new Uint8Array(1024 * 1024) }),
  };
  for (const suite of ['ecdh-gcm', 'rsa-gcm']) {
    for (const [name, harm] of Object.entries(PROOFS)) {
      test(`${suite}: ${name}`, async () => {
        gateway.harm['session/confirm'] = harm;
        await notTrusted(enter({ suite }));
      });
    }
  }

  test('the other realm', async () => {
    gateway.realm = 'another';
    await rejects(enter(), Refused, 'rejected');
    const session = await enter({ realm: 'another' });
    await session.close();
  });

  test('no other suite is tried after any answer', async () => {
    gateway.suites = ['rsa-gcm'];
    await rejects(enter(), Refused, 'unsupported_suite');
    for (const [status, word] of [[404, 'not_found'], [400, 'unsupported_suite'], [401, 'login_required']]) {
      gateway.harm['session/hello'] = () => refusal(status, word);
      await rejects(enter(), Refused, word);
      await assert.rejects(enter(), /does not accept the suite ecdh-gcm/);
    }
    assert.deepEqual(Object.keys(gateway.counts), ['session/hello']);
  });

  test('invalid options', async () => {
    await assert.rejects(enter({ suite: 'des' }), TypeError);
    await assert.rejects(enter({ suite: 'ecdh-gcm', dialect: 'sfet-3' }), TypeError);
    await assert.rejects(enter({ fresh: 'dice' }), TypeError);
  });
});

for (const suite of ['ecdh-gcm', 'rsa-gcm']) {
  describe(`answers to a message of ${suite}`, () => {
    const ANSWERS = {
      'the last bit changed': ({ body }) => ({ body: flipped(body) }),
      'a bit of the header changed': ({ body }) => ({ body: flipped(body, 20) }),
      truncated: ({ body }) => ({ body: body.slice(0, -1) }),
      'too long': ({ body }) => ({ body: Uint8Array.from([...body, 0]) }),
      empty: () => ({ body: new Uint8Array() }),
      'an answer of before': (_, { before }) => before,
      'the request reflected': (_, { came }) => ({ body: came }),
      'no number of HTTP': async (_, { last }) => ({
        body: (await last.sealResponse(new HttpResponse(99, [], new Uint8Array()))).serialize(FORMAT),
      }),
      'a refusal that came of an accepted message': async (_, { last }) => ({
        body: (await last.seal(3, new Map([['error', 'gone'], ['time_ms', 0], ['window_ms', 0]]))).serialize(FORMAT),
      }),
      'larger than asked for': () => ({ body: new Uint8Array(3 * 1024 * 1024) }),
    };
    for (const [name, harm] of Object.entries(ANSWERS)) {
      test(name, async () => {
        const session = await enter({ suite, maxAnswerBytes: 2 * 1024 * 1024 });
        gateway.harm.message = (answer) => ((gateway.before = answer), answer);
        await session.fetch('/');
        gateway.arrives.message = (body) => (gateway.came = body);
        gateway.harm.message = harm;
        await notTrusted(session.fetch('/'));
        gateway.harm.message = undefined;
        assert.equal((await session.fetch('/')).status, 200);
      });
    }

    test('swapped between two requests', async () => {
      const session = await enter({ suite });
      const waiting = [];
      gateway.harm.message = (honest) =>
        new Promise((resolve) => {
          waiting.push({ honest, resolve });
          if (waiting.length === 2) waiting.forEach((one, i) => one.resolve(waiting[1 - i].honest));
        });
      const both = await Promise.allSettled([session.fetch('/a'), session.fetch('/b')]);
      for (const { reason } of both) assert.ok(reason instanceof AnswerNotTrusted);
    });

    test('every byte of an answer is authenticated', async () => {
      const session = await enter({ suite });
      let length = 1;
      for (let at = 0; at < length; at += suite === 'rsa-gcm' ? 23 : 5) {
        gateway.harm.message = ({ body }) => {
          length = body.length;
          return { body: flipped(body, at) };
        };
        await notTrusted(session.fetch('/'));
      }
    });
  });
}

describe('refusals', () => {
  const unsealed = () => refusal(403, 'rejected');

  test('unsealed refusals cause no second POST', async () => {
    const session = await enter({ onLoginNeeded: () => false });
    await session.fetch('/');
    let left = 1;
    gateway.harm.message = (honest) => (left-- > 0 ? unsealed() : honest);
    await rejects(session.fetch('/order', { method: 'POST' }), OutcomeUnknown);
    assert.equal(gateway.done.filter((one) => one === 'POST /order').length, 1);
    assert.equal(session.state, 'ready');
  });

  test('429 reports the time to wait, and no POST is sent twice', async () => {
    const session = await enter({ onLoginNeeded: () => false });
    await session.fetch('/');
    const sent = gateway.counts.message;
    gateway.harm.message = () => tooMany(90);
    await rejects(session.fetch('/order', { method: 'POST' }), Refused, 'too_many');
    assert.equal(gateway.counts.message, sent + 1);
    const error = await session.fetch('/').catch((refused) => refused);
    assert.equal(gateway.counts.message, sent + 2);
    assert.deepEqual([error.status, error.retryAfterS], [429, 90]);
    assert.match(error.message, /Try again in 90 s\.$/);
    gateway.harm = {};
    assert.equal((await session.fetch('/')).status, 200);
    assert.equal(session.state, 'ready');
  });

  test('429 to a login', async () => {
    for (const [route, seconds, words] of [['hello', 1, '1 s'], ['share', 721, '13 minutes'], ['confirm', 40_000, '12 hours']]) {
      gateway.harm = { [`session/${route}`]: () => tooMany(seconds) };
      const error = await enter().catch((refused) => refused);
      assert.ok(error instanceof Refused);
      assert.deepEqual([error.code, error.retryAfterS], ['too_many', seconds]);
      assert.ok(error.message.endsWith(`Try again in ${words}.`), error.message);
    }
    gateway.harm = { 'session/hello': () => refusal(429, 'too_many') };
    assert.equal((await enter().catch((refused) => refused)).retryAfterS, null);
    for (const value of ['soon', '-1', '1e3', '12345678', 'Wed, 21 Oct 2026 07:28:00 GMT']) {
      gateway.harm = { 'session/hello': () => tooMany(value) };
      assert.equal((await enter().catch((refused) => refused)).retryAfterS, null);
    }
  });

  for (const suite of ['ecdh-gcm', 'rsa-gcm']) {
    test(`${suite}: a clock that is wrong by an hour is corrected, and the message is sent again`, async () => {
      const session = await enter({ suite });
      for (const aheadMs of [3_600_000, -3_600_000]) {
        gateway.aheadMs = aheadMs;
        const before = gateway.counts.message ?? 0;
        const answer = await session.fetch('/order', { method: 'POST', body: 'tea' });
        assert.equal(await answer.text(), 'tea');
        assert.equal(gateway.counts.message, before + 2);
        await session.fetch('/order', { method: 'POST', body: 'tea' });
        assert.equal(gateway.counts.message, before + 3);
      }
      assert.equal(gateway.done.length, 4);
    });
  }

  test('a stale message that may have been in time is not sent again', async () => {
    const session = await enter();
    // The margin of a second more than the window: it may have been in time a moment ago.
    gateway.aheadMs = 60_500;
    await rejects(session.fetch('/order', { method: 'POST' }), OutcomeUnknown);
    assert.deepEqual([gateway.done, gateway.counts.message], [[], 1]);
    assert.equal((await session.fetch('/order', { method: 'POST' })).status, 200);
  });

  test('a clock that changes again causes no second retry', async () => {
    const session = await enter();
    gateway.aheadMs = 3_600_000;
    gateway.harm.message = (honest) => ((gateway.aheadMs *= 2), honest);
    await rejects(session.fetch('/order', { method: 'POST' }), Refused, 'stale_timestamp');
    assert.deepEqual([gateway.done, gateway.counts.message], [[], 2]);
  });

  test('the refusal of one message is not accepted for another', async () => {
    const session = await enter();
    gateway.aheadMs = 3_600_000;
    let kept;
    gateway.harm.message = (honest) => ((kept ??= honest), honest);
    await session.fetch('/');
    gateway.harm.message = () => kept;
    await notTrusted(session.fetch('/order', { method: 'POST' }));
    assert.equal(gateway.done.filter((one) => one.startsWith('POST')).length, 1);
  });

  test('a delivered message whose answer was held back is not sent again when it is stale', async () => {
    const session = await enter();
    gateway.harm.message = async (honest, { last }) => {
      // The same message once more, after its claim was forgotten; the gateway may say: stale.
      const refused = await last.seal(
        3,
        new Map([['error', 'stale_timestamp'], ['time_ms', gateway.nowMs], ['window_ms', 60_000]]),
      );
      return { body: refused.serialize(FORMAT), honest };
    };
    await rejects(session.fetch('/order', { method: 'POST' }), OutcomeUnknown);
    assert.deepEqual(gateway.done, ['POST /order']);
  });
});

describe('epochs', () => {
  test('a new epoch every 15 minutes, only after an answer in the last one', async () => {
    let nowMs = Date.now();
    const session = await enter({ clock: () => nowMs });
    const epoch = () => [...gateway.sessions.values()][0].epoch;
    const later = (ms) => {
      nowMs += ms;
      gateway.aheadMs = nowMs - Date.now();
    };
    await session.fetch('/');
    later(899_000);
    await session.fetch('/');
    assert.equal(epoch(), 0);
    later(2000);
    await session.fetch('/');
    assert.equal(epoch(), 1);
    later(901_000);
    gateway.harm.message = () => (response) => response.destroy();
    await rejects(session.fetch('/', { method: 'POST' }), OutcomeUnknown);
    assert.equal(epoch(), 2);
    later(901_000);
    // Nothing was heard in this one: no further epoch is begun.
    await rejects(session.fetch('/', { method: 'POST' }), OutcomeUnknown);
    assert.equal(epoch(), 2);
    gateway.harm.message = undefined;
    await session.fetch('/');
    await session.fetch('/');
    assert.equal(epoch(), 3);
  });

  for (const suite of ['ecdh-gcm', 'rsa-gcm']) {
    test(`${suite}: a client whose clock has stopped begins an epoch after a refusal`, async () => {
      const nowMs = Date.now();
      const session = await enter({ suite, fresh: 'counter', clock: () => nowMs });
      const epochs = [];
      for (const minutes of [0, 19, 2, 18, 3, 0, 21, 21]) {
        gateway.aheadMs += minutes * 60_000;
        const [before, { message: sent = 0 }] = [gateway.done.length, { ...gateway.counts }];
        await session.fetch('/', { method: 'POST' });
        // The refused message was sent again, and it was carried out once.
        assert.equal(gateway.done.length, before + 1);
        const epoch = [...gateway.sessions.values()][0].epoch;
        assert.equal(gateway.counts.message - sent, epoch > (epochs.at(-1) ?? 0) ? 2 : 1);
        epochs.push(epoch);
      }
      assert.deepEqual(epochs, [0, 0, 0, 0, 1, 1, 1, 2]);
    });
  }

  test('a gateway that refuses every epoch causes one retry', async () => {
    const session = await enter();
    gateway.refusesEpochs = true;
    await notTrusted(session.fetch('/', { method: 'POST' }));
    assert.equal(gateway.counts.message, 2);
    assert.deepEqual(gateway.done, []);
  });

  test('a tab continues in the epoch of another tab', async () => {
    let nowMs = Date.now();
    const items = storage();
    const [one, other] = [localStorageStore(items), localStorageStore(items)];
    const clock = () => nowMs;
    const active = await enter({ clock, store: one });
    const idle = await resume({ url: gateway.url, clock, store: other });
    for (const tab of [active, idle]) await tab.fetch('/');
    for (let i = 0; i < 3; i += 1) {
      nowMs += 901_000;
      gateway.aheadMs = nowMs - Date.now();
      await active.fetch('/');
    }
    assert.equal([...gateway.sessions.values()][0].epoch, 3);
    const before = gateway.counts.message;
    await Promise.all(Array.from({ length: 5 }, () => idle.fetch('/order', { method: 'POST' })));
    assert.equal(gateway.counts.message, before + 5);
    const reloaded = await resume({ url: gateway.url, clock, store: other });
    await reloaded.fetch('/order', { method: 'POST' });
    assert.equal(gateway.done.filter((one) => one.startsWith('POST')).length, 6);
  });
});

describe('tickets', () => {
  let codes;
  const given = (more) => ({
    url: gateway.url,
    username: 'ann',
    code: () => ((codes += 1), CODE),
    ...more,
  });
  beforeEach(() => (codes = 0));
  const resumptions = () => gateway.counts['session/resume/confirm'] ?? 0;

  for (const suite of ['ecdh-gcm', 'rsa-gcm']) {
    test(`${suite}: a lost session is renewed without a code, once for all waiting requests`, async () => {
      const session = await login(given({ suite }));
      const seen = [];
      session.addEventListener('state', ({ state }) => seen.push(state));
      await session.fetch('/');
      for (let i = 0; i < 3; i += 1) {
        gateway.sessions.clear();
        const all = await Promise.all(Array.from({ length: 5 }, () => session.fetch('/')));
        assert.ok(all.every(({ status }) => status === 200));
      }
      assert.deepEqual([codes, resumptions(), seen], [1, 3, []]);
      await rejects(
        (gateway.sessions.clear(), session.fetch('/order', { method: 'POST' })),
        OutcomeUnknown,
      );
      assert.ok(!gateway.done.includes('POST /order'));
      await session.close();
    });
  }

  test('an expired session', async () => {
    let nowMs = Date.now();
    gateway.sessionS = 60;
    const session = await login(given({ clock: () => nowMs }));
    nowMs += 61_000;
    gateway.aheadMs = 61_000;
    assert.equal((await session.fetch('/order', { method: 'POST' })).status, 200);
    assert.deepEqual([codes, resumptions()], [1, 1]);
  });

  test('a reload after expiry; the next ticket is stored before anything is sent', async () => {
    const items = storage();
    const store = localStorageStore(items);
    gateway.sessionS = 60;
    await login(given({ store }));
    const ticket = () => JSON.parse([...items.items.values()][0]).ticket.ticket.base64;
    const first = ticket();
    const clock = () => Date.now() + 61_000;
    gateway.aheadMs = 61_000;
    const session = await resume({ url: gateway.url, store, clock });
    assert.notEqual(ticket(), first);
    assert.deepEqual([session.keptIn, codes, resumptions(), gateway.done], ['localStorage', 1, 1, []]);
    assert.equal((await session.fetch('/')).status, 200);
    await session.close();
    assert.equal(items.items.size, 0);
    assert.equal(await resume({ url: gateway.url, store }), null);
  });

  test('a counter is not reused, but its ticket is', async () => {
    const items = storage();
    const store = localStorageStore(items);
    const first = await login(given({ store, fresh: 'counter' }));
    await first.fetch('/');
    assert.equal(JSON.parse([...items.items.values()][0]).session, null);
    const again = await resume({ url: gateway.url, store });
    assert.equal((await again.fetch('/')).status, 200);
    assert.equal(resumptions(), 1);
  });

  const HARM = {
    'a proof with a bit changed': withMember('cB', flipped, PROOF),
    'a box with a bit changed': withMember('box', flipped, PROOF),
    'a refusal that anybody may have written': () => refusal(403, 'rejected'),
    'a truncated answer': ({ body }) => ({ body: body.slice(0, -1) }),
  };
  for (const [name, harm] of Object.entries(HARM)) {
    test(`${name}: a code is needed, and the ticket stays until there is another`, async () => {
      const items = storage();
      const store = localStorageStore(items);
      let ends = false;
      const session = await login(given({ store, onLoginNeeded: () => !ends }));
      await session.fetch('/');
      gateway.harm['session/resume/confirm'] = harm;
      gateway.sessions.clear();
      ends = true;
      await rejects(session.fetch('/'), NotLoggedIn);
      gateway.harm = {};
      const again = await resume(given({ store }));
      assert.equal((await again.fetch('/')).status, 200);
      assert.equal(codes, 1);
      gateway.harm['session/resume/confirm'] = harm;
      gateway.sessions.clear();
      assert.equal((await again.fetch('/')).status, 200);
      assert.equal(codes, 2);
    });
  }

  test('if the gateway does not answer, ticket and session stay', async () => {
    const session = await login(given());
    await session.fetch('/');
    gateway.sessions.clear();
    gateway.harm['session/resume'] = () => (response) => response.destroy();
    await rejects(session.fetch('/'), NoAnswer);
    gateway.harm = {};
    assert.equal((await session.fetch('/')).status, 200);
    assert.deepEqual([codes, session.state], [1, 'ready']);
  });

  for (const route of ['resume', 'resume/confirm']) {
    test(`too many tickets at ${route}: no code is needed, and the ticket is valid later`, async () => {
      const store = localStorageStore(storage());
      const session = await login(given({ store }));
      await session.fetch('/');
      gateway.sessions.clear();
      gateway.harm[`session/${route}`] = () => tooMany(30);
      await rejects(session.fetch('/'), Refused, 'too_many');
      await rejects(session.fetch('/order', { method: 'POST' }), OutcomeUnknown);
      const over = { url: gateway.url, store, clock: () => Date.now() + 43_201_000 };
      await rejects(resume(over), Refused, 'too_many');
      gateway.harm = {};
      assert.equal((await session.fetch('/')).status, 200);
      assert.deepEqual([codes, session.state], [1, 'ready']);
      assert.ok(!gateway.done.includes('POST /order'));
    });
  }

  test('an eS that is the eC', async () => {
    const session = await login(given());
    await session.fetch('/');
    let eC;
    gateway.arrives['session/resume'] = (body) => {
      eC = body.slice(-65);
      return body;
    };
    const R2 = { sid: raw, sn: raw, eS: raw };
    gateway.harm['session/resume'] = (answer) => withMember('eS', () => eC, R2)(answer);
    gateway.sessions.clear();
    assert.equal((await session.fetch('/')).status, 200);
    assert.deepEqual([codes, resumptions()], [2, 0]);
  });

  test('without a ticket, a code is needed', async () => {
    gateway.grantsTickets = false;
    const session = await login(given());
    await session.fetch('/');
    gateway.sessions.clear();
    assert.equal((await session.fetch('/')).status, 200);
    assert.equal(codes, 2);
  });

  test('an invalid ticket in a store is ignored', async () => {
    const items = storage();
    const store = localStorageStore(items);
    await login(given({ store }));
    const [[name, text]] = items.items;
    const whole = JSON.parse(text);
    for (const [member, value] of Object.entries({
      suite: 'des',
      session: { ...whole.session, c2s: 'x' },
      ticket: 1,
      realm: null,
      version: 3,
    })) {
      items.setItem(name, JSON.stringify({ ...whole, [member]: value }));
      assert.equal(await resume({ url: gateway.url, store }), null, member);
    }
  });
});
