/** The vectors of the classic suite and of what both share, with each implementation of the primitives. */
import './globalCrypto.js';
import assert from 'node:assert/strict';
import { describe, test } from './limited.js';
import { encodeBytes, parseJson, utf8, utf8Text } from '../src/common/codec.js';
import { normaliseUsername } from '../src/protocol/codes.js';
import { derive, findDialect } from '../src/protocol/classic/dialects.js';
import { DecryptionFailed, MalformedMessage } from '../src/common/errors.js';
import { PendingLogin, PendingResponse } from '../src/protocol/classic/exchange.js';
import { HttpRequest, SealedMessage } from '../src/protocol/messages.js';
import { nodeCrypto } from '../src/primitives/nodeCrypto.js';
import { pure } from '../src/primitives/pure.js';
import { webCrypto } from '../src/primitives/webCrypto.js';
import { validatePublicKey } from '../src/protocol/rsaKeys.js';
import { ServerExchange } from './support/serverExchange.js';
import { parseTimestamp } from './support/serverFreshness.js';
import { parseAuthenticateRequest, parseSealedRequest, parseSessionRequest } from './support/serverMessages.js';
import { Classic } from '../src/protocol/classic/suites.js';
import { KEY_NAMES, VECTORS, privateDer, publicPem, matches, unhex } from './vectors.js';

const WINDOW_MS = 60_000;

function dialectOf(spelled) {
  if (typeof spelled !== 'object') return findDialect(spelled ?? 'article-2016');
  const { base, names: snakeNames = {}, ...changes } = spelled;
  const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
  const names = Object.fromEntries(Object.entries(snakeNames).map(([k, v]) => [camel(k), v]));
  const own = Object.fromEntries(Object.entries(changes).map(([k, v]) => [camel(k), v]));
  return derive('vector', base, { ...own, names });
}

// What a gateway does with a body, down to a body that is no object.
function objectOf(message) {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    throw new MalformedMessage();
  }
  return message;
}

function joined(parts) {
  return Uint8Array.from(parts.flatMap(({ hex, times }) => Array(times).fill([...unhex(hex)]).flat()));
}

const hex = (bytes) => encodeBytes('hex', bytes);

/** One function a kind, as RUNNERS in tests/protocol/test_vectors.py. */
function runners(primitives) {
  const suiteOf = ({ dialect }) => new Classic(dialectOf(dialect), primitives);
  const privateKey = (name) => primitives.importPrivateKey(privateDer(name));
  return {
    async open_request(given, suite) {
      const keys = given.private_key && {
        privateKey: await privateKey(given.private_key),
        clientKey: validatePublicKey(publicPem('test-client')),
        tagKey: unhex(given.tag_key_hex),
      };
      const server = new ServerExchange(suite, primitives, WINDOW_MS);
      const message = parseSealedRequest(objectOf(given.message), suite.dialect.names);
      const opened = await server.openRequest(message, keys, given.now_ms);
      const tags = [hex(opened.nonceClaim.nonceTag), hex(opened.nonceClaim.passphraseTag)];
      const claimed = given.claimed_tags_hex ?? [];
      const { fields } = opened.accept(!tags.some((tag) => claimed.includes(tag)));
      return { nonce_tag_hex: tags[0], passphrase_tag_hex: tags[1], fields };
    },
    async open_login(given, suite) {
      const server = new ServerExchange(suite, primitives, WINDOW_MS);
      const message = parseAuthenticateRequest(objectOf(given.message), suite.dialect.names);
      const { payload } = await server.openLogin(message, given.code, given.now_ms);
      return { payload };
    },
    async open_response(given, suite) {
      const message = SealedMessage.parse(given.message, suite.dialect.names);
      const pending = new PendingResponse(suite, await privateKey(given.private_key), given.nonce);
      const { status, headers, body } = await pending.open(message);
      return { status, headers, body_hex: hex(body) };
    },
    async open_plaintext_response(given, suite) {
      const message = SealedMessage.parse(given.message, suite.dialect.names);
      const pending = new PendingResponse(suite, await privateKey(given.private_key), 'any');
      return { plaintext_hex: hex(await pending.openPlaintext(message)) };
    },
    async open_login_response(given, suite) {
      const message = SealedMessage.parse(given.message, suite.dialect.names);
      const pending = new PendingLogin(suite, await privateKey(given.private_key));
      const pem = (await pending.open(message)).serverKey.toPem();
      return { public_key: KEY_NAMES.find((name) => publicPem(name) === pem) };
    },
    async seal_payload(given, suite) {
      const [passphrase, plaintext] = [utf8(given.passphrase), unhex(given.plaintext_hex)];
      const payload = await suite.seal(passphrase, plaintext, given.iv ?? null);
      assert.deepEqual(await suite.open(passphrase, payload, given.iv ?? null), plaintext);
      return { payload };
    },
    async code_passphrase({ code }, suite) {
      return { passphrase: utf8Text(suite.codePassphrase(code)) };
    },
    async admit_key({ pem, pem_parts: parts }) {
      return { bits: validatePublicKey(parts ? utf8Text(joined(parts)) : pem).bits };
    },
    async parse_json({ text_hex: text, text_parts: parts }) {
      return { value: parseJson(parts ? joined(parts) : unhex(text)) };
    },
    async parse_timestamp({ form, value }) {
      const ms = parseTimestamp(form, value);
      if (ms === null) throw new DecryptionFailed();
      return { ms };
    },
    async http_request({ request: given }) {
      const request = HttpRequest.parse(given);
      assert.deepEqual(HttpRequest.parse(request.serialize()), request);
      const { method, target, headers, body } = request;
      return { method, target, headers, body_hex: hex(body) };
    },
    async normalise_username({ username }) {
      return { username: normaliseUsername(username) };
    },
    async session_request({ message }, suite) {
      return { username: parseSessionRequest(message, suite.dialect.names).username };
    },
    async session_id({ token }) {
      const id = await primitives.sha256(utf8(`session\0${token}`));
      return { session_id_hex: hex(id.slice(0, 16)) };
    },
    suiteOf,
  };
}

for (const primitives of [pure, webCrypto, nodeCrypto]) {
  describe(`vectors through ${primitives.name}`, () => {
    const run = runners(primitives);
    for (const vector of VECTORS) {
      test(vector.name, async () => {
        const outcome = () => run[vector.kind](vector.input, run.suiteOf(vector));
        await matches(vector, outcome);
      });
    }
  });
}

test('the folder holds vectors of every kind', () => {
  const { suiteOf: _, ...kinds } = runners(pure);
  assert.deepEqual(new Set(VECTORS.map(({ kind }) => kind)), new Set(Object.keys(kinds)));
});
