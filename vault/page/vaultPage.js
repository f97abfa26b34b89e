// The page of the vault. The account key and Argon2id are in a Worker of vault.js. This script reads the
// fields, calls the vault, and clears the fields. Notes and files are in vaultPageFiles.js.
import { filesPart, isAlarm } from './vaultPageFiles.js';

const $ = (selector, root = document) => root.querySelector(selector);
const LOCK_MS = 5 * 60_000;
const WARN_MS = 60_000;
const SAVE_MS = 10_000;
const TOUCH_MS = 5_000;
const MAX_NOTE_BYTES = 65_536;
const COMPUTING = 'Computing a key from the password. This takes about a second.';

const root = $('#vault');
const note = $('[name=note]');
const page = globalThis.certless?.page;
/** The user of `vault`. */
let user = '';
let vault = null;
let turn = Promise.resolve();
let isChanged = false;
let wrongPasswords = 0;
let locksAt = 0;
let touchedAt = 0;
let isWarned = false;

// --- what the page says --------------------------------------------------------------------------

function say(text) {
  $('#failed').textContent = '';
  $('#said').textContent = text;
}

function fail(text) {
  $('#said').textContent = '';
  $('#failed').textContent = text;
}

function working(text) {
  $('#work').textContent = text;
  $('#working').hidden = !text;
}

function show(view) {
  root.dataset.view = view;
  if (view === 'open') {
    $('#files-title').focus();
    return;
  }
  const field = $(`[data-in=${view}] :is(input, textarea)`);
  if (field && !$('dialog[open]')) field.focus();
}

/** Why `name` failed, for people. */
function reasonOf(name, error) {
  if (error.code === 'cancelled') return 'You have cancelled it. Nothing was changed.';
  if (name === 'unlock' && error.code === 'wrong_secret') {
    wrongPasswords += 1;
    const known = 'This password does not open your vault. Either it is wrong, or you have no vault yet.';
    const waits = 'After 5 wrong ones, the vault accepts none for 30 seconds, and after each further one for twice as long.';
    return wrongPasswords < 5 ? known : `${known} ${waits} Wait and try again, or use your recovery code.`;
  }
  if (name === 'recover' && error.code === 'refused') return 'This code does not open your vault. Use the newest recovery code.';
  if (name === 'unlockTemporarily' && error.code === 'refused') return 'This key does not open your vault. It works once, and not after its time.';
  if (error instanceof globalThis.certless.CertlessError || error.code) return error.message;
  reportError(error);
  return 'An error occurred in this page. Reload it.';
}

// --- the vault -----------------------------------------------------------------------------------

const untilLock = () => Math.max(0, locksAt - performance.now());

/** The vault has started its lock timer again. */
function used() {
  locksAt = performance.now() + LOCK_MS;
  isWarned = false;
}

/** Calls a method of the vault. */
async function call(name, ...given) {
  try {
    return await vault[name](...given);
  } finally {
    used();
  }
}

/** Calls a method of the notes and files. */
async function callFiles(name, ...given) {
  try {
    return await vault.files[name](...given);
  } finally {
    used();
  }
}

const files = filesPart({ call: callFiles, say, perform, used, reasonOf });

/** The session of the page, also after it was lost and the user has logged in again. */
const session = {
  fetch: (target, init) => page.fetch(target, init),
  export: async (label) => {
    if (!page.session) await page.fetch('/vault/parameters');
    return page.session.export(label);
  },
};

let begun = Promise.resolve();
/** Follows the state of the session, one change after the other. */
const begin = () => (begun = begun.then(follow));

async function follow() {
  if (page.state === 'none') {
    if (vault) void vault.lock();
    root.dataset.view = 'login';
  } else if (page.state === 'ready' && !user) {
    user = page.username;
    vault = await globalThis.certlessVault.openVault(session, { lockMs: LOCK_MS, onlock: onLock });
    show('unlock');
  } else if (page.state === 'ready' && user !== page.username) {
    // Nothing of the former user stays in this page.
    location.reload();
  } else if (page.state === 'ready' && root.dataset.view === 'login') {
    show('unlock');
  }
}

