// Notes and files on the page of the vault: the list, the editor, uploads and downloads, versions, alarms.

const $ = (selector, root = document) => root.querySelector(selector);

const ALARMS = {
  rolled_back: 'The server shows an older state of your vault than this browser has seen. Perhaps its operator has restored an old backup. Or it hides your latest changes.',
  forked: 'The server shows a state of your vault that leaves out changes that this browser has seen.',
  missing: 'The server does not have a part of your data any more.',
  swapped: 'The server gave other data than this vault has written. Nothing of it was used.',
  forged: 'The server gave data that nobody with the key of this vault has made. Nothing of it was used.',
};
const ADVICE = 'Do not enter anything new here. Compare the four words with another device, and ask the operator of the server.';

/** @param {string} name @param {string} className @param {...(Node | string)} children */
function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function button(text, className, act, label = text) {
  const made = element('button', className, text);
  made.type = 'button';
  if (label !== text) made.ariaLabel = label;
  made.addEventListener('click', act);
  return made;
}

const UNITS = ['bytes', 'KB', 'MB', 'GB'];

/** @param {number} bytes */
function sizeText(bytes) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** power).toLocaleString('en', { maximumFractionDigits: power ? 1 : 0 })} ${UNITS[power]}`;
}

const dayText = (day) => new Date(day * 86_400_000).toLocaleDateString('en', { dateStyle: 'long', timeZone: 'UTC' });

/** Whether an error is an alarm (VAULT §21.1). */
export const isAlarm = (error) => Object.hasOwn(ALARMS, error.code);

/**
 * The part of the page with notes and files.
 * @param {{ call: (name: string, ...given: any[]) => Promise<any>, say: (text: string) => void, perform: (name: string, fields: any) => void, used: () => void, reasonOf: (name: string, error: any) => string }} page
 *   `call` calls a method of `vault.files`, `perform` does an action as a button does, `used` starts the lock timer again
 */
export function filesPart({ call, say, perform, used, reasonOf }) {
  const editor = $('#editor form');
  let waiting = [];
  /** The note in the editor: its id, null for a new one, and the versions that the user has read. */
  let edited = null;
  let isChanged = false;
  /** One upload after the other. */
  let uploads = Promise.resolve();

  // --- the list ----------------------------------------------------------------------------------

  async function show() {
    const listed = await call('list');
    waiting = await call('waiting');
    $('#files').replaceChildren(...listed.map(row));
    $('#files-none').hidden = listed.length > 0;
    await showFacts();
  }

  /** Without a connection, the facts that were shown stay. */
  async function showFacts() {
    const status = await call('status').catch(() => null);
    if (!status) return null;
    for (const [place, text] of [['#safe', status.safeUntilMs && new Date(status.safeUntilMs).toLocaleDateString('en', { dateStyle: 'long' })], ['#words', status.words]]) {
      $(place).hidden = !text;
      $(`${place} strong`).textContent = text ?? '';
    }
    $('#clocks').hidden = !status.clocksDiffer;
    return status;
  }

  function row(entry) {
    const { id, kind, name, versions } = entry;
    const isNote = kind === 'note';
    const [newest] = versions.slice(-1);
    const size = newest.bytes === null ? 'not sent yet' : sizeText(newest.bytes);
    const about = element('span', 'soft', `${isNote ? 'Note' : 'File'}, ${size}, ${dayText(newest.day)}`);
    const title = element('span', 'name', element('strong', '', name), about);
    if (versions.length > 1) title.append(element('span', 'mark', `${versions.length} versions: choose`));
    if (waiting.includes(id)) title.append(element('span', 'mark', 'Waits for a connection'));
    const open = versions.length > 1 ? ['Choose', 'openVersions'] : isNote ? ['Open', 'openNote'] : ['Download', 'download'];
    const acts = [button(open[0], 'second', () => perform(open[1], { entry }), `${open[0]} ${name}`)];
    acts.push(button('Delete', 'alarm', () => perform('removeEntry', { entry }), `Delete ${name}`));
    return element('li', '', title, element('span', 'actions', ...acts));
  }

  // --- the editor --------------------------------------------------------------------------------

  function edit(id, name, text, replaces) {
    edited = { id, replaces };
    editor.elements.name.value = name;
    editor.elements.text.value = text;
    isChanged = false;
    $('#editor-title').textContent = id ? `Note: ${name}` : 'New note';
    $('#editor').hidden = false;
    (id ? editor.elements.text : editor.elements.name).focus();
  }

  function close() {
    edited = null;
    isChanged = false;
    editor.reset();
    $('#editor').hidden = true;
    $('#files-title').focus();
  }

  async function saveText({ name, text }) {
    const plain = text.replaceAll('\r\n', '\n');
    const { id, replaces } = edited;
    const outcome = id ? await call('edit', id, plain, { name, replaces }) : await call('putNote', name, plain);
    await show();
    const entry = (await call('list')).find((one) => one.id === outcome.id);
    const mine = entry?.versions.length === 1 ? entry.versions.map((version) => version.id) : undefined;
    edited = { id: outcome.id, replaces: mine };
    // The user can have typed on in the meantime.
    isChanged = editor.elements.text.value !== text;
    $('#editor-title').textContent = `Note: ${name}`;
    if (entry?.versions.length > 1) {
      close();
      await openVersions({ entry });
      say('Your text is saved. Another device has changed this note too: both versions are here.');
    } else {
      say(outcome.isSynced ? 'The note is saved.' : 'There is no connection. The note is saved in this browser, encrypted, and waits.');
    }
  }

  // --- versions ----------------------------------------------------------------------------------

  async function openVersions({ entry }) {
    const { id, kind, name, versions } = entry;
    const items = await Promise.all(versions.map(async (version) => {
      const about = element('p', 'soft', `Changed on ${dayText(version.day)}, ${version.bytes === null ? 'not sent yet' : sizeText(version.bytes)}`);
      const text = kind === 'note' ? element('pre', '', await call('text', id, version.id)) : '';
      const number = versions.indexOf(version) + 1;
      const acts = element(
        'p', 'actions',
        button('Keep only this one', 'second', () => perform('keepVersion', { entry, version }), `Keep only version ${number}`),
        button('Keep it as an entry of its own', 'second', () => perform('splitVersion', { entry, version }), `Keep version ${number} as an entry of its own`),
      );
      if (kind === 'file') acts.append(button('Download', 'second', () => perform('download', { entry, version }), `Download version ${number}`));
      return element('li', '', about, text, acts);
    }));
    $('#versions-title').textContent = `${versions.length} versions of ${name}`;
    $('#versions-list').replaceChildren(...items);
    $('#versions').hidden = false;
    $('#versions-title').focus();
  }

  function closeVersions() {
    $('#versions').hidden = true;
    $('#versions-list').replaceChildren();
    $('#files-title').focus();
  }

  // --- uploads and downloads ---------------------------------------------------------------------

  /** Runs one transfer with a bar and a button to end it. `work` gets the callback of its progress. `figureOf` writes its size. */
  async function transfer(title, name, work, figureOf = sizeText) {
    const bar = element('progress', '');
    bar.ariaLabel = `${title} ${name}`;
    const figure = element('span', 'figure', '');
    let isCancelled = false;
    const cancel = button('Cancel', 'second', () => (isCancelled = true), `Cancel: ${title} ${name}`);
    const item = element('li', '', element('span', 'name', `${title} ${name}`), bar, figure, cancel);
    $('#transfers').append(item);
    const onProgress = ({ done, total }) => {
      used();
      if (isCancelled) throw Object.assign(new Error('cancelled'), { code: 'cancelled' });
      if (total === null) return;
      bar.max = Math.max(1, total);
      bar.value = done;
      figure.textContent = `${total ? Math.floor((100 * done) / total) : 100} % of ${figureOf(total)}`;
    };
    say(`${title} ${name} …`);
    try {
      return await work(onProgress);
    } finally {
      item.remove();
    }
  }

  async function upload(file) {
    await transfer('Uploading', file.name, (onProgress) => call('put', file.name, file, { onProgress }));
    await show();
    say(`${file.name} is in the vault.`);
  }

  async function download({ entry: { id, name }, version }) {
    const blob = await transfer('Downloading', name, (onProgress) => call('get', id, { version: version?.id, onProgress }));
    const link = document.createElement('a');
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    // The browser reads the data after this task.
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    say(`${name} is downloaded.`);
  }

  /** Transfers run beside other actions. */
  async function begin(name, work, entry) {
    await work().catch((error) => (isAlarm(error) ? alarm(error, { name: entry }) : say(error.code === 'cancelled' ? `Cancelled: ${entry}.` : reasonOf(name, error))));
  }

  $('#choose-files').addEventListener('click', () => $('#files-chosen').click());
  $('#files-chosen').addEventListener('change', ({ target }) => {
    const files = [...target.files];
    target.value = '';
    for (const file of files) uploads = uploads.then(() => begin('put', () => upload(file), file.name));
  });

  // --- alarms ------------------------------------------------------------------------------------

  /** @param {any} error @param {{ name?: string }} [about] `name`: the alarm is about this entry alone */
  function alarm(error, { name } = {}) {
    say('');
    $('#alarm-title').textContent = `Alarm: ${error.code.replace('_', ' ')}${name ? ` (${name})` : ''}`;
    $('#alarm-text').textContent = `${ALARMS[error.code]} ${ADVICE}`;
    $('#alarm .actions').hidden = Boolean(name);
    $('#alarm').hidden = false;
  }

  // --- what the buttons do -----------------------------------------------------------------------

  const actions = {
    newNote: async () => edit(null, '', '', undefined),
    openNote: async ({ entry }) => {
      const [{ id: version }] = entry.versions;
      edit(entry.id, entry.name, await call('text', entry.id, version), [version]);
    },
    saveText,
    closeNote: async () => close(),
    removeEntry: async ({ entry }) => {
      if (!confirm(`Delete “${entry.name}”? Nobody can undo this.`)) return;
      const { isSynced } = await call('remove', entry.id);
      if (edited?.id === entry.id) close();
      await show();
      $('#files-title').focus();
      say(isSynced ? `${entry.name} is deleted.` : `There is no connection. ${entry.name} is deleted when there is one.`);
    },
    openVersions,
    closeVersions: async () => closeVersions(),
    keepVersion: async ({ entry, version }) => {
      await call('resolve', entry.id, version.id);
      closeVersions();
      await show();
      say(`${entry.name} has one version now.`);
    },
    splitVersion: async ({ entry, version }) => {
      await call('split', entry.id, version.id, `${entry.name} (2)`);
      closeVersions();
      await show();
      say(`The version is now “${entry.name} (2)”.`);
    },
    download: async (fields) => void begin('get', () => download(fields), fields.entry.name),
    sync: async () => {
      const changes = await call('sync');
      await show();
      const conflicts = changes.filter(({ what }) => what === 'conflict').length;
      say(conflicts ? `Synchronised. ${conflicts === 1 ? 'One entry has' : `${conflicts} entries have`} several versions now.` : `Synchronised. ${changes.length ? `Changed by other devices: ${changes.map(({ name }) => name).join(', ')}.` : 'Nothing was new.'}`);
    },
    accept: async () => {
      $('#alarm').hidden = true;
      await call('forget');
      await show();
      say('This browser now goes on from what the server has.');
    },
  };

  /** After an unlock: the list, then what is due. */
  async function opened() {
    await call('sync');
    await show();
    if (await call('renew')) await showFacts();
    const status = await showFacts();
    if (status?.isOld) await migrate();
  }

  /** Writes again what is under an earlier key. It goes on after the next unlock if it is stopped. */
  async function migrate() {
    await transfer('Writing again under the new key:', 'notes and files', (onProgress) => call('migrate', onProgress), (total) => `${total} entries`);
    say('');
    await show();
  }

  function locked() {
    close();
    closeVersions();
    for (const place of ['#files', '#transfers', '#safe strong', '#words strong', '#editor-title', '#versions-title', '#alarm-title']) $(place).replaceChildren();
    for (const place of ['#alarm', '#safe', '#words', '#clocks']) $(place).hidden = true;
    waiting = [];
  }

  editor.addEventListener('input', () => (isChanged = true));
  addEventListener('online', () => {
    if ($('#vault').dataset.view === 'open') perform('sync', {});
  });

  return { actions, alarm, opened, locked, migrate, hasChanges: () => isChanged || $('#transfers').childElementCount > 0, save: () => isChanged && editor.requestSubmit() };
}
