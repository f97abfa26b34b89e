/** The vault's client in Node.js against a real vault, and services that lie. */
import './globalCrypto.js';
import assert from 'node:assert/strict';
import { after, before, describe, test } from './limited.js';
import { login } from '../src/index.js';
import { Malformed, Tampered, VaultLocked, VaultRefused, WrongSecret, openVault } from '../src/vault/index.js';
import { channel } from '../src/vault/channel.js';
import { remoteVault, serveVault } from '../src/vault/worker.js';
import { nodeCrypto } from '../src/primitives/nodeCrypto.js';
import { serializeMsgpack, parseMsgpack } from '../src/protocol/msgpack.js';
import { startVault } from './vaultGateway.js';
import { within } from './within.js';

const [PASSWORD, OTHER] = ['correct horse battery', 'staple'];

let running;
before(async () => (running = await startVault()));
after(() => running?.stop());

let last = 0;
const newUser = () => `ann-${(last += 1)}@shop.example`;

const enter = (username) => login({ url: running.url, username, code: () => running.mailbox.code(username) });
const vaultOf = async (username, options) => openVault(await enter(username), options);

/** Writes recovery codes down, and types them back. */
function paper() {
  const codes = [];
  const typeBack = async (code) => {
    codes.push(code);
    return code.toLowerCase().replaceAll('-', ' ');
  };
  return { codes, typeBack };
}

/** An open vault of a new user. */
async function created(options) {
  const [username, { codes, typeBack }] = [newUser(), paper()];
  const vault = await vaultOf(username, options);
  await vault.create(PASSWORD, typeBack);
  return { username, vault, codes, typeBack };
}

test('the story of one user', async () => {
  const { username, vault, codes } = await created();
  assert.equal(await vault.note(), null);
  await vault.saveNote('remember the milk');
  await vault.saveNote('and the bread');
  const second = await vaultOf(username);
  await assert.rejects(second.note(), VaultLocked);
  await assert.rejects(second.unlock(OTHER), WrongSecret);
  await second.unlock(PASSWORD);
  assert.equal(await second.note(), 'and the bread');
  const third = await vaultOf(username);
  await third.recover(codes[0]);
  await third.changePassword(OTHER);
  await third.saveNote('\u00e5 '.repeat(20_000));
  await assert.rejects(second.unlock(PASSWORD), WrongSecret);
  await second.unlock(OTHER);
  assert.equal(await second.note(), '\u00e5 '.repeat(20_000));
  await assert.rejects(second.saveNote('x'.repeat(65_537)), Malformed);
});

test('a code that is typed back wrong creates nothing', async () => {
  const vault = await vaultOf(newUser());
  await assert.rejects(vault.create(PASSWORD, async (code) => `${code.slice(0, -1)}?`), Malformed);
  await assert.rejects(vault.create(PASSWORD, async () => 'nothing'), Malformed);
  await assert.rejects(vault.unlock(PASSWORD), WrongSecret);
  await vault.create(PASSWORD, paper().typeBack);
});

test('temporary keys, recovery codes and devices end', async () => {
  const { username, vault, codes, typeBack } = await created();
  await vault.saveNote('tea');
  const other = await vaultOf(username);
  const code = await vault.temporaryKey();
  await other.unlockTemporarily(code);
  assert.equal(await other.note(), 'tea');
  await assert.rejects(other.unlockTemporarily(code), VaultRefused);
  await vault.newRecoveryCode(typeBack);
  await assert.rejects(other.recover(codes[0]), VaultRefused);
  await other.recover(codes[1]);

  const { id, secret } = await vault.addDevice({ name: 'laptop', kind: 'node', canUnlock: true });
  assert.equal((await vault.addDevice({ name: 'phone', kind: 'page' })).secret, null);
  const listed = await vault.devices();
  assert.deepEqual(listed.map(({ name, opens }) => [name, opens]).sort(), [['laptop', true], ['phone', false]]);
  await other.unlockDevice(id, secret);
  await vault.signOut(id);
  await assert.rejects(other.unlockDevice(id, secret), VaultRefused);
});

test('a rekey shuts out who had the old key', async () => {
  const { username, vault, codes, typeBack } = await created();
  await vault.saveNote('tea');
  const stolen = await vaultOf(username);
  await stolen.unlock(PASSWORD);
  await vault.rekey(OTHER, typeBack);
  assert.equal(await vault.note(), 'tea');
  await vault.saveNote('coffee');
  await assert.rejects(stolen.note(), VaultRefused);
  await assert.rejects(stolen.saveNote('mine'), VaultRefused);
  await assert.rejects(stolen.unlock(PASSWORD), WrongSecret);
  await assert.rejects(stolen.recover(codes[0]), VaultRefused);
  await stolen.recover(codes[1]);
  assert.equal(await stolen.note(), 'coffee');
});

