/** Attacks by a server on the classic suite: the client refuses with one clear error. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, before, describe, test } from './limited.js';
import { AnswerNotTrusted, DIALECTS, NoAnswer, Refused, login } from '../src/index.js';
import { describeError, restoreError } from '../src/common/errors.js';
import { decodeBytes, encodeBytes, parseJsonObject, serializeJson, utf8 } from '../src/common/codec.js';
import { HttpResponse } from '../src/protocol/messages.js';
import { nodeCrypto } from '../src/primitives/nodeCrypto.js';
import { validatePublicKey } from '../src/protocol/rsaKeys.js';
import { ServerExchange } from './support/serverExchange.js';
import { parseAuthenticateRequest, parseSealedRequest } from './support/serverMessages.js';
import { sealTo } from '../src/protocol/classic/exchange.js';
import { Classic } from '../src/protocol/classic/suites.js';
import { privateDer, publicPem } from './vectors.js';

const CODE = '0123456789ABCDEFGHJKMNPQRS';
const TOKEN = '00112233-4455-6677-8899-aabbccddeeff';

/** A correct server, except that `harm` can change an answer. */
class HostileServer {
  requests = [];
  answers = [];
  harm = {};

  constructor(dialect) {
    this.suite = new Classic(DIALECTS.get(dialect), nodeCrypto);
    this.exchange = new ServerExchange(this.suite, nodeCrypto);
    this.names = this.suite.dialect.names;
    this.server = http.createServer((request, response) => void this.#serve(request, response));
  }

  async start() {
    this.privateKey = await nodeCrypto.importPrivateKey(privateDer('test-session'));
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.url = `http://127.0.0.1:${this.server.address().port}`;
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  async #serve(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const members = parseJsonObject(Buffer.concat(chunks));
    const route = request.url.replace('/.gateway', '');
    const answer = await {
      '/session': async () => ({ [this.names.token]: TOKEN }),
      '/session/authenticate': () => this.#login(members),
      '/message': () => this.#message(members),
      '/session/logout': () => this.#logout(members),
    }[route]();
    if (typeof answer === 'function') return answer(response);
    response.setHeader('Content-Type', 'application/json');
    return response.end(answer instanceof Uint8Array ? answer : serializeJson(answer));
  }

  async #login(members) {
    const message = parseAuthenticateRequest(members, this.names);
    const accepted = await this.exchange.openLogin(message, CODE, Date.now());
    this.clientKey = accepted.clientKey;
    const honest = async () => accepted.sealResponse(validatePublicKey(publicPem('test-session')));
    const sealed = this.harm.login ? await this.harm.login(this, honest) : await honest();
    return sealed.serialize ? sealed.serialize(this.names) : sealed;
  }

  async #opened(members) {
    const keys = { privateKey: this.privateKey, clientKey: this.clientKey, tagKey: new Uint8Array(32) };
    const message = parseSealedRequest(members, this.names);
    return (await this.exchange.openRequest(message, keys, Date.now())).accept(true);
  }

  async #message(members) {
    this.requests.push(members);
    const accepted = await this.#opened(members);
    const response = new HttpResponse(200, [], utf8(`answer ${this.answers.length}`));
    const sealed = await accepted.sealHttpResponse(response, Date.now());
    const honest = sealed.serialize(this.names);
    this.answers.push(honest);
    const nonce = parseJsonObject(await this.#plaintext(members))[this.names.nonce];
    return this.harm.message ? this.harm.message(this, honest, nonce) : honest;
  }

  async #logout(members) {
    const honest = (await (await this.#opened(members)).sealResponse(utf8('{}'))).serialize(this.names);
    return this.harm.logout ? this.harm.logout(this, honest) : honest;
  }

  async #plaintext(members) {
    const { sealed } = parseSealedRequest(members, this.names);
    const passphrase = await this.suite.unwrap(this.privateKey, sealed.key);
    return this.suite.open(passphrase, sealed.payload, sealed.iv);
  }

  /** `text` sealed to `key` as it is. */
  async seal(text, key = this.clientKey) {
    return (await sealTo(this.suite, key, utf8(text))).serialize(this.names);
  }
}

