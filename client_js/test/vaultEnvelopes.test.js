/** Envelopes between pairs that WebCrypto makes: no script can export the private key. */
import './globalCrypto.js';
import assert from 'node:assert/strict';
import { webCrypto } from '../src/primitives/webCrypto.js';
import { AccountKey } from '../src/vault/core/account.js';
import { generateDevicePair, openEnvelope, openEnvelopeByDevice, pinDeviceKey, sealEnvelope } from '../src/vault/envelopes/index.js';
import { test } from './limited.js';

const key = new AccountKey(new Uint8Array(32), new Uint8Array(32).fill(1));
const content = { item: new Uint8Array(16).fill(2), version: 1, text: new Uint8Array(65_536).fill(3) };

test('a new pair opens an envelope, and its private key is not exported', async () => {
  const { privateKey, publicKey } = await generateDevicePair();
  // The name of the error differs between versions of Node.js.
  await assert.rejects(crypto.subtle.exportKey('pkcs8', privateKey), { name: /^InvalidAccess/ });
  const pinned = await pinDeviceKey(key, new Uint8Array(16).fill(4), publicKey);
  const envelope = await sealEnvelope(webCrypto, key, content, [pinned]);
  const device = { account: key.account, head: key.head, id: pinned.id, privateKey };
  assert.deepEqual(await openEnvelopeByDevice(webCrypto, device, envelope), content.text);
  assert.deepEqual(await openEnvelope(webCrypto, key, envelope), content.text);

  const other = await generateDevicePair();
  // A server that puts its own key in the place of the device's.
  await assert.rejects(sealEnvelope(webCrypto, key, content, [{ ...pinned, publicKey: other.publicKey }]), { code: 'tampered' });
  await assert.rejects(openEnvelopeByDevice(webCrypto, { ...device, privateKey: other.privateKey }, envelope), { code: 'tampered' });
});

test('an envelope above its limit is refused', async () => {
  const text = new Uint8Array(65_537);
  await assert.rejects(sealEnvelope(webCrypto, key, { ...content, text }, []), { code: 'malformed' });
});
