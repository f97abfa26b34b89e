/** `<certless-badge>`: whether the page has a sealed session, with which suite, and what that protects. */
import { CLASSIC } from '../session/gatewayClient.js';
import { element, pageDocument, setText, styleSheet } from './dom.js';
import { BADGE_STYLES, BASE_STYLES } from './styles.js';

/** @typedef {import('./pageSession.js').PageSession} PageSession */
/** @typedef {import('./pageSession.js').PageState} PageState */

// A closed lock, an open lock, and an open lock with a warning.
const BODY = 'M5 11h14v10H5z';
/** @type {Record<PageState, string>} */
const ICONS = {
  ready: `${BODY} M8 11V7a4 4 0 0 1 8 0v4`,
  none: `${BODY} M8 11V7a4 4 0 0 1 7.7-1.5`,
  expired: `${BODY} M8 11V7a4 4 0 0 1 7.7-1.5 M12 14v2 M12 18.5v0`,
  renewing: `${BODY} M8 11V7a4 4 0 0 1 7.7-1.5 M12 14v2 M12 18.5v0`,
};

const SEALED =
  'What this page sends through its session is sealed. A listener on the network sees who sends, when and how much, ' +
  'but not what.';
const HARDENED = 'Nobody on the network can change it unnoticed, repeat it, or answer instead of the service.';
const UNSEALED = 'There is no session, so nothing is sealed now. Log in first.';
const LIMITS = 'But if somebody changes this page on its way to you, they can read everything.';

/**
 * The class of the element for a page.
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
  #path = pageDocument.createElementNS('http://www.w3.org/2000/svg', 'path');
  #label = element('span');
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
    const icon = pageDocument.createElementNS('http://www.w3.org/2000/svg', 'svg');
    icon.setAttribute('viewBox', '0 0 24 24');
    icon.setAttribute('aria-hidden', 'true');
    icon.append(this.#path);
    this.#status.append(icon, this.#label);
    const root = host.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [styleSheet(BASE_STYLES + BADGE_STYLES)];
    root.append(this.#badge, this.#panel);
    // A click anywhere on the badge; with the keyboard only the button.
    this.#badge.addEventListener('click', () => this.#show(this.#panel.hidden === true));
    this.#host.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || this.#panel.hidden) return;
      event.preventDefault();
      this.#show(false);
      this.#more.focus();
    });
  }

  attach() {
    this.#page.addEventListener('state', this.#update);
    pageDocument.addEventListener('pointerdown', this.#leave);
    addEventListener('resize', this.#place);
    this.#update();
  }

  detach() {
    this.#page.removeEventListener('state', this.#update);
    pageDocument.removeEventListener('pointerdown', this.#leave);
    removeEventListener('resize', this.#place);
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
    setText(this.#label, words[state]);
    const sealed = session?.suite.startsWith(CLASSIC) ? SEALED : `${SEALED} ${HARDENED}`;
    setText(this.#panel, `${state === 'ready' ? sealed : UNSEALED} ${LIMITS}`);
    this.#place();
  };

  /** @param {boolean} isOpen */
  #show(isOpen) {
    this.#panel.hidden = !isOpen;
    this.#more.setAttribute('aria-expanded', `${isOpen}`);
    this.#place();
  }

  /** Keeps the panel inside a small screen. */
  #place = () => {
    this.#panel.style.translate = '';
    const { left, right } = this.#panel.getBoundingClientRect();
    const beyond = Math.max(0, right - pageDocument.documentElement.clientWidth + 8);
    this.#panel.style.translate = `${-Math.min(beyond, left - 8)}px`;
  };

  /** @param {Event} event */
  #leave = (event) => {
    if (!event.composedPath().includes(this.#host)) this.#show(false);
  };
}
