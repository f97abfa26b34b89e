/** The code in each tab of the model: the real page session, with an engine of the model. */
export { CertlessError, NoAnswer, Refused } from '../../src/common/errors.js';
export { PageSession } from '../../src/page/pageSession.js';
