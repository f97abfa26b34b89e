/** Envelopes: data under a key that is wrapped to each device and to the account (VAULT §27). */
import { concat, unsigned } from '../../common/bytes.js';
import { encodeBytes } from '../../common/codec.js';
import { sha256 } from '../../primitives/hashes.js';
import { isSignature, sign } from '../primitives/ed25519.js';
import { unwrapOaepLabelled, wrapOaepLabelled } from '../primitives/oaep.js';
import { KEY_BYTES, NOTHING, label, lp } from './account.js';
import { pinnedKey } from './deviceKeys.js';
import { Malformed, Tampered } from './errors.js';
import { padded, unpadded } from './sealedValues.js';
import { seal, unseal } from './wraps.js';

/** @typedef {import('../../common/codec.js').Bytes} Bytes */
/** @typedef {import('../../primitives/contract.js').Primitives} Primitives */
/** @typedef {import('./account.js').AccountKey} AccountKey */
/** @typedef {import('./deviceKeys.js').DeviceKey} DeviceKey */
/** @typedef {{ device: Bytes, wrap: Bytes }} EnvelopeWrap `device` is empty in the wrap to the account */
/** @typedef {{ item: Bytes, version: number, data: Bytes, wraps: EnvelopeWrap[], signature: Bytes }} Envelope */

const ITEM_BYTES = 16;
const MAX_BYTES = 65_536;
const STEP_BYTES = 256;

/** @param {Bytes} account @param {Bytes} item @param {Bytes} device */
const keyLabel = (account, item, device) => concat(label('envelope key'), lp(account), lp(item), lp(device));

/** @param {Bytes} account @param {Bytes} item @param {number} version */
const dataAad = (account, item, version) => concat(label('envelope data'), lp(account), lp(item), unsigned(version, 8));

/** @param {Bytes} device */
const order = (device) => encodeBytes('hex', device);

/** @param {Bytes} account @param {Omit<Envelope, 'signature'>} envelope */
function headerStatement(account, { item, version, data, wraps }) {
  const sorted = [...wraps].sort((one, other) => (order(one.device) < order(other.device) ? -1 : 1));
  const listed = sorted.flatMap(({ device, wrap }) => [lp(device), lp(wrap)]);
  const digests = [sha256(data), sha256(concat(label('envelope wraps'), ...listed))];
  return concat(label('envelope'), lp(account), lp(item), unsigned(version, 8), ...digests);
}

/**
 * An envelope for the account and for `devices`.
 * @param {Primitives} primitives
 * @param {AccountKey} key
 * @param {{ item: Bytes, version: number, text: Bytes }} content `version` is 1 for the first one
 * @param {readonly DeviceKey[]} devices
 * @returns {Promise<Envelope>}
 * @throws {Malformed | Tampered}
 */
export async function sealEnvelope(primitives, key, { item, version, text }, devices) {
  if (item.length !== ITEM_BYTES || !Number.isSafeInteger(version) || version < 1) {
    throw new Malformed(`An item has an id of ${ITEM_BYTES} bytes and a version from 1.`);
  }
  if (text.length > MAX_BYTES) throw new Malformed(`An envelope has at most ${MAX_BYTES} bytes of data.`);
  const { account } = key;
  const drawn = primitives.randomBytes(KEY_BYTES);
  const data = await seal(primitives, drawn, padded(version, text, STEP_BYTES), dataAad(account, item, version));
  const own = await seal(primitives, key.derived('envelope'), drawn, keyLabel(account, item, NOTHING));
  const wraps = [{ device: NOTHING, wrap: own }];
  for (const device of devices) {
    const publicKey = await pinnedKey(device, account, key.head);
    wraps.push({ device: device.id, wrap: await wrapOaepLabelled(publicKey, drawn, keyLabel(account, item, device.id)) });
  }
  const envelope = { item, version, data, wraps };
  return { ...envelope, signature: sign(key.headSeed, headerStatement(account, envelope)) };
}

/** The data, by the account key. @param {Primitives} primitives @param {AccountKey} key @param {Envelope} envelope @throws {Malformed | Tampered} */
export async function openEnvelope(primitives, key, envelope) {
  const { account } = key;
  checkHeader(envelope, account, key.head);
  const aad = keyLabel(account, envelope.item, NOTHING);
  return opened(primitives, account, envelope, await unseal(primitives, key.derived('envelope'), wrapFor(envelope, NOTHING), aad));
}

/**
 * The data, by the private key of a device.
 * @param {Primitives} primitives
 * @param {{ account: Bytes, head: Bytes, id: Bytes, privateKey: CryptoKey }} device `head` is the one that this device remembers
 * @param {Envelope} envelope
 * @throws {Malformed | Tampered}
 */
export async function openEnvelopeByDevice(primitives, { account, head, id, privateKey }, envelope) {
  checkHeader(envelope, account, head);
  const wrapped = wrapFor(envelope, id);
  return opened(primitives, account, envelope, await unwrapOaepLabelled(privateKey, wrapped, keyLabel(account, envelope.item, id)));
}

/** @param {Envelope} envelope @param {Bytes} account @param {Bytes} head */
function checkHeader(envelope, account, head) {
  if (!isSignature(head, envelope.signature, headerStatement(account, envelope))) {
    throw new Tampered('The header of an envelope was not signed by this account.');
  }
}

/** @param {Envelope} envelope @param {Bytes} device */
function wrapFor({ wraps }, device) {
  const found = wraps.find((one) => order(one.device) === order(device));
  if (!found) throw new Malformed('This envelope was not made for this device. Write it again with the account key.');
  return found.wrap;
}

/** @param {Primitives} primitives @param {Bytes} account @param {Envelope} envelope @param {Bytes | null} key */
async function opened(primitives, account, { item, version, data }, key) {
  if (key?.length !== KEY_BYTES) throw new Tampered('The wrap of an envelope does not belong to this item and this device.');
  const plaintext = await unseal(primitives, key, data, dataAad(account, item, version));
  if (!plaintext) throw new Tampered('The data of an envelope does not belong to its header.');
  const { sequence, text } = unpadded(plaintext, STEP_BYTES);
  if (sequence !== version || text.length > MAX_BYTES) throw new Tampered('The data of an envelope has another version, or is too long.');
  return text;
}
