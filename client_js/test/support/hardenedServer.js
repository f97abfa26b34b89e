/** The server's side of the hardened suites, for vectors and for attacks. */
import {
  CodeRefused,
  DecryptionFailed,
  InvalidPublicKey,
  ReplayedNonce,
  StaleTimestamp,
  TicketRefused,
} from '../../src/common/errors.js';
import { Members, serializeMembers } from '../../src/protocol/envelopes.js';
import { EpochRefused } from '../../src/protocol/hardened/clientSession.js';
import { chooseSuite } from '../../src/protocol/hardened/suites.js';
import { NONCE_BYTES, SESSION_ID_BYTES } from '../../src/protocol/hardened/handshakeMessages.js';
import { Handshake, codeScalar, greetingTranscript, label, loginTranscript, nextEpochKey, resumptionTranscript } from '../../src/protocol/hardened/keySchedule.js';
import { parseMsgpack, serializeMsgpack } from '../../src/protocol/msgpack.js';
import { equal } from '../../src/primitives/hashes.js';
import { SCALAR_SEED_BYTES, ecdh, encodePoint, ofGenerator, scalar } from '../../src/primitives/p256.js';
import { validatePublicKeyDer } from '../../src/protocol/rsaKeys.js';
import { KIND, openMessage, sealMessage, streamKeys } from '../../src/protocol/hardened/sealedMessages.js';
import { admitShare, agree, identities } from '../../src/protocol/hardened/spake2.js';
import { STREAM_ID_BYTES } from '../../src/protocol/streams/opening.js';
import { MOST_RECORD_LIMIT } from '../../src/protocol/streams/records.js';
import { parseRequestArray, parseSocketRequest, parseStreamRequest, responseArray } from './serverMessages.js';
import { serverSecret, serverShare } from './serverSpake2.js';

const NOTHING = new Uint8Array();
const OVERLAP_MS = 30_000;
const MAX_EPOCH_MS = 1_200_000;
const COUNTER_WINDOW = 1024;
const SUITES = ['ecdh-gcm', 'rsa-gcm'];

/** `ticket_returned` is known to servers alone. */
class TicketReuseDetected extends TicketRefused {}
TicketReuseDetected.code = 'ticket_returned';

/** Numbers that were claimed, as PROTOCOL §2.6.4 has it. */
export class ReplayWindow {
  constructor(top = 0, seen = [0]) {
    this.top = top;
    this.seen = new Set(seen);
  }

  claim(value) {
    if (this.seen.has(value) || value <= this.top - COUNTER_WINDOW) return false;
    this.seen.add(value);
    this.top = Math.max(this.top, value);
    return true;
  }
}

/** ServerHello, and the state of the login. */
export function greet(primitives, hello, realm, expiresS, accepted = SUITES) {
  const suite = chooseSuite(hello.v, hello.suites, accepted);
  const sid = primitives.randomBytes(SESSION_ID_BYTES);
  const greeting = { sid, suite: suite.name, sn: primitives.randomBytes(NONCE_BYTES), expires_s: expiresS };
  const { username, fresh } = hello;
  return { greeting, suite, username, fresh, realm, transcript: greetingTranscript(hello, greeting, suite, realm) };
}

/** ServerShare, and the state to check ClientConfirmation. Without a code there is no attempt left. */
export async function answerShare(primitives, login, { pA }, code) {
  if (!code) throw new CodeRefused();
  const { suite, username, realm, greeting } = login;
  const w = await codeScalar(primitives, code, suite, username, greeting);
  const y = scalar(primitives.randomBytes(SCALAR_SEED_BYTES));
  const point = admitShare(pA);
  const secret = point && serverSecret(w, y, point);
  if (!secret) throw new InvalidPublicKey();
  const pB = serverShare(w, y);
  const th = loginTranscript(login.transcript, pA, pB);
  const agreed = agree(identities(username, realm), pA, pB, secret, w, th);
  const handshake = new Handshake(primitives, suite, th, agreed);
  return { message: { pB }, exchange: { primitives, handshake, sid: greeting.sid, username, fresh: login.fresh } };
}

/** ResumptionServerHello, and the state to check ClientConfirmation. */
export function answerResumption(primitives, hello, ticket, realm) {
  const suite = chooseSuite(hello.v, [hello.suite], SUITES);
  if (ticket?.suite !== suite.name) throw new TicketRefused();
  const secret = scalar(primitives.randomBytes(SCALAR_SEED_BYTES));
  const agreed = ecdh(secret, hello.eC);
  if (!agreed) throw new InvalidPublicKey();
  const sid = primitives.randomBytes(SESSION_ID_BYTES);
  const sn = primitives.randomBytes(NONCE_BYTES);
  const message = { sid, sn, eS: encodePoint(ofGenerator(secret)) };
  const { username } = ticket;
  const th = resumptionTranscript(hello, message, suite, username, realm);
  const handshake = Handshake.ofResumption(primitives, suite, th, ticket.secret, agreed);
  return { message, exchange: { primitives, handshake, sid, username, fresh: hello.fresh, isResumption: true } };
}

async function openBox(primitives, { key, iv, aad }, sealed) {
  const plaintext = await primitives.aesGcmOpen(key, iv, sealed, aad);
  if (!plaintext) throw new DecryptionFailed();
  return plaintext;
}

/** Checks ClientConfirmation; returns the client's public key if the suite wraps. */
export async function proven({ primitives, handshake, isResumption }, { cA, box }) {
  if (!equal(cA, handshake.cA)) throw new (isResumption ? TicketRefused : CodeRefused)();
  if (handshake.suite.wraps !== (box !== null)) throw new DecryptionFailed();
  if (box === null) return null;
  const inside = new Members('msgpack', await openBox(primitives, handshake.clientBox(), box));
  const key = inside.raw('public_key');
  inside.end();
  return validatePublicKeyDer(key);
}

