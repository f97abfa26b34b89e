/**
 * EME-PKCS1-v1_5 (RFC 8017 §7.2): WebCrypto, noble and newer Nodes leave it to the program.
 *
 * Wrong padding gives null here. An oracle needs somebody to ask; this package only opens what
 * answers a request of its own, and every way in which an answer is wrong ends in one error.
 */

/** @typedef {import('../common/codec.js').Bytes} Bytes */

const MIN_RANDOM_BYTES = 8;

/**
 * @param {Uint8Array} secret at most `size` - 11 bytes
 * @param {number} size bytes of the modulus
 * @param {(length: number) => Uint8Array} randomBytes
 * @returns {Bytes}
 * @throws {RangeError} the secret is longer
 */
export function padPkcs1(secret, size, randomBytes) {
  const block = new Uint8Array(size);
  const end = size - secret.length - 1;
  if (end < 2 + MIN_RANDOM_BYTES) throw new RangeError('too long a secret for this key');
  block[1] = 2;
  for (let i = 2; i < end; i += 1) {
    // A zero would end the padding, so it is drawn again.
    while (block[i] === 0) block[i] = randomBytes(1)[0];
  }
  block.set(secret, end + 1);
  return block;
}

/**
 * @param {Uint8Array} block
 * @returns {Bytes | null}
 */
export function unpadPkcs1(block) {
  const end = block.indexOf(0, 2);
  const valid = block[0] === 0 && block[1] === 2 && end >= 2 + MIN_RANDOM_BYTES;
  return valid ? block.slice(end + 1) : null;
}
