/** Which folder of src/ may import which, read from the source. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, sep } from 'node:path';
import { test } from './limited.js';
import { fileURLToPath } from 'node:url';

const SRC = fileURLToPath(new URL('../src/', import.meta.url));

/** Each folder, lowest first, and the folders below it that it may import. '' is src/ itself. */
const FOLDERS = new Map(
  Object.entries({
    common: [],
    primitives: ['common'],
    protocol: ['common', 'primitives'],
    'protocol/classic': ['common', 'primitives', 'protocol'],
    'protocol/streams': ['common', 'primitives', 'protocol'],
    'protocol/hardened': ['common', 'primitives', 'protocol', 'protocol/streams'],
    engine: ['common', 'primitives', 'protocol', 'protocol/classic', 'protocol/streams', 'protocol/hardened'],
    platform: ['primitives', 'engine'],
    session: ['common', 'protocol', 'protocol/classic', 'protocol/hardened', 'engine', 'platform'],
    page: ['common', 'protocol', 'protocol/hardened', 'session'],
    '': ['common', 'protocol/classic', 'platform', 'session', 'page'],
    issuing: ['common', 'primitives'],
    'vault/primitives': ['common'],
    'vault/core': ['common', 'primitives', 'protocol', 'protocol/hardened', 'vault/primitives'],
    'vault/envelopes': ['vault/primitives', 'vault/core'],
    vault: ['common', 'primitives', 'protocol/hardened', 'session', 'vault/primitives', 'vault/core'],
  }),
);

// Packages, and the folders that may import them.
const PACKAGES = new Map([
  ['@noble/ciphers', ['primitives']],
  ['@noble/curves', ['primitives', 'issuing', 'vault/primitives']],
  ['@noble/hashes', ['primitives', 'vault/primitives']],
  ['hash-wasm', ['vault/primitives']],
  ['micro-rsa-dsa-dh', ['primitives', 'protocol', 'issuing']],
  ['node:crypto', ['primitives']],
  ['node:stream', ['platform']],
  ['node:util', ['primitives']],
  ['node:zlib', ['platform']],
  ['ws', ['platform']],
]);

// A server is the other half of these exchanges. The servers of the tests use the same code for it.
const FOR_TEST_SERVERS = [
  ...['sealTo', 'openFrom', 'membersOf', 'PendingLogin', 'PendingResponse'],
  ...['M', 'N', 'multiple', 'PendingMessage', 'parseHeaderPairs', 'bodyMembers', 'textMember', 'optionalTextMember'],
  ...['openMessage', 'parseLength', 'parseHead', 'BodyReader', 'STREAM_ID_BYTES', 'parseRecordLimit'],
  // Values that tests compare: limits, and base classes of errors.
  ...['LENGTH_BYTES', 'MIN_RECORD_BYTES', 'MAX_KEY_RECORDS', 'MAX_KEY_BYTES', 'MAX_KEY_MS', 'DIRECTION'],
  ...['ORDER', 'REDEEM_MS', 'CLAIM_MS', 'MAX_ENVELOPE_MARKS', 'MAX_MSGPACK_PARTS', 'RemoteProtocolError', 'parseJson'],
  ...['MAX_COOKIES', 'MAX_COOKIE_CHARS', 'EventParser'],
  // The vectors have each part of the index alone.
  ...['parseMeta', 'serializeMeta', 'bucketOf'],
];

const modules = readdirSync(SRC, { recursive: true })
  .filter((name) => name.endsWith('.js'))
  .map((name) => {
    const text = readFileSync(join(SRC, name), 'utf8');
    const statements = [...text.matchAll(/^(?:import|export)\s(?:[^'"();=]*?\sfrom\s)?'([^']+)'/gm)].map(([, from]) => from);
    const types = [...text.matchAll(/import\('([^']+)'\)/g)].map(([, from]) => from);
    return { name: name.split(sep).join('/'), text, statements, types };
  });

const folderOf = (name) => (dirname(name) === '.' ? '' : dirname(name));
const fileOf = ({ name }, from) => normalize(join(dirname(name), from)).split(sep).join('/');

test('the table lists every folder, and a folder imports only folders above it in the table', () => {
  const names = [...FOLDERS.keys()];
  assert.deepEqual(new Set(modules.map(({ name }) => folderOf(name))), new Set(names));
  for (const [folder, below] of FOLDERS) {
    for (const name of below) assert.ok(names.indexOf(name) < names.indexOf(folder), `${folder} imports ${name}`);
  }
});

test('each module imports only what its folder may import, types included', () => {
  const isAllowed = (one, from) => {
    const folder = folderOf(one.name);
    if (from === '#platform') return FOLDERS.get(folder).includes('platform');
    if (!from.startsWith('.')) return PACKAGES.get(/^(?:@[^/]+\/)?[^/]+/.exec(from)[0])?.includes(folder);
    const target = folderOf(fileOf(one, from));
    return target === folder || FOLDERS.get(folder).includes(target);
  };
  const upward = modules.flatMap((one) =>
    [...one.statements, ...one.types].filter((from) => !isAllowed(one, from)).map((from) => `${one.name} imports ${from}`),
  );
  assert.deepEqual(upward, []);
});

test('no cycle', () => {
  const imports = new Map(
    modules.map((one) => [one.name, one.statements.filter((from) => from.startsWith('.')).map((from) => fileOf(one, from))]),
  );
  const done = new Set();
  /** @param {string} name @param {string[]} above */
  const visit = (name, above) => {
    assert.ok(!above.includes(name), [...above, name].join(' -> '));
    if (done.has(name)) return;
    for (const next of imports.get(name)) visit(next, [...above, name]);
    done.add(name);
  };
  for (const { name } of modules) visit(name, []);
});

test('every arrow of the table is used', () => {
  for (const [folder, below] of FOLDERS) {
    const used = new Set(
      modules
        .filter(({ name }) => folderOf(name) === folder)
        .flatMap((one) => [...one.statements, ...one.types].map((from) => (from === '#platform' ? 'platform' : folderOf(fileOf(one, from))))),
    );
    for (const name of below) assert.ok(used.has(name), `${folder} does not import ${name}`);
  }
});

test('no export is only for tests, except for the list above', () => {
  const surface = modules.filter(({ name }) => /(^|\/)(index|bundle)\.js$/.test(name)).map(({ text }) => text).join();
  const unused = [];
  for (const { name, text } of modules) {
    for (const [, exported] of text.matchAll(/^export (?:async )?(?:function|const|let|class) (\w+)/gm)) {
      const isUsed = modules.some((other) => other.name !== name && new RegExp(`\\b${exported}\\b`).test(other.text));
      if (!isUsed && !surface.includes(exported)) unused.push(exported);
    }
    for (const [, list] of text.matchAll(/^export const \[([^\]]+)\]/gm)) unused.push(...list.split(', '));
  }
  assert.deepEqual(unused.filter((name) => !FOR_TEST_SERVERS.includes(name)), []);
});
