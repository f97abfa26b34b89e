/** Shows HTML in a frame that runs no scripts, sends no forms and loads nothing. */
import { closest, element, unclobbered } from './dom.js';
import { addressOf } from './redirects.js';

const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
const MAX_FRAME_PX = 10_000;
const XLINK = 'http://www.w3.org/1999/xlink';
// Links of HTML and SVG; in MathML any element can be a link.
const LINKS = 'a, area, math, math *';
// Removed: elements that refer to other documents, and templates, whose shadow roots can hide links.
const LEFT_OUT = 'base, link, meta, template';
// No URL can be relative to this base, so a link that the listeners miss leads nowhere.
const NO_BASE = 'about:srcdoc';

/**
 * @param {string} html
 * @param {string} url the URL of the answer
 * @param {(address: URL) => void} open follows a link through the session
 */
export function answerFrame(html, url, open) {
  const parsed = unclobbered(new DOMParser().parseFromString(html, 'text/html'));
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
    const shown = unclobbered(made.contentDocument);
    // Without this, scrollHeight is at least the current height.
    made.height = '0';
    made.height = `${Math.min(shown.documentElement.scrollHeight + 4, MAX_FRAME_PX)}`;
    shown.addEventListener('click', (event) => {
      const href = stopLink(event);
      if (href?.startsWith('#')) return shown.getElementById(href.slice(1))?.scrollIntoView();
      const address = addressOf(href, base);
      if (address) open(address);
    });
    // The middle button would open a new tab without the session.
    shown.addEventListener('auxclick', stopLink);
  });
  return made;
}

/**
 * If a link was clicked, stops the browser from following it. The link's URL as written, or null.
 * @param {Event} event
 */
function stopLink(event) {
  const link = closest(/** @type {Element} */ (event.target), LINKS);
  if (!link) return null;
  event.preventDefault();
  return link.getAttribute('href') ?? link.getAttributeNS(XLINK, 'href');
}