test('of two notes at once, one is kept', async () => {
  const { username, vault } = await created();
  const other = await vaultOf(username);
  await other.unlock(PASSWORD);
  const done = await Promise.allSettled([vault.saveNote('one'), other.saveNote('two')]);
  const refused = done.filter(({ status }) => status === 'rejected');
  for (const { reason } of refused) assert.equal(reason.code, 'conflict');
  assert.ok(refused.length <= 1);
  assert.ok(['one', 'two'].includes(await vault.note()));
});

test('it locks itself', async () => {
  let locked = () => {};
  const isLocked = new Promise((resolve) => (locked = resolve));
  const { vault } = await created({ lockMs: 200, onlock: () => locked() });
  await within(isLocked, 'the vault locks itself');
  await assert.rejects(vault.note(), VaultLocked);
});

test('an export is opened by its passphrase only', async () => {
  const { vault } = await created();
  await vault.saveNote('tea');
  const file = await vault.exportNote('drawer');
  await vault.saveNote('coffee');
  await assert.rejects(vault.importNote(file, 'wrong'), WrongSecret);
  await assert.rejects(vault.importNote(file.slice(0, 20), 'drawer'), Malformed);
  await vault.importNote(file, 'drawer');
  assert.equal(await vault.note(), 'tea');
});

test('a reset waits, and is cancelled by the key; deletion leaves nothing', async () => {
  const { username, vault, codes } = await created();
  const lost = await vaultOf(username);
  assert.ok((await lost.reset()) >= 167);
  await assert.rejects(lost.create(OTHER, paper().typeBack), ({ code }) => code === 'exists');
  assert.equal((await vault.account()).isToBeReset, true);
  await vault.cancelReset();
  assert.equal((await vault.account()).isToBeReset, false);
  await vault.remove();
  await assert.rejects(vault.note(), VaultLocked);
  await assert.rejects(lost.unlock(PASSWORD), WrongSecret);
  await assert.rejects(lost.recover(codes[0]), VaultRefused);
  await lost.create(OTHER, paper().typeBack);
});

describe('a service that lies', () => {
  /** A session whose answers to requests for `path` are changed. */
  function lying(session, path, change) {
    return {
      export: (label) => session.export(label),
      fetch: async (target, init) => {
        const response = await session.fetch(target, init);
        const body = new Uint8Array(await response.arrayBuffer());
        return new Response(target === path && body.length ? change(body) : body, { status: body.length ? response.status : 200 });
      },
    };
  }

  /** The body with changed members. */
  const withMembers = (members) => (body) => serializeMsgpack(new Map([...parseMsgpack(body), ...Object.entries(members)]));
  const other = new Uint8Array(32).fill(7);

  for (const [name, path, members, expected] of [
    ['a weaker kdf', '/vault/parameters', { kdf: 2 }, WrongSecret],
    ['an unknown kdf', '/vault/parameters', { kdf: 3 }, Malformed],
    ['another salt', '/vault/parameters', { salt: new Uint8Array(16) }, WrongSecret],
    ['another user', '/vault/parameters', { username: 'mallory' }, WrongSecret],
    ['another realm', '/vault/parameters', { realm: 'mallory' }, Tampered],
    ['a wrong confirmation', '/vault/unlock/password', { confirm: other }, WrongSecret],
    ['a share that is not a point', '/vault/unlock/password', { share: new Uint8Array(65) }, Malformed],
    ['another head', '/vault/unlock/confirm', { head: new Uint8Array([...other.slice(1), 0]) }, Malformed],
    ['another wrap', '/vault/unlock/confirm', { wrap: new Uint8Array(61).fill(1) }, WrongSecret],
  ]) {
    test(`${name} at an unlock`, async () => {
      const { username } = await created();
      const session = lying(await enter(username), path, withMembers(members));
      const vault = await openVault(session);
      await assert.rejects(vault.unlock(PASSWORD), expected);
      await assert.rejects(vault.note(), VaultLocked);
    });
  }

  test('the head of another account', async () => {
    const [{ username }, mallory] = [await created(), await created()];
    const heads = [];
    const spying = lying(await enter(mallory.username), '/vault/account', (body) => {
      heads.push(parseMsgpack(body).get('head'));
      return body;
    });
    const spy = await openVault(spying);
    await spy.unlock(PASSWORD);
    await spy.devices();
    const vault = await openVault(lying(await enter(username), '/vault/unlock/confirm', (body) => withMembers({ head: heads[0] })(body)));
    await assert.rejects(vault.unlock(PASSWORD), Tampered);
  });

  test('a lock ends an unlock that is under way', async () => {
    const { username } = await created();
    const session = await enter(username);
    for (const path of ['/vault/parameters', '/vault/unlock/password', '/vault/unlock/confirm']) {
      const vault = await openVault(
        lying(session, path, (body) => {
          void vault.lock();
          return body;
        }),
      );
      await assert.rejects(vault.unlock(PASSWORD), VaultLocked);
      await assert.rejects(vault.note(), VaultLocked);
    }
  });

  test('an old note, a changed note, no note', async () => {
    const { username, vault } = await created();
    await vault.saveNote('old');
    const kept = [];
    let answer = (body) => {
      kept.push(body);
      return body;
    };
    const session = lying(await enter(username), '/vault/note', (body) => answer(body));
    const reader = await openVault(session);
    await reader.unlock(PASSWORD);
    await reader.note();
    await reader.saveNote('new');
    assert.equal(await reader.note(), 'new');
    const changed = kept[0].slice();
    changed[changed.length - 1] ^= 1;
    for (const lie of [kept[0], changed, serializeMsgpack(new Map())]) {
      answer = () => lie;
      await assert.rejects(reader.note(), Tampered);
    }
  });

  test('a key that a rekey has replaced', async () => {
    const { username, codes } = await created();
    const session = await enter(username);
    let answer = null;
    const vault = await openVault({
      export: (label) => session.export(label),
      fetch: async (target, init) => {
        if (target !== '/vault/unlock/recovery') return session.fetch(target, init);
        answer ??= new Uint8Array(await (await session.fetch(target, init)).arrayBuffer());
        return new Response(answer);
      },
    });
    await vault.recover(codes[0]);
    await vault.rekey(PASSWORD, paper().typeBack);
    await assert.rejects(vault.recover(codes[0]), Tampered);
    // The vault is still open by the new key.
    assert.equal(await vault.note(), null);
  });

  test('another change than the one that was sent', async () => {
    const { username } = await created();
    const session = lying(await enter(username), '/vault/devices', withMembers({ revision: other }));
    const vault = await openVault(session);
    await vault.unlock(PASSWORD);
    await assert.rejects(vault.addDevice({ name: 'laptop', kind: 'node' }), Tampered);
    const staging = await openVault(lying(await enter(username), '/vault/change', withMembers({ digest: other })));
    await staging.unlock(PASSWORD);
    await assert.rejects(staging.changePassword(OTHER), Tampered);
    await staging.unlock(PASSWORD);
  });
});

