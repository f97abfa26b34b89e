/**
 * Reduces a screenshot to 256 colours: less than half the size, with no visible difference. Smoothed text
 * has thousands of shades; each rare shade becomes the nearest frequent one.
 */
import { crc32, deflateSync, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
const COLOURS = 256;
// Squared distance. Nearer shades share a colour, so that every hue keeps at least one.
const SAME = 64;

/** @param {Buffer} png 8 bits a channel, RGB, as Chromium writes it @returns {Buffer} */
export function inPalette(png) {
  const chunks = [...chunksOf(png)];
  const header = Buffer.from(chunks[0].data);
  if (header[8] !== 8 || header[9] !== 2) throw new Error('the picture is not RGB of 8 bits');
  const width = header.readUInt32BE(0);
  const data = chunks.filter(({ type }) => type === 'IDAT').map((chunk) => chunk.data);
  const pixels = unfiltered(inflateSync(Buffer.concat(data)), width * 3);

  const counts = new Map();
  for (const colour of pixels) counts.set(colour, (counts.get(colour) ?? 0) + 1);
  const palette = [];
  for (const [colour] of [...counts].sort((a, b) => b[1] - a[1])) {
    const isNew = palette.every((other) => distance(colour, other) > SAME);
    if (isNew && palette.length < COLOURS) palette.push(colour);
  }
  const indices = new Map(palette.map((colour, index) => [colour, index]));
  for (const colour of counts.keys()) if (!indices.has(colour)) indices.set(colour, nearest(colour, palette));

  const rows = Buffer.alloc(pixels.length + pixels.length / width);
  pixels.forEach((colour, place) => (rows[place + Math.floor(place / width) + 1] = indices.get(colour)));
  header[9] = 3;
  const colours = Buffer.from(palette.flatMap(channels));
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('PLTE', colours),
    chunk('IDAT', deflateSync(rows, { level: 9, memLevel: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

const channels = (colour) => [colour >> 16, (colour >> 8) & 255, colour & 255];

function distance(one, other) {
  const wanted = channels(one);
  return channels(other).reduce((sum, value, i) => sum + (value - wanted[i]) ** 2, 0);
}

function nearest(colour, palette) {
  const distances = palette.map((other) => distance(colour, other));
  return distances.indexOf(Math.min(...distances));
}

function* chunksOf(png) {
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    yield { type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) };
    at += length + 12;
  }
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

/** The colours, row by row, with the PNG filters removed (PNG §9). */
function unfiltered(raw, stride) {
  const before = Buffer.alloc(stride);
  const colours = [];
  for (let at = 0; at < raw.length; at += stride + 1) {
    const filter = raw[at];
    const row = Buffer.from(raw.subarray(at + 1, at + 1 + stride));
    for (let i = 0; i < stride; i += 1) {
      const left = i < 3 ? 0 : row[i - 3];
      const corner = i < 3 ? 0 : before[i - 3];
      row[i] += [0, left, before[i], (left + before[i]) >> 1, paeth(left, before[i], corner)][filter];
    }
    row.copy(before);
    for (let i = 0; i < stride; i += 3) colours.push(row.readUIntBE(i, 3));
  }
  return colours;
}

function paeth(left, above, corner) {
  const [a, b, c] = [left, above, corner].map((value) => Math.abs(left + above - corner - value));
  return a <= b && a <= c ? left : b <= c ? above : corner;
}
