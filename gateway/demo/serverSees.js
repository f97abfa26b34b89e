// What the server sees: the tables of the vault's database, and what each column tells and hides.

const PAUSE_MS = 1500;

const place = document.querySelector('#tables');
/** The parts of each table that change: its number of rows, and the values of each column. */
const shown = new Map();

function part(name, className, ...children) {
  const made = document.createElement(name);
  made.className = className;
  made.append(...children);
  return made;
}

function build({ name, purpose, columns }) {
  const count = part('span', 'count');
  const values = new Map();
  const rows = columns.map((column) => {
    const list = part('ul', 'values');
    list.ariaLabel = `Values of ${column.name}`;
    values.set(column.name, list);
    const tells = part('dd', 'tells', part('strong', '', 'Tells: '), column.tells);
    const hides = part('dd', 'hides', part('strong', '', 'Does not tell: '), column.hides);
    return part('div', 'column', part('dt', '', column.name), part('dd', '', list), tells, hides);
  });
  const details = part('details', '', part('summary', '', part('code', '', name), ' ', count), part('p', 'soft', purpose), part('dl', '', ...rows));
  details.open = ['vault_metas', 'vault_blocks', 'vault_pool'].includes(name);
  place.append(details);
  shown.set(name, { count, values });
}

function update({ name, rows, columns }) {
  const { count, values } = shown.get(name);
  count.textContent = rows === 1 ? '1 row' : `${rows} rows`;
  for (const column of columns) {
    const list = values.get(column.name);
    const before = Array.from(list.children, ({ textContent }) => textContent);
    if (before.length === column.values.length && before.every((text, at) => text === column.values[at])) continue;
    // A value that was not there before is marked for a moment.
    list.replaceChildren(...column.values.map((text) => part('li', before.includes(text) ? '' : 'new', text)));
  }
}

async function refresh() {
  const response = await fetch('/tables.json');
  const tables = await response.json();
  for (const table of tables) {
    if (!shown.has(table.name)) build(table);
    update(table);
  }
}

async function follow() {
  for (;;) {
    if (!document.hidden) {
      const isLost = await refresh().then(() => false, () => true);
      document.querySelector('#sees-lost').hidden = !isLost;
    }
    await new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
  }
}

void follow();
