/** `<certless-badge>`: whether what the page sends is sealed, with which suite, and what that is worth. */
import { element, say, styleSheet } from './elements.js';
import { LOOK } from './look.js';

/** @typedef {import('./pageSession.js').PageSession} PageSession */
/** @typedef {import('./pageSession.js').PageState} PageState */

const RULES = `
:host { display: inline-block; position: relative; max-width: 100%; overflow-wrap: anywhere }
[part=badge] {
  display: inline-flex; align-items: center; gap: .5rem; max-width: 100%; padding: .125rem .25rem .125rem .75rem;
  border: 1px solid var(--line); border-radius: 1.25rem; background: var(--background); font-size: .875em;
}
[role=status] { display: inline-flex; align-items: center; gap: .5rem }
svg { flex: none; width: 1.125em; height: 1.125em; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round }
.ready svg { color: var(--accent) }
.expired svg, .renewing svg { color: var(--alarm) }
button {
  flex: none; width: 1.75rem; height: 1.75rem; padding: 0; border: 1px solid transparent; border-radius: 50%;
  background: none; color: var(--soft); font: inherit; font-weight: 600; cursor: pointer;
}
button:hover, button[aria-expanded=true] { border-color: var(--line); color: var(--text) }
[part=panel] {
  position: absolute; z-index: 10; inset-block-start: calc(100% + .375rem); inset-inline-start: 0; width: max-content;
  max-width: min(22rem, calc(100vw - 1rem)); padding: .75rem 1rem; border: 1px solid var(--line);
  border-radius: var(--radius); background: var(--background); box-shadow: 0 .25rem 1rem rgb(0 0 0 / .15); font-size: .875em;
}
`;

// A lock that is closed, one that is open, and one with a warning in it.
const BODY = 'M5 11h14v10H5z';
/** @type {Record<PageState, string>} */
const ICONS = {
  ready: `${BODY} M8 11V7a4 4 0 0 1 8 0v4`,
  none: `${BODY} M8 11V7a4 4 0 0 1 7.7-1.5`,
  expired: `${BODY} M8 11V7a4 4 0 0 1 7.7-1.5 M12 14v2 M12 18.5v0`,
  renewing: `${BODY} M8 11V7a4 4 0 0 1 7.7-1.5 M12 14v2 M12 18.5v0`,
};

const SEALED =
  'What this page sends through its session is sealed: who listens on the way sees who speaks, when and how much, ' +
  'but not what.';
const UNSEALED = 'There is no session, so nothing is sealed now: log in first.';
const HONEST = 'Whoever can change this page on its way to you can read everything all the same.';

/**
 * The class of the element, of one page.
 * @param {PageSession} page
 * @returns {CustomElementConstructor}
 */
export function badgeElement(page) {
  return class extends HTMLElement {
    #view = new BadgeView(this, page);

    connectedCallback() {
      this.#view.attach();
    }

    disconnectedCallback() {
      this.#view.detach();
    }
  };
}

class BadgeView {
  #host;
  #page;
  #path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  #words = element('span');
  #status = element('span', { role: 'status' });
  #more = element(
    'button',
    { type: 'button', part: 'more', 'aria-label': 'What this protects', 'aria-expanded': 'false', 'aria-controls': 'panel' },
    '?',
  );
  #panel = element('p', { id: 'panel', part: 'panel', hidden: true });
  #badge = element('span', { part: 'badge' }, this.#status, this.#more);

  /** @param {HTMLElement} host @param {PageSession} page */
  constructor(host, page) {
    this.#host = host;
    this.#page = page;
    const icon = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    icon.setAttribute('viewBox', '0 0 24 24');
    icon.setAttribute('aria-hidden', 'true');
    icon.append(this.#path);
    this.#status.append(icon, this.#words);
    const root = host.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [styleSheet(LOOK + RULES)];
    root.append(this.#badge, this.#panel);
    this.#more.addEventListener('click', () => this.#show(this.#panel.hasAttribute('hidden')));
    this.#host.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || this.#panel.hidden) return;
      event.preventDefault();
      this.#show(false);
      this.#more.focus();
    });
  }

  attach() {
    this.#page.addEventListener('state', this.#update);
    document.addEventListener('pointerdown', this.#leave);
    this.#update();
  }

  detach() {
    this.#page.removeEventListener('state', this.#update);
    document.removeEventListener('pointerdown', this.#leave);
  }

  #update = () => {
    const { session, state } = this.#page;
    const words = {
      none: 'Not logged in',
      ready: `Sealed · ${session?.suite}`,
      expired: 'Session ended',
      renewing: 'Session ended, new login',
    };
    this.#badge.className = state;
    this.#path.setAttribute('d', ICONS[state]);
    say(this.#words, words[state]);
    say(this.#panel, `${state === 'ready' ? SEALED : UNSEALED} ${HONEST}`);
  };

  /** @param {boolean} isOpen */
  #show(isOpen) {
    this.#panel.hidden = !isOpen;
    this.#more.setAttribute('aria-expanded', `${isOpen}`);
    if (!isOpen) return;
    // Not beyond the edge of a small screen.
    this.#panel.style.translate = '';
    const { left, right } = this.#panel.getBoundingClientRect();
    const { clientWidth } = document.documentElement;
    const beyond = Math.max(0, right - clientWidth + 8);
    this.#panel.style.translate = `${-Math.min(beyond, left - 8)}px`;
  }

  /** @param {Event} event */
  #leave = (event) => {
    if (!event.composedPath().includes(this.#host)) this.#show(false);
  };
}
