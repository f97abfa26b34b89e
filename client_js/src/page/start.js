/**
 * Starts the client on a page that the gateway's own `client.js` is on.
 *
 * The gateway appends the call of `start` to the bundle, with what it knows of itself.
 */
import { CLASSIC } from '../session/gatewayClient.js';
import { HARDENED_SUITES } from '../protocol/hardened/suites.js';
import * as certless from '../session/login.js';
import { badgeElement } from './badgeElement.js';
import { pageDocument, styleSheet } from './elements.js';
import { sendForms } from './forms.js';
import { openLogin } from './loginDialog.js';
import { loginElement } from './loginElement.js';
import { PAGE_LOOK } from './look.js';
import { PageSession } from './pageSession.js';

/** @typedef {import('../session/gatewayClient.js').GatewayOptions} GatewayOptions */

/**
 * What the gateway says of itself. Without `suites` it is one that speaks classic alone.
 * @typedef {Pick<GatewayOptions, 'prefix' | 'dialect' | 'lifetimeMs' | 'realm'> & { suites?: string[] }} Settings
 */

// A page whose parts each load the script has one session all the same.
const PAGE = Symbol.for('certless.page');

/** Where the tag names no suite: of those that a gateway takes, the first of these. */
const PREFERRED = [...HARDENED_SUITES.keys()];

/** @type {GatewayOptions} */
let defaults = {};
/** The gateway's own, for those who ask for classic. @type {GatewayOptions['dialect']} */
let dialect;

/** The page's one session; there once `start` has taken the page over. @type {PageSession | undefined} */
export let page;

/** `page.fetch`. @type {PageSession['fetch'] | undefined} */
export let fetch;

/**
 * `options` over the defaults; who names a dialect means classic.
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
 * The settings become the defaults of `login`, `requestLogin` and `resume`; the gateway is where
 * the script came from. Where its tag has `data-suite` that suite is the default and no other; where
 * it has `data-certless` the page is taken over.
 *
 * To be called while the script runs: only then does the browser say which tag it is.
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
  page = taken[PAGE] ??= takeOver();
  fetch = page.fetch;
}

function takeOver() {
  const session = new PageSession(withDefaults({}), () => openLogin(session));
  customElements.define('certless-login', loginElement(session));
  customElements.define('certless-badge', badgeElement(session));
  pageDocument.adoptedStyleSheets = [...pageDocument.adoptedStyleSheets, styleSheet(PAGE_LOOK)];
  sendForms(session);
  return session;
}
