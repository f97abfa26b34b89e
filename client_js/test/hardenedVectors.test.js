/** The vectors of the hardened suites at both sides, with each implementation of the primitives. */
import './globalCrypto.js';
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { describe, test } from './limited.js';
import { beginLogin, beginResumption } from '../src/protocol/hardened/clientHandshake.js';
import { ClockRefused, OpenedStream, PendingMessage, readied, rekeyed, sealRequest } from '../src/protocol/hardened/clientSession.js';
import { encodeBytes, utf8, utf8Text } from '../src/common/codec.js';
import { CodeRefused, InvalidPublicKey } from '../src/common/errors.js';
import {
  CLIENT_CONFIRMATION,
  CLIENT_SHARE,
  SERVER_HELLO,
  CLIENT_HELLO,
  RESUMPTION_SERVER_HELLO,
  RESUMPTION_CLIENT_HELLO,
  SERVER_CONFIRMATION,
  SERVER_SHARE,
} from '../src/protocol/hardened/handshakeMessages.js';
import { HARDENED_SUITES, findSuite } from '../src/protocol/hardened/suites.js';
import { codeScalar, exportedValue } from '../src/protocol/hardened/keySchedule.js';
import { HttpRequest, HttpResponse } from '../src/protocol/messages.js';
import { parseMsgpack } from '../src/protocol/msgpack.js';
import { privateKeyFrom } from '../src/primitives/cryptoKeys.js';
import { nodeCrypto } from '../src/primitives/nodeCrypto.js';
import { encodePoint } from '../src/primitives/p256.js';
import { pure } from '../src/primitives/pure.js';
import { webCrypto } from '../src/primitives/webCrypto.js';
import { validatePublicKey } from '../src/protocol/rsaKeys.js';
import { Envelope } from '../src/protocol/hardened/sealedMessages.js';
import { admitShare, agree, clientSecret, clientShare } from '../src/protocol/hardened/spake2.js';
import { ResponseWriter, headRecords, serializeHead, serializeSocketHead } from './support/serverStreams.js';
import { parseSocketRequest, parseStreamRequest } from './support/serverMessages.js';
import { serverSecret, serverShare } from './support/serverSpake2.js';
import { BodyReader, ResponseReader } from '../src/protocol/streams/bodies.js';
import { serializeSocketRequest, serializeStreamRequest } from '../src/protocol/streams/opening.js';
import { RECORD, RecordReader, RecordWriter, saltedKeys } from '../src/protocol/streams/records.js';
import { Socket } from '../src/protocol/streams/sockets.js';
import { readCode } from '../src/protocol/typedCodes.js';
import { ReplayWindow, answerResumption, answerShare, enrol, greet, openRequest, proven, redeem } from './support/hardenedServer.js';
import { HARDENED_VECTORS, matches, privateDer, publicPem, unhex } from './vectors.js';

const NOTHING = new Uint8Array();
const NAMES = { [RECORD.text]: 'text', [RECORD.binary]: 'binary' };
const hex = (bytes) => encodeBytes('hex', bytes);
const hexOrNull = (bytes) => bytes && hex(bytes);
const pairsOf = (headers) => headers.map(([name, value]) => [name, value]);

/** Entropy that gives `drawn`, each for the length that it has. */
function inOrder(primitives, drawn) {
  const left = drawn.map(unhex);
  const randomBytes = (length) => {
    const following = left.shift();
    assert.equal(following.length, length);
    return following;
  };
  return { ...primitives, randomBytes };
}

const wire = ({ format, text, hex: digits }) => [format, format === 'json' ? utf8(text) : unhex(digits)];
const asWire = (format, data) =>
  format === 'json' ? { format, text: utf8Text(data) } : { format, hex: hex(data) };
const plain = (value) => {
  if (value instanceof Map) return Object.fromEntries([...value].map(([name, one]) => [name, plain(one)]));
  if (value instanceof Uint8Array) return hex(value);
  return Array.isArray(value) ? value.map(plain) : value;
};

/** The keys of a stream, of which a test uses one direction. */
const streamKeysOf = (given) => ({
  streamId: unhex(given.stream_hex),
  client: unhex(given.key_hex),
  server: unhex(given.key_hex),
});

