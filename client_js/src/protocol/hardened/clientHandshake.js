/**
 * Login and resumption at the client (PROTOCOL §2.4, §2.8).
 *
 *     beginLogin -> ClientHello                  PendingServerHello.open -> AwaitedCode
 *     AwaitedCode.enter -> ClientShare           PendingShare.open -> ClientConfirmation
 *     beginResumption -> ResumptionClientHello   PendingResumption.open -> ClientConfirmation
 *     PendingConfirmation.open -> a ClientSession, and a ClientTicket or null
 *
 * The client uses the server's box, and so has a session, only after the server has proven that it knows
 * the code or the ticket's secret.
 */
import { Members, serializeMembers } from '../envelopes.js';
import { CodeRefused, InvalidPublicKey, LocalProtocolError, TicketRefused } from '../../common/errors.js';
import { MAX_SESSION_MS, NONCE_BYTES, TICKET_BYTES } from './handshakeMessages.js';
import { VERSION, chooseSuite, findSuite } from './suites.js';
import { Handshake, codeScalar, greetingTranscript, loginTranscript, resumptionTranscript } from './keySchedule.js';
import { Once } from '../../common/once.js';
import { equal } from '../../primitives/hashes.js';
import { SCALAR_SEED_BYTES, ecdh, encodePoint, ofGenerator, scalar } from '../../primitives/p256.js';
import { validatePublicKeyDer } from '../rsaKeys.js';
import { MAX_FRESH_VALUE } from './sealedMessages.js';
import { admitShare, agree, clientSecret, clientShare, identities } from './spake2.js';

/** @typedef {import('./clientSession.js').ClientSession} ClientSession */
/** @typedef {import('./clientSession.js').ClientTicket} ClientTicket */
/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('./suites.js').Freshness} Freshness */
/** @typedef {import('./suites.js').HardenedSuite} HardenedSuite */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('../../primitives/contract.js').RsaKeyPair} RsaKeyPair */
/** @typedef {ReturnType<typeof import('./handshakeMessages.js').CLIENT_HELLO.parse>} ClientHello */
/** @typedef {ReturnType<typeof import('./handshakeMessages.js').SERVER_HELLO.parse>} ServerHello */
/** @typedef {ReturnType<typeof import('./handshakeMessages.js').RESUMPTION_CLIENT_HELLO.parse>} ResumptionClientHello */
/** @typedef {ReturnType<typeof import('./handshakeMessages.js').RESUMPTION_SERVER_HELLO.parse>} ResumptionServerHello */
/** @typedef {ReturnType<typeof import('./handshakeMessages.js').SERVER_CONFIRMATION.parse>} ServerConfirmation */
/** @typedef {new (message: string) => Error} Refusal */

/** The user and the kind of the future session. @typedef {{ username: string, realm: string, fresh: Freshness }} Subject */
/** A login with `device` uses the code that an operator has issued for it. @typedef {{ device?: string | null }} ForDevice */

const MAX_TICKET_S = 0xffff_ffff;
const NOTHING = new Uint8Array();

/** The client's proof was sent; opens the server's proof. */
class PendingConfirmation {
  #subject;
  #sid;
  #handshake;
  #clientBox;
  #Refused;
  #opened = new Once();

  /**
   * @param {Subject} subject
   * @param {Bytes} sid
   * @param {Handshake} handshake
   * @param {Bytes} clientBox empty if there was none
   * @param {Refusal} Refused
   */
  constructor(subject, sid, handshake, clientBox, Refused) {
    this.#subject = subject;
    this.#sid = sid;
    this.#handshake = handshake;
    this.#clientBox = clientBox;
    this.#Refused = Refused;
  }

