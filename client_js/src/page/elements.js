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
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(attribute, value);
    else if (value !== false) made.setAttribute(attribute, value === true ? '' : value);
  }
  made.append(...children);
  return made;
}

/**
 * A form's own members: in the form itself, a field hides the one of its name, be it `after` or `hasAttribute`.
 * @param {HTMLFormElement} form
 */
export function unhidden(form) {
  return new Proxy(form, {
    get(_, name) {
      const member = Reflect.get(HTMLFormElement.prototype, name, form);
      return typeof member === 'function' ? member.bind(form) : member;
    },
  });
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
