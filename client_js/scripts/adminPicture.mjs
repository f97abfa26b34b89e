/**
 * The pictures of the admin page in docs/watching.md, in docs/pictures/: of a gateway with devices and under traffic,
 * for as long as its charts reach back. Usage: make bundle, then node scripts/adminPicture.mjs [MINUTES, 15 if left out]
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { launch } from '../test/browser/chromium.js';
import { login } from '../src/index.js';
import { startGateway, startUpstream } from '../test/gateway.js';
import { rest, traffic } from '../test/traffic.js';
import { inPalette } from './palette.mjs';

const FOLDER = process.env.PICTURES ?? fileURLToPath(new URL('../../docs/pictures/', import.meta.url));
const minutes = Number(process.argv[2] ?? 15);

const upstream = await startUpstream();
// All visitors come from one address, and few of them are to be told to come later.
const config = ['guesses_per_address = "45 per minute"'];
const gateway = await startGateway({ upstream: upstream.url, options: ['--admin', '0'], config, remembers: true });
const devices = ['pump-7', 'pump-8', 'fan-1'];
for (const device of devices) {
  const code = await gateway.issueCode('plant@example.org', device);
  await login({ url: gateway.url, username: 'plant@example.org', device, code: () => code });
}
const browser = await launch();
const ended = new AbortController();
const going = traffic(gateway, ended.signal);
try {
  const [address] = /http:\/\/127\.0\.0\.1:\d+\//.exec(gateway.log.slice(gateway.log.indexOf('metrics at')));
  await Promise.race([rest(minutes * 60_000), going]);
  const page = await browser.newPage();
  const picture = async (name, width, height, colorScheme = 'light', part = page) => {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    const png = inPalette(await part.screenshot());
    await writeFile(`${FOLDER}${name}.png`, png);
    process.stdout.write(`${name}.png: ${width} x ${height}, ${png.length} bytes\n`);
  };
  await page.goto(address);
  await page.getByText('Ready.').waitFor();
  await picture('admin', 1440, 1030);
  await picture('admin-dark', 1440, 1030, 'dark');
  await picture('admin-360', 360, 1300);
  await page.getByLabel('Operator’s key').fill(await gateway.operatorKey());
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Revoke pump-7' }).focus();
  await picture('admin-devices', 960, 1030, 'light', page.locator('.devices'));
} finally {
  ended.abort();
  await going;
  await browser.close();
  await gateway.stop();
  await upstream.stop();
}
