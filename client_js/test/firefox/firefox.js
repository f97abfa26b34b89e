/** Debian's Firefox, by WebDriver BiDi, and how the tests look into a page. */
import { existsSync } from 'node:fs';
import puppeteer from 'puppeteer-core';
import { INSECURE_HOST } from '../browser/chromium.js';
import { within } from '../within.js';

export const PLACES = ['/usr/bin/firefox-esr', '/usr/bin/firefox'];
const LIMIT_MS = 20_000;

export async function launch() {
  const browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: process.env.CERTLESS_FIREFOX ?? PLACES.find((place) => existsSync(place)),
    headless: true,
    // An address that is no loopback one, by name: plain HTTP without a secure context.
    extraPrefsFirefox: { 'network.dns.localDomains': INSECURE_HOST },
    timeout: 45_000,
  });
  // A test that is ended from outside leaves no browser behind.
  const atExit = () => browser.process()?.kill('SIGKILL');
  process.once('exit', atExit);
  return {
    newPage: async (address) => {
      const page = await browser.newPage();
      page.setDefaultTimeout(LIMIT_MS);
      await page.goto(address);
      return page;
    },
    close: async () => {
      await within(browser.close(), 'Firefox has ended');
      process.off('exit', atExit);
    },
  };
}

/** Logs in on the pages of `connect`; the page that shows the site. */
export async function logInAt(browser, { door }, gateway, username) {
  const page = await browser.newPage(door);
  await page.locator('[name=address]').fill(username);
  await page.locator('button').click();
  await page.locator('[name=code]').fill(await gateway.mailbox.code(username));
  await page.locator('button').click();
  await page.waitForFunction(() => !document.querySelector('[name=code]'));
  return page;
}

/** The result of `work` in the page, with a limit, because a promise of the page may never settle. */
export const inPage = (page, work, ...given) => within(page.evaluate(work, ...given), `in the page: ${work}`);

/** A part of the page's login. */
export const part = (page, selector) => page.locator(`certless-login >>> ${selector}`);

export const until = (page, state) =>
  page.waitForFunction((wanted) => globalThis.certless.page.state === wanted, {}, state);
