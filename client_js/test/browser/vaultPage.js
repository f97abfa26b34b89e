/** The page of the vault in the demo, as its user uses it. */
import { within } from '../within.js';

/** Notes the newest mail now. The result resolves to the first mail after that to `address` that `is` one. */
export async function nextMail(demo, address, is = ({ code }) => code !== '') {
  let [newest] = await demo.mails();
  return async () => {
    for (;;) {
      const known = newest?.id ?? '';
      const mails = await within(demo.mails(known), `a mail to ${address}`);
      const end = mails.findIndex(({ id }) => id === known);
      const found = mails.slice(0, end < 0 ? undefined : end).find((mail) => mail.to === address && is(mail));
      if (found) return found;
      [newest] = mails;
    }
  };
}

/** Logs in on the page, which then asks for the vault's password. */
export async function logIn(page, demo, address) {
  await page.getByLabel('Name or e-mail address').fill(address);
  const mail = await nextMail(demo, address);
  await page.getByRole('button', { name: 'Send me a code' }).click();
  const field = page.getByLabel('Code from the mail');
  await field.waitFor();
  await field.fill((await mail()).code);
  await page.getByRole('heading', { name: 'Unlock your vault' }).waitFor();
}

const formOf = (page, does) => page.locator(`form[data-does=${does}]`);

/** Types as a keyboard does, so that only the page has what was typed. */
async function type(page, field, text) {
  await field.waitFor();
  await field.focus();
  await page.keyboard.insertText(text);
}

/** Types a new password into both fields of a form, and sends it. */
export async function chooseInForm(page, does, password) {
  const form = formOf(page, does);
  await type(page, form.locator('[name=password]'), password);
  await type(page, form.locator('[name=again]'), password);
  await page.keyboard.press('Enter');
}

/** Reads the recovery code, and types it back. Resolves to the code. */
export async function typeBack(page) {
  await page.getByRole('dialog').waitFor();
  const code = await page.locator('#code output').innerText();
  await page.getByRole('button', { name: 'I have written it down' }).click();
  await type(page, page.getByLabel('Type the recovery code'), code.toLowerCase().replaceAll('-', ' '));
  await page.keyboard.press('Enter');
  return code;
}

/** Creates a vault. Resolves to its recovery code. */
export async function create(page, password) {
  await page.getByRole('button', { name: 'I have no vault yet' }).click();
  await chooseInForm(page, 'create', password);
  const code = await typeBack(page);
  await page.locator('#said', { hasText: 'Your vault is ready and open.' }).waitFor();
  return code;
}

/** Sends the password. The caller waits for what comes of it. */
export async function unlock(page, password) {
  await type(page, page.getByLabel('Vault password', { exact: true }), password);
  await page.keyboard.press('Enter');
}

export async function save(page, text) {
  await page.getByLabel('Your note').fill(text);
  await page.getByRole('button', { name: 'Save', exact: true }).click();
}

/** Resolves when the page says `text`. */
export const says = (page, text) => page.locator('#said', { hasText: text }).waitFor();
export const fails = (page, text) => page.locator('#failed', { hasText: text }).waitFor();
