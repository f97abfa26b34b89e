/**
 * The pictures of the admin page in docs/watching.md, in docs/pictures/: of a gateway under traffic, for as long as
 * its charts reach back. Usage: make bundle, then node scripts/adminPicture.mjs [MINUTES, 15 if left out]
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { launch } from '../test/browser/chromium.js';
import { startGateway, startUpstream } from '../test/gateway.js';
import { rest, traffic } from '../test/traffic.js';
import { inPalette } from './palette.mjs';

const FOLDER = process.env.PICTURES ?? fileURLToPath(new URL('../../docs/pictures/', import.meta.url));
const minutes = Number(process.argv[2] ?? 15);

const upstream = await startUpstream();
// All visitors come from one address, and few of them are to be told to come later.
const config = ['guesses_per_address = "45 per minute"'];
const gateway = await startGateway({ upstream: upstream.url, options: ['--admin', '0'], config });
const browser = await launch();
const ended = new AbortController();
const going = traffic(gateway, ended.signal);
try {
  const [address] = /http:\/\/127\.0\.0\.1:\d+\//.exec(gateway.log.slice(gateway.log.indexOf('metrics at')));
  await Promise.race([rest(minutes * 60_000), going]);
  const page = await browser.newPage();
  const picture = async (name, width, height, colorScheme = 'light') => {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    const png = inPalette(await page.screenshot());
    await writeFile(`${FOLDER}${name}.png`, png);
    process.stdout.write(`${name}.png: ${width} x ${height}, ${png.length} bytes\n`);
  };
  await page.goto(address);
  await page.getByText('Ready.').waitFor();
  await picture('admin', 1440, 1030);
  await picture('admin-dark', 1440, 1030, 'dark');
  await picture('admin-360', 360, 1300);
} finally {
  ended.abort();
  await going;
  await browser.close();
  await gateway.stop();
  await upstream.stop();
}
