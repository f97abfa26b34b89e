/** Plans of streams, with blocks in memory: whatever is written and spliced is read back, and few blocks change. */
import './globalCrypto.js';
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { concat } from '../src/common/bytes.js';
import { MAX_DATA_BYTES } from '../src/vault/core/blocks.js';
import { Alarm, Malformed } from '../src/vault/core/errors.js';
import { hexOf } from '../src/vault/core/metas.js';
import { StreamWriter, leaves, named, splice } from '../src/vault/core/plans.js';
import { EMPTY, MAX_EXTENTS, cut, difference, parseStream, serializeStream, sizeOf } from '../src/vault/core/streams.js';
import { describe, test } from './limited.js';

/** Blocks in memory, without seals. */
class Blocks {
  #data = new Map();

  get count() {
    return this.#data.size;
  }

  seal({ data, size }) {
    const id = new Uint8Array(16);
    new DataView(id.buffer).setUint32(12, this.#data.size + 1);
    assert.ok(data.length >= 1 && data.length <= MAX_DATA_BYTES);
    this.#data.set(hexOf(id), data);
    return { id, digest: new Uint8Array(32), epoch: 1, size };
  }

  run(plan) {
    let step = plan.next();
    while (!step.done) {
      const { load, seal } = step.value;
      step = plan.next(load ? load.map(({ id }) => this.#data.get(hexOf(id))) : seal.map((piece) => this.seal(piece)));
    }
    return step.value;
  }

  write(data) {
    const writer = new StreamWriter();
    for (let at = 0; at < data.length; at += 40 * MAX_DATA_BYTES) {
      const pieces = cut(data.slice(at, at + 40 * MAX_DATA_BYTES));
      this.run(writer.add(pieces.map((piece) => this.seal({ data: piece, size: piece.length }))));
    }
    return this.run(writer.finish());
  }

  read(stream) {
    const parts = this.run(leaves(stream, 0, Infinity));
    return concat(...parts.map(({ extent: { id, size } }) => {
      const data = this.#data.get(hexOf(id));
      assert.equal(data.length, size);
      return data;
    }));
  }
}

/** Bytes that do not repeat soon. */
const bytesOf = (length, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 2654435761 + seed * 97) >>> 11);

function assertWhole(blocks, stream, expected) {
  assert.deepEqual(parseStream(serializeStream(stream)), stream);
  assert.ok(stream.extents.length <= MAX_EXTENTS);
  assert.equal(sizeOf(stream.extents), expected.length);
  assert.ok(Buffer.from(blocks.read(stream)).equals(Buffer.from(expected)));
}

describe('splices', () => {
  const sizes = fc.oneof(fc.integer({ min: 0, max: 40_000 }), fc.integer({ min: 380_000, max: 450_000 }));
  const edits = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 0, max: 60_000 }), fc.integer({ min: 0, max: 60_000 })), { maxLength: 6 });

  test('any edits, one after the other', () => {
    fc.assert(
      fc.property(sizes, edits, (size, list) => {
        const blocks = new Blocks();
        let data = bytesOf(size);
        let stream = blocks.write(data);
        assertWhole(blocks, stream, data);
        for (const [place, left, put] of list) {
          const start = Math.floor(place * data.length);
          const end = Math.min(data.length, start + left);
          const added = bytesOf(put, left + 1);
          stream = blocks.run(splice(stream, start, end, added));
          data = concat(data.slice(0, start), added, data.slice(end));
          assertWhole(blocks, stream, data);
        }
        const ids = blocks.run(named(stream)).map(({ id }) => hexOf(id));
        assert.equal(new Set(ids).size, ids.length);
      }),
      { numRuns: 60 },
    );
  });

  test('a byte in the middle of 10 MB writes at most 4 blocks', () => {
    const blocks = new Blocks();
    const data = bytesOf(10_000_000);
    const stream = blocks.write(data);
    assert.equal(stream.depth, 1);
    for (const [start, end] of [[5_000_000, 5_000_000], [5_000_000, 5_000_001], [0, 0], [10_000_000, 10_000_000]]) {
      const before = blocks.count;
      const next = blocks.run(splice(stream, start, end, Uint8Array.of(7)));
      assert.ok(blocks.count - before <= 4, `${blocks.count - before} blocks`);
      assertWhole(blocks, next, concat(data.slice(0, start), Uint8Array.of(7), data.slice(end)));
    }
  });

  test('a text that grows character by character does not get a block for each', () => {
    const blocks = new Blocks();
    let stream = EMPTY;
    for (let i = 0; i < 200; i += 1) stream = blocks.run(splice(stream, i, i, Uint8Array.of(i)));
    assert.equal(stream.extents.length, 1);
  });

  test('a range outside the stream is refused', () => {
    const blocks = new Blocks();
    const stream = blocks.write(bytesOf(10));
    for (const [start, end] of [[-1, 1], [2, 1], [0, 11]]) assert.throws(() => blocks.run(splice(stream, start, end, Uint8Array.of(1))), Malformed);
  });
});

test('a node or a leaf with other bytes than its extent says is forged', () => {
  const blocks = new Blocks();
  const stream = blocks.write(bytesOf(30 * MAX_DATA_BYTES));
  assert.equal(stream.depth, 1);
  const [extent] = stream.extents;
  for (const data of [new Uint8Array(), new Uint8Array(57), new Uint8Array(58)]) {
    const plan = leaves({ depth: 1, extents: [extent] }, 0, 1);
    plan.next();
    assert.throws(() => plan.next([data]), (error) => error instanceof Alarm && error.code === 'forged');
  }
});

test('the difference of two texts', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 30, max: 2 }), fc.uint8Array({ maxLength: 30, max: 2 }), (before, after) => {
      const { start, end, data } = difference(before, after);
      assert.deepEqual(concat(before.slice(0, start), data, before.slice(end)), Uint8Array.from(after));
    }),
  );
});
