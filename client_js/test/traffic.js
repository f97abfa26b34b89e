/** What comes to a gateway in a day: people of all suites who log in, send and go, and what is refused. */
import { login, requestLogin } from '../src/index.js';

const SUITES = ['ecdh-gcm', 'ecdh-gcm', 'classic', 'ecdh-gcm', 'rsa-gcm'];
const NOTHING = Buffer.alloc(32).toString('base64');

/** One who sends `count` messages, a pause in ms before each, and logs out. */
export async function visit(gateway, suite, username, count, pause = () => 0) {
  const code = () => gateway.mailbox.code(username);
  const session = await login({ url: gateway.url, username, suite, code });
  for (let i = 0; i < count; i += 1) {
    await rest(pause());
    await session.fetch('/bytes', { method: 'POST', body: `message ${i}` });
  }
  await session.close();
}

/** One who types a code that is wrong. */
export async function mistype(gateway, username) {
  const asked = await requestLogin({ url: gateway.url, username });
  await asked.submit('AAAA-AAAA').catch(() => asked.cancel());
}

/** One who makes messages up, and asks in plain. */
export async function forge(gateway) {
  const body = JSON.stringify({ token: 'AAAAAAAAAAAAAAAAAAAAAA', key: NOTHING, payload: NOTHING });
  const headers = { 'Content-Type': 'application/json' };
  await (await fetch(`${gateway.url}/.gateway/message`, { method: 'POST', headers, body })).arrayBuffer();
  await (await fetch(`${gateway.url}/orders`)).arrayBuffer();
}

export const rest = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** All of it, in waves, until `signal` is aborted. */
export async function traffic(gateway, signal) {
  let number = 0;
  const wave = () => 1 + Math.sin(Date.now() / 70_000) * 0.8;
  const until = async (act, pause) => {
    while (!signal.aborted) {
      await act();
      await rest(pause() * (0.5 + Math.random()));
    }
  };
  await Promise.all([
    ...SUITES.map((suite) =>
      until(
        () => visit(gateway, suite, `visitor-${(number += 1)}@example.org`, 60, () => (120 * Math.random()) / wave()),
        () => 6000 / wave(),
      ),
    ),
    until(() => mistype(gateway, `mistaken-${(number += 1)}@example.org`), () => 25_000 / wave()),
    until(() => forge(gateway), () => 4000 / wave()),
  ]);
}
