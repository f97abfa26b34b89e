// The list of devices, and the button that revokes one. The operator's key stays in this module.
const TIMEOUT_MS = 8000;
const MOST_ROWS = 200;

const [form, input, status, list, filter, update, confirm, question] = [
  'unlock', 'operator-key', 'devices-status', 'devices', 'filter', 'update', 'confirm', 'confirm-text',
].map((id) => document.getElementById(id));
const body = document.querySelector('#device-table tbody');
const date = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const hour = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

let key = '';
let devices = [];

async function ask(path, options = {}) {
  const headers = { Authorization: `Bearer ${key}` };
  const response = await fetch(path, { ...options, headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

/** Shows what has happened. An error says what the gateway answered, or that it did not. */
function say(text, isWrong = false) {
  status.textContent = text;
  status.classList.toggle('lost', isWrong);
}

async function attempt(work) {
  try {
    await work();
  } catch (error) {
    const isSilent = error.name === 'TimeoutError' || error instanceof TypeError;
    say(isSilent ? 'The gateway does not answer. Try again.' : `Not done: ${error.message}.`, true);
  }
}

function cell(name, content) {
  const element = document.createElement(name);
  element.append(content);
  return element;
}

function row(device) {
  const element = document.createElement('tr');
  const name = cell('th', device.name);
  name.scope = 'row';
  const owner = cell('td', device.owner);
  owner.title = device.owner;
  const seen = device.seen_ms ? hour.format(device.seen_ms) : 'never';
  // The button is beside the name, so that it is visible on a small screen.
  element.append(name, cell('td', device.is_revoked ? 'revoked' : revokeButton(device)), cell('td', seen), owner);
  element.append(cell('td', date.format(device.expires_ms)), cell('td', device.suite));
  return element;
}

function revokeButton(device) {
  const button = cell('button', 'Revoke');
  button.type = 'button';
  button.setAttribute('aria-label', `Revoke ${device.name} of ${device.owner}`);
  button.addEventListener('click', () => void revoke(device));
  return button;
}

function draw() {
  const wanted = filter.value.trim().toLowerCase();
  const found = devices.filter(({ name, owner }) => `${name} ${owner}`.toLowerCase().includes(wanted));
  body.replaceChildren(...found.slice(0, MOST_ROWS).map(row));
  if (!devices.length) return 'No device has a name yet: give one with certless code issue --device.';
  if (found.length > MOST_ROWS) return `The first ${MOST_ROWS} of ${found.length} devices are shown.`;
  return `${found.length} of ${devices.length} devices are shown.`;
}

async function load() {
  ({ devices } = await ask('devices'));
  form.hidden = true;
  list.hidden = false;
  return draw();
}

async function revoke({ id, name, owner }) {
  question.textContent = `Revoke ${name} of ${owner}? Its session ends, and it needs a new code or a new ticket.`;
  confirm.returnValue = '';
  confirm.showModal();
  await new Promise((resolve) => { confirm.addEventListener('close', resolve, { once: true }); });
  if (confirm.returnValue !== 'revoke') return;
  await attempt(async () => {
    await ask('devices/revoke', { method: 'POST', body: id });
    await load();
    say(`${name} of ${owner} is revoked.`);
    // The button that had the focus has gone.
    filter.focus();
  });
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  key = input.value.trim();
  void attempt(async () => {
    // Only these characters can be in a header.
    if (!/^[\x21-\x7e]+$/.test(key)) throw new Error('this is not the operator’s key');
    say(await load());
    input.value = '';
    filter.focus();
  });
});
update.addEventListener('click', () => void attempt(async () => say(await load())));
filter.addEventListener('input', () => say(draw()));