/** One function a kind, as RUNNERS in tests/protocol/test_hardened_vectors.py. */
function runners(primitives) {
  const key = async (name) => ({
    publicKey: validatePublicKey(publicPem(name)),
    privateKey: await primitives.importPrivateKey(privateDer(name)),
  });
  const pairOf = async (suite, name) => (HARDENED_SUITES.get(suite)?.wraps ? key(name) : null);
  const sessionKeys = ({ c2s, s2c, exporter }, resume) => ({
    c2s_hex: hex(c2s),
    s2c_hex: hex(s2c),
    resume_hex: hexOrNull(resume),
    export_hex: hex(exporter),
  });
  const grantOf = async ({ suite, grant }) => ({
    ticket: grant.ticket_hex && unhex(grant.ticket_hex),
    sessionS: grant.session_s,
    ticketS: grant.ticket_s,
    pair: await pairOf(suite, 'test-session'),
  });

  /** A request at the server, with its claim decided. */
  const decide = async (given, own = primitives) => {
    const stored = given.session;
    let session = null;
    if (stored.sid_hex !== null) {
      const suite = findSuite(stored.suite);
      const bytes = (name) => (stored[name] ? unhex(stored[name]) : NOTHING);
      session = {
        sid: bytes('sid_hex'),
        suite,
        fresh: stored.fresh,
        expiresMs: stored.expires_ms,
        epoch: stored.epoch,
        c2s: bytes('c2s_hex'),
        s2c: bytes('s2c_hex'),
        previousC2s: bytes('previous_c2s_hex'),
        previousS2c: bytes('previous_s2c_hex'),
        previousUntilMs: stored.previous_until_ms ?? 0,
        epochUntilMs: stored.epoch_until_ms ?? given.now_ms,
        extended: stored.extended === 1,
        privateKey: suite.wraps ? (await key('test-session')).privateKey : null,
        clientKey: suite.wraps ? validatePublicKey(publicPem('test-client')) : null,
      };
    }
    const envelope = Envelope.parse(...wire(given.message));
    const { top, seen } = given.window ?? { top: 0, seen: [0] };
    const claim = ({ fresh, value }, salt) =>
      fresh === 'counter'
        ? new ReplayWindow(top, seen).claim(value)
        : !given.claimed_salts_hex.includes(hex(salt));
    return openRequest(own, envelope, session, given.now_ms, given.window_ms, claim);
  };

  const openAnswer = async (given) => {
    const request = Envelope.parse(...wire(given.request));
    const pair = request.header.suite.wraps ? await key('test-client') : null;
    const pending = new PendingMessage(primitives, request, unhex(given.keys.s2c_hex), pair?.privateKey ?? null);
    return pending.open(Envelope.parse(...wire(given.message)), given.elapsed_ms);
  };

  return {
    async client_login(given) {
      const { username, realm, fresh, suites, code, suite, device } = given;
      const [format, m1] = wire(given.M1);
      const drawing = inOrder(primitives, given.entropy_hex);
      const hello = beginLogin(drawing, { username, realm, fresh, device }, suites);
      const awaited = hello.pending.open(SERVER_HELLO.parse(format, m1));
      const share = await awaited.enter(code);
      const pair = await pairOf(suite, 'test-client');
      const confirmation = await share.pending.open(SERVER_SHARE.parse(...wire(given.M3)), pair);
      const m5 = SERVER_CONFIRMATION.parse(...wire(given.M5));
      const { session, ticket } = await confirmation.pending.open(m5, given.now_ms);
      return {
        M0: asWire(format, CLIENT_HELLO.serialize(format, hello.message)),
        M2: asWire(format, CLIENT_SHARE.serialize(format, share.message)),
        M4: asWire(format, CLIENT_CONFIRMATION.serialize(format, confirmation.message)),
        ...sessionKeys(session, ticket?.secret ?? null),
        ticket_hex: hexOrNull(ticket?.ticket ?? null),
        offset_ms: session.offsetMs,
      };
    },
    async server_login(given) {
      const [format, m0] = wire(given.M0);
      const drawing = inOrder(primitives, given.entropy_hex);
      const login = greet(drawing, CLIENT_HELLO.parse(format, m0), given.realm, given.expires_s, given.accepted);
      // For whom nobody knows the code is one that nobody types.
      const code = given.known === false ? 'no code at all' : given.code;
      const m2 = CLIENT_SHARE.parse(...wire(given.M2));
      const share = await answerShare(drawing, login, m2, given.attempt === false ? null : code);
      const m4 = CLIENT_CONFIRMATION.parse(...wire(given.M4));
      const clientKey = await proven(share.exchange, m4);
      const enrolled = await enrol(share.exchange, m4, clientKey, await grantOf(given), given.now_ms);
      return {
        M1: asWire(format, SERVER_HELLO.serialize(format, login.greeting)),
        M3: asWire(format, SERVER_SHARE.serialize(format, share.message)),
        M5: asWire(format, SERVER_CONFIRMATION.serialize(format, enrolled.message)),
        ...sessionKeys(enrolled.session, enrolled.resume),
      };
    },
    async client_resumption(given) {
      const { username, realm, fresh, suite } = given;
      const held = { ticket: unhex(given.ticket_hex), secret: unhex(given.secret_hex) };
      const drawing = inOrder(primitives, given.entropy_hex);
      const hello = beginResumption(drawing, { username, realm, fresh }, suite, held);
      const [format, r2] = wire(given.R2);
      const pair = await pairOf(suite, 'test-client');
      const confirmation = await hello.pending.open(RESUMPTION_SERVER_HELLO.parse(format, r2), pair);
      const r4 = SERVER_CONFIRMATION.parse(...wire(given.R4));
      const { session, ticket } = await confirmation.pending.open(r4, given.now_ms);
      return {
        R1: asWire(format, RESUMPTION_CLIENT_HELLO.serialize(format, hello.message)),
        R3: asWire(format, CLIENT_CONFIRMATION.serialize(format, confirmation.message)),
        ...sessionKeys(session, ticket.secret),
        successor_hex: hex(ticket.ticket),
      };
    },
    async server_resumption(given) {
      const [format, r1] = wire(given.R1);
      const { suite, username, realm, chain } = given;
      const ticket = { suite, username, secret: unhex(given.secret_hex) };
      const hello = RESUMPTION_CLIENT_HELLO.parse(format, r1);
      const answer = answerResumption(inOrder(primitives, given.entropy_hex), hello, ticket, realm);
      const r3 = CLIENT_CONFIRMATION.parse(...wire(given.R3));
      const clientKey = await proven(answer.exchange, r3);
      const [used, next] = [chain?.used_hex, chain?.next_hex].map((one) => (one ? unhex(one) : null));
      redeem(chain && { used, next, expiresMs: chain.expires_ms }, unhex(given.ticket_hex), given.now_ms);
      const enrolled = await enrol(answer.exchange, r3, clientKey, await grantOf(given), given.now_ms);
      return {
        R2: asWire(format, RESUMPTION_SERVER_HELLO.serialize(format, answer.message)),
        R4: asWire(format, SERVER_CONFIRMATION.serialize(format, enrolled.message)),
        ...sessionKeys(enrolled.session, enrolled.resume),
      };
    },
    async open_sealed_request(given) {
      const decided = await decide(given);
      const { method, target, headers, body } = decided.request();
      const { epoch } = Envelope.parse(...wire(given.message)).header;
      return { moved: decided.moved, epoch, request: [method, target, pairsOf(headers), hex(body)] };
    },
    async seal_sealed_answer(given) {
      const decided = await decide(given, inOrder(primitives, given.entropy_hex));
      const [status, headers, body] = given.response ?? [];
      const answer = decided.isStale
        ? await decided.sealRefusal()
        : await decided.sealResponse(new HttpResponse(status, headers, unhex(body)));
      const { format } = given.message;
      return { message: asWire(format, answer.serialize(format)) };
    },
    async seal_sealed_request(given) {
      const { session: kept, request, now_ms: nowMs, format } = given;
      const session = {
        sid: unhex(kept.sid_hex),
        suite: 'ecdh-gcm',
        fresh: kept.fresh,
        offsetMs: kept.offset_ms,
        epoch: kept.epoch,
        epochStartedMs: nowMs,
        c2s: unhex(kept.c2s_hex),
        s2c: unhex(kept.s2c_hex),
        sequence: kept.sequence,
        heard: false,
        serverKey: NOTHING,
      };
      const [method, target, headers, body] = request;
      const whole = new HttpRequest(method, target, headers, unhex(body));
      const drawing = inOrder(primitives, given.entropy_hex);
      const ready = readied(session, nowMs);
      assert.equal(ready.sequence, kept.sequence + 1);
      const { envelope } = await sealRequest(drawing, ready, whole, nowMs, null);
      return { message: asWire(format, envelope.serialize(format)) };
    },
    async open_sealed_response(given) {
      const { status, headers, body } = await openAnswer(given);
      return { response: [status, pairsOf(headers), hex(body)] };
    },
    async open_refusal(given) {
      const error = await openAnswer(given).catch((refused) => refused);
      assert.ok(error instanceof ClockRefused);
      return { server_ms: error.serverMs, may_retry: error.mayRetry };
    },
    async read_stream(given) {
      const records = new RecordReader(primitives, streamKeysOf(given), given.direction, given.record_bytes);
      const isResponse = given.direction === 'server';
      const reader = isResponse ? new ResponseReader(records, given.is_bodiless) : new BodyReader(records, given.length);
      let body = '';
      for (const chunk of given.chunks_hex) {
        reader.feed(unhex(chunk));
        for (let data = await reader.next(); data; data = await reader.next()) body += hex(data);
      }
      reader.end();
      return {
        body_hex: body,
        head: isResponse ? parseMsgpack(serializeHead(reader.head)) : null,
        request_verified: isResponse ? reader.isRequestVerified : null,
      };
    },
    async write_stream(given) {
      const keys = streamKeysOf(given);
      const body = new ResponseWriter(new RecordWriter(primitives, keys, given.direction, given.record_bytes, 0));
      const written = [];
      if (given.head) {
        const [status, headers, [length]] = given.head;
        written.push(await body.head({ status, headers, length }, 0));
      }
      for (const [index, piece] of given.pieces_hex.entries()) {
        written.push(await body.data(unhex(piece), given.at_ms[index]));
      }
      written.push(await body.final(given.at_ms.at(-1), given.request_verified));
      return { records_hex: written.map(hex).join('') };
    },
    async open_stream_grant(given) {
      const { header } = Envelope.parse(...wire(given.request));
      const { privateKey = null } = (await pairOf(header.suite.name, 'test-client')) ?? {};
      const s2c = unhex(given.keys.s2c_hex);
      const request = Envelope.parse(...wire(given.request));
      const pending = new PendingMessage(primitives, request, s2c, privateKey, given.takes_stream);
      const opened = await pending.open(Envelope.parse(...wire(given.message)), 0);
      assert.ok(opened instanceof OpenedStream);
      return {
        stream_hex: hex(opened.keys.streamId),
        client_key_hex: hex(opened.keys.client),
        server_key_hex: hex(opened.keys.server),
        record_bytes: opened.recordBytes,
      };
    },
    async stream_response_key({ server_key_hex: key, salt_hex: salt }) {
      return { server_key_hex: hex(saltedKeys({ server: unhex(key) }, unhex(salt)).server) };
    },
    async parse_stream_request({ plaintext_hex: plaintext }) {
      return { request: parseMsgpack(serializeStreamRequest(parseStreamRequest(unhex(plaintext)))) };
    },
    async read_socket(given) {
      const keys = streamKeysOf(given);
      const isServers = given.direction === 'server';
      const writer = new RecordWriter(primitives, keys, isServers ? 'client' : 'server', given.record_bytes, 0);
      const reader = new RecordReader(primitives, keys, given.direction, given.record_bytes);
      const socket = new Socket(writer, reader, isServers);
      const events = [];
      for (const message of given.messages_hex) {
        socket.feed(unhex(message));
        for (let event = await socket.next(); event; event = await socket.next()) {
          events.push('code' in event ? ['close', event.code, event.reason] : [NAMES[event.type], hex(event.data), event.isLast]);
        }
      }
      socket.end();
      return { events, head: socket.head && parseMsgpack(serializeSocketHead(socket.head)) };
    },
    async write_socket(given) {
      const keys = streamKeysOf(given);
      const isServer = given.direction === 'server';
      const writer = new RecordWriter(primitives, keys, given.direction, given.record_bytes, 0);
      const reader = new RecordReader(primitives, keys, isServer ? 'client' : 'server', given.record_bytes);
      const socket = new Socket(writer, reader, !isServer);
      const written = [];
      if (given.head) {
        const [headers, [protocol = null]] = given.head;
        written.push(await headRecords(writer, serializeSocketHead({ headers, protocol }), 0));
      }
      socket.taken(given.taken);
      for (const [type, data] of given.messages) socket.send(RECORD[type], unhex(data));
      socket.close(...given.close);
      for (let sent = await socket.outgoing(0); sent.length; sent = await socket.outgoing(0)) written.push(sent);
      return { records_hex: written.map(hex).join('') };
    },
    async parse_socket_request({ plaintext_hex: plaintext }) {
      return { request: parseMsgpack(serializeSocketRequest(parseSocketRequest(unhex(plaintext)))) };
    },
    async spake2(given) {
      const [w, x, y] = [given.w_hex, given.x_hex, given.y_hex].map((digits) => BigInt(`0x${digits}`));
      const [pA, pB] = [clientShare(w, x), serverShare(w, y)];
      const secret = clientSecret(w, x, admitShare(pB));
      assert.deepEqual(serverSecret(w, y, admitShare(pA)), secret);
      const agreed = agree([utf8(given.idA), utf8(given.idB)], pA, pB, secret, w, NOTHING);
      const { shared, cA, cB } = agreed;
      const named = { pA, pB, K: secret, Ke: shared, cA, cB };
      return Object.fromEntries(Object.entries(named).map(([name, bytes]) => [`${name}_hex`, hex(bytes)]));
    },
    async spake2_share({ share_hex: digits }) {
      const share = admitShare(unhex(digits));
      if (!share) throw new InvalidPublicKey();
      return { share_hex: hex(encodePoint(share)) };
    },
    async code_scalar({ typed, suite, username, sid_hex: sid, sn_hex: sn }) {
      const { code } = readCode(typed);
      if (!code) throw new CodeRefused();
      const w = await codeScalar(primitives, code, findSuite(suite), username, { sid: unhex(sid), sn: unhex(sn) });
      return { w_hex: w.toString(16).padStart(64, '0') };
    },
    async rekey({ suite, c2s_hex: c2s, s2c_hex: s2c }) {
      const after = rekeyed({ suite, epoch: 0, c2s: unhex(c2s), s2c: unhex(s2c) }, 0);
      return { c2s_hex: hex(after.c2s), s2c_hex: hex(after.s2c) };
    },
    async export({ suite, export_hex: secret, label, context_hex: context, length }) {
      return { value_hex: hex(exportedValue(findSuite(suite), unhex(secret), label, unhex(context), length)) };
    },
    async window({ values }) {
      const state = new ReplayWindow();
      return { taken: values.map((value) => state.claim(value)) };
    },
    async parse_msgpack({ hex: digits }) {
      return { value: plain(parseMsgpack(unhex(digits))) };
    },
  };
}

/** As `nodeCrypto`, but each private key is one that nobody can read. */
const held = {
  ...nodeCrypto,
  name: 'keys that are held',
  importPrivateKey: async (der) => {
    const oaep = { name: 'RSA-OAEP', hash: 'SHA-256' };
    return privateKeyFrom(webcrypto.subtle, await webcrypto.subtle.importKey('pkcs8', der, oaep, false, ['decrypt']));
  },
};

for (const primitives of [pure, webCrypto, nodeCrypto, held]) {
  describe(`hardened vectors through ${primitives.name}`, () => {
    const run = runners(primitives);
    for (const vector of HARDENED_VECTORS) {
      test(vector.name, async () => {
        const outcome = async () => run[vector.kind](vector.input);
        await matches(vector, outcome);
      });
    }
  });
}

test('the folder holds hardened vectors of every kind', () => {
  assert.deepEqual(new Set(HARDENED_VECTORS.map(({ kind }) => kind)), new Set(Object.keys(runners(pure))));
});
