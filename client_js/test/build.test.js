/** The bundle: the same bytes each time, small, and whole. */
import './globalCrypto.js';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from './limited.js';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { gzipSync } from 'node:zlib';
import * as source from '../src/index.js';
import * as issuingSource from '../src/issuing/index.js';
import * as vaultSource from '../src/vault/index.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('..', import.meta.url));

const built = async () => {
  await run(process.execPath, ['scripts/build.mjs'], { cwd: ROOT });
  return Promise.all(['client.js', 'client.mjs', 'vault.js', 'vault.mjs', 'issuing.js', 'issuing.mjs'].map((name) => readFile(`${ROOT}dist/${name}`, 'utf8')));
};

test('two builds are identical, at most 69, 90 and 36 KiB gzipped, with the exports of the sources', async () => {
  const texts = await built();
  const [script, , vaultScript, , issuingScript] = texts;
  assert.deepEqual(await built(), texts);
  assert.ok(gzipSync(script, { level: 9 }).length <= 69 * 1024);
  assert.ok(gzipSync(vaultScript, { level: 9 }).length <= 90 * 1024);
  assert.ok(gzipSync(issuingScript, { level: 9 }).length <= 36 * 1024);
  const names = Object.keys(source).sort();
  const context = vm.createContext({ TextEncoder, TextDecoder, Event, EventTarget, crypto, AbortController });
  vm.runInContext(script, context);
  const onPages = ['WebSocket', 'eventSource', 'fetch', 'page', 'start'];
  assert.deepEqual(Object.keys(context.certless).sort(), [...names, ...onPages].sort());
  assert.deepEqual(Object.keys(await import('../dist/client.mjs')).sort(), names);
  vm.runInContext(vaultScript, context);
  const ofVault = Object.keys(vaultSource).sort();
  assert.deepEqual(Object.keys(context.certlessVault).sort(), ofVault);
  assert.deepEqual(Object.keys(await import('../dist/vault.mjs')).sort(), ofVault);
  vm.runInContext(issuingScript, context);
  const ofIssuing = Object.keys(issuingSource).sort();
  assert.deepEqual(Object.keys(context.certlessIssuing).sort(), ofIssuing);
  assert.deepEqual(Object.keys(await import('../dist/issuing.mjs')).sort(), ofIssuing);
  for (const text of texts) {
    assert.ok(!text.includes('node:') && !text.includes('sourceMappingURL'));
  }
});

const PROGRAM = `
import { CertlessError, Refused, login, resume, type KeptSession, type Session, type Store } from 'certless';

const kept = new Map<string, KeptSession>();
const store: Store = {
  name: 'mine',
  load: async (gateway) => kept.get(gateway) ?? null,
  save: async (gateway, session) => void kept.set(gateway, session),
  remove: async (gateway) => void kept.delete(gateway),
};
const code = async ({ username, reason }: { username: string; reason: 'login' | 'expired' }) => username + reason;
const session: Session = (await resume({ store })) ?? (await login({ username: 'ann', code, store }));
session.addEventListener('state', (event) => console.log(event.state.toUpperCase()));
const response: Response = await session.fetch('/orders', { method: 'POST', body: new FormData() });
const socket: WebSocket = new session.WebSocket('/chat', ['chat.v2']);
socket.onclose = ({ code, wasClean }) => console.log(code.toFixed(), wasClean);
console.log(response.status, session.expiresMs.toFixed(), session.suite.length);
try {
  await session.close();
} catch (error) {
  if (error instanceof Refused) console.log(error.status, error.code, error.detail);
  else if (error instanceof CertlessError) console.log(error.message);
}
const rsaKey: CryptoKeyPair = await crypto.subtle.generateKey(
  { name: 'RSA-OAEP', hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) },
  false,
  ['encrypt', 'decrypt'],
);
void login({ username: 'ann', code, suite: 'rsa-gcm', rsaKey });
// @ts-expect-error both halves are needed
void login({ username: 'ann', code, suite: 'rsa-gcm', rsaKey: rsaKey.privateKey });
// @ts-expect-error a login needs a name
void login({ code });
// @ts-expect-error a state is no number
void (session.state === 1);
`;

for (const [module, moduleResolution] of [['nodenext', 'nodenext'], ['esnext', 'bundler']]) {
  test(`a TypeScript program compiles with the declarations (${moduleResolution})`, async () => {
    await built();
    const folder = await mkdtemp(join(tmpdir(), 'certless-types-'));
    try {
      await mkdir(join(folder, 'node_modules'));
      await symlink(ROOT, join(folder, 'node_modules', 'certless'));
      await writeFile(join(folder, 'package.json'), '{"type":"module"}');
      await writeFile(join(folder, 'program.ts'), PROGRAM);
      const language = ['--strict', '--noEmit', '--target', 'es2022', '--lib', 'es2022,dom', '--types', ''];
      const modules = ['--module', module, '--moduleResolution', moduleResolution];
      const compiler = join(ROOT, 'node_modules', '.bin', 'tsc');
      const compiled = run(compiler, [...language, ...modules, 'program.ts'], { cwd: folder });
      // The compiler writes errors to its standard output.
      const { stdout } = await compiled.catch((error) => error);
      assert.equal(stdout, '');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}
