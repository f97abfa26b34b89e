/** The implementations of the primitives, one against the other. */
import './globalCrypto.js';
import assert from 'node:assert/strict';
import { createECDH, generateKeyPairSync } from 'node:crypto';
import { describe, test } from './limited.js';
import { decodeBytes, encodeBytes, parseJson, serializeJson, utf8 } from '../src/common/codec.js';
import { derive, findDialect } from '../src/protocol/classic/dialects.js';
import { MalformedMessage, Refused } from '../src/common/errors.js';
import { ClientExchange } from '../src/protocol/classic/exchange.js';
import { parseMsgpack, serializeMsgpack } from '../src/protocol/msgpack.js';
import { readPrivateKey, writePrivateKey } from '../src/primitives/der.js';
import { nodeCrypto } from '../src/primitives/nodeCrypto.js';
import { ORDER, decodePoint, ecdh, encodePoint, ofGenerator, scalar } from '../src/primitives/p256.js';
import { pure } from '../src/primitives/pure.js';
import { webCrypto } from '../src/primitives/webCrypto.js';
import { RsaPublicKey } from '../src/primitives/rsaPublicKey.js';
import { validatePublicKey } from '../src/protocol/rsaKeys.js';
import { Classic } from '../src/protocol/classic/suites.js';
import { privateDer, publicPem } from './vectors.js';

const ALL = [pure, webCrypto, nodeCrypto];
const PADDINGS = ['pkcs1-v1.5', 'oaep-sha1', 'oaep-sha256'];
const SECRET = utf8('0123456789abcdef0123456789abcdef');
const [KEY, IV] = [new Uint8Array(32).fill(1), new Uint8Array(16).fill(255)];
const FIVE_MIB = new Uint8Array(5 * 1024 * 1024).map((_, i) => i * 7);

for (const primitives of ALL) {
  describe(primitives.name, () => {
    for (const padding of PADDINGS) {
      test(`a new key for ${padding} is valid, can be stored, and opens what others wrap`, async () => {
        const { publicKey, privateKey } = await primitives.generateKeyPair({ padding });
        const admitted = validatePublicKey(publicKey.toPem());
        assert.equal(admitted.bits, 2048);
        const kept = await primitives.importPrivateKey(privateKey.stored);
        for (const other of ALL) {
          const wrapped = await other.wrap(admitted, SECRET, padding);
          assert.equal(wrapped.length, 256);
          assert.deepEqual(await privateKey.unwrap(wrapped, padding), SECRET);
          assert.deepEqual(await kept.unwrap(wrapped, padding), SECRET);
        }
      });

      test(`faults in ${padding} give null`, async () => {
        const key = await primitives.importPrivateKey(privateDer('test-client'));
        const wrapped = await primitives.wrap(validatePublicKey(publicPem('test-client')), SECRET, padding);
        const changed = wrapped.map((byte, i) => (i === 100 ? byte ^ 1 : byte));
        const wrong = [changed, wrapped.slice(1), new Uint8Array(256), new Uint8Array(256).fill(255), new Uint8Array()];
        for (const one of wrong) assert.equal(await key.unwrap(one, padding), null);
      });
    }

    test('c = 0, 1, n-1, n, and c without its leading zero do not open', async () => {
      const { n, e } = readPrivateKey(privateDer('test-client'));
      const key = await primitives.importPrivateKey(privateDer('test-client'));
      const publicKey = RsaPublicKey.fromNumbers(n, e);
      const number = (value) => decodeBytes('hex', value.toString(16).padStart(512, '0'));
      for (const padding of PADDINGS) {
        let wrapped;
        do wrapped = await nodeCrypto.wrap(publicKey, SECRET, padding);
        while (wrapped[0]);
        assert.deepEqual(await key.unwrap(wrapped, padding), SECRET);
        for (const wrong of [number(0n), number(1n), number(n - 1n), number(n), wrapped.slice(1)]) {
          assert.equal(await key.unwrap(wrong, padding), null);
        }
      }
    });

    test('the longest secret is wrapped, and a longer one is refused', async () => {
      const { publicKey, privateKey } = await primitives.generateKeyPair({ padding: 'pkcs1-v1.5' });
      for (const [padding, longest] of [['pkcs1-v1.5', 245], ['oaep-sha1', 214], ['oaep-sha256', 190]]) {
        const secret = FIVE_MIB.slice(0, longest);
        const wrapped = await primitives.wrap(publicKey, secret, padding);
        assert.deepEqual(await privateKey.unwrap(wrapped, padding), secret);
        await assert.rejects(primitives.wrap(publicKey, FIVE_MIB.slice(0, longest + 1), padding));
      }
    });

    test('a stored key that is not an RSA key is refused', async () => {
      const der = privateDer('test-client');
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const ec = new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' }));
      for (const kept of [new Uint8Array(), der.slice(0, -1), ec, null, {}]) {
        await assert.rejects(primitives.importPrivateKey(kept));
      }
    });

    test('5 MiB through every cipher, with the same result as the others', async () => {
      for (const [seal, open, iv] of [
        ['aesCtr', 'aesCtr', IV],
        ['aesCbcSeal', 'aesCbcOpen', IV],
        ['aesGcmSeal', 'aesGcmOpen', IV.slice(0, 12)],
      ]) {
        const sealed = await primitives[seal](KEY, iv, FIVE_MIB);
        assert.ok(Buffer.from(sealed).equals(await nodeCrypto[seal](KEY, iv, FIVE_MIB)));
        assert.ok(Buffer.from(FIVE_MIB).equals(await primitives[open](KEY, iv, sealed)));
      }
    });

    test('AES-GCM with associated data, with the same result as the others', async () => {
      const [iv, aad] = [IV.slice(0, 12), SECRET];
      const sealed = await primitives.aesGcmSeal(KEY, iv, FIVE_MIB.slice(0, 100), aad);
      assert.deepEqual(sealed, await nodeCrypto.aesGcmSeal(KEY, iv, FIVE_MIB.slice(0, 100), aad));
      assert.deepEqual(await primitives.aesGcmOpen(KEY, iv, sealed, aad), FIVE_MIB.slice(0, 100));
      for (const other of [undefined, SECRET.slice(1)]) {
        assert.equal(await primitives.aesGcmOpen(KEY, iv, sealed, other), null);
      }
      for (let at = 0; at < sealed.length; at += 1) {
        const changed = sealed.map((byte, i) => (i === at ? byte ^ 1 : byte));
        assert.equal(await primitives.aesGcmOpen(KEY, iv, changed, aad), null);
      }
    });

    test('PBKDF2, with the vectors of RFC 7914 §11', async () => {
      const derived = await primitives.pbkdf2(utf8('passwd'), utf8('salt'), 1);
      const expected = '55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc';
      assert.equal(encodeBytes('hex', derived), expected);
    });

    test('random bytes of any length, new each time', () => {
      for (const length of [0, 1, 32, 65536, 200_000]) {
        assert.equal(primitives.randomBytes(length).length, length);
      }
      assert.notDeepEqual(primitives.randomBytes(32), primitives.randomBytes(32));
    });

    test('hashes', async () => {
      assert.equal(encodeBytes('hex', primitives.md5(utf8('abc'))), '900150983cd24fb0d6963f7d28e17f72');
      for (const [key, data] of [[KEY, SECRET], [new Uint8Array(100), new Uint8Array()]]) {
        assert.deepEqual(await primitives.hmacSha256(key, data), await nodeCrypto.hmacSha256(key, data));
      }
    });
  });
}

