/** Passkeys, device keys and envelopes (VAULT §25 to §27), for pages in a secure context. They are not in vault.js. */
export { pinDeviceKey } from '../core/deviceKeys.js';
export { openEnvelope, openEnvelopeByDevice, sealEnvelope } from '../core/envelopes.js';
export { passkeyChallenge, passkeyKek, prfSalt } from '../core/passkeys.js';
export { generateDevicePair } from '../primitives/oaep.js';
