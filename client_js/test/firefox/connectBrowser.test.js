/** `certless connect --browser` with Firefox. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from '../limited.js';
import { INSECURE_HOST } from '../browser/chromium.js';
import { showInOwnBrowser } from '../browser/connect.js';
import { PLACES, launch, logInAt } from './firefox.js';

test('Firefox as a browser of its own shows the site, and opens no other in plain HTTP', async () => {
  const own = await showInOwnBrowser({
    program: 'firefox',
    command: `${PLACES.find((place) => existsSync(place))} --headless`,
    logIn: async (connect, gateway) => {
      const browser = await launch();
      await logInAt(browser, connect, gateway, 'ann@example.org');
      await browser.close();
    },
  });
  const profile = join(own.profiles, 'firefox');
  await mkdir(profile);
  await writeFile(join(profile, 'prefs.js'), `user_pref("network.dns.localDomains", "${INSECURE_HOST}");\n`);
  try {
    const { processes, stop } = await own.run();
    const ours = processes.filter((words) => words.includes(own.folder));
    assert.ok(ours.some((words) => words.includes('--profile')));
    assert.ok(!ours.some((words) => words.includes('door=')));
    await stop();
    assert.deepEqual(own.seen, []);
    // Other programs of this machine are other sites too.
    await (await own.run('127.0.0.1')).stop();
    assert.deepEqual(own.seen, []);
  } finally {
    await own.stop();
  }
});