function flipped(encoding, text, at) {
  const data = decodeBytes(encoding, text);
  data[at < 0 ? data.length + at : at] ^= 1;
  return encodeBytes(encoding, data);
}

const inside = (nonce, response) => `{"timestamp":1,"nonce":"${nonce}","response":${response}}`;
const FINE = '{"status":200,"headers":[],"body":""}';
const isNotTrusted = (error) => {
  assert.ok(error instanceof AnswerNotTrusted, error.stack);
  assert.equal(error.code, 'answer_not_trusted');
  assert.match(error.message, /^The answer does not belong to your session/);
  return true;
};

const ANSWERS = {
  'an earlier answer once more': (server) => server.answers[0],
  'the request reflected': (server) => server.requests.at(-1),
  'the payload cut': (_, honest) => ({ ...honest, payload: honest.payload.slice(0, 20) }),
  'the payload gone': (_, { payload: _payload, ...rest }) => rest,
  'the payload empty': (_, honest) => ({ ...honest, payload: '' }),
  'the payload a number': (_, honest) => ({ ...honest, payload: 1 }),
  'the key cut': (_, honest) => ({ ...honest, key: honest.key.slice(0, 340) }),
  'the key changed': (_, honest) => ({ ...honest, key: flipped('base64', honest.key, 7) }),
  'the key not canonical': (_, honest) => ({ ...honest, key: `${honest.key}\n` }),
  'sealed to another': (server, _, nonce) => server.seal(inside(nonce, FINE), validatePublicKey(publicPem('test-other'))),
  'another nonce': (server, _, nonce) => server.seal(inside(`${nonce}x`, FINE)),
  'no nonce': (server) => server.seal(`{"response":${FINE}}`),
  'a nonce that is a list': (server, _, nonce) => server.seal(`{"nonce":["${nonce}"],"response":${FINE}}`),
  'no response': (server, _, nonce) => server.seal(`{"nonce":"${nonce}"}`),
  'nested 65 deep': (server, _, nonce) => server.seal(inside(nonce, '['.repeat(64) + ']'.repeat(64))),
  'nested 100,000 deep': (server, _, nonce) => server.seal(inside(nonce, '['.repeat(1e5) + ']'.repeat(1e5))),
  '__proto__ inside': (server, _, nonce) => server.seal(inside(nonce, `{"__proto__":{"status":200},"status":200}`)),
  '__proto__ by escape': (server, _, nonce) => server.seal(inside(nonce, `{"\\u005f_proto__":1,"status":200}`)),
  'a member twice': (server, _, nonce) => server.seal(`{"nonce":"x","nonce":"${nonce}","response":${FINE}}`),
  'NaN inside': (server, _, nonce) => server.seal(inside(nonce, '{"status":NaN}')),
  'a status of 99': (server, _, nonce) => server.seal(inside(nonce, '{"status":99}')),
  'a status of 1e9': (server, _, nonce) => server.seal(inside(nonce, '{"status":1e9}')),
  'a header with a line break': (server, _, nonce) =>
    server.seal(inside(nonce, '{"status":200,"headers":[["a","b\\r\\nc: d"]]}')),
  'a body that is no base64': (server, _, nonce) =>
    server.seal(inside(nonce, '{"status":200,"body":"?","encoding":"base64"}')),
  'no JSON outside': () => utf8('<html>'),
  'a list outside': () => [],
  '__proto__ outside': (_, honest) => utf8(JSON.stringify(honest).replace('{', '{"__proto__":{},')),
  'nested deeply outside': () => utf8('['.repeat(1e6)),
  'nothing at all': () => new Uint8Array(),
  'endless': () => (response) => {
    const chunk = Buffer.alloc(65536, 0x20);
    response.setHeader('Content-Type', 'application/json');
    const more = () => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on('drain', more);
    more();
  },
};

