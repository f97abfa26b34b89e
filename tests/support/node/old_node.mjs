// What old Nodes did and new ones refuse: createCipher's key, PKCS#1 v1.5 padding taken off.
import crypto from 'node:crypto';

export const md5 = (...parts) => crypto.createHash('md5').update(Buffer.concat(parts)).digest();
export const md5Hex = (text) => md5(Buffer.from(text)).toString('hex');

/** EVP_BytesToKey with MD5, one round, no salt: 32 bytes of key, 16 of IV. */
export function evpKeyAndIv(passphrase) {
  const secret = Buffer.from(passphrase);
  const first = md5(secret);
  const second = md5(first, secret);
  return { key: Buffer.concat([first, second]), iv: md5(second, secret) };
}

/** 00 02, at least 8 bytes that are not 00, then 00 and the message (RFC 8017 §7.2.2). */
export function stripPkcs1(block) {
  const end = block.indexOf(0, 2);
  if (block[0] !== 0 || block[1] !== 2 || end < 10) throw new Error('wrong padding');
  return block.subarray(end + 1);
}
