/** What runs in each tab of the model: the page's session as it is, over an engine of the model. */
export { CertlessError, NoAnswer, Refused } from '../../src/common/errors.js';
export { PageSession } from '../../src/page/pageSession.js';