/** ServerConfirmation, and the session. `grant` is `{ ticket, sessionS, ticketS, pair }`. */
export async function enrol({ primitives, handshake, sid, fresh }, { box: clientBox }, clientKey, grant, nowMs) {
  const { ticket, sessionS, ticketS, pair } = grant;
  const inside = {
    time_ms: nowMs,
    session_s: sessionS,
    ticket,
    ticket_s: ticket && ticketS,
    public_key: pair && pair.publicKey.der,
  };
  const given = clientBox ?? NOTHING;
  const { key, iv, aad } = handshake.serverBox(given);
  const box = await primitives.aesGcmSeal(key, iv, serializeMembers('msgpack', inside), aad);
  const { c2s, s2c, resume, exporter } = handshake.secrets(given, box);
  const epochs = { epoch: 0, c2s, s2c, previousC2s: NOTHING, previousS2c: NOTHING, previousUntilMs: 0 };
  const lasting = { epochUntilMs: nowMs + MAX_EPOCH_MS, extended: false };
  const keys = { privateKey: pair?.privateKey ?? null, clientKey, exporter };
  const session = { sid, suite: handshake.suite, fresh, expiresMs: nowMs + sessionS * 1000, ...epochs, ...lasting, ...keys };
  return { message: { cB: handshake.cB, box }, session, resume: ticket && resume };
}

/** A chain takes the ticket redeemed last, or its successor. */
export function redeem(chain, ticket, nowMs) {
  if (!chain || nowMs > chain.expiresMs) throw new TicketRefused();
  if (![chain.used, chain.next].some((good) => good && equal(good, ticket))) throw new TicketReuseDetected();
}

function keysOf(session, epoch, nowMs) {
  const { c2s, s2c, previousC2s, previousS2c, previousUntilMs, suite } = session;
  if (epoch === session.epoch) return { c2s, s2c };
  if (epoch === session.epoch + 1) return { c2s: nextEpochKey(suite, c2s), s2c: nextEpochKey(suite, s2c) };
  const isKept = epoch === session.epoch - 1 && previousC2s.length && nowMs <= previousUntilMs;
  return isKept ? { c2s: previousC2s, s2c: previousS2c } : null;
}

/** The session in its next epoch. */
export function advance(session) {
  const [c2s, s2c] = [session.c2s, session.s2c].map((key) => nextEpochKey(session.suite, key));
  Object.assign(session, { epoch: session.epoch + 1, c2s, s2c });
}

/**
 * A request that counts; the session moves on with it. `claim(header, salt)` is asked once the
 * seal holds.
 */
export async function openRequest(primitives, envelope, session, nowMs, windowMs, claim, kinds = [KIND.request]) {
  const { header, salt } = envelope;
  if (!session || nowMs >= session.expiresMs) throw new DecryptionFailed();
  const keys = keysOf(session, header.epoch, nowMs);
  const { suite, fresh } = session;
  const fits = kinds.includes(header.kind) && header.suite === suite && header.fresh === fresh;
  if (!keys || !fits) throw new DecryptionFailed();
  const plaintext = await openMessage(primitives, keys.c2s, envelope, session.privateKey);
  if (!plaintext) throw new DecryptionFailed();
  if (!claim(header, salt)) throw new ReplayedNonce();
  const isLate = fresh === 'clock' && Math.abs(nowMs - header.value) > windowMs;
  const isOver = header.epoch === session.epoch && nowMs > session.epochUntilMs;
  const isStale = isLate || (isOver && session.extended);
  const seal = async (kind, value) => {
    const { epoch, sid } = header;
    const stamp = fresh === 'clock' ? nowMs : header.value;
    const answer = { suite, kind, epoch, sid, fresh, value: stamp, requestTag: envelope.tag };
    return sealMessage(primitives, keys.s2c, answer, serializeMsgpack(value), session.clientKey);
  };
  const moved = !isStale && (isOver || header.epoch > session.epoch);
  if (moved) {
    Object.assign(session, { epochUntilMs: nowMs + MAX_EPOCH_MS, extended: isOver });
  }
  if (moved && !isOver) {
    const previous = { previousC2s: session.c2s, previousS2c: session.s2c, previousUntilMs: nowMs + OVERLAP_MS };
    Object.assign(session, { ...previous, ...keys, epoch: header.epoch });
  }
  return {
    isStale,
    moved,
    request: () => {
      if (isStale) throw isLate ? new StaleTimestamp() : new EpochRefused();
      if (header.kind === KIND.socketRequest) return { method: 'GET', ...parseSocketRequest(plaintext), body: NOTHING };
      if (header.kind === KIND.streamRequest) return { ...parseStreamRequest(plaintext), body: NOTHING };
      return parseRequestArray(parseMsgpack(plaintext));
    },
    /** In `ecdh-gcm`: the grant of a stream, and its keys. */
    sealGrant: async () => {
      const streamId = primitives.randomBytes(STREAM_ID_BYTES);
      const granted = await seal(KIND.streamGrant, new Map([['stream', streamId], ['record_bytes', MOST_RECORD_LIMIT]]));
      const secret = { ikm: keys.s2c, salt: granted.salt, rawHeader: granted.rawHeader };
      return { granted, keys: { streamId, ...streamKeys(secret, label(suite, 'stream')) } };
    },
    seal,
    sealResponse: (response) => seal(KIND.response, responseArray(response)),
    sealRefusal: () =>
      seal(KIND.refusal, new Map([['error', isLate ? 'stale_timestamp' : 'stale_epoch'], ['time_ms', nowMs], ['window_ms', windowMs]])),
  };
}
