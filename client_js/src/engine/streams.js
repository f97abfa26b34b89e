/** Bodies of any length in an engine: a response that is read in pieces, and a request body from a Blob (PROTOCOL §2.10). */
import { concat } from '../common/bytes.js';
import { encodeBytes } from '../common/codec.js';
import { AbortedStream, BrokenStream, CertlessError, NoAnswer, OutcomeUnknown, Refused, StreamAborted, StreamBroken } from '../common/errors.js';
import { BodyWriter, ResponseReader } from '../protocol/streams/bodies.js';
import { MOST_RECORD_LIMIT, RESPONSE_SALT_BYTES, RecordReader, RecordWriter, saltedKeys } from '../protocol/streams/records.js';
import { STREAM_TYPE, postForStream } from './transport.js';

/** @typedef {import('../common/codec.js').Bytes} Bytes */
/** @typedef {import('../protocol/hardened/clientSession.js').OpenedStream} OpenedStream */
/** @typedef {import('../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./engine.js').Control} Control */
/** @typedef {import('../protocol/streams/records.js').StreamKeys} StreamKeys */
/** @typedef {import('./transport.js').ByteSource} ByteSource */
/** @typedef {{ url: string, timeoutMs: number }} StreamRoute the URL for stream requests */

// Each piece is sealed and becomes a Blob, so this bounds what is in memory.
const PIECE_BYTES = 1024 * 1024;
// Several records are given out at once, if they have arrived.
const CHUNK_BYTES = 256 * 1024;
// A line of this rate can send a body before the timeout.
const MIN_BYTES_PER_MS = 8;
const WITHOUT_BODY = [204, 205, 304];

/** The public error for an error of a stream. @param {unknown} error */
export function streamError(error) {
  if (error instanceof AbortedStream) return new StreamAborted(error.reason);
  const isBroken = error instanceof BrokenStream || error instanceof NoAnswer;
  return isBroken ? new StreamBroken(error instanceof BrokenStream ? error.message : 'the connection ended') : error;
}

/** The body of a streamed response. Call its methods one after the other. */
export class IncomingBody {
  #reader;
  #source;
  #isUpload;
  #keys;
  #readerOf;

  /**
   * @param {Primitives} primitives
   * @param {OpenedStream} opened
   * @param {ByteSource} source
   * @param {{ method: string, isUpload: boolean }} request
   */
  constructor(primitives, { keys }, source, { method, isUpload }) {
    this.#readerOf = (/** @type {StreamKeys} */ own) =>
      new ResponseReader(new RecordReader(primitives, own, 'server', MOST_RECORD_LIMIT), method === 'HEAD');
    this.#keys = keys;
    this.#reader = this.#readerOf(keys);
    this.#source = source;
    this.#isUpload = isUpload;
  }

  /** The answer to a body begins with a salt, from which its key comes (PROTOCOL §2.10.4). */
  async #begin() {
    let begin = new Uint8Array();
    while (begin.length < RESPONSE_SALT_BYTES) {
      const data = await this.#source.read();
      if (!data) throw new BrokenStream('the connection ended');
      begin = concat(begin, data);
    }
    this.#reader = this.#readerOf(saltedKeys(this.#keys, begin.subarray(0, RESPONSE_SALT_BYTES)));
    this.#reader.feed(begin.subarray(RESPONSE_SALT_BYTES));
  }

  /**
   * Status and headers. If the response has no body, its end is read and verified too.
   * @throws {StreamBroken | StreamAborted | NoAnswer}
   */
  async head() {
    try {
      if (this.#isUpload) await this.#begin();
      for (let head = await this.#reader.readHead(); ; head = await this.#reader.readHead()) {
        if (head) return { ...head, hasBody: !WITHOUT_BODY.includes(head.status) && this.#reader.length !== 0 };
        await this.#feed();
      }
    } catch (error) {
      this.cancel();
      throw error instanceof NoAnswer ? error : streamError(error);
    }
  }

  /**
   * The next verified bytes; null at the verified end.
   * @returns {Promise<Bytes | null>}
   * @throws {StreamBroken | StreamAborted}
   */
  async read() {
    const reader = this.#reader;
    try {
      for (;;) {
        const parts = [];
        for (let size = 0, part; size < CHUNK_BYTES && (part = await reader.next()); size += part.length) parts.push(part);
        if (parts.length) return parts.length > 1 ? concat(...parts) : parts[0];
        if (reader.isComplete) break;
        await this.#feed();
      }
      // The end of the records must be the end of the answer too.
      const more = await this.#source.read();
      if (more) reader.feed(more);
    } catch (error) {
      this.cancel();
      throw streamError(error);
    }
    const { status } = /** @type {import('../protocol/streams/bodies.js').Head} */ (reader.head);
    if (this.#isUpload && status < 400 && !reader.isRequestVerified) {
      throw new OutcomeUnknown({ cause: new BrokenStream('the service answered without the whole request') });
    }
    return null;
  }

  cancel() {
    this.#source.cancel();
  }

  async #feed() {
    const data = await this.#source.read();
    if (data) this.#reader.feed(data);
    else this.#reader.end();
  }
}

/**
 * Sends `body` in a stream that was granted; returns the answer. The sealed body is put together from Blobs,
 * which a browser keeps outside the JavaScript heap, because most connections cannot send while it is sealed.
 * @param {Primitives} primitives
 * @param {OpenedStream} opened
 * @param {Blob} body
 * @param {StreamRoute} route
 * @param {Control} control
 * @returns {Promise<ByteSource>}
 */
export async function sendBody(primitives, { keys, recordBytes }, body, { url, timeoutMs }, { signal }) {
  const writer = new BodyWriter(new RecordWriter(primitives, keys, 'client', recordBytes, performance.now()));
  const sealed = [];
  for (let at = 0; at < body.size; at += PIECE_BYTES) {
    signal?.throwIfAborted();
    const piece = await body.slice(at, at + PIECE_BYTES).arrayBuffer().catch((cause) => {
      throw new CertlessError('unreadable', 'The file could not be read. It may have changed: choose it again.', { cause });
    });
    sealed.push(new Blob([await writer.data(new Uint8Array(piece), performance.now())]));
  }
  sealed.push(new Blob([await writer.final(performance.now())]));
  const limits = { maxAnswerBytes: 0, timeoutMs: timeoutMs + body.size / MIN_BYTES_PER_MS, silenceMs: timeoutMs };
  const address = `${url}/${encodeBytes('hex', keys.streamId)}`;
  try {
    const answer = await postForStream(address, new Blob(sealed), { ...limits, signal, contentType: STREAM_TYPE });
    return /** @type {ByteSource} */ (answer);
  } catch (error) {
    // The body has been sent, so the request must not be repeated (PROTOCOL §2.10.6).
    throw error instanceof Refused && error.code === 'rejected' ? new OutcomeUnknown({ cause: error }) : error;
  }
}
