// The client of bound_key.py in JavaScript.
// Usage: node bound_key.mjs http://127.0.0.1:8440 ann@example.org key.pem
import { sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { login } from 'certless';

async function code() {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  return terminal.question('Code from the mail: ').finally(() => terminal.close());
}

const [url, username, key] = process.argv.slice(2);
const session = await login({ url, username, code });
const value = await session.export('shop.example key', new TextEncoder().encode('login'));
const body = sign(null, value, await readFile(key, 'utf8'));
const response = await session.fetch('/prove', { method: 'POST', body });
console.log(response.status, await response.text());
await session.close();