function onLock() {
  $('#code').dispatchEvent(new Event('cancel'));
  for (const form of root.querySelectorAll('form')) form.reset();
  for (const place of ['#devices', '#temporary-key', '#size']) $(place).replaceChildren();
  $('#conflict').hidden = true;
  $('#reset-warning').hidden = true;
  isChanged = false;
  files.locked();
  for (const details of root.querySelectorAll('[data-in=open] details')) details.open = false;
  if (root.dataset.view !== 'open') return;
  say('The vault is locked.');
  show(page.state === 'none' ? 'login' : 'unlock');
}

async function opened(text) {
  wrongPasswords = 0;
  await loadNote();
  show('open');
  say(text);
  await enrol();
  await showAccount();
  await files.opened();
}

/** Puts this browser on the list of devices, once. It gets no secret. */
async function enrol() {
  const key = deviceKey();
  const known = localStorage.getItem(key);
  const device = { name: browserName(), kind: 'page', id: known && bytesOf(known) };
  try {
    const { id } = await call('addDevice', device);
    localStorage.setItem(key, hexOf(id));
  } catch (error) {
    if (error.code !== 'too_large') throw error;
    say('The vault is open. This browser is not on the list of devices, because the list is full.');
  }
}

/** Where the id of this browser's device is kept. The extension has one origin for all sites. */
function deviceKey() {
  const { origin } = page.url('');
  return `certless-vault-device ${origin === location.origin ? '' : `${origin} `}${user}`;
}

const isHere = (id) => localStorage.getItem(deviceKey()) === hexOf(id);

function browserName() {
  const { userAgent } = navigator;
  const browser = ['Firefox', 'Edg', 'Chrome', 'Safari'].find((name) => userAgent.includes(`${name}/`)) ?? 'Browser';
  const system = ['Windows', 'Android', 'iPhone', 'iPad', 'Mac OS', 'Linux'].find((name) => userAgent.includes(name));
  return `${browser === 'Edg' ? 'Edge' : browser}${system ? ` on ${system}` : ''}`;
}

const hexOf = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
const bytesOf = (hex) => Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));

async function showAccount() {
  const devices = await call('devices');
  const { isToBeReset } = await call('account');
  $('#reset-warning').hidden = !isToBeReset;
  $('#devices').replaceChildren(...devices.map(deviceRow));
}

function deviceRow({ id, name, kind, day }) {
  const row = document.createElement('li');
  const text = document.createElement('span');
  const since = new Date(day * 86_400_000).toISOString().slice(0, 10);
  text.textContent = `${name} (${kind}), since ${since}${isHere(id) ? ', this browser' : ''}`;
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Sign out';
  button.ariaLabel = `Sign out ${text.textContent}`;
  button.addEventListener('click', () => void perform('signOut', { id, name }));
  row.append(text, button);
  return row;
}

// --- the note ------------------------------------------------------------------------------------

async function loadNote() {
  note.value = (await call('note')) ?? '';
  isChanged = false;
  $('#conflict').hidden = true;
  showSize();
}

function showSize() {
  const { length } = new TextEncoder().encode(note.value);
  const isTooLong = length > MAX_NOTE_BYTES;
  $('#size').textContent = `${length.toLocaleString('en')} of ${MAX_NOTE_BYTES.toLocaleString('en')} bytes${isChanged ? ', not saved' : ''}`;
  note.setCustomValidity(isTooLong ? 'The note is too long. Make it shorter.' : '');
}

async function saveNote(text) {
  await call('saveNote', text);
  // The user can have typed on in the meantime.
  isChanged = note.value !== text;
  $('#conflict').hidden = true;
  showSize();
  say('The note is saved.');
}

// --- the recovery code -----------------------------------------------------------------------------

