/** Notes and files of a vault in Node.js: on two devices, with the Python client, and services that lie. */
import './globalCrypto.js';
import assert from 'node:assert/strict';
import { after, before, describe, test } from './limited.js';
import { NoAnswer } from '../src/common/errors.js';
import { login } from '../src/index.js';
import { nodeCrypto } from '../src/primitives/nodeCrypto.js';
import { parseMsgpack, serializeMsgpack } from '../src/protocol/msgpack.js';
import { Alarm, Tampered, VaultLocked, openVault } from '../src/vault/index.js';
import { remoteVault, serveVault } from '../src/vault/worker.js';
import { startFilesPeer } from './filesPeer.js';
import { memoryDatabase } from './memoryDatabase.js';
import { startVault } from './vaultGateway.js';
import { within } from './within.js';

const PASSWORD = 'correct horse battery';
const DAY_MS = 86_400_000;

let running;
before(async () => (running = await startVault()));
after(() => running?.stop());

let last = 0;
const newUser = () => `ann-${(last += 1)}@shop.example`;
const enter = (username) => login({ url: running.url, username, code: () => running.mailbox.code(username) });

/** A session whose line can be cut, and whose answers `lie` can change: by target, from the body to another one. */
async function lineOf(username) {
  const session = await enter(username);
  const line = {
    isCut: false,
    lie: {},
    sent: [],
    export: (label) => session.export(label),
    fetch: async (target, init) => {
      if (line.isCut) throw new NoAnswer(new Error('cut'));
      line.sent.push(target);
      const response = await session.fetch(target, init);
      const change = line.lie[`${init.method} ${target}`];
      if (!change) return response;
      const body = await change(new Uint8Array(await response.arrayBuffer()));
      return new Response(body.length ? body : null, { status: response.status });
    },
  };
  return line;
}

/** A device of a user, with an open vault. Without `username`, of a new user. */
async function deviceOf(username, options) {
  const user = username ?? newUser();
  const line = await lineOf(user);
  const vault = await openVault(line, options);
  if (username) await vault.unlock(PASSWORD);
  else await vault.create(PASSWORD, async (code) => code);
  return { user, line, vault, files: vault.files };
}

async function twoDevices(options) {
  const laptop = await deviceOf(undefined, options);
  return [laptop, await deviceOf(laptop.user, options)];
}

/** Bytes that do not repeat soon. */
const bytesOf = (length) => Uint8Array.from({ length }, (_, i) => (i * 2654435761) >>> 11);
const bytesIn = async (blob) => Buffer.from(await blob.arrayBuffer());
const alarms = (work, code) => assert.rejects(work, (error) => error instanceof Alarm && error.code === code);
const withMembers = (changes) => (body) => {
  const members = parseMsgpack(body);
  for (const [name, change] of Object.entries(changes)) members.set(name, change(members.get(name)));
  return serializeMsgpack(members);
};

