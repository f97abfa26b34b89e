// The page of certificates. The private key is in a Worker of issuing.js. This script reads the fields, asks the
// Worker and the signer, and saves files.
const $ = (selector, within = document) => within.querySelector(selector);
const root = $('#issuing');
const page = globalThis.certless?.page;

let user = '';
let issuing = null;
/** The request and the certificate in PEM, once there are both. */
let made = null;
let isSaved = true;
let isBusy = false;

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
  isBusy = Boolean(text);
  for (const button of root.querySelectorAll('button')) button.disabled = isBusy;
}

function show(view, title) {
  root.dataset.view = view;
  $(title).focus();
}

function download(name, type, text) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  // The browser reads the file after this event.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const valueOf = (form, name) => new FormData(form).get(name)?.toString().trim() ?? '';

const actions = {
  async ask(form) {
    const fields = ['commonName', 'organization', 'organizationalUnit', 'locality', 'state', 'country'];
    const kind = valueOf(form, 'kind');
    const wanted = {
      subject: Object.fromEntries(fields.map((name) => [name, valueOf(form, name)])),
      names: valueOf(form, 'names').split('\n').map((line) => line.trim()).filter(Boolean),
      purposes: new FormData(form).getAll('purpose').map(String),
      usages: kind === 'P-256' ? ['digitalSignature'] : ['digitalSignature', 'keyEncipherment'],
    };
    working(kind === 'P-256' ? 'Making the key…' : 'Making the key. RSA can take several seconds without HTTPS.');
    made = await issuing.certificate(kind, wanted);
    isSaved = false;
    $('#certificate').textContent = made.certificate;
    show('done', '#done-title');
    say('The certificate is here, and belongs to your key.');
  },
  async saveKey(form) {
    const [passphrase, again] = ['passphrase', 'again'].map((name) => String(new FormData(form).get(name)));
    if (passphrase !== again) throw Object.assign(new Error('The two passphrases differ. Type them again.'), { code: 'input' });
    working('Encrypting the key. This takes a few seconds.');
    const key = await issuing.encryptedKey(passphrase);
    form.reset();
    download('private-key.pem', 'application/x-pem-file', key);
    isSaved = true;
    say('The encrypted key was saved. Keep the passphrase: nobody can reset it.');
  },
  async saveCertificate() {
    download('certificate.pem', 'application/x-pem-file', made.certificate);
    say('The certificate was saved.');
  },
  async saveRequest() {
    download('request.pem', 'application/x-pem-file', made.request);
    say('The request was saved.');
  },
  async startAgain() {
    await forget();
    say('The key was forgotten.');
    show('form', '#form-title');
  },
};

async function forget() {
  await issuing?.forget();
  made = null;
  isSaved = true;
  $('#certificate').textContent = '';
  for (const form of root.querySelectorAll('form')) form.reset();
}

async function perform(name, given) {
  if (isBusy) return;
  try {
    working('Working…');
    await actions[name](given);
  } catch (error) {
    if (!(error instanceof globalThis.certless.CertlessError) && !error.code) reportError(error);
    fail(error.code ? error.message : 'An error occurred in this page. Reload it.');
  } finally {
    working('');
  }
}

let begun = Promise.resolve();
/** Follows the state of the session, one change after the other. */
const begin = () => (begun = begun.then(follow));

async function follow() {
  if (page.state === 'none') {
    await forget();
    root.dataset.view = 'login';
  } else if (page.state === 'ready' && user && user !== page.username) {
    // Nothing of the former user stays in this page.
    location.reload();
  } else if (page.state === 'ready' && root.dataset.view === 'login') {
    user = page.username;
    issuing ??= await globalThis.certlessIssuing.openIssuing({ fetch: (target, init) => page.fetch(target, init) });
    const signer = await page.fetch('/issuing/signer');
    $('#for-tests').hidden = !(signer.ok && (await signer.json()).is_for_tests);
    show('form', '#form-title');
  }
}

if (page && globalThis.certlessIssuing) {
  for (const form of root.querySelectorAll('form')) {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void perform(form.dataset.does, form);
    });
  }
  for (const button of root.querySelectorAll('button[data-does]')) button.addEventListener('click', () => void perform(button.dataset.does));
  addEventListener('beforeunload', (event) => {
    if (!isSaved) event.preventDefault();
  });
  page.addEventListener('state', () => void begin());
  void page.ready.then(begin);
} else {
  $('#missing').hidden = false;
}
