// The server renders and escapes the page. This script only adds new mails, marks used codes,
// copies codes, and informs screen readers. It never builds HTML from a mail.

const list = document.getElementById('mails');
const status = document.getElementById('status');
const greeting = status.textContent;

function say(text, lost = false) {
  status.textContent = text;
  status.classList.toggle('lost', lost);
}

function localise(root) {
  for (const time of root.querySelectorAll('time')) {
    time.textContent = new Date(time.dateTime).toLocaleTimeString();
  }
}

// navigator.clipboard is missing on insecure origins: plain http on any host but localhost.
async function copy(text) {
  if (navigator.clipboard) {
    try { return await navigator.clipboard.writeText(text); } catch { /* use the old way */ }
  }
  const field = document.createElement('textarea');
  field.value = text;
  field.readOnly = true;
  field.className = 'offscreen';
  document.body.append(field);
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  if (!done) throw new Error('not copied');
}

list.addEventListener('click', async ({ target }) => {
  const button = target.closest('button');
  if (!button) return;
  const code = button.parentElement.querySelector('code');
  try {
    await copy(code.textContent);
    button.textContent = 'Copied';
    say('Copied. Now paste it into the login.');
    setTimeout(() => { button.textContent = 'Copy'; }, 2000);
  } catch {
    getSelection().selectAllChildren(code);
    say('This browser does not allow the page to copy. The code is selected: press Ctrl+C or ⌘C.');
  }
  button.focus();
});

function setState(mail, state, words) {
  mail.dataset.state = state;
  const place = mail.querySelector('.state');
  if (place) place.textContent = words;
}

/** Codes expire without an event from the server. */
function showExpired() {
  for (const mail of list.querySelectorAll('[data-state=fresh]')) {
    if (Date.parse(mail.dataset.until) <= Date.now()) setState(mail, 'expired', 'Expired');
  }
}

async function refresh(after) {
  const answer = await fetch(`./${after}`);
  if (!answer.ok) throw new Error(answer.status);
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const mails = Array.from(page.querySelectorAll('article'));
  const ids = new Set(mails.map(({ id }) => id));
  // Mails on the page stay unchanged: opened, selected, or with the focus on a button.
  for (const shown of list.querySelectorAll('article')) if (!ids.has(shown.id)) shown.remove();
  for (const mail of mails) {
    const shown = document.getElementById(mail.id);
    if (shown) setState(shown, mail.dataset.state, mail.querySelector('.state')?.textContent ?? '');
  }
  const fresh = mails.filter(({ id }) => !document.getElementById(id));
  for (const mail of fresh) {
    mail.classList.add('new');
    localise(mail);
  }
  list.prepend(...fresh);
  if (fresh.length) {
    say(`New mail to ${fresh[0].querySelector('bdi').textContent}`);
  } else if (status.classList.contains('lost')) {
    say(greeting);
  }
}

async function watch() {
  for (;;) {
    const lost = status.classList.contains('lost');
    const newest = list.firstElementChild?.id.slice('mail-'.length) ?? '';
    try {
      // The server answers when there is news. After a failure, ask for the current state.
      const used = list.querySelectorAll('[data-state=used]').length;
      await refresh(lost ? '' : `?after=${newest}&used=${used}`);
    } catch {
      if (!lost) say('The demo does not answer. This page keeps trying.', true);
      await new Promise((resume) => { setTimeout(resume, 2000); });
    }
  }
}

localise(document);
setInterval(showExpired, 5000);
watch();