describe('two devices', () => {
  test('recipes and a video: written on one, read on the other', async () => {
    const [laptop, phone] = await twoDevices();
    assert.deepEqual(await laptop.files.list(), []);
    const { id, isSynced } = await laptop.files.putNote('bread', 'flour, water');
    assert.equal(isSynced, true);
    const video = bytesOf(3_000_000);
    const shown = [];
    const file = await laptop.files.put('video.mp4', new Blob([video]), { onProgress: (progress) => shown.push(progress) });
    assert.deepEqual(shown.at(-1), { done: video.length, total: video.length });
    assert.ok(shown.length > 3);

    const listed = await phone.files.list();
    assert.deepEqual(listed.map(({ kind, name, versions }) => [kind, name, versions.length, versions[0].bytes]), [['note', 'bread', 1, 12], ['file', 'video.mp4', 1, video.length]]);
    assert.equal(await phone.files.text(id), 'flour, water');
    const got = [];
    assert.ok((await bytesIn(await phone.files.get(file, { onProgress: ({ done }) => got.push(done) }))).equals(Buffer.from(video)));
    assert.equal(got.at(-1), video.length);
    assert.deepEqual(await phone.files.read(file, { start: 16_000, end: 49_000 }), video.slice(16_000, 49_000));
    assert.equal((await laptop.files.status()).words, (await phone.files.status()).words);
    assert.match((await phone.files.status()).words, /^([bdfghjklmnprstvz][aiou]){2}[bdfghjklmnprstvz]( ([bdfghjklmnprstvz][aiou]){2}[bdfghjklmnprstvz]){3}$/);

    assert.deepEqual(await laptop.files.sync(), []);
    await phone.files.edit(id, 'flour, water, salt');
    assert.deepEqual(await laptop.files.sync(), [{ id, name: 'bread', what: 'changed' }]);
    assert.equal(await laptop.files.text(id), 'flour, water, salt');
    await phone.files.rename(id, 'rye bread');
    await phone.files.remove(file);
    assert.deepEqual((await laptop.files.sync()).map(({ what }) => what).sort(), ['changed', 'removed']);
    await assert.rejects(laptop.files.get(file), (error) => error.code === 'not_found');
  });

  test('an edit that waits survives a lock, and a new key by another device', async () => {
    const [laptop, phone] = await twoDevices();
    const { id } = await laptop.files.putNote('bread', 'flour');
    await phone.files.sync();
    let text = 'flour';
    for (const isRekeyed of [false, true]) {
      text += ', salt';
      phone.line.isCut = true;
      await phone.files.edit(id, text);
      await phone.vault.lock();
      phone.line.isCut = false;
      if (isRekeyed) await laptop.vault.rekey(PASSWORD, async (code) => code);
      await phone.vault.unlock(PASSWORD);
      if (!isRekeyed) assert.deepEqual(await phone.files.waiting(), [id]);
      await phone.files.sync();
      assert.deepEqual(await phone.files.waiting(), []);
      assert.equal(await phone.files.text(id), text);
      await laptop.files.sync();
      assert.equal(await laptop.files.text(id), text);
    }
  });

  test('edits that wait in several tabs of one browser all survive', async () => {
    const options = { indexedDB: memoryDatabase() };
    const one = await deviceOf(undefined, options);
    const { id } = await one.files.putNote('bread', 'flour');
    const other = await deviceOf(one.user, options);
    await other.files.sync();
    const offline = async (tab, text) => {
      tab.line.isCut = true;
      await tab.files.edit(id, text);
      tab.line.isCut = false;
    };
    const textsOf = async ({ files }) => {
      const { versions } = (await files.list()).find((entry) => entry.id === id);
      return (await Promise.all(versions.map((version) => files.text(id, version.id)))).sort();
    };
    await offline(one, 'one');
    await offline(other, 'other');
    // Both tabs end. The next one sends the edits of both.
    const next = await deviceOf(one.user, options);
    await next.files.sync();
    assert.deepEqual(await textsOf(next), ['one', 'other']);

    const writer = await deviceOf(one.user, options);
    await writer.files.resolve(id, (await writer.files.list())[0].versions[0].id);
    await offline(writer, 'first');
    const sender = await deviceOf(one.user, options);
    assert.deepEqual(await sender.files.waiting(), [id]);
    // The writer goes on before the sender has sent what it took over.
    await offline(writer, 'second');
    await sender.files.sync();
    const last = await deviceOf(one.user, options);
    await last.files.sync();
    assert.ok((await textsOf(last)).includes('second'));
  });

  test('an edit without a connection on both: both versions survive, and one is chosen, or each gets a note', async () => {
    const [laptop, phone] = await twoDevices();
    const { id } = await laptop.files.putNote('bread', 'flour');
    await phone.files.sync();
    for (const { line } of [laptop, phone]) line.isCut = true;
    assert.deepEqual(await laptop.files.edit(id, 'flour, salt'), { id, isSynced: false, changes: [] });
    await phone.files.edit(id, 'flour, yeast');
    await phone.files.edit(id, 'flour, yeast, water');
    assert.equal(await phone.files.text(id), 'flour, yeast, water');
    assert.deepEqual(await phone.files.waiting(), [id]);
    const { id: later } = await phone.files.putNote('soup', 'peas');
    await assert.rejects(phone.files.sync(), (error) => error.code === 'no_answer');
    for (const { line } of [laptop, phone]) line.isCut = false;
    await laptop.files.sync();
    assert.deepEqual((await phone.files.sync()).map(({ what }) => what).sort(), ['added', 'conflict']);
    await laptop.files.sync();
    assert.deepEqual(await phone.files.waiting(), []);
    assert.equal(await laptop.files.text(later), 'peas');

    const versionsOf = async ({ files }) => (await files.list()).find((entry) => entry.id === id).versions;
    const versions = await versionsOf(laptop);
    assert.deepEqual(await versionsOf(phone), versions);
    const texts = await Promise.all(versions.map((version) => laptop.files.text(id, version.id)));
    assert.deepEqual([...texts].sort(), ['flour, salt', 'flour, yeast, water']);
    const other = await laptop.files.split(id, versions[0].id, 'bread (2)');
    await phone.files.sync();
    assert.deepEqual([await phone.files.text(other), await phone.files.text(id)], texts);

    for (const { line } of [laptop, phone]) line.isCut = true;
    await laptop.files.edit(id, 'one');
    await phone.files.edit(id, 'two');
    for (const { line } of [laptop, phone]) line.isCut = false;
    await laptop.files.sync();
    await phone.files.sync();
    const [first] = await versionsOf(phone);
    const chosen = await phone.files.text(id, first.id);
    await phone.files.resolve(id, first.id);
    await laptop.files.sync();
    assert.equal((await versionsOf(laptop)).length, 1);
    assert.equal(await laptop.files.text(id), chosen);
  });

  test('an edit of a version that another device has replaced keeps both', async () => {
    const [laptop, phone] = await twoDevices();
    const { id } = await laptop.files.putNote('bread', 'flour');
    await phone.files.sync();
    const [{ versions: [read] }] = await phone.files.list();
    await laptop.files.edit(id, 'rye');
    await phone.files.sync();
    await phone.files.edit(id, 'wheat', { replaces: [read.id] });
    assert.equal((await phone.files.list())[0].versions.length, 2);
  });

  test('a deletion and an edit: the edit survives', async () => {
    const [laptop, phone] = await twoDevices();
    const { id } = await laptop.files.putNote('bread', 'flour');
    await phone.files.sync();
    phone.line.isCut = true;
    await phone.files.edit(id, 'flour, salt');
    await laptop.files.remove(id);
    phone.line.isCut = false;
    await phone.files.sync();
    await laptop.files.sync();
    assert.equal(await laptop.files.text(id), 'flour, salt');
  });

  test('both write at once: nothing is lost', async () => {
    const [laptop, phone] = await twoDevices();
    await laptop.files.putNote('first', '');
    await phone.files.sync();
    await Promise.all([laptop, phone].flatMap(({ files }, device) => [0, 1, 2].map((one) => files.putNote(`${device} ${one}`, 'text'))));
    await laptop.files.sync();
    await phone.files.sync();
    const names = (await laptop.files.list()).map(({ name }) => name);
    assert.deepEqual(names, ['0 0', '0 1', '0 2', '1 0', '1 1', '1 2', 'first']);
    assert.deepEqual(await phone.files.list(), await laptop.files.list());
  });

  test('a byte in the middle of a long note writes few blocks again', async () => {
    const { files, line } = await deviceOf();
    const text = 'räksmörgås '.repeat(80_000);
    const { id } = await files.putNote('long', text);
    let blocks = 0;
    line.lie['POST /vault/blocks/put'] = (body) => {
      blocks += parseMsgpack(body).get('receipts').length;
      return body;
    };
    const next = `${text.slice(0, 400_000)}x${text.slice(400_000)}`;
    await files.edit(id, next);
    // Two blocks of the text, the node above them, and the directory.
    assert.ok(blocks <= 4, `${blocks} blocks`);
    assert.equal(await files.text(id), next);
  });
});

