/**
 * The session and the vault of one site, for the page of the vault. That page expects them in the globals that
 * `client.js` and `vault.js` of a gateway define. Here they come from the extension, so the network cannot change them.
 */
import { CertlessError } from '../src/common/errors.js';
import { badgeElement } from '../src/page/badgeElement.js';
import { styleSheet } from '../src/page/dom.js';
import { openLogin } from '../src/page/loginDialog.js';
import { loginElement } from '../src/page/loginElement.js';
import { PageSession } from '../src/page/pageSession.js';
import { PAGE_STYLES } from '../src/page/styles.js';
import { openVault } from '../src/vault/index.js';
import { onLockAll } from './locking.js';
import { findSite, isAllowed, sessionOptions } from './siteList.js';

const site = findSite(new URLSearchParams(location.search).get('site'));

if (site && (await isAllowed(site))) {
  const page = new PageSession(sessionOptions(site), () => openLogin(page));
  customElements.define('certless-login', loginElement(page));
  customElements.define('certless-badge', badgeElement(page));
  document.adoptedStyleSheets.push(styleSheet(PAGE_STYLES));
  document.title = `Your vault at ${new URL(site.origin).host}`;
  /** @type {Element} */ (document.querySelector('#site')).textContent = site.origin;
  const own = { realm: site.realm, site: `${site.origin} `, worker: 'vaultWorker.js' };
  Object.assign(globalThis, {
    certless: { page, CertlessError },
    certlessVault: {
      /** @param {import('../src/vault/index.js').CertlessSession} session @param {object} options */
      openVault: async (session, options) => {
        const vault = await openVault(session, { ...options, ...own });
        onLockAll(() => void vault.lock());
        return vault;
      },
    },
  });
}
