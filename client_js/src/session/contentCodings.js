/** Decodes bodies by their Content-Encoding, with the decoders of the platform. */
import { decompressor } from '#platform';
import { BodyNotDecoded } from '../common/errors.js';

/** @typedef {AsyncGenerator<Uint8Array, void, void>} Pieces */

const CODINGS = ['gzip', 'deflate', 'br', 'zstd'];
const MAX_CODINGS = 3;
// A body can become that long in any case. Beyond, it must not be more than 100 times what came, so that a
// small body cannot fill the memory or the disk. Text becomes about 5 to 20 times shorter.
const FREE_BYTES = 64 * 1024 * 1024;
const MAX_EXPANSION = 100;
// Decoders give out all that a slice contains, up to about 1000 times its length, before the check.
const SLICE_BYTES = 8 * 1024;

/**
 * The decoded body. It is `body` itself if there is nothing to decode: without a coding, and in one that nobody
 * knows, because only the program that asked for it can decode it.
 * @param {[string, string][]} headers
 * @param {Uint8Array | ReadableStream<Uint8Array>} body
 * @returns {Uint8Array | ReadableStream<Uint8Array>} reading it can throw BodyNotDecoded
 */
export function decodedBody(headers, body) {
  const values = headers.filter(([name]) => name.toLowerCase() === 'content-encoding').map(([, value]) => value);
  const names = values.join().toLowerCase().split(',').map((name) => name.trim().replace(/^x-gzip$/, 'gzip'));
  const codings = names.filter((name) => name && name !== 'identity');
  if (!codings.length || codings.some((name) => !CODINGS.includes(name))) return body;
  const count = { received: 0, decoded: 0 };
  let pieces = slices(body, count);
  if (codings.length > MAX_CODINGS) pieces = refused(`it has more than ${MAX_CODINGS} codings`);
  for (const name of codings.reverse()) pieces = decompressed(name, pieces);
  return streamOf(bounded(pieces, count));
}

/** @param {string} reason @returns {Pieces} */
// eslint-disable-next-line require-yield
async function* refused(reason) {
  throw new BodyNotDecoded(reason);
}

/** @param {Uint8Array | ReadableStream<Uint8Array>} body @param {{ received: number }} count @returns {Pieces} */
async function* slices(body, count) {
  for await (const piece of body instanceof Uint8Array ? [body] : chunks(body)) {
    for (let at = 0; at < piece.length; at += SLICE_BYTES) {
      const slice = piece.subarray(at, at + SLICE_BYTES);
      count.received += slice.length;
      yield slice;
    }
  }
}

/** Chromium cannot iterate over streams before version 124. @param {ReadableStream<Uint8Array>} stream @returns {Pieces} */
async function* chunks(stream) {
  const reader = stream.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** @param {string} coding @param {Pieces} pieces @returns {Pieces} */
async function* decompressed(coding, pieces) {
  const first = await pieces.next();
  if (first.done) return;
  const { readable, writable } = decoderFor(coding, first.value);
  const writer = writable.getWriter();
  /** @type {unknown} */
  let failure;
  const feed = async () => {
    try {
      await writer.write(first.value);
      for (;;) {
        const { done, value } = await pieces.next().catch((error) => {
          throw (failure = error);
        });
        if (done) break;
        await writer.write(value);
      }
      await writer.close();
    } catch (error) {
      // The reader gets the error of the decoder, and `failure` if the pieces had one.
      await writer.abort(error).catch(() => {});
    }
  };
  const feeding = feed();
  try {
    yield* chunks(readable);
  } catch (error) {
    throw failure ?? new BodyNotDecoded('it is not in its Content-Encoding', error);
  } finally {
    await writer.abort().catch(() => {});
    await pieces.return();
    await feeding;
  }
}

/** @param {string} coding @param {Uint8Array} first bytes of the body */
function decoderFor(coding, [first]) {
  // deflate has the header of zlib, or none. The low half of the header's first byte is 8; without it, that is not possible.
  const name = coding === 'deflate' && (first & 15) !== 8 ? 'deflate-raw' : coding;
  try {
    return decompressor(name);
  } catch (error) {
    throw new BodyNotDecoded(`it is in ${coding}, which cannot be decoded here`, error);
  }
}

/** @param {Pieces} pieces @param {{ received: number, decoded: number }} count @returns {Pieces} */
async function* bounded(pieces, count) {
  for await (const piece of pieces) {
    count.decoded += piece.length;
    if (count.decoded > Math.max(FREE_BYTES, MAX_EXPANSION * count.received)) {
      throw new BodyNotDecoded(`it is more than ${MAX_EXPANSION} times as long as what came`);
    }
    yield piece;
  }
}

/** @param {Pieces} pieces @returns {ReadableStream<Uint8Array>} */
function streamOf(pieces) {
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await pieces.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: async () => void (await pieces.return()),
    },
    { highWaterMark: 0 },
  );
}
