/** The package for npm: packed, installed into an empty project, and used against the real gateway. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { startGateway, startUpstream } from './gateway.js';
import { test } from './limited.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const OUTSIDE = new Set(['node_modules', 'dist', 'test']);

const PROGRAM = `
import { createInterface } from 'node:readline';
import { login } from 'certless';

const [url, username] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const session = await login({ url, username, code: async () => (await lines.next()).value });
const answer = await session.fetch('/echo', { method: 'POST', body: 'tea' });
const { method, body } = await answer.json();
await session.close();
process.stdout.write([session.suite, method, body].join(' '));
process.exit();
`;

/** Packs a copy of the sources: a build would replace dist/ below other tests. */
async function pack(folder) {
  const sources = join(folder, 'sources');
  await cp(ROOT, sources, { recursive: true, filter: (path) => !OUTSIDE.has(basename(path)) });
  await symlink(join(ROOT, 'node_modules'), join(sources, 'node_modules'));
  await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: sources });
  return join(folder, (await readdir(folder)).find((name) => name.endsWith('.tgz')));
}

test('the package installs into an empty project and logs in', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'certless-package-'));
  const project = join(folder, 'project');
  let upstream;
  let gateway;
  try {
    upstream = await startUpstream();
    gateway = await startGateway({ upstream: upstream.url });
    const packed = await pack(folder);
    await mkdir(project);
    await writeFile(join(project, 'package.json'), '{"name":"empty","private":true,"type":"module"}');
    await run('npm', ['install', '--silent', '--prefer-offline', '--no-audit', '--no-fund', packed], { cwd: project });
    await writeFile(join(project, 'program.js'), PROGRAM);

    const username = 'ann@example.org';
    const child = spawn(process.execPath, ['program.js', gateway.url, username], { cwd: project, stdio: ['pipe', 'pipe', 'inherit'] });
    const closed = once(child, 'close');
    let shown = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (shown += text));
    child.stdin.write(`${await gateway.mailbox.code(username)}\n`);
    assert.deepEqual(await closed, [0, null]);
    assert.equal(shown, 'ecdh-gcm POST tea');

    const installed = join(project, 'node_modules', 'certless');
    const { dependencies, exports: entries } = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'));
    for (const entry of [entries['.'].types, entries['.'].browser, entries['.'].default, entries['./client.js'], 'dist/LICENSES.txt', 'README.md']) {
      assert.ok((await readFile(join(installed, entry))).length > 0, entry);
    }
    assert.deepEqual(await readFile(join(installed, 'LICENSE')), await readFile(join(ROOT, '..', 'LICENSE')));
    for (const name of Object.keys(dependencies)) assert.ok((await readdir(join(project, 'node_modules', name))).length > 0, name);
    assert.ok(!(await readdir(installed)).some((name) => ['test', 'scripts', 'node_modules'].includes(name)));
  } finally {
    await gateway?.stop();
    await upstream?.stop();
    await rm(folder, { recursive: true });
  }
});
