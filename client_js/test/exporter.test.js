/**
 * The exporter (PROTOCOL §2.5.3) at a session. The vectors have its values, and tests/docs/test_examples.py runs it with a
 * handler in Python.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from './limited.js';
import { CertlessError, NotLoggedIn, login, resume } from '../src/index.js';
import { exportedValue } from '../src/protocol/hardened/keySchedule.js';
import { localStorageStore } from '../src/session/stores.js';
import { startGateway, startUpstream } from './gateway.js';
import { CODE, HardenedGateway } from './hardenedGateway.js';
import { storage } from './support/storage.js';

const LABEL = 'shop.example device';
const EMPTY = new Uint8Array();
const CONTEXT = new TextEncoder().encode('enrol');
const MINUTE_MS = 60_000;
const noExporter = (error) => error instanceof CertlessError && error.code === 'no_exporter' && /Log in again/.test(error.message);

let gateway;
beforeEach(async () => (gateway = await new HardenedGateway().start()));
afterEach(() => gateway.stop());

const enter = (more = {}) => login({ url: gateway.url, username: 'ann', code: () => CODE, ...more });

/** The value of the last session at the gateway. */
function atGateway(context = EMPTY, length = 32) {
  const { suite, exporter } = [...gateway.sessions.values()].at(-1);
  return exportedValue(suite, exporter, LABEL, context, length);
}

/** A value of `session`, which is the same at the gateway. */
async function sameValue(session) {
  const value = await session.export(LABEL);
  assert.deepEqual(value, atGateway());
  return value;
}

for (const suite of ['ecdh-gcm', 'rsa-gcm']) {
  for (const fresh of ['clock', 'counter']) {
    test(`${suite}, ${fresh}: client and gateway have the same values`, async () => {
      const session = await enter({ suite, fresh });
      const values = [await sameValue(session)];
      values.push(await session.export(LABEL, CONTEXT), await session.export(LABEL, CONTEXT, 100));
      assert.deepEqual(values.slice(1), [atGateway(CONTEXT), atGateway(CONTEXT, 100)]);
      values.push(await sameValue(await enter({ suite, fresh })));
      assert.equal(new Set(values.map((value) => `${value.slice(0, 16)}`)).size, 4);
    });
  }
}

test('a new epoch has the same values, and a renewed session has others', async () => {
  gateway.sessionS = 3600;
  let aheadMs = 0;
  const session = await enter({ clock: () => Date.now() + aheadMs });
  const wait = (minutes) => {
    aheadMs += minutes * MINUTE_MS;
    gateway.aheadMs = aheadMs;
  };
  const first = await sameValue(session);
  await session.fetch('/a');
  wait(16);
  await session.fetch('/a');
  assert.equal([...gateway.sessions.values()].at(-1).epoch, 1);
  assert.deepEqual(await sameValue(session), first);
  let renewed = 0;
  session.addEventListener('renewed', () => (renewed += 1));
  wait(61);
  assert.notDeepEqual(await sameValue(session), first);
  assert.equal(renewed, 1);
});

describe('a session from a store', () => {
  test('has the same values', async () => {
    const store = localStorageStore(storage());
    const first = await sameValue(await enter({ store }));
    assert.deepEqual(await sameValue(await resume({ url: gateway.url, store })), first);
  });

  test('of an earlier version has none, until a ticket renews it', async () => {
    const kept = storage();
    const store = localStorageStore(kept);
    await enter({ store });
    const [[name, text]] = kept.items;
    const older = JSON.parse(text);
    delete older.session.exporter;
    kept.items.set(name, JSON.stringify(older));
    let aheadMs = 0;
    const session = await resume({ url: gateway.url, store, clock: () => Date.now() + aheadMs });
    assert.equal((await session.fetch('/a')).status, 200);
    await assert.rejects(session.export(LABEL), noExporter);
    aheadMs = gateway.aheadMs = gateway.sessionS * 1000 + 1;
    await sameValue(session);
  });
});

test('a session that was closed exports nothing', async () => {
  const session = await enter();
  await session.close();
  await assert.rejects(session.export(LABEL), NotLoggedIn);
});

test('classic has no exporter', async () => {
  const upstream = await startUpstream();
  const classic = await startGateway({ upstream: upstream.url });
  try {
    const code = () => classic.mailbox.code('ann@example.org');
    const session = await login({ url: classic.url, username: 'ann@example.org', suite: 'classic', code });
    await assert.rejects(session.export(LABEL), noExporter);
    await session.close();
  } finally {
    await classic.stop();
    await upstream.stop();
  }
});

test('wrong arguments are a TypeError', async () => {
  const session = await enter();
  for (const label of ['', '~'.repeat(129), 'café', 'a\n', 'a\x7f', 5, undefined, ['a']]) {
    await assert.rejects(session.export(label), TypeError, `${label}`);
  }
  for (const context of [new Uint8Array(65_536), 'enrol', [1], new ArrayBuffer(1), null]) {
    await assert.rejects(session.export(LABEL, context), TypeError);
  }
  for (const length of [15, 8161, 16.5, '32', NaN, -1, null]) {
    await assert.rejects(session.export(LABEL, EMPTY, length), TypeError, `${length}`);
  }
  for (const [label, context, length] of [['~'.repeat(128), new Uint8Array(65_535), 8160], [' ', EMPTY, 16]]) {
    assert.equal((await session.export(label, context, length)).length, length);
  }
});
