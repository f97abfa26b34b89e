/** The server's half of streams and sockets: heads, and bodies that end early. */
import { concat } from '../../src/common/bytes.js';
import { BodyWriter, lengthValue } from '../../src/protocol/streams/bodies.js';
import { serializeMsgpack } from '../../src/protocol/msgpack.js';
import { RECORD } from '../../src/protocol/streams/records.js';

/** A response's head in bytes. */
export const serializeHead = ({ status, headers, length }) => serializeMsgpack([status, headers, lengthValue(length)]);

/** A socket's head in bytes. */
export const serializeSocketHead = ({ headers, protocol }) => serializeMsgpack([headers, protocol === null ? [] : [protocol]]);

/** The HEAD records of a serialized head. */
export async function headRecords(records, whole, nowMs) {
  const size = records.maxDataBytes - 1;
  const written = [];
  for (let at = 0; at < whole.length; at += size) {
    const hasMore = at + size < whole.length;
    const part = concat(Uint8Array.of(Number(hasMore)), whole.subarray(at, at + size));
    written.push(await records.seal(RECORD.head, part, nowMs));
  }
  return concat(...written);
}

/** Writes a response. */
export class ResponseWriter extends BodyWriter {
  constructor(records) {
    super(records);
    this.records = records;
  }

  head(head, nowMs) {
    return headRecords(this.records, serializeHead(head), nowMs);
  }

  /** The end before the end: `reason` is one of ABORT_REASON. */
  abort(reason, nowMs) {
    return this.records.seal(RECORD.abort, Uint8Array.of(reason), nowMs);
  }
}
