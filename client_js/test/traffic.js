/** A day of traffic for a gateway: logins, messages and logouts in all suites, and refused requests. */
import { login, requestLogin } from '../src/index.js';

const SUITES = ['ecdh-gcm', 'ecdh-gcm', 'classic', 'ecdh-gcm', 'rsa-gcm'];
const NOTHING = Buffer.alloc(32).toString('base64');

/** A user who sends `count` messages with a pause before each (ms), and logs out or leaves. */
export async function visit(gateway, suite, username, count, { pause = () => 0, stays = false, clock = Date.now, signal = null } = {}) {
  const code = () => gateway.mailbox.code(username);
  const session = await login({ url: gateway.url, username, suite, code, clock });
  for (let i = 0; i < count && !signal?.aborted; i += 1) {
    await rest(pause());
    await session.fetch('/bytes', { method: 'POST', body: `message ${i}` });
  }
  if (!stays) await session.close();
}

/** A user who types a wrong code. */
export async function mistype(gateway, username) {
  const asked = await requestLogin({ url: gateway.url, username });
  await asked.submit('AAAA-AAAA').catch(() => asked.cancel());
}

/** An attacker who forges messages. */
export async function forge(gateway) {
  const body = JSON.stringify({ token: 'AAAAAAAAAAAAAAAAAAAAAA', key: NOTHING, payload: NOTHING });
  const headers = { 'Content-Type': 'application/json' };
  await (await fetch(`${gateway.url}/.gateway/message`, { method: 'POST', headers, body })).arrayBuffer();
}

/** A client that sends unsealed requests. */
export async function peek(gateway) {
  await (await fetch(`${gateway.url}/orders`)).arrayBuffer();
}

export const rest = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** All of it, in waves, until `signal` is aborted. */
export async function traffic(gateway, signal) {
  let number = 0;
  const wave = () => 1 + Math.sin(Date.now() / 70_000) * 0.8;
  const until = async (act, pause) => {
    await rest(pause() * Math.random());
    while (!signal.aborted) {
      await act().catch((error) => {
        // Rate-limited clients try again later.
        if (error.code !== 'too_many') throw error;
      });
      await rest(pause() * (0.5 + Math.random()));
    }
  };
  const visitor = (suite) => {
    number += 1;
    // One of six has a clock that is wrong; classic takes that for a wrong code.
    const behindMs = number % 6 || suite === 'classic' ? 0 : 120_000;
    return visit(gateway, suite, `visitor-${number}@example.org`, 40, {
      pause: () => (800 * Math.random()) / wave(),
      stays: number % 3 === 0,
      clock: () => Date.now() - behindMs,
      signal,
    });
  };
  const visitors = [...SUITES, ...SUITES, ...SUITES];
  await Promise.all([
    ...visitors.map((suite) => until(() => visitor(suite), () => 8000 / wave())),
    until(() => mistype(gateway, `mistaken-${(number += 1)}@example.org`), () => 25_000 / wave()),
    until(() => forge(gateway), () => 9000 / wave()),
    until(() => peek(gateway), () => 4000 / wave()),
  ]);
}
