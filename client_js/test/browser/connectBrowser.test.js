/** `certless connect --browser` with Chromium. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from '../limited.js';
import { INSECURE_HOST, PLACES, launch } from './chromium.js';
import { commandLines, logInAt, showInOwnBrowser } from './connect.js';

const COMMAND = `${PLACES.find((place) => existsSync(place))} --headless=new --no-sandbox --host-resolver-rules='MAP ${INSECURE_HOST} 127.0.0.1'`;

async function logIn(connect, gateway) {
  const browser = await launch();
  const page = await browser.newPage();
  await logInAt(page, connect, gateway, 'ann@example.org');
  await page.waitForURL('**/');
  await browser.close();
}

test('a browser of its own shows the site, and opens no other in plain HTTP', async () => {
  const own = await showInOwnBrowser({ program: 'chromium', command: COMMAND, logIn });
  try {
    const { line, processes, stop } = await own.run();
    assert.match(line, /^http:\/\/127-\w{26}\.localhost:\d+ is open in /);
    const ours = processes.filter((words) => words.includes(own.folder));
    assert.ok(ours.some((words) => words.includes('--proxy-server=http=127.0.0.1:')));
    assert.ok(!ours.some((words) => words.includes('door=')));
    assert.deepEqual(own.seen, []);
    await stop();
    // The browser has ended with connect.
    assert.ok(!(await commandLines()).some((words) => words.includes(`--user-data-dir=${own.folder}`)));
    // The profile is kept, and shows the site again. Other programs of this machine are other sites too.
    await (await own.run('127.0.0.1')).stop();
    assert.deepEqual(own.seen, []);
  } finally {
    await own.stop();
  }
});
