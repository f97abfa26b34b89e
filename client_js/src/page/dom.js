/** Helpers for the DOM. They never parse text as markup, so that nothing in an answer is executed. */

/** @typedef {string | boolean | ((event: any) => void)} Attribute a value, present or absent, or a listener */

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, Attribute>} [attributes] a listener has the name of its event
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
 * A form or document without DOM clobbering. In a form, a field hides the property with its name. In a
 * document, an image, a frame or a form does (`<img name="head">` hides `document.head`).
 * @template {HTMLFormElement | Document} Target
 * @param {Target} target
 * @returns {Target}
 */
export function unclobbered(target) {
  const members = Object.getPrototypeOf(target);
  return new Proxy(target, {
    get(_, name) {
      const member = Reflect.get(members, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
    set: (_, name, value) => Reflect.set(members, name, value, target),
  });
}

/** The page's document; undefined in the Worker, which loads the same bundle. */
export const pageDocument = /** @type {Document} */ (typeof document === 'undefined' ? undefined : unclobbered(document));

/**
 * `Element.matches` and `Element.closest`, also for a form that has fields with these names.
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
 * Whether an element is in a part of the page that is marked as untrusted markup.
 * @param {Element} one
 */
export const isUntrusted = (one) => closest(one, '[data-certless-untrusted]') !== null;

/** The first `<certless-login>` of the page that is not in untrusted markup. */
export function firstLoginElement() {
  return [...pageDocument.querySelectorAll('certless-login')].find((one) => !isUntrusted(one)) ?? null;
}

/**
 * Sets a text only if it differs, because screen readers repeat a text that is set again.
 * @param {Element} place
 * @param {string} text
 */
export function setText(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/**
 * A constructed style sheet, which a strict Content-Security-Policy allows.
 * @param {string} rules
 */
export function styleSheet(rules) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(rules);
  return sheet;
}
