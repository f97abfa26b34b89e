/** Elements made by script: no markup from text, so that nothing of an answer is ever run. */

/** @typedef {string | boolean | ((event: any) => void)} Attribute text, there or not, or a listener */

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, Attribute>} [attributes] a function under the name of its event
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function element(name, attributes = {}, ...children) {
  const made = pageDocument.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(attribute, value);
    else if (value !== false) made.setAttribute(attribute, value === true ? '' : value);
  }
  made.append(...children);
  return made;
}

/**
 * The members of a form or document, whatever markup it holds: in a form, a field hides the member of
 * its name; in a document, an image, a frame or a form does (`<img name="head">` hides `document.head`).
 * @template {HTMLFormElement | Document} Target
 * @param {Target} target
 * @returns {Target}
 */
export function unhidden(target) {
  const members = Object.getPrototypeOf(target);
  return new Proxy(target, {
    get(_, name) {
      const member = Reflect.get(members, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
    set: (_, name, value) => Reflect.set(members, name, value, target),
  });
}

/** The page's document. The bundle is also loaded in its Worker, where there is none. */
export const pageDocument = /** @type {Document} */ (typeof document === 'undefined' ? undefined : unhidden(document));

/**
 * `Element.matches` and `Element.closest`, also of a form with fields of these names.
 * @param {Element} one
 * @param {string} selector
 * @returns {boolean}
 */
export const matches = (one, selector) => Element.prototype.matches.call(one, selector);

/**
 * @param {Element} one
 * @param {string} selector
 * @returns {Element | null}
 */
export const closest = (one, selector) => Element.prototype.closest.call(one, selector);

/**
 * Whether an element stands in a part of the page that the page marked as somebody else's markup.
 * @param {Element} one
 */
export const isUntrusted = (one) => closest(one, '[data-certless-untrusted]') !== null;

/** The page's own `<certless-login>`, the first of several. */
export function ownLogin() {
  return [...pageDocument.querySelectorAll('certless-login')].find((one) => !isUntrusted(one)) ?? null;
}

/**
 * Sets a text only where it differs: what is set anew, a screen reader says anew.
 * @param {Element} place
 * @param {string} text
 */
export function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/**
 * A style sheet that a strict Content-Security-Policy lets be: it never was text in the page.
 * @param {string} rules
 */
export function styleSheet(rules) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(rules);
  return sheet;
}