/** A code as its reader takes it: no hyphens or spaces, and O, I, L are digits. */
const plainCode = (text) => text.toUpperCase().replace(/[-\s]/g, '').replaceAll('O', '0').replace(/[IL]/g, '1');

/** Shows the code, hides it, and resolves to the text that the user types from the paper. */
function typeBack(code) {
  const [dialog, form, typed] = [$('#code'), $('#code form'), $('#code [name=typed]')];
  const output = $('#code output');
  const complaint = $('#code-typed [role=alert]');
  const ended = new AbortController();
  const showStep = (isTyping) => {
    $('#code-shown').hidden = isTyping;
    $('#code-typed').hidden = !isTyping;
    complaint.textContent = '';
    typed.value = '';
    (isTyping ? typed : output).focus();
  };
  working('');
  return new Promise((resolve, reject) => {
    const end = (act) => {
      ended.abort();
      output.value = '';
      typed.value = '';
      dialog.close();
      working(COMPUTING);
      act();
    };
    const cancel = (event) => {
      event.preventDefault();
      end(() => reject(Object.assign(new Error('cancelled'), { code: 'cancelled' })));
    };
    const submit = (event) => {
      event.preventDefault();
      if (plainCode(typed.value) === plainCode(code)) end(() => resolve(code));
      else complaint.textContent = 'This is not the code that was shown. Compare it with your paper.';
    };
    const { signal } = ended;
    form.addEventListener('submit', submit, { signal });
    dialog.addEventListener('cancel', cancel, { signal });
    $('#code-cancel').addEventListener('click', cancel, { signal });
    $('#code-written').addEventListener('click', () => showStep(true), { signal });
    $('#code-again').addEventListener('click', () => showStep(false), { signal });
    output.value = code;
    dialog.showModal();
    showStep(false);
  });
}

// --- what the buttons do ---------------------------------------------------------------------------

const ACTIONS = {
  ...files.actions,
  unlock: async ({ password }) => {
    await call('unlock', password);
    await opened('The vault is open.');
  },
  create: async ({ password }) => {
    await call('create', password, typeBack);
    await opened('Your vault is ready and open.');
  },
  recover: async ({ code, password }) => {
    await call('recover', code);
    await call('changePassword', password);
    await opened('The vault is open, and has the new password. The recovery code stays valid.');
  },
  unlockTemporarily: async ({ code }) => {
    await call('unlockTemporarily', code);
    await opened('The vault is open. The temporary key is used up.');
  },
  reset: async () => {
    const hours = await call('reset');
    const when = new Date(Date.now() + hours * 3_600_000).toLocaleString('en', { dateStyle: 'long', timeStyle: 'short' });
    say(`A mail about the reset is on its way to you. From ${when} on, for 23 days, you can create a new vault here.`);
  },
  load: async () => {
    await loadNote();
    say('The note is loaded.');
  },
  saveNote: ({ note: text }) => saveNote(text.replaceAll('\r\n', '\n')),
  takeTheirs: async () => {
    await loadNote();
    say('This is the note of the other device.');
  },
  keepMine: async () => {
    const mine = note.value;
    // Reading the other note allows to replace it.
    await call('note');
    await saveNote(mine);
  },
  signOut: async ({ id, name }) => {
    const isThis = isHere(id);
    await call('signOut', id);
    if (isThis) {
      await page.logout();
      say('This browser is signed out.');
      return;
    }
    await showAccount();
    $('#devices-title').focus();
    say(`${name} is signed out.`);
  },
  rekey: async ({ password }) => {
    await call('rekey', password, typeBack);
    await enrol();
    await showAccount();
    await files.opened();
    say('The vault has a new key, a new recovery code and this password. All other devices are revoked.');
  },
  changePassword: async ({ password }) => {
    await call('changePassword', password);
    say('The password is changed.');
  },
  newRecoveryCode: async () => {
    await call('newRecoveryCode', typeBack);
    say('The new recovery code is valid. The old one opens nothing.');
  },
  temporaryKey: async ({ hours }) => {
    $('#temporary-key').textContent = await call('temporaryKey', { lifetimeS: Number(hours) * 3600 });
  },
  exportNote: async ({ password }) => {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([await call('exportNote', password)]));
    link.download = 'note.certless-vault';
    link.click();
    URL.revokeObjectURL(link.href);
    say('The saved note is in the file.');
  },
  importNote: async ({ file, password }) => {
    await call('importNote', new Uint8Array(await file.arrayBuffer()), password);
    await loadNote();
    say('The note of the file is now your note.');
  },
  cancelReset: async () => {
    await call('cancelReset');
    await showAccount();
    say('There is no reset now.');
  },
  remove: async () => {
    await call('remove');
    say('The vault is deleted. A mail tells you about it.');
  },
};