  /**
   * The session, when it ends (milliseconds), and the granted ticket or null. Store the ticket before the
   * session is used.
   * @param {ServerConfirmation} message
   * @param {number} nowMs
   * @returns {Promise<{ session: ClientSession, expiresMs: number, ticket: ClientTicket | null }>}
   */
  async open({ cB, box }, nowMs) {
    this.#opened.use("a server's confirmation");
    const handshake = this.#handshake;
    if (!equal(cB, handshake.cB)) throw new this.#Refused('the server has not proven itself');
    const inside = new Members('msgpack', await handshake.openServerBox(this.#clientBox, box));
    const offsetMs = inside.number('time_ms', MAX_FRESH_VALUE) - nowMs;
    const expiresMs = nowMs + inside.number('session_s', MAX_SESSION_MS / 1000) * 1000;
    const { c2s, s2c, resume, exporter } = handshake.secrets(this.#clientBox, box);
    const ticket = inside.has('ticket')
      ? {
          ticket: inside.raw('ticket', TICKET_BYTES),
          secret: resume,
          expiresMs: nowMs + inside.number('ticket_s', MAX_TICKET_S) * 1000,
        }
      : null;
    const { suite } = handshake;
    const serverKey = suite.wraps ? inside.raw('public_key') : NOTHING;
    inside.end();
    if (suite.wraps) validatePublicKeyDer(serverKey);
    const { fresh } = this.#subject;
    const first = { epoch: 0, epochStartedMs: nowMs, c2s, s2c, sequence: 0, heard: false };
    const session = { sid: this.#sid, suite: suite.name, fresh, offsetMs, ...first, serverKey, exporter };
    return { session, expiresMs, ticket };
  }
}

/**
 * ClientConfirmation, and the object that opens the answer.
 * @param {Subject} subject
 * @param {Bytes} sid
 * @param {Handshake} handshake
 * @param {RsaKeyPair | null} pair
 * @param {Refusal} Refused
 */
async function confirm(subject, sid, handshake, pair, Refused) {
  if (handshake.suite.wraps !== (pair !== null)) {
    throw new LocalProtocolError('rsa-gcm, and no other suite, needs a key pair');
  }
  const inside = pair && serializeMembers('msgpack', { public_key: pair.publicKey.der });
  const box = inside && (await handshake.sealClientBox(inside));
  const pending = new PendingConfirmation(subject, sid, handshake, box ?? NOTHING, Refused);
  return { message: { sid, cA: handshake.cA, box }, pending };
}

/** pA was sent; opens pB. */
class PendingShare {
  #primitives;
  #awaited;
  #w;
  #x;
  #pA;
  #opened = new Once();

  /** @param {Primitives} primitives @param {AwaitedCode} awaited @param {bigint} w @param {bigint} x @param {Bytes} pA */
  constructor(primitives, awaited, w, x, pA) {
    this.#primitives = primitives;
    this.#awaited = awaited;
    this.#w = w;
    this.#x = x;
    this.#pA = pA;
  }

  /**
   * ClientConfirmation. It lets the sender of pB test one guess of the code, and no more.
   * @param {{ pB: Bytes }} message
   * @param {RsaKeyPair | null} pair the client's if the suite wraps, else null
   * @throws {InvalidPublicKey}
   */
  async open({ pB }, pair) {
    this.#opened.use("a server's share");
    const [w, pA] = [this.#w, this.#pA];
    const point = equal(pB, pA) ? null : admitShare(pB);
    const secret = point && clientSecret(w, this.#x, point);
    if (!secret) throw new InvalidPublicKey('pB is not a valid share');
    const { subject, suite, greeting, transcript } = this.#awaited;
    const th = loginTranscript(transcript, pA, pB);
    const agreed = agree(identities(subject.username, subject.realm), pA, pB, secret, w, th);
    const handshake = new Handshake(this.#primitives, suite, th, agreed);
    return confirm(subject, greeting.sid, handshake, pair, CodeRefused);
  }
}

/** A login that waits for the code. Each entered code counts as an attempt. */
export class AwaitedCode {
  #primitives;

  /**
   * @param {Primitives} primitives
   * @param {Subject} subject
   * @param {HardenedSuite} suite
   * @param {ServerHello} greeting
   * @param {Bytes} transcript
   */
  constructor(primitives, subject, suite, greeting, transcript) {
    this.#primitives = primitives;
    this.subject = subject;
    this.suite = suite;
    this.greeting = greeting;
    this.transcript = transcript;
  }

  /** ClientShare, with a code that `typedCodes.js` has read. @param {string} code */
  async enter(code) {
    const { subject, suite, greeting } = this;
    const w = await codeScalar(this.#primitives, code, suite, subject.username, greeting);
    const x = scalar(this.#primitives.randomBytes(SCALAR_SEED_BYTES));
    const pA = clientShare(w, x);
    const pending = new PendingShare(this.#primitives, this, w, x, pA);
    return { message: { sid: greeting.sid, pA }, pending };
  }
}

/** ClientHello was sent; opens the greeting. */
class PendingServerHello {
  #primitives;
  #hello;
  #realm;
  #opened = new Once();

  /** @param {Primitives} primitives @param {ClientHello} hello @param {string} realm */
  constructor(primitives, hello, realm) {
    this.#primitives = primitives;
    this.#hello = hello;
    this.#realm = realm;
  }

  /** @param {ServerHello} greeting @throws {import('../../common/errors.js').UnsupportedSuite} the suite was not offered */
  open(greeting) {
    this.#opened.use('a greeting');
    const [hello, realm] = [this.#hello, this.#realm];
    const suite = chooseSuite(VERSION, [greeting.suite], hello.suites);
    const subject = { username: hello.username, realm, fresh: hello.fresh };
    const transcript = greetingTranscript(hello, greeting, suite, realm);
    return new AwaitedCode(this.#primitives, subject, suite, greeting, transcript);
  }
}

/**
 * ClientHello. `suites` in order of preference; the client never uses another suite.
 * @param {Primitives} primitives
 * @param {Subject & ForDevice} subject
 * @param {string[]} suites
 */
export function beginLogin(primitives, { username, realm, fresh, device = null }, suites) {
  const message = { v: VERSION, username, suites, fresh, cn: primitives.randomBytes(NONCE_BYTES), device };
  return { message, pending: new PendingServerHello(primitives, message, realm) };
}

/** ResumptionClientHello was sent; opens the server's answer. */
class PendingResumption {
  #primitives;
  #subject;
  #ticketSecret;
  #hello;
  #secret;
  #opened = new Once();

  /**
   * @param {Primitives} primitives
   * @param {Subject} subject
   * @param {Bytes} ticketSecret
   * @param {ResumptionClientHello} hello
   * @param {bigint} secret
   */
  constructor(primitives, subject, ticketSecret, hello, secret) {
    this.#primitives = primitives;
    this.#subject = subject;
    this.#ticketSecret = ticketSecret;
    this.#hello = hello;
    this.#secret = secret;
  }

  /**
   * ClientConfirmation.
   * @param {ResumptionServerHello} greeting
   * @param {RsaKeyPair | null} pair the client's if the suite wraps, else null
   * @throws {InvalidPublicKey}
   */
  async open(greeting, pair) {
    this.#opened.use("a server's share");
    const [hello, subject] = [this.#hello, this.#subject];
    const agreed = equal(greeting.eS, hello.eC) ? null : ecdh(this.#secret, greeting.eS);
    if (!agreed) throw new InvalidPublicKey('eS is not a valid point');
    const suite = findSuite(hello.suite);
    const th = resumptionTranscript(hello, greeting, suite, subject.username, subject.realm);
    const handshake = Handshake.ofResumption(this.#primitives, suite, th, this.#ticketSecret, agreed);
    return confirm(subject, greeting.sid, handshake, pair, TicketRefused);
  }
}

/**
 * ResumptionClientHello.
 * @param {Primitives} primitives
 * @param {Subject} subject
 * @param {string} suite the suite of the ticket
 * @param {Pick<ClientTicket, 'ticket' | 'secret'>} held
 */
export function beginResumption(primitives, subject, suite, { ticket, secret: ticketSecret }) {
  const secret = scalar(primitives.randomBytes(SCALAR_SEED_BYTES));
  const cn = primitives.randomBytes(NONCE_BYTES);
  const eC = encodePoint(ofGenerator(secret));
  const message = { v: VERSION, ticket, suite, fresh: subject.fresh, cn, eC };
  return { message, pending: new PendingResumption(primitives, subject, ticketSecret, message, secret) };
}