describe('a transfer', () => {
  test('from an iterable, an empty one, and one that the caller ends', async () => {
    const { files } = await deviceOf();
    const data = bytesOf(600_000);
    async function* parts() {
      for (let at = 0; at < data.length; at += 7001) yield data.slice(at, at + 7001);
    }
    assert.ok((await bytesIn(await files.get(await files.put('parts', parts())))).equals(Buffer.from(data)));
    assert.equal((await files.get(await files.put('empty', new Uint8Array()))).size, 0);
    const stop = new Error('enough');
    await assert.rejects(files.put('stopped', data, { onProgress: () => { throw stop; } }), stop);
    assert.deepEqual((await files.list()).map(({ name }) => name), ['empty', 'parts']);
  });

  test('over messages to a Worker, with progress, and errors with their names', async () => {
    const { port1: page, port2: worker } = new MessageChannel();
    page.start();
    worker.start();
    const line = await lineOf(newUser());
    const link = {
      exported: () => line.export('certless-vault/1'),
      request: async (method, target, headers, body) => {
        const response = await line.fetch(target, { method, headers, ...(body.length ? { body } : {}) });
        return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
      },
    };
    serveVault(worker, nodeCrypto);
    const vault = await remoteVault(page, link, {}, () => {});
    await vault.create(PASSWORD, async (code) => code);
    const data = bytesOf(1_200_000);
    const shown = [];
    const id = await vault.files.put('a', new Blob([data]), { onProgress: ({ done }) => shown.push(done) });
    assert.equal(shown.at(-1), data.length);
    async function* parts() {
      yield data.slice(0, 10);
      yield data.slice(10, 20);
    }
    assert.deepEqual(await vault.files.read(await vault.files.put('b', parts())), data.slice(0, 20));
    assert.ok((await bytesIn(await vault.files.get(id))).equals(Buffer.from(data)));
    await assert.rejects(within(vault.files.put('c', new Blob([data]), { onProgress: () => { throw new Error('enough'); } }), 'the upload ends'), /enough/);
    line.lie['POST /vault/blocks/get'] = withMembers({ blocks: (blocks) => blocks.map(() => new Uint8Array()) });
    await alarms(vault.files.read(id, { end: 1 }), 'missing');
    await vault.lock();
    await assert.rejects(vault.files.list(), VaultLocked);
    page.close();
  });
});