const TAKES_A_SECOND = ['unlock', 'create', 'recover', 'rekey', 'changePassword', 'exportNote', 'importNote'];

/** Does one after the other, so that no click is lost. */
function perform(name, fields) {
  turn = turn.then(() => doNow(name, fields));
  return turn;
}

async function doNow(name, fields) {
  root.setAttribute('aria-busy', 'true');
  say('');
  working(TAKES_A_SECOND.includes(name) ? COMPUTING : '');
  try {
    await ACTIONS[name](fields);
  } catch (error) {
    if (error.code === 'conflict' && ['saveNote', 'keepMine'].includes(name)) $('#conflict').hidden = false;
    else if (isAlarm(error)) files.alarm(error, { name: fields.entry?.name });
    else fail(reasonOf(name, error));
  } finally {
    working('');
    root.removeAttribute('aria-busy');
  }
}

root.addEventListener('submit', (event) => {
  const form = event.target;
  if (!form.dataset.does) return;
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form));
  if (form.dataset.keeps === undefined) for (const field of form.querySelectorAll('input')) if (field.type !== 'file') field.value = '';
  void perform(form.dataset.does, fields);
});

root.addEventListener('click', ({ target }) => {
  const { show: view, does } = target.closest('button')?.dataset ?? {};
  if (view) {
    say('');
    show(view);
  } else if (does) {
    void perform(does, {});
  }
});

root.addEventListener('input', ({ target }) => {
  const again = target.form?.elements.again;
  if (again) again.setCustomValidity(again.value === target.form.elements.password.value ? '' : 'The two are different.');
  if (target === note) {
    isChanged = true;
    showSize();
  }
  // The vault stays open while the user is typing.
  if (target.closest('[data-in=open]') && performance.now() - touchedAt > TOUCH_MS) {
    touchedAt = performance.now();
    void call('keepOpen').catch(() => {});
  }
});

$('#lock').addEventListener('click', () => void vault.lock());

addEventListener('beforeunload', (event) => {
  if (isChanged || files.hasChanges()) event.preventDefault();
});

function countDown() {
  if (root.dataset.view !== 'open') return;
  const left = untilLock();
  const seconds = Math.ceil(left / 1000);
  $('#left').textContent = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  if (left < WARN_MS && !isWarned) {
    isWarned = true;
    say('The vault locks in one minute. A note that is not saved is saved before.');
  }
  if (left < SAVE_MS && isChanged) $('form[data-does=saveNote]').requestSubmit();
  if (left < SAVE_MS) files.save();
}

for (const place of root.querySelectorAll('[data-new-password]')) {
  place.append($('#new-password').content.cloneNode(true));
  if (place.dataset.newPassword) $('span', place).textContent = place.dataset.newPassword;
}
for (const only of root.querySelectorAll('[data-insecure]')) only.hidden = globalThis.isSecureContext;

if (page && globalThis.certlessVault) {
  setInterval(countDown, 500);
  page.addEventListener('state', () => void begin());
  void page.ready.then(begin);
} else {
  $('#missing').hidden = false;
}
