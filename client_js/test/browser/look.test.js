/** The elements can be read in a light page and a dark one, also where browsers have no `light-dark()`. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from '../limited.js';
import { launch, newVisitor, startSite } from './chromium.js';
import { contrast, luminance } from './pageChecks.js';

const PARTS = '<certless-badge></certless-badge><certless-login></certless-login><form data-certless="/x y z"><button>Send</button></form>';
const page = (scheme) => ({
  type: 'text/html',
  body: `<!doctype html><title>shop</title>${scheme}<script src="/.gateway/client.js" data-certless></script><body>${PARTS}`,
});
const pages = { '/both': page('<meta name="color-scheme" content="light dark">'), '/light': page('') };

let browser;
let site;
before(async () => {
  browser = await launch();
  site = await startSite('article-2016', { pages });
});
after(async () => {
  await browser?.close();
  await site?.stop();
});

/** Runs in the page: colours as they are painted, each with the one behind it. */
function pairs() {
  const pixel = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const painted = (colour) => {
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = colour;
    pixel.fillRect(0, 0, 1, 1);
    return [...pixel.getImageData(0, 0, 1, 1).data];
  };
  const login = document.querySelector('certless-login').shadowRoot;
  const badge = document.querySelector('certless-badge').shadowRoot;
  const style = (root, selector, name) => painted(getComputedStyle(root.querySelector(selector))[name]);
  const box = style(login, '[part=box]', 'backgroundColor');
  const canvas = document.createElement('p');
  canvas.style.color = 'Canvas';
  document.body.append(canvas);
  const behind = painted(getComputedStyle(canvas).color);
  return {
    text: [style(login, 'label', 'color'), box, 4.5],
    button: [style(login, '[part=button]', 'color'), style(login, '[part=button]', 'backgroundColor'), 4.5],
    link: [style(login, '.more button', 'color'), box, 4.5],
    hint: [style(login, '.hint', 'color'), box, 4.5],
    error: [style(login, '[part=error]', 'color'), box, 4.5],
    field: [style(login, 'input', 'borderTopColor'), box, 3],
    box: [style(login, '[part=box]', 'borderTopColor'), box, 1.2],
    badge: [style(badge, '[role=status]', 'color'), style(badge, '[part=badge]', 'backgroundColor'), 4.5],
    more: [style(badge, 'button', 'color'), style(badge, '[part=badge]', 'backgroundColor'), 4.5],
    'the page and its boxes': [box, behind, 1],
    'what an answer has failed with': [style(document, '[data-certless-error]', 'borderInlineStartColor'), behind, 3],
  };
}

for (const [kind, made] of [
  ['a browser with light-dark()', (text) => text],
  ['a browser without it', (text) => text.replaceAll('light-dark(', 'unknown-function(')],
]) {
  describe(kind, () => {
    for (const [path, colorScheme, isDark] of [['/both', 'light', false], ['/both', 'dark', true], ['/light', 'dark', false]]) {
      test(`${path}, the user prefers ${colorScheme}`, async () => {
        const visitor = await newVisitor(browser, site);
        const shop = await visitor.newPage();
        await shop.emulateMedia({ colorScheme });
        const script = await (await fetch(`${site.secure}/.gateway/client.js`)).text();
        await shop.route('**/client.js', (route) => route.fulfill({ contentType: 'text/javascript', body: made(script) }));
        await shop.goto(site.insecure + path);
        await shop.getByRole('button', { name: 'Send', exact: true }).click();
        await shop.getByRole('alert').filter({ hasText: 'is not "METHOD /path"' }).waitFor();
        const found = await shop.evaluate(pairs);
        for (const [name, [front, back, least]] of Object.entries(found)) {
          assert.equal(front[3], 255, `${name} is painted`);
          const reached = contrast(front.slice(0, 3), back.slice(0, 3));
          assert.ok(reached >= least, `${name}: ${reached.toFixed(2)} of ${least}`);
        }
        const [box] = found['the page and its boxes'];
        assert.equal(luminance(box.slice(0, 3)) < 0.1, isDark);
        await visitor.close();
      });
    }
  });
}
