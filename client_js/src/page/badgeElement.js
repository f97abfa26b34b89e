/** `<certless-badge>`: whether what the page sends is sealed, with which suite, and what that is worth. */
import { CLASSIC } from '../session/gatewayClient.js';
import { element, pageDocument, say, styleSheet } from './elements.js';
import { BADGE_LOOK, LOOK } from './look.js';

/** @typedef {import('./pageSession.js').PageSession} PageSession */
/** @typedef {import('./pageSession.js').PageState} PageState */

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
  'What this page sends through its session is sealed. A listener on the way sees who sends, when and how much, ' +
  'but not what.';
const HARDENED = "Nobody on the way can change it unnoticed, repeat it, or answer in the service's place.";
const UNSEALED = 'There is no session, so nothing is sealed now: log in first.';
const HONEST = 'But somebody who can change this page on its way to you can read everything.';

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
  #path = pageDocument.createElementNS('http://www.w3.org/2000/svg', 'path');
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
    const icon = pageDocument.createElementNS('http://www.w3.org/2000/svg', 'svg');
    icon.setAttribute('viewBox', '0 0 24 24');
    icon.setAttribute('aria-hidden', 'true');
    icon.append(this.#path);
    this.#status.append(icon, this.#words);
    const root = host.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [styleSheet(LOOK + BADGE_LOOK)];
    root.append(this.#badge, this.#panel);
    // The whole of it for a pointer; the button alone for the keyboard.
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
    say(this.#words, words[state]);
    const sealed = session?.suite.startsWith(CLASSIC) ? SEALED : `${SEALED} ${HARDENED}`;
    say(this.#panel, `${state === 'ready' ? sealed : UNSEALED} ${HONEST}`);
    this.#place();
  };

  /** @param {boolean} isOpen */
  #show(isOpen) {
    this.#panel.hidden = !isOpen;
    this.#more.setAttribute('aria-expanded', `${isOpen}`);
    this.#place();
  }

  /** Not beyond the edge of a small screen. */
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
