/**
 * Starts the client on a page that loads the gateway's `client.js`.
 *
 * The gateway appends a call of `start` with its settings to the bundle.
 */
import { CLASSIC } from '../session/gatewayClient.js';
import { HARDENED_SUITES } from '../protocol/hardened/suites.js';
import * as certless from '../session/login.js';
import { badgeElement } from './badgeElement.js';
import { pageDocument, styleSheet } from './dom.js';
import { sendForms } from './forms.js';
import { openLogin } from './loginDialog.js';
import { loginElement } from './loginElement.js';
import { showSealedPage } from './sealedPage.js';
import { PAGE_STYLES } from './styles.js';
import { PageSession } from './pageSession.js';

/** @typedef {import('../session/gatewayClient.js').GatewayOptions} GatewayOptions */

/**
 * The gateway's settings. Without `suites` it supports only classic.
 * @typedef {Pick<GatewayOptions, 'prefix' | 'dialect' | 'lifetimeMs' | 'realm'> & { suites?: string[] }} Settings
 */

// If a page loads the script several times, it still has one session.
const PAGE = Symbol.for('certless.page');

/** If the tag names no suite, the first of these that the gateway accepts. */
const PREFERRED = [...HARDENED_SUITES.keys()];

/** @type {GatewayOptions} */
let defaults = {};
/** The gateway's dialect, for classic sessions. @type {GatewayOptions['dialect']} */
let dialect;

/** The page's session; undefined until `start` has set up the page. @type {PageSession | undefined} */
export let page;

/** `page.fetch`. @type {PageSession['fetch'] | undefined} */
export let fetch;

/** `page.eventSource`. @type {PageSession['eventSource'] | undefined} */
export let eventSource;

/** `page.WebSocket`. @type {PageSession['WebSocket'] | undefined} */
export let WebSocket;

/**
 * `options` with the defaults. A `dialect` selects classic.
 * @template {GatewayOptions} Options
 * @param {Options} options
 * @returns {Options}
 */
function withDefaults(options) {
  const suite = options.suite ?? (options.dialect === undefined ? defaults.suite : CLASSIC);
  return { ...defaults, ...(suite === CLASSIC && dialect ? { dialect } : {}), ...options, suite };
}

/** @param {certless.LoginOptions} options */
export const login = (options) => certless.login(withDefaults(options));

/** @param {certless.RequestLoginOptions} options */
export const requestLogin = (options) => certless.requestLogin(withDefaults(options));

/** @param {certless.ResumeOptions} [options] */
export const resume = (options = {}) => certless.resume(withDefaults(options));

/**
 * Makes the settings the defaults of `login`, `requestLogin` and `resume`, with the origin of the script as
 * the gateway. If the script tag has `data-suite`, that suite is the default. If it has `data-certless`, the
 * page gets a session, and its forms and elements are set up.
 *
 * Call it while the script runs, because only then `currentScript` is set.
 * @param {Settings} settings
 */
export function start({ suites = [], ...settings }) {
  const script = /** @type {HTMLScriptElement | null} */ (pageDocument.currentScript);
  const { dialect: own, ...known } = settings;
  dialect = own;
  const suite = script?.dataset.suite ?? PREFERRED.find((name) => suites.includes(name)) ?? CLASSIC;
  defaults = { ...known, suite, ...(script?.src ? { url: new URL(script.src).origin } : {}) };
  if (script?.dataset.certless === undefined) return;
  const taken = /** @type {Document & { [PAGE]?: PageSession }} */ (document);
  page = taken[PAGE] ??= setUpPage();
  fetch = page.fetch;
  eventSource = page.eventSource;
  WebSocket = page.WebSocket;
}

function setUpPage() {
  const session = new PageSession(withDefaults({}), () => openLogin(session));
  customElements.define('certless-login', loginElement(session));
  customElements.define('certless-badge', badgeElement(session));
  pageDocument.adoptedStyleSheets = [...pageDocument.adoptedStyleSheets, styleSheet(PAGE_STYLES)];
  sendForms(session);
  showSealedPage(session);
  return session;
}
