/** Entry point of the page of one site: the session first, then the page of the vault, which uses it. */
import './siteSession.js';
import '../../vault/page/vaultPage.js';
