// The shop: what its buttons do, and which exchange on the wire belongs to which of them.

import { View, element, size } from './view.js';
import { exchanges } from './wire.js';

const $ = (selector) => document.querySelector(selector);
const MAX_PICTURE_BYTES = 6 * 1024 * 1024;

const view = new View();
// What this page has sent and not yet seen on the wire, in the order of sending.
const underWay = [];

/** To be called before something is sent, with the kind that it will be on the wire. */
function wrote(kind, title, request, { isQuiet = false } = {}) {
  if (ordered && !isBeingSent()) ordered = withdrawn(ordered);
  const written = { kind, title, request, isQuiet };
  underWay.push(written);
  return written;
}

/** To be called when the answer to it is there. */
async function answered(written, response) {
  const text = await response.clone().text();
  written.answer = [`${response.status} ${response.statusText}\n\n`, text];
  view.refresh();
}

/** To be called where there will be none. */
function withdrawn(written) {
  const place = underWay.indexOf(written);
  if (place >= 0) underWay.splice(place, 1);
}

function belongsTo({ kind, status }) {
  const written = underWay.find((one) => one.kind === kind);
  // A message that was refused is sent once more, under a new session.
  if (written && (kind === 'plain' || status === '200')) withdrawn(written);
  return written;
}

function say(place, text, { isLost = false } = {}) {
  $(place).classList.toggle('lost', isLost);
  $(place).replaceChildren(text);
  if (!isLost) $(place).append(' ', element('a', { href: '#wire', className: 'jump' }, 'See it on the wire'));
}

const order = () => {
  const fields = new FormData($('#order'));
  return JSON.stringify({ item: fields.get('item'), quantity: Number(fields.get('quantity')) });
};

// --- an order, sealed: the form is sent by the client's own script -------------------------------

/** The order that waits for its answer, perhaps for a login first. */
let ordered;

// What is not answered is not told by an event: the script shows why, and the form is free again.
const isBeingSent = () => $('#order').getAttribute('aria-busy') === 'true';

$('#order').addEventListener('submit', () => {
  ordered ??= wrote('message', 'An order', ['POST /orders\nContent-Type: application/json\n\n', order()]);
});

$('#order').addEventListener('certless-answer', async (event) => {
  event.preventDefault();
  const { response } = event.detail;
  const written = ordered;
  ordered = undefined;
  await answered(written, response);
  const answer = await response.json();
  if (response.ok) say('#order-said', `Ordered, as number ${answer.id}.`);
  else say('#order-said', answer.error, { isLost: true });
  await showOrders();
});

// --- the same in plain ---------------------------------------------------------------------------

$('#plain').addEventListener('click', async () => {
  if (!$('#order').reportValidity()) return;
  const body = order();
  const headers = { 'Content-Type': 'application/json' };
  const written = wrote('plain', 'An order', ['POST /orders\nContent-Type: application/json\n\n', body]);
  try {
    const response = await fetch('/orders', { method: 'POST', headers, body });
    await answered(written, response);
    say('#order-said', `Refused with ${response.status}: the shop takes sealed orders only.`);
  } catch {
    withdrawn(written);
    say('#order-said', 'The gateway does not answer.', { isLost: true });
  }
});

// --- orders --------------------------------------------------------------------------------------

/** `certless.fetch` where nobody is to be asked to log in for it. */
async function quietly(method, path, title) {
  if (certless.page.state !== 'ready') return null;
  const written = wrote('message', title, [`${method} ${path}`], { isQuiet: method === 'GET' });
  try {
    const response = await certless.fetch(path, { method });
    await answered(written, response);
    return response;
  } catch {
    withdrawn(written);
    return null;
  }
}

async function showOrders() {
  const response = await quietly('GET', '/orders', 'Your orders');
  if (!response?.ok) return;
  const rows = (await response.json()).reverse().map(({ id, item, quantity }) => {
    const text = `${quantity} × ${item}`;
    const cancel = element('button', { type: 'button' }, 'Cancel');
    cancel.setAttribute('aria-label', `Cancel order ${id}, ${text}`);
    cancel.addEventListener('click', async () => {
      cancel.disabled = true;
      await quietly('DELETE', `/orders/${id}`, 'Cancelling');
      await showOrders();
    });
    return element('li', {}, element('span', { dir: 'auto' }, text), cancel);
  });
  $('#orders').replaceChildren(...rows);
}

function followSession() {
  certless.page.addEventListener('state', showSession);
  showSession();
}

function showSession() {
  const { state } = certless.page;
  document.body.dataset.session = state;
  if (state === 'none') $('#orders').replaceChildren();
  $('#no-orders').textContent = state === 'none' ? 'Log in to see them.' : 'None yet.';
  // An order that waited for the login shows them when it is through.
  if (state === 'ready' && !ordered) void showOrders();
}

// --- a picture -----------------------------------------------------------------------------------

const picture = $('#picture');

picture.addEventListener('change', () => {
  const [file] = picture.elements.file.files;
  URL.revokeObjectURL($('#preview').src);
  $('#preview').hidden = !file;
  if (file) $('#preview').src = URL.createObjectURL(file);
  const isTooLarge = file?.size > MAX_PICTURE_BYTES;
  picture.elements.file.setCustomValidity(isTooLarge ? 'Choose one of at most 6 MiB.' : '');
  $('#picture-said').textContent = '';
  picture.reportValidity();
});

picture.addEventListener('submit', async (event) => {
  event.preventDefault();
  const [file] = picture.elements.file.files;
  const button = picture.querySelector('button');
  const thumbnail = element('img', { src: $('#preview').src, alt: 'The picture' });
  const head = `POST /picture\nContent-Type: ${file.type}\n\n`;
  const written = wrote('message', 'A picture', [head, `${file.name}, ${size(file.size)}`, thumbnail]);
  button.disabled = true;
  try {
    const sent = certless.fetch('/picture', { method: 'POST', body: file });
    $('#picture-said').textContent = 'Sealing and sending…';
    const response = await sent;
    await answered(written, response);
    const answer = await response.json();
    if (response.ok) say('#picture-said', await compared(file, answer));
    else say('#picture-said', answer.error, { isLost: true });
  } catch (error) {
    withdrawn(written);
    say('#picture-said', error.message, { isLost: true });
  } finally {
    button.disabled = false;
  }
});

/** What the API says of the picture, beside what can be said here: no digest on an insecure page. */
async function compared(file, answer) {
  if (answer.size !== file.size) return `The API got ${size(answer.size)}, and ${size(file.size)} were sent.`;
  const same = `The API got all ${size(file.size)}`;
  if (!crypto.subtle) return `${same}. Their SHA-256, as it says: ${answer.sha256}.`;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex === answer.sha256 ? `${same}, and their SHA-256 is the same: ${hex}.` : `${same}, but changed.`;
}

// --- all of it -----------------------------------------------------------------------------------

async function followWire() {
  let isPast = true;
  for await (const batch of exchanges((isLost) => { $('#lost').hidden = !isLost; })) {
    for (const exchange of batch) view.add({ ...exchange, written: isPast ? undefined : belongsTo(exchange) });
    // What the page sends by itself must not be taken for what was over before.
    if (isPast) followSession();
    isPast = false;
  }
}

if (globalThis.certless?.page) {
  void followWire();
} else {
  $('#missing').hidden = false;
}
