/** The RSA key of a device, pinned by the head key (VAULT §26). */
import { concat } from '../../common/bytes.js';
import { isSignature, sign } from '../primitives/ed25519.js';
import { deviceKeyFrom } from '../primitives/oaep.js';
import { label, lp } from './account.js';
import { Malformed, Tampered } from './errors.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('./account.js').AccountKey} AccountKey */
/** @typedef {{ id: Bytes, publicKey: Bytes, pin: Bytes }} DeviceKey `publicKey` is in DER (422 bytes) */

const ID_BYTES = 16;

/** @param {Bytes} account @param {Bytes} id @param {Bytes} publicKey */
const pinStatement = (account, id, publicKey) => concat(label('device key'), lp(account), lp(id), lp(publicKey));

/** @param {Bytes} id @param {Bytes} publicKey */
async function keyOf(id, publicKey) {
  const key = await deviceKeyFrom(publicKey);
  if (id.length !== ID_BYTES || !key) throw new Malformed('The key of a device is RSA with 3,072 bits and the exponent 65,537.');
  return key;
}

/** @param {AccountKey} key @param {Bytes} id @param {Bytes} publicKey @returns {Promise<DeviceKey>} @throws {Malformed} */
export async function pinDeviceKey(key, id, publicKey) {
  await keyOf(id, publicKey);
  return { id, publicKey, pin: sign(key.headSeed, pinStatement(key.account, id, publicKey)) };
}

/** The key to encrypt to. @param {DeviceKey} device @param {Bytes} account @param {Bytes} head @throws {Malformed | Tampered} */
export async function pinnedKey({ id, publicKey, pin }, account, head) {
  const key = await keyOf(id, publicKey);
  if (!isSignature(head, pin, pinStatement(account, id, publicKey))) {
    throw new Tampered('The key of a device was not pinned by this account.');
  }
  return key;
}
