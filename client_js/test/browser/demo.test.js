/** The demo's page as a visitor uses it, on an insecure origin and a secure one. `make bundle` first. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from '../limited.js';
import { launch } from './chromium.js';
import { startDemo } from './demo.js';

const PICTURE_BYTES = 5 * 1024 * 1024;
const ITEM = 'Räksmörgås & Lapsang Souchong';

let browser;
let demo;
before(async () => {
  demo = await startDemo();
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await demo?.stop();
});

/** What passed, as the bytes that the gateway's socket heard. */
async function passed(page) {
  const exchanges = await page.evaluate(async () => (await fetch('/wire.json')).json());
  return exchanges.map(({ request, response }) =>
    [request, response].flatMap((side) => [side.start_b64, side.end_b64].map((part) => Buffer.from(part, 'base64'))),
  );
}

const holds = (exchange, text) => exchange.some((part) => part.includes(text));

/** What is particular to a suite: its codes, what its messages look like, how long those of a picture are. */
const SUITES = {
  'ecdh-gcm': {
    code: /^[0-9A-Z]{8}$/,
    badge: 'Sealed · ecdh-gcm',
    sent: hardenedMessage('ecdh-gcm', 'request'),
    came: hardenedMessage('ecdh-gcm', 'response'),
    pictureBytes: /5,2[34]\d,\d{3}/,
    learned: 'If somebody changes or repeats it, the gateway refuses it.',
  },
  'rsa-gcm': {
    code: /^[0-9A-Z]{8}$/,
    badge: 'Sealed · rsa-gcm',
    sent: hardenedMessage('rsa-gcm', 'request', 'wrapped [0-9a-f]{512}\\n'),
    came: hardenedMessage('rsa-gcm', 'response', 'wrapped [0-9a-f]{512}\\n'),
    learned: 'The wrapped key alone opens nothing.',
  },
  classic: {
    code: /^[0-9A-Z]{26}$/,
    badge: 'Sealed · classic/article-2016',
    sent: /^POST \/\.gateway\/message HTTP\/1\.1\n[^]*\{"token":"[\w-]+","key":"[\w+/=]+","payload":"(?<last>[\w+/=]+)"/,
    came: /^HTTP\/1\.1 200 OK\n[^]*\{"key":"[\w+/=]+","payload":"[\w+/=]+"/,
    pictureBytes: /9,\d{3},\d{3}/,
    learned: 'Most dialects do not detect a change.',
  },
};

function hardenedMessage(suite, kind, wrapped = '') {
  const first = kind === 'request' ? 'POST /\\.gateway/message HTTP/1\\.1' : 'HTTP/1\\.1 200 OK';
  const answers = kind === 'response' ? '  answers [0-9a-f]{32}\\n' : '';
  return new RegExp(
    `^${first}\\n[^]*\\(msgpack.*\\nheader\\n  magic CG1\\n  suite ${suite}\\n  kind ${kind}\\n  epoch 0\\n  sid [0-9a-f]{32}\\n` +
      `  time [-\\d]+T[:.\\d]+Z\\n  wrapped hash ${wrapped ? '[0-9a-f]{64}' : 'empty: this suite wraps no key'}\\n${answers}salt [0-9a-f]{32}\\n${wrapped}sealed (?<last>[0-9a-f]+)$`,
  );
}

/** Asks for a code, and finds it in the mailbox: the only one for `address`. */
async function askForCode(page, visitor, address) {
  await page.getByLabel('Name or e-mail address').fill(address);
  await page.getByRole('button', { name: 'Send me a code' }).click();
  // The step with the code moves the link down: a click that begins before it ends beside the link.
  await page.getByLabel('Code from the mail').waitFor();
  const opened = visitor.waitForEvent('page');
  await page.getByRole('link', { name: 'Open the mailbox' }).click();
  const mailbox = await opened;
  const copy = mailbox.getByRole('button', { name: `Copy the code for ${address}` });
  await copy.waitFor();
  const code = await mailbox.locator('.code').filter({ has: copy }).locator('code').innerText();
  return { mailbox, copy, code };
}

for (const [kind, suite] of ['insecure', 'secure'].flatMap((one) => [[one, 'ecdh-gcm'], [one, 'classic']])) {
  const { code: codeForm, badge, sent: sentForm, came: cameForm, pictureBytes, learned } = SUITES[suite];

  describe(`the demo's page, ${kind} origin, ${suite}`, () => {
    const address = `${kind}.${suite}@example.org`;
    const complaints = [];
    let visitor;
    let page;
    const pane = (name) => page.getByRole('group', { name, exact: true });
    const order = () => page.getByRole('button', { name: 'Order, sealed' });

    before(async () => {
      visitor = await browser.newContext({ viewport: { width: 1440, height: 900 } });
      if (kind === 'secure') await visitor.grantPermissions(['clipboard-read', 'clipboard-write']);
      page = await visitor.newPage();
      page.on('pageerror', (error) => complaints.push(`${error}`));
      page.on('console', (message) => {
        // That a request was answered 401 or 403 is what some of the tests are about.
        if (message.type() === 'error' && !message.text().startsWith('Failed to load')) complaints.push(message.text());
      });
      // Without a choice it is the first of the suites.
      await page.goto(suite === 'ecdh-gcm' ? demo[kind] : `${demo[kind]}/?suite=${suite}`);
    });
    after(() => visitor?.close());

    test('the path of an order comes first, the suites come later', async () => {
      const tops = await page.evaluate(() => ['#way', '#wire', '#suite'].map((one) => document.querySelector(one).getBoundingClientRect().top));
      assert.deepEqual(tops, [...tops].sort((a, b) => a - b));
      assert.equal(await page.getByText('A suite defines how a session is opened').count(), 1);
    });

    test('an order in plain is readable on the wire, and refused', async () => {
      await page.getByLabel('What', { exact: true }).fill(ITEM);
      await page.getByRole('button', { name: 'Order in plain' }).click();
      await page.getByText('Refused with 401').waitFor();
      await page.locator('#exchange .out mark.open').filter({ hasText: ITEM }).waitFor();
      assert.match(await pane('Bytes to the gateway').textContent(), /^POST \/orders HTTP\/1\.1\nHost: /);
      assert.match(await pane('Bytes from the gateway').textContent(), /^HTTP\/1\.1 401 Unauthorized\n/);
      assert.ok(holds((await passed(page)).at(-1), ITEM));
    });

    test('a path that is named like a part of every object is shown as any other', async () => {
      await fetch(`${demo.secure}/.gatewayconstructor`);
      const rows = page.locator('#exchanges button');
      await rows.filter({ hasText: 'GET /.gatewayconstructor 401' }).first().click();
      await page.locator('#learned').filter({ hasText: 'A listener can read all of it' }).waitFor();
    });

    test('an order that waits for its login, with the code from the mailbox', async () => {
      await order().click();
      await page.getByText('Waiting for the login.').waitFor();
      const { mailbox, copy, code } = await askForCode(page, visitor, address);
      assert.match(code, codeForm);
      assert.equal(await mailbox.locator('[data-state=fresh] .code').filter({ has: copy }).count(), 1);
      await copy.click();
      await mailbox.getByText('Copied. Now paste it').waitFor();
      await page.bringToFront();
      await page.getByLabel('Code from the mail').focus();
      await page.keyboard.press('Control+V');
      await page.getByText('Ordered. Your order number is 1.').waitFor();
      const used = mailbox.locator('[data-state=used] .code').filter({ has: copy });
      await used.getByText('Used: it opened a session').waitFor();
      await mailbox.close();
    });

    test('what was written stands beside its ciphertext', async () => {
      await page.locator('#orders li').filter({ hasText: `2 × ${ITEM}` }).waitFor();
      assert.equal(
        await pane('What you wrote').innerText(),
        `POST /orders\nContent-Type: application/json\n\n{"item":"${ITEM}","quantity":2}`,
      );
      assert.ok((await pane('What you read').innerText()).includes(ITEM));
      const [sent, came] = await Promise.all(['to', 'from'].map((way) => pane(`Bytes ${way} the gateway`).textContent()));
      assert.match(sent, sentForm);
      assert.match(came, cameForm);
      await page.locator('#learned').filter({ hasText: learned }).waitFor();
      const exchanges = await passed(page);
      const inPlain = exchanges.filter((exchange) => holds(exchange, ITEM));
      assert.ok(inPlain.every((exchange) => holds(exchange, 'POST /orders ')));
      const { last } = sentForm.exec(sent).groups;
      const sealed = suite === 'classic' ? last : Buffer.from(last, 'hex');
      assert.ok(exchanges.some(([start, end]) => Buffer.concat([start, end]).includes(sealed)));
      await page.getByText(badge, { exact: true }).waitFor();
    });

    test('the introduction stays; no two buttons have the same words; all that is coloured is in the legend', async () => {
      await page.getByRole('list', { name: 'The path of an order' }).waitFor();
      const words = await page.locator('#shop button:visible, #more button:visible').allInnerTexts();
      assert.deepEqual([...new Set(words)], words);
      const unmarked = await page.evaluate(() => {
        const legend = new Set(Array.from(document.querySelectorAll('#legend mark'), (one) => one.className));
        const pieces = Array.from(document.querySelectorAll('.bytes > *')).filter((one) => !one.matches('.head, .name') && one.textContent);
        return pieces.filter((one) => !legend.has(one.className)).map((one) => one.textContent);
      });
      if (suite !== 'classic') assert.deepEqual(unmarked, []);
    });

    test('no line is cut at the lower edge of a box', async () => {
      for (const width of [360, 1440]) {
        await page.setViewportSize({ width, height: 900 });
        const cut = await page.evaluate(() => {
          const lines = document.createRange();
          return Array.from(document.querySelectorAll('#exchange pre, #exchange .bytes')).flatMap((box) => {
            const bottom = box.getBoundingClientRect().top + box.clientTop + box.clientHeight;
            lines.selectNodeContents(box);
            const rows = Array.from(lines.getClientRects()).filter((row) => row.height && row.top < bottom - 1 && row.bottom > bottom + 1);
            return rows.map((row) => `${box.ariaLabel}: ${row.top} to ${row.bottom}, box to ${bottom}`);
          });
        });
        assert.deepEqual(cut, [], `${width} px`);
      }
    });

    test('on a small screen the wire is near the button', async () => {
      await page.setViewportSize({ width: 360, height: 780 });
      const gap = await page.evaluate(() => document.querySelector('#wire').getBoundingClientRect().top - document.querySelector('#plain').getBoundingClientRect().bottom);
      assert.ok(gap > 0 && gap < 400, `${gap} px`);
      await page.setViewportSize({ width: 1440, height: 900 });
    });

    test('a later visitor is shown what passed, but not as if it were theirs', async () => {
      const later = await (await browser.newContext()).newPage();
      await later.goto(demo[kind]);
      const rows = later.locator('#exchanges button');
      await rows.first().getByText('before you loaded this page').waitFor();
      assert.equal(await later.locator('#exchange').isVisible(), false);
      await later.getByText('You have not sent anything yet.').waitFor();
      await rows.filter({ hasText: 'POST /orders 401' }).first().click();
      for (const name of ['What you wrote', 'What you read']) {
        assert.notEqual(await later.getByRole('group', { name, exact: true }).innerText(), '');
      }
      await later.context().close();
    });

    test('a picture of 5 MiB', async () => {
      const buffer = Buffer.alloc(PICTURE_BYTES).map((_, place) => place * 7);
      await page.locator('input[type=file]').setInputFiles({ name: 'teapot.png', mimeType: 'image/png', buffer });
      await page.getByRole('button', { name: 'Send the picture, sealed' }).click();
      const said = page.locator('#picture-said').filter({ hasText: 'The API received all 5,242,880 bytes' });
      await said.waitFor();
      const words = kind === 'secure' ? 'their SHA-256 is the same: ' : 'Their SHA-256 according to the API: ';
      assert.match(await said.innerText(), new RegExp(`${words}[0-9a-f]{64}`));
      const sent = page.locator('#exchange .gap').first();
      assert.match(await sent.innerText(), pictureBytes);
    });

    test('what is sent at the same time is told apart', async () => {
      await page.getByRole('button', { name: 'Send the picture, sealed' }).click();
      await order().click();
      await page.getByText('Ordered. Your order number is 2.').waitFor();
      const rows = page.locator('#exchanges button');
      await rows.filter({ hasText: 'A picture' }).nth(1).waitFor();
      for (const row of await rows.filter({ hasText: 'A picture' }).all()) assert.match(await row.innerText(), pictureBytes);
    });

    test('a picture that is too large is not sent', async () => {
      const buffer = Buffer.alloc(6 * 1024 * 1024 + 1);
      await page.locator('input[type=file]').setInputFiles({ name: 'large.png', mimeType: 'image/png', buffer });
      const field = page.locator('input[type=file]');
      assert.equal(await field.evaluate((input) => input.validationMessage), 'Choose a picture of at most 6 MiB.');
      await field.setInputFiles([]);
    });

    test('the page keeps inside a small screen and a large one', async () => {
      await page.getByLabel('What', { exact: true }).fill('x'.repeat(200));
      await order().click();
      await page.getByText('Ordered. Your order number is 3.').waitFor();
      for (const width of [320, 360, 800, 1100, 1440]) {
        await page.setViewportSize({ width, height: 900 });
        const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.equal(beyond, 0, `${width} px`);
      }
    });

    test('an order that the shop refuses', async () => {
      await page.getByLabel('What', { exact: true }).fill('\u200b');
      await order().click();
      await page.locator('#order-said.lost').filter({ hasText: 'printable characters' }).waitFor();
    });

    test('a reload keeps the session and the orders', async () => {
      await page.reload();
      const orders = page.locator('#orders li');
      await orders.nth(2).waitFor();
      await page.getByRole('button', { name: /^Cancel order 2/ }).click();
      await orders.nth(2).waitFor({ state: 'detached' });
      assert.equal(await orders.count(), 2);
      await page.locator('#exchanges button').filter({ hasText: 'POST /orders 401' }).first().click();
      await page.locator('#exchange .out mark.open').filter({ hasText: ITEM }).waitFor();
    });

    test('logout', async () => {
      await page.getByRole('button', { name: 'Log out' }).click();
      await page.getByText('Log in to see them.').waitFor();
      await page.locator('#exchanges [aria-current]').filter({ hasText: 'A logout' }).waitFor();
      // In the hardened suites it is a message like any other.
      const words = suite === 'classic' ? 'the session has ended' : 'something was sent';
      assert.ok((await page.locator('#learned').innerText()).startsWith(`A listener learns that ${words}`));
      assert.equal(await page.locator('#orders li').count(), 0);
      assert.equal(await page.locator('#order-said').innerText(), '');
      await page.getByRole('button', { name: 'Send me a code' }).waitFor();
    });

    test('it says so while the demo does not answer', async () => {
      const lost = page.getByText('The demo does not answer.');
      const routes = /\/(?:wire\.json|orders)/;
      await page.route(routes, (route) => route.abort());
      await page.reload();
      await lost.waitFor();
      await page.getByRole('button', { name: 'Order in plain' }).click();
      await page.getByText('The gateway does not answer.').waitFor();
      await page.unroute(routes);
      await lost.waitFor({ state: 'hidden' });
    });

    test('nothing broke the policy, and no script failed', () => {
      assert.deepEqual(complaints, []);
    });

    test('it says so where the browser client was not built', async () => {
      await page.route('**/client*.js', (route) => route.abort());
      await page.reload();
      await page.getByText('The browser client is missing').waitFor();
    });
  });
}

for (const kind of ['insecure', 'secure']) {
  describe(`one suite after another, ${kind} origin`, () => {
    const address = `${kind}.visitor@example.org`;
    let visitor;
    let page;
    const rows = (title) => page.locator('#exchanges button').filter({ hasText: title });
    const learned = (words) => page.locator('#learned').filter({ hasText: words }).waitFor();

    before(async () => {
      visitor = await browser.newContext();
      page = await visitor.newPage();
      await page.goto(demo[kind]);
    });
    after(() => visitor?.close());

    test('a login in ecdh-gcm, message by message', async () => {
      const { mailbox, code } = await askForCode(page, visitor, address);
      await mailbox.close();
      await learned(`A listener learns that ${address} asks for a code for ecdh-gcm`);
      const field = page.getByLabel('Code from the mail');
      await field.fill(`${code.startsWith('0') ? '1' : '0'}${code.slice(1)}`);
      await field.press('Enter');
      await rows('A code is refused').first().waitFor();
      await learned('A listener learns that a code was not accepted');
      await field.fill(code);
      await page.getByText('Sealed · ecdh-gcm').waitFor();
      await learned('A listener learns that the login was completed');
      assert.match(await page.getByRole('group', { name: 'Bytes from the gateway' }).textContent(), /\ncB [0-9a-f]{64}\nbox [0-9a-f]+$/);
      await rows('A code is tried').first().click();
      await learned('guesses of the code cannot be tested on this recording');
      assert.match(await page.getByRole('group', { name: 'Bytes to the gateway' }).textContent(), /\nsid [0-9a-f]{32}\npA 04[0-9a-f]{128}$/);
    });

    test('the switch leads to rsa-gcm, and the session of ecdh-gcm ends', async () => {
      await page.getByRole('link', { name: 'rsa-gcm' }).click();
      await page.locator('#suite [aria-current=page]').filter({ hasText: 'rsa-gcm' }).waitFor();
      await page.getByText('Not logged in').waitFor();
      await rows('A logout').first().waitFor();
      const { mailbox, code } = await askForCode(page, visitor, `${kind}.rsa-gcm@example.org`);
      await mailbox.close();
      assert.match(code, SUITES['rsa-gcm'].code);
      await page.getByLabel('Code from the mail').fill(code);
      await page.getByText(SUITES['rsa-gcm'].badge).waitFor();
      await page.getByRole('button', { name: 'Order, sealed' }).click();
      await page.getByText('Ordered. Your order number is 1.').waitFor();
      await learned(SUITES['rsa-gcm'].learned);
      for (const [way, form] of [['to', SUITES['rsa-gcm'].sent], ['from', SUITES['rsa-gcm'].came]]) {
        assert.match(await page.getByRole('group', { name: `Bytes ${way} the gateway` }).textContent(), form);
      }
    });

    test('a reload keeps a session of the suite that was chosen', async () => {
      await page.reload();
      await page.getByText(SUITES['rsa-gcm'].badge).waitFor();
      await page.locator('#orders li').waitFor();
    });

    test('a page of classic does not go on with it', async () => {
      await page.getByRole('link', { name: 'classic' }).click();
      await page.locator('#exchanges [aria-current]').filter({ hasText: 'A logout' }).waitFor();
      await page.getByText('Not logged in').waitFor();
      assert.equal(await page.locator('#orders li').count(), 0);
    });

    test('the wire in JSON, and what is no message at all', async () => {
      const post = (path, body) =>
        fetch(`${demo.secure}/.gateway/session${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
      const cn = Buffer.alloc(32).toString('base64');
      await post('/hello', JSON.stringify({ v: 1, username: 'json@example.org', suites: ['ecdh-gcm'], fresh: 'clock', cn }));
      await learned('A listener learns that json@example.org asks for a code for ecdh-gcm');
      assert.ok((await page.getByRole('group', { name: 'Bytes to the gateway' }).textContent()).endsWith(`\nfresh clock\ncn ${cn}`));
      await post('/resume/confirm', '{"sid');
      await rows('A ticket is refused').first().waitFor();
      assert.ok((await page.getByRole('group', { name: 'Bytes to the gateway' }).textContent()).endsWith('\n\n{"sid'));
    });
  });
}
