// The npm package certless, from Node 18 on.
// Usage: node package_client.mjs http://127.0.0.1:8440 ann@example.org
import { createInterface } from 'node:readline/promises';
import { CertlessError, login } from 'certless';

async function code() {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  return terminal.question('Code from the mail: ').finally(() => terminal.close());
}

const [url, username] = process.argv.slice(2);
if (!username) throw new Error('say where the gateway is, and who you are');
try {
  const session = await login({ url, username, code });
  const order = JSON.stringify({ item: 'Räksmörgås', quantity: 2 });
  const response = await session.fetch('/orders', { method: 'POST', body: order });
  console.log(response.status, await response.text()); // a standard Response
  await session.close();
} catch (error) {
  if (!(error instanceof CertlessError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