for (const dialect of ['article-2016', 'sfet-3', 'sfet-4-gcm']) {
  describe(`hostile answers in ${dialect}`, () => {
    let server;
    let session;
    before(async () => {
      server = new HostileServer(dialect);
      await server.start();
      const given = { url: server.url, dialect, username: 'ann', code: () => CODE };
      session = await login({ ...given, maxAnswerBytes: 2 * 1024 * 1024 });
      assert.equal(await (await session.fetch('/')).text(), 'answer 0');
    });
    after(() => server.stop());

    for (const [name, harm] of Object.entries(ANSWERS)) {
      test(name, async () => {
        server.harm = { message: harm };
        await assert.rejects(session.fetch('/'), isNotTrusted);
        server.harm = {};
        assert.match(await (await session.fetch('/')).text(), /^answer/);
      });
    }

    if (dialect === 'sfet-4-gcm') {
      test('every bit of a GCM payload is authenticated', async () => {
        for (const at of [0, 40, -1]) {
          server.harm = {
            message: (_, honest) => ({ ...honest, payload: flipped('base64', honest.payload, at) }),
          };
          await assert.rejects(session.fetch('/'), isNotTrusted);
        }
        server.harm = {};
      });
    }

    test('answers swapped between requests', async () => {
      const waiting = [];
      server.harm = {
        message: (_, honest) =>
          new Promise((resolve) => {
            waiting.push({ honest, resolve });
            if (waiting.length === 2) waiting.forEach((one, i) => one.resolve(waiting[1 - i].honest));
          }),
      };
      const both = await Promise.allSettled([session.fetch('/a'), session.fetch('/b')]);
      for (const { reason } of both) isNotTrusted(reason);
      server.harm = {};
    });

    test('a connection that breaks', async () => {
      server.harm = { message: () => (response) => response.destroy() };
      await assert.rejects(session.fetch('/'), NoAnswer);
      server.harm = {};
    });

    test('a refusal that does not come from a gateway', async () => {
      for (const body of ['<html>', '[]', '{"error":1}', '{"__proto__":{}}', '['.repeat(1e5)]) {
        server.harm = { message: () => (response) => response.writeHead(500).end(body) };
        await assert.rejects(session.fetch('/'), (error) => error instanceof Refused && error.code === 'no_gateway');
      }
      server.harm = {};
    });

    test('redirects are not followed', async () => {
      server.harm = {
        message: () => (response) => response.writeHead(307, { Location: 'http://127.0.0.1:1/' }).end(),
      };
      await assert.rejects(session.fetch('/'), (error) => error instanceof Refused && error.code === 'no_gateway');
      server.harm = {};
    });

    test('a logout with the answer to another request', async () => {
      server.harm = { logout: (one) => one.seal('{}', validatePublicKey(publicPem('test-other'))) };
      await assert.rejects(session.close(), isNotTrusted);
      assert.equal(session.state, 'closed');
    });
  });
}

test('a refusal whose code is a property of every object', () => {
  for (const word of ['constructor', '__proto__', 'toString']) {
    assert.equal(new Refused(400, word).message, 'The service refused the request.');
  }
});

test('the time to wait passes through a Worker', () => {
  const error = restoreError(structuredClone(describeError(new Refused(429, 'too_many', 'no', undefined, 240))));
  assert.ok(error instanceof Refused);
  assert.deepEqual([error.retryAfterS, error.message.slice(-23)], [240, 'Try again in 4 minutes.']);
  const other = restoreError(describeError(new Refused(403, 'rejected')));
  assert.equal(/** @type {Refused} */ (other).retryAfterS, null);
});

describe('hostile logins', () => {
  const KEYS = {
    'no key inside': (server) => server.seal('{}'),
    'a key that is a number': (server) => server.seal('{"publicKey":1}'),
    'sealed to another': (server) => server.seal('{}', validatePublicKey(publicPem('test-other'))),
    'a weak key': (server) => {
      const pem = '-----BEGIN PUBLIC KEY-----\nMA==\n-----END PUBLIC KEY-----\n';
      return server.seal(JSON.stringify({ publicKey: pem }));
    },
    'two keys': (server) => server.seal(JSON.stringify({ publicKey: publicPem('test-session').repeat(2) })),
    'no sealed message': () => ({}),
  };
  for (const [name, harm] of Object.entries(KEYS)) {
    test(name, async () => {
      const server = new HostileServer('article-2016');
      await server.start();
      server.harm = { login: harm };
      try {
        await assert.rejects(login({ url: server.url, suite: 'classic', username: 'ann', code: () => CODE }), isNotTrusted);
      } finally {
        await server.stop();
      }
    });
  }
});
