/** A gateway of the hardened suites in this process, whose answers can be harmed, and whose clock set. */
import { once } from 'node:events';
import http from 'node:http';
import { WebSocketServer } from 'ws';
import { concat, unsigned } from '../src/common/bytes.js';
import { serializeJson } from '../src/common/codec.js';
import { RejectedMessage, RemoteProtocolError } from '../src/common/errors.js';
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
import { HttpResponse } from '../src/protocol/messages.js';
import { nodeCrypto } from '../src/primitives/nodeCrypto.js';
import { equal } from '../src/primitives/hashes.js';
import { validatePublicKey } from '../src/protocol/rsaKeys.js';
import { Envelope, KIND } from '../src/protocol/hardened/sealedMessages.js';
import { BodyReader } from '../src/protocol/streams/bodies.js';
import { MOST_RECORD_LIMIT, RESPONSE_SALT_BYTES, RecordReader, RecordWriter, saltedKeys } from '../src/protocol/streams/records.js';
import { ReplayWindow, advance, answerResumption, answerShare, enrol, greet, openRequest, proven } from './support/hardenedServer.js';
import { ServerSocket } from './support/serverSocket.js';
import { ResponseWriter } from './support/serverStreams.js';
import { privateDer, publicPem } from './vectors.js';

export const CODE = '7K3QWXYZ';
export const WINDOW_MS = 60_000;
const FORMAT = 'msgpack';
const hex = (bytes) => Buffer.from(bytes).toString('hex');

/**
 * `harm[route](answer, gateway)` takes the bytes of an honest answer and gives others, or a
 * function of the HTTP response; `arrives[route](body)` may replace the received bytes.
 */
export class HardenedGateway {
  harm = {};
  arrives = {};
  aheadMs = 0;
  realm = 'certless';
  sessionS = 43_200;
  suites = ['ecdh-gcm', 'rsa-gcm'];
  grantsTickets = true;
  /** Goes along with each epoch, and takes it for one that has lasted too long. */
  refusesEpochs = false;
  /**
   * Streams its answers: `streams(writer, request)` returns the parts of the answer's body, each written for itself;
   * for a stream request it gets the bytes of the body as well.
   */
  streams = null;
  /**
   * Opens sockets: `sockets(peer, request)`, with a ServerSocket that has sent its grant. If it is not set, the gateway
   * has no sockets. `refuses(request)` returns the response that refuses one.
   */
  sockets = null;
  refuses = null;
  granted = new Map();
  logins = new Map();
  exchanges = new Map();
  sessions = new Map();
  tickets = new Map();
  /** Requests that were carried out, as `METHOD target`. */
  done = [];
  counts = {};

  async start() {
    const privateKey = await nodeCrypto.importPrivateKey(privateDer('test-session'));
    this.pair = { publicKey: validatePublicKey(publicPem('test-session')), privateKey };
    this.server = http.createServer((request, response) => void this.#serve(request, response));
    const upgrades = new WebSocketServer({ noServer: true });
    this.server.on('upgrade', (request, raw, head) => {
      this.counts.socket = (this.counts.socket ?? 0) + 1;
      if (!this.sockets) return raw.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return upgrades.handleUpgrade(request, raw, head, (ws) => void this.#socket(ws, request));
    });
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.url = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  get nowMs() {
    return Date.now() + this.aheadMs;
  }

  async #serve(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const route = request.url.replace('/.gateway/', '');
    this.counts[route] = (this.counts[route] ?? 0) + 1;
    const came = new Uint8Array(Buffer.concat(chunks));
    if (this.granted.has(route)) return this.#records(route, came, response);
    const answer = await this.answer(route, this.arrives[route]?.(came) ?? came);
    const harmed = this.harm[route] ? await this.harm[route](answer, this) : answer;
    if (typeof harmed === 'function') return harmed(response);
    return this.send(response, harmed);
  }

  async #records(route, body, response) {
    const { keys, request } = this.granted.get(route);
    this.granted.delete(route);
    const salt = nodeCrypto.randomBytes(RESPONSE_SALT_BYTES);
    await this.#send(response, salt, saltedKeys(keys, salt), { ...request, body });
  }

  async #send(response, first, keys, request) {
    response.writeHead(200, { 'Content-Type': 'application/certless-stream' });
    const writer = new ResponseWriter(new RecordWriter(nodeCrypto, keys, 'server', MOST_RECORD_LIMIT, 0));
    const reader = new BodyReader(new RecordReader(nodeCrypto, keys, 'client', MOST_RECORD_LIMIT), request.length ?? null);
    response.write(first);
    for await (const part of this.streams(writer, request, reader)) {
      if (!response.write(part)) await new Promise((resolve) => response.once('drain', resolve));
    }
    response.end();
  }

