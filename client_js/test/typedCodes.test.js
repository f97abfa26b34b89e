/** Codes as people type them (PROTOCOL §1.6.2): the vectors, and properties of every code. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CertlessError } from '../src/common/errors.js';
import { codeOf, readClassicCode, readCode } from '../src/protocol/typedCodes.js';
import { TYPED_CODES } from './vectors.js';

const READERS = { hardened: readCode, classic: readClassicCode };
const CHARS = { hardened: 8, classic: 26 };
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

describe('vectors of typed codes', () => {
  for (const { name, input, expect, output } of TYPED_CODES) {
    test(name, () => {
      const refusal = expect === 'ok' ? null : expect;
      assert.deepEqual(READERS[input.suite](input.text), { code: output?.code ?? null, refusal });
    });
  }
});

/** Numbers below `limit` that are the same in every run. */
function numbers(seed) {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

for (const suite of ['hardened', 'classic']) {
  test(`a ${suite} code, typed in many ways`, () => {
    const next = numbers(7);
    const gaps = ['', '', ' ', '-', '\u2013', '\u2212', '\u30fc', '\u200b', '\u00ad', '.', '\u3002', '\u00a0', '\u3000', '"'];
    for (let i = 0; i < 2000; i += 1) {
      const code = Array.from({ length: CHARS[suite] }, () => ALPHABET[next(32)]).join('');
      assert.deepEqual(READERS[suite](code), { code, refusal: null });
      const typed = [...code].map((char) => {
        const cased = next(2) ? char : char.toLowerCase();
        const wide = next(2) ? cased : String.fromCharCode(cased.charCodeAt(0) + 0xfee0);
        return wide + gaps[next(gaps.length)];
      });
      assert.deepEqual(READERS[suite](typed.join('')), { code, refusal: null }, typed.join(''));
    }
  });
}

test('text without a code is an error for people', () => {
  const words = (name, text) => (error) => error instanceof CertlessError && error.code === name && text.test(error.message);
  assert.equal(codeOf(readCode('7k3q wxyz'), 'none'), '7K3QWXYZ');
  assert.throws(() => codeOf(readCode('7k3q'), 'none'), words('no_code', /^none$/));
  assert.throws(() => codeOf(readCode('7K3QWXYZ\n00000000'), 'none'), words('two_codes', /only the newest one/));
});