describe('a service that lies', () => {
  for (const [name, change, code] of [
    ['no block', () => new Uint8Array(), 'missing'],
    ['a changed block', (block) => block.map((byte, i) => (i === 9000 ? byte ^ 1 : byte)), 'swapped'],
    ['another block', (block, i, blocks) => blocks[(i + 1) % blocks.length], 'swapped'],
  ]) {
    test(name, async () => {
      const { files, line, user } = await deviceOf();
      const id = await files.put('video', bytesOf(100_000));
      const reader = await deviceOf(user);
      await reader.files.list();
      reader.line.lie['POST /vault/blocks/get'] = withMembers({ blocks: (blocks) => blocks.map(change) });
      await alarms(reader.files.get(id), code);
      reader.line.lie = {};
      assert.equal((await reader.files.get(id)).size, 100_000);
      assert.ok(line.sent.length);
    });
  }

  test('a receipt of another block', async () => {
    const { files, line } = await deviceOf();
    line.lie['POST /vault/blocks/put'] = withMembers({ receipts: (receipts) => receipts.map(() => new Uint8Array(32)) });
    await assert.rejects(files.putNote('bread', 'flour'), Tampered);
    line.lie = {};
    await files.sync();
    assert.deepEqual((await files.list()).map(({ name }) => name), ['bread']);
  });

  test('an older index, none, a forged one: an alarm by name, until the user decides', async () => {
    const [laptop, phone] = await twoDevices();
    const kept = [];
    phone.line.lie['GET /vault/meta'] = (body) => {
      kept.push(body);
      return body;
    };
    await laptop.files.putNote('one', '1');
    await phone.files.sync();
    await laptop.files.putNote('two', '2');
    await phone.files.sync();
    const changed = kept[0].slice();
    changed[changed.length - 1] ^= 1;
    for (const [lie, code] of [[kept[0], 'rolled_back'], [serializeMsgpack(new Map()), 'rolled_back'], [changed, 'forged']]) {
      phone.line.lie['GET /vault/meta'] = () => lie;
      await alarms(phone.files.sync(), code);
      phone.line.lie = {};
      // It does not go on by itself.
      await alarms(phone.files.sync(), code);
      await alarms(phone.files.putNote('three', '3'), code);
      await phone.files.forget();
      await phone.files.sync();
    }
    // What was entered during an alarm has waited.
    assert.deepEqual((await phone.files.list()).map(({ name }) => name), ['one', 'three', 'three', 'three', 'two']);
  });

  test('two histories: the alarm comes when they meet', async () => {
    const [laptop, phone] = await twoDevices();
    await laptop.files.putNote('one', '1');
    await phone.files.sync();
    // The service keeps the change of the phone from the laptop, and puts that of the laptop in its place.
    const hidden = [];
    laptop.line.lie['GET /vault/meta'] = (body) => {
      hidden.push(body);
      return hidden[0];
    };
    await laptop.files.sync();
    await phone.files.putNote('of the phone', '2');
    laptop.line.lie['PUT /vault/meta'] = () => new Uint8Array();
    let ours;
    const send = laptop.line.fetch;
    laptop.line.fetch = async (target, init) => {
      if (target !== '/vault/meta' || init.method !== 'PUT') return send(target, init);
      ours = parseMsgpack(init.body).get('meta');
      return new Response(null, { status: 204 });
    };
    await laptop.files.putNote('of the laptop', '2');
    phone.line.lie['GET /vault/meta'] = () => serializeMsgpack(new Map([['meta', ours]]));
    await alarms(phone.files.sync(), 'forked');
  });
});