test('a stored key whose numbers do not belong together is refused', async () => {
  const der = privateDer('test-client');
  const numbers = readPrivateKey(der);
  for (const name of ['n', 'e', 'p', 'q', 'dP', 'dQ', 'qInv']) {
    for (const value of [0n, 1n, numbers[name] + 2n]) {
      const changed = writePrivateKey({ ...numbers, [name]: value });
      await assert.rejects(pure.importPrivateKey(changed), undefined, `${name} = ${value}`);
      await assert.rejects(webCrypto.importPrivateKey(changed), undefined, `${name} = ${value}`);
    }
  }
  const zeros = Object.fromEntries(Object.keys(numbers).map((name) => [name, 0n]));
  await assert.rejects(pure.importPrivateKey(writePrivateKey(zeros)));
});

test('a stored key is read in canonical form only, and not if it is too large', () => {
  const der = privateDer('test-client');
  const numbers = readPrivateKey(der);
  assert.deepEqual(writePrivateKey(numbers), der);
  assert.throws(() => readPrivateKey(Uint8Array.from([...der, 0])), RangeError);
  assert.throws(() => readPrivateKey(writePrivateKey({ ...numbers, dP: 1n << 100_000n })), RangeError);
  // A zero more before the version, counted in the length around it.
  const longer = [...der];
  longer.splice(4, 3, 2, 2, 0, 0);
  longer[3] += 1;
  assert.throws(() => readPrivateKey(Uint8Array.from(longer)), /not minimal/);
});

test('a code encrypts one payload only, even if it is sent again', async () => {
  const keyPair = await nodeCrypto.generateKeyPair({ padding: 'pkcs1-v1.5' });
  for (const dialect of ['article-2016', 'sfet-4-gcm']) {
    const exchange = new ClientExchange(new Classic(findDialect(dialect), nodeCrypto));
    const seal = (code, nowMs, password) => exchange.sealLogin('token', code, keyPair, nowMs, password);
    const both = await Promise.all([seal('CODE', 1000, 'a'), seal('CODE', 2000, 'a')]);
    const again = await seal('CODE', 3000, 'a');
    for (const { message } of [...both, again]) assert.deepEqual(message, both[0].message);
    assert.notEqual(again.pending, both[0].pending);
    await assert.rejects(seal('CODE', 4000, 'b'), Refused);
    assert.notDeepEqual((await seal('OTHER', 5000, 'b')).message.payload, again.message.payload);
  }
});

