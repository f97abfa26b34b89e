/**
 * EME-PKCS1-v1_5 (RFC 8017 §7.2), which WebCrypto, noble and newer versions of Node.js do not have.
 *
 * Wrong padding returns null. That is not a padding oracle: this package only decrypts answers to its own
 * requests, and every fault in an answer causes the same error.
 */

/** @typedef {import('../common/codec.js').Bytes} Bytes */

const MIN_RANDOM_BYTES = 8;

/**
 * @param {Uint8Array} secret at most `size` - 11 bytes
 * @param {number} size bytes of the modulus
 * @param {(length: number) => Uint8Array} randomBytes
 * @returns {Bytes}
 * @throws {RangeError} the secret is too long
 */
export function padPkcs1(secret, size, randomBytes) {
  const block = new Uint8Array(size);
  const end = size - secret.length - 1;
  if (end < 2 + MIN_RANDOM_BYTES) throw new RangeError('the secret is too long for this key');
  block[1] = 2;
  for (let i = 2; i < end; i += 1) {
    // A zero would end the padding, so draw again.
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
