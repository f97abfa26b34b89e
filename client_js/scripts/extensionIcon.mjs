/** The icon of the extension: the lock of vaultPage.svg, drawn as a PNG whose bytes are always the same. */
import { gzipSync, zlibSync } from 'fflate';

// Units of the drawing, and samples of a pixel in each direction.
const [UNITS, SAMPLES] = [32, 4];
const [GREEN, WHITE] = [[0x0b, 0x6b, 0x5d], [255, 255, 255]];

/** The colour at a point, or null outside of the rounded square. */
function colourAt(x, y) {
  const [dx, dy] = [x, y].map((value) => Math.max(0, Math.abs(value - 16) - 9));
  if (Math.hypot(dx, dy) > 7) return null;
  const isInBox = (left, top, right, bottom) => x >= left && x <= right && y >= top && y <= bottom;
  const isBody = isInBox(7.75, 13.75, 24.25, 25.25) && !isInBox(10.25, 16.25, 21.75, 22.75);
  const radius = Math.hypot(x - 16, y - 12);
  const isBow = y < 12 ? radius > 2.75 && radius < 5.25 : y < 15 && Math.abs(Math.abs(x - 16) - 4) < 1.25;
  return isBody || isBow ? WHITE : GREEN;
}

/** @param {number} size @returns {Uint8Array} */
export function icon(size) {
  const rows = new Uint8Array(size * (size * 4 + 1));
  const step = UNITS / size / SAMPLES;
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const samples = [];
      for (let i = 0; i < SAMPLES ** 2; i += 1) {
        samples.push(colourAt((x * SAMPLES + (i % SAMPLES) + 0.5) * step, (y * SAMPLES + Math.floor(i / SAMPLES) + 0.5) * step));
      }
      const seen = samples.filter((colour) => colour !== null);
      const mean = [0, 1, 2].map((channel) => seen.reduce((sum, colour) => sum + colour[channel], 0) / Math.max(1, seen.length));
      rows.set([...mean.map(Math.round), Math.round((255 * seen.length) / samples.length)], y * (size * 4 + 1) + 1 + x * 4);
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(size, 0);
  header.writeUInt32BE(size, 4);
  header.set([8, 6], 8);
  const parts = [chunk('IHDR', header), chunk('IDAT', Buffer.from(zlibSync(rows, { level: 9 }))), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), ...parts]);
}

/** @param {string} type @param {Buffer} data */
function chunk(type, data) {
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  length.writeUInt32BE(data.length);
  // gzip ends with the same checksum (CRC-32), and the length. zlib of Node.js 18 does not offer it.
  check.writeUInt32BE(Buffer.from(gzipSync(named).slice(-8)).readUInt32LE());
  return Buffer.concat([length, named, check]);
}