test('a page and its Worker: the same vault over messages, with its errors', async () => {
  const { port1: page, port2: worker } = new MessageChannel();
  page.start();
  worker.start();
  const username = newUser();
  const session = await enter(username);
  const link = {
    exported: () => session.export('certless-vault/1'),
    request: async (method, target, headers, body) => {
      const response = await session.fetch(target, { method, headers, ...(body.length ? { body } : {}) });
      return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
    },
  };
  serveVault(worker, nodeCrypto);
  const locks = [];
  const vault = await remoteVault(page, link, {}, () => locks.push('locked'));
  const { codes, typeBack } = paper();
  await vault.create(PASSWORD, typeBack);
  await vault.saveNote('tea');
  assert.equal(await vault.note(), 'tea');
  await vault.newRecoveryCode(typeBack);
  assert.equal(codes.length, 2);
  await vault.lock();
  assert.deepEqual(locks, ['locked']);
  await assert.rejects(vault.note(), (error) => error instanceof VaultLocked && error.code === 'locked' && error.name === 'VaultLocked');
  await assert.rejects(vault.unlock(OTHER), WrongSecret);
  await assert.rejects(vault.recover(codes[0]), (error) => error instanceof VaultRefused && error.status === 403);
  page.close();
});

test('whatever a side throws reaches the caller', async () => {
  const { port1, port2 } = new MessageChannel();
  port1.start();
  port2.start();
  const thrown = [undefined, null, 'cancelled', { message: 'an object' }, Object.assign(new Error('with a function'), { call: () => {} })];
  channel(port2, {
    fail: (index) => {
      throw thrown[index];
    },
  });
  const call = channel(port1, {});
  for (const index of thrown.keys()) await assert.rejects(within(call('fail', index), 'the call ends'), Error);
  await assert.rejects(call('fail', 2), /^Error: cancelled$/);
  port1.close();
});

test('what a side does not serve is an error of the caller', async () => {
  const { port1, port2 } = new MessageChannel();
  port1.start();
  port2.start();
  channel(port2, { double: (value) => 2 * value });
  const call = channel(port1, {});
  assert.equal(await call('double', 2), 4);
  await assert.rejects(call('constructor', 2), /nothing here is called constructor/);
  await assert.rejects(call('nothing'), /nothing here is called nothing/);
  port1.close();
});