test('a lock during a request is no alarm', async () => {
  const { files, line, vault } = await deviceOf();
  const id = await files.put('video', bytesOf(5_000_000));
  for (const [target, work] of [['GET /vault/meta', () => files.sync()], ['POST /vault/blocks/get', () => files.get(id)]]) {
    line.lie[target] = (body) => {
      void vault.lock();
      return body;
    };
    await assert.rejects(work(), (error) => error.code === 'locked');
    line.lie = {};
    await vault.unlock(PASSWORD);
    await files.sync();
    assert.equal((await files.list()).length, 1);
  }
});

describe('as time passes', () => {
  test('retired blocks are deleted after 7 days, and all is renewed in the next bucket', async () => {
    let now = Date.now();
    const { files, line } = await deviceOf(undefined, { now: () => now });
    const id = await files.put('video', bytesOf(500_000));
    const names = (target) => line.sent.filter((one) => one === `/vault/blocks/${target}`).length;
    await files.remove(id);
    now += 7 * DAY_MS;
    await files.putNote('a', 'a');
    assert.equal(names('retire'), 0);
    now += DAY_MS;
    await files.putNote('b', 'b');
    assert.equal(names('retire'), 1);

    const { safeUntilMs, clocksDiffer, isToRenew } = await files.status();
    assert.equal(clocksDiffer, false);
    assert.equal(isToRenew, false);
    const year = 31_557_600_000;
    assert.ok(safeUntilMs > Date.now() + year && safeUntilMs <= Date.now() + 2 * year);
    assert.equal(await files.renew(), false);
    line.lie['GET /vault/blocks'] = withMembers({ bucket: (bucket) => bucket + 1 });
    now += year;
    assert.equal((await files.status()).isToRenew, true);
    assert.equal(await files.renew(), true);
    assert.equal(await files.renew(), false);
    assert.equal((await files.status()).safeUntilMs, safeUntilMs + year);
    line.lie['GET /vault/blocks'] = withMembers({ bucket: (bucket) => bucket + 9 });
    now += year;
    assert.equal((await files.status()).clocksDiffer, true);
    line.lie['POST /vault/blocks/renew'] = withMembers({ renewed: (renewed) => renewed.map(() => 0) });
    await alarms(files.renew(), 'missing');
  });

  test('a service that names a late bucket once ends no renewal', async () => {
    const year = 31_557_600_000;
    for (const lie of [{ bucket: (bucket) => bucket + 9 }, { frame_s: () => 3600, bucket: () => Math.floor(Date.now() / 3_600_000) }]) {
      const { files, line } = await deviceOf();
      line.lie['GET /vault/blocks'] = withMembers(lie);
      await files.putNote('a', 'a');
      await files.renew();
      line.lie = {};
      await files.renew();
      const { safeUntilMs, isToRenew } = await files.status();
      assert.ok(safeUntilMs > Date.now() + year && safeUntilMs <= Date.now() + 2 * year);
      assert.equal(isToRenew, false);
      assert.equal(await files.renew(), false);
    }
  });

  test('a renewal brings blocks back from the archive', async () => {
    const { files, user } = await deviceOf();
    const id = await files.put('video', bytesOf(100_000));
    const { files: later, line } = await deviceOf(user);
    let renewals = 0;
    line.lie['POST /vault/blocks/get'] = withMembers({ blocks: (blocks) => (renewals ? blocks : blocks.map(() => new Uint8Array())) });
    line.lie['POST /vault/blocks/renew'] = (body) => {
      renewals += 1;
      return body;
    };
    assert.equal((await later.get(id)).size, 100_000);
    assert.equal(renewals, 1);
  });

  test('the proof of a block in the archive is asked for again after a renewal', async () => {
    const { files, line } = await deviceOf(undefined, { indexedDB: memoryDatabase() });
    await files.put('video', bytesOf(100_000));
    let renewals = 0;
    line.lie['POST /vault/blocks/check'] = withMembers({ digests: (digests) => (renewals ? digests : digests.map(() => new Uint8Array())) });
    line.lie['POST /vault/blocks/renew'] = (body) => {
      renewals += 1;
      return body;
    };
    assert.ok((await files.check()) > 6);
    assert.equal(renewals, 1);
  });

  test('a record of a block that came back deletes nothing', async () => {
    let now = Date.now();
    const { files, line, user } = await deviceOf(undefined, { now: () => now });
    const bodies = [];
    const send = line.fetch;
    line.fetch = (target, init) => {
      if (target === '/vault/blocks/put') bodies.push(init.body);
      return send(target, init);
    };
    const video = await files.put('video', bytesOf(100_000));
    // The first request has the blocks of the file.
    const ids = parseMsgpack(bodies[0]).get('blocks').map((block) => block.get('id'));
    assert.equal(ids.length, 7);
    const records = ids.map((id) => Buffer.concat([id, Buffer.of(0, 1), Buffer.alloc(4)]));
    await files.put('records', new Uint8Array(Buffer.concat(records)), { kind: 'retired' });
    now += 8 * DAY_MS;
    await files.putNote('a', 'a');
    const { files: other } = await deviceOf(user);
    assert.equal((await other.get(video)).size, 100_000);
  });

  test('a rekey carries the index, and the data is written again under the new key', async () => {
    const [laptop, phone] = await twoDevices();
    const { id } = await laptop.files.putNote('bread', 'flour');
    const video = bytesOf(900_000);
    const file = await laptop.files.put('video', new Blob([video]));
    await phone.files.sync();
    await laptop.vault.rekey(PASSWORD, async (code) => code);
    assert.equal(await laptop.files.text(id), 'flour');
    assert.equal((await laptop.files.status()).isOld, true);
    await assert.rejects(phone.files.sync(), (error) => error.code === 'refused');
    await phone.vault.unlock(PASSWORD);
    await phone.files.sync();
    await phone.files.edit(id, 'flour, salt');
    const shown = [];
    await laptop.files.migrate(({ done, total }) => shown.push([done, total]));
    assert.ok(shown.length > 2);
    assert.deepEqual(shown.at(-1), [shown[0][1], shown[0][1]]);
    const again = [];
    await laptop.files.migrate((progress) => again.push(progress));
    assert.deepEqual(again, [{ done: 0, total: 0 }]);
    await phone.files.sync();
    assert.equal(await phone.files.text(id), 'flour, salt');
    assert.ok((await bytesIn(await phone.files.get(file))).equals(Buffer.from(video)));
    assert.equal((await phone.files.status()).words, (await laptop.files.status()).words);
  });
});

