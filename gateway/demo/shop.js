// The buttons of the shop. The client's script sends the order's form; its fetch sends the rest.

import { inTurn, noteOf, noted, notedLogout } from './notes.js';
import { View, element } from './view.js';
import { exchanges } from './wire.js';
import { size } from './words.js';

const $ = (selector) => document.querySelector(selector);
const MAX_PICTURE_BYTES = 6 * 1024 * 1024;

const view = new View();
const page = globalThis.certless?.page;
// Everything sealed uses this fetch, including the form.
if (page) {
  page.fetch = inTurn(noted('message', page.fetch, () => view.refresh()));
  page.logout = notedLogout(page);
}
const plainFetch = noted('plain', fetch, () => view.refresh());

function say(place, text, { isLost = false } = {}) {
  $(place).classList.toggle('lost', isLost);
  $(place).replaceChildren(text);
  if (!isLost) $(place).append(' ', element('a', { href: '#wire' }, 'See it on the wire'));
}

// --- an order, sealed and in plain ---------------------------------------------------------------

const order = $('#order');

order.addEventListener('submit', () => $('#order-said').classList.remove('lost'));

order.addEventListener('certless-answer', async (event) => {
  event.preventDefault();
  const { response } = event.detail;
  const answer = await response.json();
  if (response.ok) say('#order-said', `Ordered. Your order number is ${answer.id}.`);
  else say('#order-said', answer.error, { isLost: true });
  await showOrders();
});

$('#plain').addEventListener('click', async () => {
  if (!order.reportValidity()) return;
  const fields = new FormData(order);
  const body = JSON.stringify({ item: fields.get('item'), quantity: Number(fields.get('quantity')) });
  try {
    const headers = { 'Content-Type': 'application/json' };
    const { status } = await plainFetch('/orders', { method: 'POST', headers, body });
    say('#order-said', `Refused with ${status}: the shop accepts only sealed orders.`);
  } catch {
    say('#order-said', 'The gateway does not answer.', { isLost: true });
  }
});

// --- the user's orders -----------------------------------------------------------------------------

async function showOrders() {
  // This request must not open the login.
  if (page.state !== 'ready') return;
  const response = await page.fetch('/orders').catch(() => null);
  if (!response?.ok) return;
  const rows = (await response.json()).reverse().map(({ id, item, quantity }) => {
    const text = `${quantity} × ${item}`;
    const cancel = element('button', { type: 'button', ariaLabel: `Cancel order ${id}, ${text}` }, 'Cancel');
    cancel.addEventListener('click', async () => {
      cancel.disabled = true;
      await page.fetch(`/orders/${id}`, { method: 'DELETE' }).catch((error) => say('#order-said', error.message, { isLost: true }));
      await showOrders();
      // The button with the focus was removed.
      $('#orders-title').focus();
    });
    return element('li', {}, element('span', { dir: 'auto' }, text), cancel);
  });
  $('#orders').replaceChildren(...rows);
}

function showSession() {
  document.body.dataset.session = page.state;
  if (page.state === 'none') for (const place of ['#orders', '#order-said', '#picture-said']) $(place).replaceChildren();
  $('#no-orders').textContent = page.state === 'none' ? 'Log in to see them.' : 'None yet.';
  void showOrders();
}

// --- a picture -----------------------------------------------------------------------------------

const picture = $('#picture');

picture.addEventListener('change', () => {
  const { file: field } = picture.elements;
  const [file] = field.files;
  URL.revokeObjectURL($('#preview').src);
  $('#preview').hidden = !file;
  if (file) $('#preview').src = URL.createObjectURL(file);
  $('#picture-said').replaceChildren();
  field.setCustomValidity(file?.size > MAX_PICTURE_BYTES ? 'Choose a picture of at most 6 MiB.' : '');
  field.reportValidity();
});

picture.addEventListener('submit', async (event) => {
  event.preventDefault();
  const [file] = picture.elements.file.files;
  const button = picture.querySelector('button');
  button.disabled = true;
  try {
    const answered = page.fetch('/picture', { method: 'POST', body: file });
    $('#picture-said').classList.remove('lost');
    $('#picture-said').textContent = page.state === 'ready' ? 'Sealing and sending…' : 'Waiting for the login.';
    const response = await answered;
    const answer = await response.json();
    if (response.ok) say('#picture-said', await compared(file, answer));
    else say('#picture-said', answer.error, { isLost: true });
  } catch (error) {
    say('#picture-said', error.message, { isLost: true });
  } finally {
    button.disabled = false;
    if (document.activeElement === document.body) button.focus();
  }
});

/** The API's digest, compared with one of the page. An insecure page cannot compute a digest. */
async function compared(file, answer) {
  if (answer.size !== file.size) return `The API received ${size(answer.size)}, but ${size(file.size)} were sent.`;
  const same = `The API received all ${size(file.size)}`;
  if (!crypto.subtle) return `${same}. Their SHA-256 according to the API: ${answer.sha256}.`;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex === answer.sha256 ? `${same}, and their SHA-256 is the same: ${hex}.` : `${same}, but they have changed.`;
}

// --- the wire ------------------------------------------------------------------------------------

/** Ends a session of another suite from an earlier load, because the page shows its own suite. */
async function leaveOtherSuite() {
  await page.ready;
  const { suite } = $('script[data-suite]').dataset;
  if (page.session && page.session.suite.split('/', 1)[0] !== suite) void page.logout();
}

async function followWire() {
  let isPast = true;
  for await (const batch of exchanges((isLost) => { $('#lost').hidden = !isLost; })) {
    for (const exchange of batch) view.add({ ...exchange, isPast, written: isPast ? undefined : noteOf(exchange) });
    if (isPast) {
      // Only now, so that the page's own requests are not treated as past exchanges.
      await leaveOtherSuite();
      page.addEventListener('state', showSession);
      showSession();
    }
    isPast = false;
  }
}

if (page) void followWire();
else $('#missing').hidden = false;