test('key generation in pure JavaScript reports progress, and can be cancelled', async () => {
  const controller = new AbortController();
  const seen = [];
  const onProgress = (progress) => {
    seen.push(progress);
    controller.abort();
  };
  const made = async () => {
    // One pair may be there before the first report; not pair after pair.
    for (;;) await pure.generateKeyPair({ padding: 'oaep-sha1', signal: controller.signal, onProgress });
  };
  await assert.rejects(made, { name: 'AbortError' });
  assert.ok(seen[0].elapsedMs > 0 && seen[0].usualMs > 0);
});

test('base64 and hex of every length, in canonical form only', () => {
  for (let length = 0; length < 200; length += 1) {
    const data = FIVE_MIB.slice(0, length);
    for (const encoding of ['base64', 'hex']) {
      const text = encodeBytes(encoding, data);
      assert.equal(text, Buffer.from(data).toString(encoding));
      assert.deepEqual(decodeBytes(encoding, text), data);
    }
  }
  for (const text of ['A', 'AA', 'AAA', 'AB==', 'AAB=', 'A===', '====', 'AA=A', 'AAA\n', ' AAA', '-_AA', 'AAAA=', 'ĀAAA']) {
    assert.equal(decodeBytes('base64', text), null, text);
  }
  for (const text of ['0', 'AB', '0g', ' 0', '0Ā']) assert.equal(decodeBytes('hex', text), null, text);
});

test('msgpack round trip, at every length where the form changes', () => {
  const lengths = [0, 1, 15, 16, 31, 32, 127, 128, 255, 256, 65535, 65536, 5 * 1024 * 1024];
  for (const length of lengths) {
    for (const value of [FIVE_MIB.slice(0, length), 'x'.repeat(length)]) {
      const written = serializeMsgpack(['a', value]);
      assert.deepEqual(parseMsgpack(written), ['a', value]);
      assert.throws(() => parseMsgpack(written.slice(0, -1)), MalformedMessage);
      assert.throws(() => parseMsgpack(Uint8Array.from([...written.slice(0, 300), 0])), MalformedMessage);
    }
  }
  for (const length of lengths.slice(0, 7)) {
    const items = Array.from({ length }, (_, i) => i);
    assert.deepEqual(parseMsgpack(serializeMsgpack(items)), items);
    const map = new Map(items.map((i) => [`${i}`, i]));
    assert.deepEqual(parseMsgpack(serializeMsgpack(map)), map);
  }
  for (const number of [...lengths, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
    assert.equal(parseMsgpack(serializeMsgpack(number)), number);
  }
  for (const value of [-1, 0.5, 2 ** 53, Number.NaN, null, undefined, true, {}]) {
    assert.throws(() => serializeMsgpack(value), TypeError);
  }
  assert.equal(parseMsgpack(Uint8Array.of(0xcf, 255, 255, 255, 255, 255, 255, 255, 255)), 2n ** 64n - 1n);
});

test('ECDH, with the same result as node:crypto', () => {
  for (let i = 0; i < 5; i += 1) {
    const mine = scalar(nodeCrypto.randomBytes(48));
    const peer = createECDH('prime256v1');
    const point = new Uint8Array(peer.generateKeys());
    assert.deepEqual(encodePoint(decodePoint(point)), point);
    assert.deepEqual(ecdh(mine, point), new Uint8Array(peer.computeSecret(encodePoint(ofGenerator(mine)))));
  }
  for (const seed of [new Uint8Array(48), new Uint8Array(48).fill(255)]) {
    assert.ok(scalar(seed) >= 1n && scalar(seed) < ORDER);
  }
});

test('JSON round trip without loss', () => {
  for (const text of ['9007199254740993', '-12345678901234567890'.slice(0, 20), '[1,-0.5,1e-7,"\\u00e9\\n",{"constructor":{},"":[]}]']) {
    assert.deepEqual(JSON.stringify(JSON.parse(text)), JSON.stringify(JSON.parse(new TextDecoder().decode(serializeJson(parseJson(utf8(text)))))));
  }
  assert.equal(new TextDecoder().decode(serializeJson(parseJson(utf8('9007199254740993')))), '9007199254740993');
  assert.throws(() => serializeJson(Number.NaN), TypeError);
});

test('a custom dialect is validated', () => {
  const own = derive('shop', 'sfet-3', { timestamp: 'iso8601', names: { token: 'sid' } });
  assert.deepEqual([own.name, own.names.token, own.names.key], ['shop', 'sid', 'key']);
  assert.deepEqual(findDialect(structuredClone(own)), own);
  const { tag, ...kept } = own; // as a store has it that was written before there was a tag
  assert.equal(tag, 'last');
  assert.deepEqual(findDialect(kept), own);
  for (const changes of [
    { aes: 'ecb' },
    { aes: 'gcm', keyDerivation: 'evp-bytes-to-key' },
    { keyDerivation: 'raw' },
    { tag: 'first' },
    { names: { token: 'key' } },
    { names: { sid: 'x' } },
    { names: { token: 1 } },
    { paths: { session: 'x' } },
    { colour: 'red' },
  ]) {
    assert.throws(() => derive('x', 'sfet-3', changes), TypeError);
  }
});
