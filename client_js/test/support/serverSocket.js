/** The server's end of a socket, over a WebSocket of the package `ws`. */
import { utf8 } from '../../src/common/codec.js';
import { MOST_RECORD_LIMIT, RECORD, RecordReader, RecordWriter } from '../../src/protocol/streams/records.js';
import { Socket } from '../../src/protocol/streams/sockets.js';
import { headRecords, serializeSocketHead } from './serverStreams.js';

export class ServerSocket {
  #arrived = [];
  #wake = () => {};
  #isGone = false;

  constructor(ws, primitives, keys, recordBytes) {
    this.ws = ws;
    this.writer = new RecordWriter(primitives, keys, 'server', recordBytes, 0);
    this.socket = new Socket(this.writer, new RecordReader(primitives, keys, 'client', MOST_RECORD_LIMIT), false);
    ws.on('message', (data) => (this.#arrived.push(new Uint8Array(data)), this.#wake()));
    ws.on('close', () => ((this.#isGone = true), this.#wake()));
  }

  /** Sends bytes as they are. */
  raw(...messages) {
    for (const message of messages) this.ws.send(message);
  }

  /** The head's records. */
  head({ headers = [], protocol = null } = {}) {
    return headRecords(this.writer, serializeSocketHead({ headers, protocol }), 0);
  }

  async accept(head) {
    this.raw(await this.head(head));
  }

  /** The records of a text; `hasMore` if another fragment follows. */
  text(text, hasMore = false) {
    return this.writer.seal(RECORD.text, new Uint8Array([Number(hasMore), ...utf8(text)]), 0);
  }

  /** Sends what is queued. */
  async flush() {
    for (let data = await this.socket.outgoing(0); data.length; data = await this.socket.outgoing(0)) this.raw(data);
  }

  async close(code, reason) {
    this.socket.close(code, reason);
    await this.flush();
  }

  /** Takes the records of the next message, which are no message of the client. */
  async arrival() {
    await this.socket.next();
    while (!this.#arrived.length && !this.#isGone) await new Promise((resolve) => (this.#wake = resolve));
    if (this.#arrived.length) this.socket.feed(this.#arrived.shift());
    await this.socket.next();
  }

  /** What the client sends next; null after its connection has ended. */
  async next() {
    for (;;) {
      const event = await this.socket.next();
      if (event) return event;
      while (!this.#arrived.length && !this.#isGone) await new Promise((resolve) => (this.#wake = resolve));
      if (!this.#arrived.length) return null;
      this.socket.feed(this.#arrived.shift());
    }
  }

  /** Answers with everything that comes, and closes when the client does. */
  async echo() {
    for (let event = await this.next(); event; event = await this.next()) {
      if ('code' in event) return this.flush();
      this.socket.taken(event.cost);
      this.socket.send(event.type, event.data);
      await this.flush();
    }
  }
}
