/** Chromium, a gateway and a page that has the bundle. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { chromium } from 'playwright-core';
import { startGateway, startUpstream } from '../gateway.js';
import { within } from '../within.js';

const BUNDLE = new URL('../../dist/client.js', import.meta.url);
const MODULE = new URL('../../dist/client.mjs', import.meta.url);
export const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
// An address that is no loopback one, by name: plain HTTP without a secure context.
export const INSECURE_HOST = 'gateway.test';

function html(script, policy = '') {
  const csp = policy && `<meta http-equiv="Content-Security-Policy" content="${policy}">`;
  return { type: 'text/html', body: `<!doctype html><title>test</title>${csp}${script}` };
}

/**
 * A gateway that lets pages and bundle through, and the pages. `pages` are there besides, without a
 * login; `sealed` for sessions only; `suites` as the gateway's option; `more` goes to `startGateway`.
 */
export async function startSite(dialect, { pages: own = {}, sealed = {}, suites, ...more } = {}) {
  const upstream = await startUpstream({
    '/page': html('<script src="/client.js"></script>'),
    '/module': html('<script type="module">import * as certless from "/client.mjs"; window.certless = certless;</script>'),
    '/strict': html('<script src="/client.js"></script>', "worker-src 'none'"),
    '/client.js': { type: 'text/javascript', body: await readFile(BUNDLE) },
    '/client.mjs': { type: 'text/javascript', body: await readFile(MODULE) },
    ...own,
    ...sealed,
  });
  const pages = ['/page', '/module', '/strict', '/client.js', '/client.mjs', ...Object.keys(own)];
  const options = [...pages.flatMap((path) => ['--public', path]), ...(suites ? ['--suites', suites] : [])];
  const gateway = await startGateway({ dialect, upstream: upstream.url, options, ...more }).catch(async (error) => {
    await upstream.stop();
    throw error;
  });
  return {
    gateway,
    upstream,
    insecure: `http://${INSECURE_HOST}:${gateway.port}`,
    secure: `http://127.0.0.1:${gateway.port}`,
    stop: async () => {
      await gateway.stop();
      await upstream.stop();
    },
  };
}

const executablePath = process.env.CERTLESS_CHROMIUM ?? PLACES.find((place) => existsSync(place));
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  `--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1`,
];

export function launch() {
  return chromium.launch({ executablePath, headless: true, args: ARGS });
}

/**
 * A browser with one extension, as a context.
 * @param {string} profile a folder that stays
 * @param {string} extension its folder
 */
export function launchWithExtension(profile, extension) {
  return chromium.launchPersistentContext(profile, {
    executablePath,
    headless: true,
    ignoreDefaultArgs: ['--disable-extensions'],
    args: [...ARGS, '--headless=new', `--disable-extensions-except=${extension}`, `--load-extension=${extension}`],
  });
}

/** Playwright bounds all but this: a promise of the page may never settle. */
function bound(page) {
  const evaluate = page.evaluate.bind(page);
  page.evaluate = (work, given) => within(evaluate(work, given), `in the page: ${work}`);
}

/** A browser of its own to the site; `mailedCode(username)` is there in every page. */
export async function newVisitor(browser, { gateway }) {
  const context = await browser.newContext();
  context.on('page', bound);
  await context.exposeFunction('mailedCode', (username) => gateway.mailbox.code(username));
  return context;
}
