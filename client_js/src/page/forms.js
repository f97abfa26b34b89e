/** @param {import('./pageSession.js').PageSession} page */
export function sendForms(page) {
  void page;
}
