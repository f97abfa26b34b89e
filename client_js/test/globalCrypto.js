/** Every browser has `crypto` and CryptoKey, and Node from 19 on; the package in Node does without. Import it first. */
import { webcrypto } from 'node:crypto';

globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;
