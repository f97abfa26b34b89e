/** An answer of HTML, in a frame: no script of it runs, no form of it is sent, and nothing is fetched for it. */
import { closest, element, unhidden } from './elements.js';
import { addressOf } from './redirects.js';

const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
const MAX_FRAME_PX = 10_000;
const XLINK = 'http://www.w3.org/1999/xlink';
// HTML's and SVG's; in MathML anything may be one.
const LINKS = 'a, area, math, math *';
// Useless in the frame: what names other documents, and templates, whose shadow roots would hide links.
const LEFT_OUT = 'base, link, meta, template';
// No address is relative to this one, so that a link the listeners do not see leads nowhere in plain.
const NO_BASE = 'about:srcdoc';

/**
 * @param {string} html
 * @param {string} url where it came from
 * @param {(address: URL) => void} open goes where a link leads, through the session
 */
export function answerFrame(html, url, open) {
  const parsed = unhidden(new DOMParser().parseFromString(html, 'text/html'));
  const base = addressOf(parsed.querySelector('base[href]')?.getAttribute('href') ?? null, url)?.href ?? url;
  for (const one of parsed.querySelectorAll(LEFT_OUT)) one.remove();
  const policy = element('meta', { 'http-equiv': 'Content-Security-Policy', content: POLICY });
  parsed.head.prepend(policy, element('base', { href: NO_BASE }));
  const made = element('iframe', {
    title: 'The answer',
    sandbox: 'allow-same-origin',
    srcdoc: `<!doctype html>${parsed.documentElement.outerHTML}`,
  });
  made.addEventListener('load', () => {
    if (!made.contentDocument) return;
    const shown = unhidden(made.contentDocument);
    // Else it would be as high as it is now, at the least.
    made.height = '0';
    made.height = `${Math.min(shown.documentElement.scrollHeight + 4, MAX_FRAME_PX)}`;
    shown.addEventListener('click', (event) => {
      const href = held(event);
      if (href?.startsWith('#')) return shown.getElementById(href.slice(1))?.scrollIntoView();
      const address = addressOf(href, base);
      if (address) open(address);
    });
    // The middle button, too, would open a tab in plain.
    shown.addEventListener('auxclick', held);
  });
  return made;
}

/**
 * Keeps the browser from following the link that was clicked, if it was one. Its address, as written.
 * @param {Event} event
 */
function held(event) {
  const link = closest(/** @type {Element} */ (event.target), LINKS);
  if (!link) return null;
  event.preventDefault();
  return link.getAttribute('href') ?? link.getAttributeNS(XLINK, 'href');
}