describe('with the Python client, in one vault', () => {
  const base64 = (data) => Buffer.from(data).toString('base64');
  const fromBase64 = (text) => Buffer.from(text, 'base64');
  let js;
  let peer;
  before(async () => {
    js = await deviceOf();
    peer = await startFilesPeer(running, js.user, PASSWORD);
  });
  after(() => peer?.stop());
  const entryOf = async (name) => (await js.files.list()).find((entry) => entry.name === name);
  const pythonText = async (name, version) => fromBase64(await peer.call('get', name, version)).toString();
  /** What both clients list, after both have all changes. */
  const bothList = async () => {
    await js.files.sync();
    const listed = (await js.files.list()).map(({ kind, name, versions }) => [kind, name, versions.map(({ id }) => id).sort()]);
    assert.deepEqual(await peer.call('list'), listed);
    assert.equal(await peer.call('words'), (await js.files.status()).words);
    return listed;
  };

  test('each reads what the other writes', async () => {
    const video = bytesOf(1_500_000);
    await peer.call('put', 'file', 'video', base64(video));
    await peer.call('edit', 'video', 700_000, 700_000, base64('in the middle'));
    await peer.call('put', 'note', 'räksmörgås', base64('bröd, '.repeat(20_000)));
    assert.deepEqual((await js.files.sync()).map(({ name, what }) => [what, name]).sort(), [['added', 'räksmörgås'], ['added', 'video']]);
    const whole = Buffer.concat([video.subarray(0, 700_000), Buffer.from('in the middle'), video.subarray(700_000)]);
    assert.ok((await bytesIn(await js.files.get((await entryOf('video')).id))).equals(whole));

    const note = await entryOf('räksmörgås');
    assert.equal(note.kind, 'note');
    const text = await js.files.text(note.id);
    assert.equal(text, 'bröd, '.repeat(20_000));
    const next = `${text.slice(0, 50_000)}räka, ${text.slice(50_000)}`;
    await js.files.edit(note.id, next);
    await js.files.put('from JavaScript', new Blob([video]));
    assert.deepEqual(await peer.call('sync'), [['added', 'from JavaScript'], ['changed', 'räksmörgås']]);
    assert.equal(await pythonText('räksmörgås'), next);
    // A change inside of data that the other client has cut into blocks.
    await peer.call('edit', 'from JavaScript', 20_000, 40_000, base64('shorter'));
    await js.files.sync();
    const shorter = Buffer.concat([video.subarray(0, 20_000), Buffer.from('shorter'), video.subarray(40_000)]);
    assert.ok((await bytesIn(await js.files.get((await entryOf('from JavaScript')).id))).equals(shorter));
    await bothList();
    assert.deepEqual(await peer.call('damaged'), {});
    // JavaScript has copies of some blocks, and the server proves these.
    await js.files.check();
  });

  for (const [first, second] of [['Python', 'JavaScript'], ['JavaScript', 'Python']]) {
    test(`both edit a note without a connection, and ${second} merges: both versions survive`, async () => {
      const name = `bread ${second}`;
      const { id } = await js.files.putNote(name, 'flour');
      // Python keeps copies of the blocks that it has read.
      assert.equal(await pythonText(name), 'flour');
      await peer.call('cut', true);
      js.line.isCut = true;
      await js.files.edit(id, 'flour, salt');
      await peer.call('edit', name, 5, 5, base64(', yeast'));
      await peer.call('cut', false);
      js.line.isCut = false;
      const sync = { Python: () => peer.call('sync'), JavaScript: () => js.files.sync() };
      await sync[first]();
      await sync[second]();
      await sync[first]();
      const [, , versions] = (await bothList()).find(([, one]) => one === name);
      const texts = await Promise.all(versions.map((version) => js.files.text(id, version)));
      assert.deepEqual([...texts].sort(), ['flour, salt', 'flour, yeast']);
      const others = [];
      for (const version of versions) others.push(await pythonText(name, version));
      assert.deepEqual(others, texts);
      if (first === 'Python') await peer.call('resolve', name, versions[0]);
      else await js.files.resolve(id, versions[0]);
      await js.files.sync();
      assert.equal((await entryOf(name)).versions.length, 1);
      assert.deepEqual([await js.files.text(id), await pythonText(name)], [texts[0], texts[0]]);
      await bothList();
    });
  }

  test('each deletes the blocks that the other has retired', async () => {
    const { id } = await js.files.putNote('of JavaScript', 'x'.repeat(50_000));
    await js.files.remove(id);
    await peer.call('later', (8 * DAY_MS) / 1000);
    const before = await peer.call('sent', 'POST /vault/blocks/retire');
    await peer.call('sync');
    assert.ok((await peer.call('sent', 'POST /vault/blocks/retire')) > before);
    await bothList();
    assert.deepEqual(await peer.call('damaged'), {});
  });

  test('each goes on under a new account key of the other', async () => {
    const names = (await bothList()).map(([, name]) => name);
    await js.vault.rekey(PASSWORD, async (code) => code);
    await assert.rejects(peer.call('sync'), { name: 'VaultRefused' });
    await peer.call('unlock', PASSWORD);
    assert.deepEqual((await peer.call('list')).map(([, name]) => name), names);
    // Python writes all under the new key, and JavaScript has nothing left to write.
    await peer.call('sync');
    const shown = [];
    await js.files.migrate((progress) => shown.push(progress));
    assert.deepEqual(shown, [{ done: 0, total: 0 }]);
    const rekeyed = await pythonText('räksmörgås');
    await peer.call('rekey', PASSWORD);
    await assert.rejects(js.files.sync(), (error) => error.code === 'refused');
    await js.vault.unlock(PASSWORD);
    await js.files.migrate();
    assert.equal(await js.files.text((await entryOf('räksmörgås')).id), rekeyed);
    await peer.call('sync');
    await bothList();
    assert.deepEqual(await peer.call('damaged'), {});
  });
});