  /** @param {import('ws').WebSocket} ws @param {http.IncomingMessage} handshake */
  async #socket(ws, handshake) {
    ws.on('error', () => {});
    this.handshake = handshake;
    const [first] = await once(ws, 'message');
    if (this.harm.socket) return this.harm.socket(ws);
    const opened = await this.#opened(new Uint8Array(first), KIND.socketRequest).catch(() => null);
    if (!opened) return ws.close(4403, 'rejected');
    if (opened.isStale) {
      ws.send((await opened.sealRefusal()).serialize(FORMAT));
      return ws.close();
    }
    const request = this.#carriedOut(opened);
    const refused = this.refuses?.(request);
    if (refused) {
      ws.send((await opened.sealResponse(refused)).serialize(FORMAT));
      return ws.close();
    }
    const { granted, keys } = await opened.sealGrant();
    const peer = new ServerSocket(ws, nodeCrypto, keys, request.recordBytes);
    ws.send(granted.serialize(FORMAT));
    return this.sockets(peer, request);
  }

  send(response, { status = 200, body }) {
    response.writeHead(status, { 'Content-Type': status === 200 ? 'application/msgpack' : 'application/json' });
    response.end(body);
  }

  /** The honest answer. */
  async answer(route, body) {
    try {
      const answer = await this.#answer(route, body);
      return answer === null ? refusal(404, 'not_found') : typeof answer === 'function' ? answer : { body: answer };
    } catch (error) {
      if (!(error instanceof RemoteProtocolError)) throw error;
      const isRejected = error instanceof RejectedMessage;
      return refusal(isRejected ? 403 : 400, isRejected ? 'rejected' : error.code);
    }
  }

  #answer(route, body) {
    const routes = {
      'session/hello': () => this.#hello(body),
      'session/share': () => this.#share(body),
      'session/confirm': () => this.#confirm(body),
      'session/resume': () => this.#resume(body),
      'session/resume/confirm': () => this.#confirm(body),
      message: () => this.#message(body),
      ...(this.streams && { stream: () => this.#message(body, KIND.streamRequest) }),
    };
    if (!routes[route]) return null;
    return routes[route]();
  }

  async #hello(body) {
    const login = greet(nodeCrypto, CLIENT_HELLO.parse(FORMAT, body), this.realm, 600, this.suites);
    this.logins.set(hex(login.greeting.sid), login);
    return SERVER_HELLO.serialize(FORMAT, login.greeting);
  }

  async #share(body) {
    const message = CLIENT_SHARE.parse(FORMAT, body);
    const login = this.logins.get(hex(message.sid));
    const answer = await answerShare(nodeCrypto, login, message, CODE);
    this.exchanges.set(hex(message.sid), answer.exchange);
    return SERVER_SHARE.serialize(FORMAT, answer.message);
  }

  async #resume(body) {
    const hello = RESUMPTION_CLIENT_HELLO.parse(FORMAT, body);
    const answer = answerResumption(nodeCrypto, hello, this.tickets.get(hex(hello.ticket)), this.realm);
    this.exchanges.set(hex(answer.message.sid), answer.exchange);
    return RESUMPTION_SERVER_HELLO.serialize(FORMAT, answer.message);
  }

  async #confirm(body) {
    const message = CLIENT_CONFIRMATION.parse(FORMAT, body);
    const exchange = this.exchanges.get(hex(message.sid));
    this.exchanges.delete(hex(message.sid));
    const clientKey = await proven(exchange, message);
    const { suite } = exchange.handshake;
    const ticket = this.grantsTickets ? nodeCrypto.randomBytes(16) : null;
    const grant = { ticket, sessionS: this.sessionS, ticketS: 86_400, pair: suite.wraps ? this.pair : null };
    const enrolled = await enrol(exchange, message, clientKey, grant, this.nowMs);
    const { username } = exchange;
    if (ticket) this.tickets.set(hex(ticket), { suite: suite.name, username, secret: enrolled.resume });
    this.sessions.set(hex(message.sid), { ...enrolled.session, window: new ReplayWindow(), salts: [] });
    return SERVER_CONFIRMATION.serialize(FORMAT, enrolled.message);
  }

  async #opened(body, kind) {
    const envelope = Envelope.parse(FORMAT, body);
    const session = this.sessions.get(hex(envelope.header.sid));
    if (this.refusesEpochs) {
      if (envelope.header.epoch > session.epoch) advance(session);
      Object.assign(session, { epochUntilMs: 0, extended: true });
    }
    const claim = ({ fresh, value }, salt) => {
      if (fresh === 'counter') return session.window.claim(value);
      return !session.salts.some((one) => equal(one, salt)) && session.salts.push(salt);
    };
    return openRequest(nodeCrypto, envelope, session, this.nowMs, WINDOW_MS, claim, [kind]);
  }

  #carriedOut(opened) {
    const request = opened.request();
    this.done.push(`${request.method} ${request.target}`);
    this.last = opened;
    this.asked = request;
    return request;
  }

  async #message(body, kind = KIND.request) {
    const opened = await this.#opened(body, kind);
    if (opened.isStale) return (await opened.sealRefusal()).serialize(FORMAT);
    const request = this.#carriedOut(opened);
    const { target, body: sent } = request;
    const hasOffer = request.headers.some(([name]) => name === 'Certless-Stream');
    if (this.streams && kind === KIND.streamRequest) {
      const { granted, keys } = await opened.sealGrant();
      this.granted.set(`stream/${hex(keys.streamId)}`, { keys, request });
      return granted.serialize(FORMAT);
    }
    if (this.streams && hasOffer && !target.startsWith('/.gateway/')) {
      const { granted, keys } = await opened.sealGrant();
      const grant = granted.serialize(FORMAT);
      const first = concat(unsigned(grant.length, 4), grant);
      return (response) => this.#send(response, first, keys, request);
    }
    const answer = await opened.sealResponse(new HttpResponse(200, [['X-Answer', `${this.done.length}`]], sent));
    return answer.serialize(FORMAT);
  }
}

/** An unsealed refusal, which anybody on the network can forge. */
export function refusal(status, error) {
  return { status, body: serializeJson({ error, message: 'no' }) };
}
