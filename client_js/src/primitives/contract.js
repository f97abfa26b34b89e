/**
 * The interface of the primitives; `pure`, `webCrypto` and `nodeCrypto` implement it.
 *
 * Functions that decrypt return null on failure, and never throw because of a peer's input. An AES key
 * has 32 bytes, an IV 16 bytes (GCM: 12). `pbkdf2` uses HMAC-SHA256 and returns 32 bytes. Points of P-256
 * and hashes of short inputs are the same for all implementations: p256.js, hashes.js.
 *
 * @typedef {import('../common/codec.js').Bytes} Bytes
 * @typedef {'pkcs1-v1.5' | 'oaep-sha1' | 'oaep-sha256'} RsaPadding
 * @typedef {import('./rsaPublicKey.js').RsaPublicKey} RsaPublicKey
 */

/**
 * A private key in the form that is stored: PKCS#8 DER, or a non-extractable key of WebCrypto.
 * @typedef {Bytes | CryptoKey} StoredKey
 */

/**
 * @typedef {Readonly<{
 *   stored: StoredKey,
 *   unwrap: (wrapped: Uint8Array, padding: RsaPadding) => Promise<Bytes | null>,
 * }>} RsaPrivateKey
 */

/**
 * `usualMs` is the estimated time to create keys on this device.
 * @typedef {{ elapsedMs: number, usualMs: number }} KeyProgress
 */

/**
 * @typedef {{
 *   padding: RsaPadding,
 *   signal?: AbortSignal,
 *   onProgress?: (progress: KeyProgress) => void,
 * }} GenerateOptions `padding` is the padding that the key will be used with
 */

/**
 * `external` is the CryptoKeyPair that the caller provided, if the pair is not ours.
 * @typedef {{ publicKey: RsaPublicKey, privateKey: RsaPrivateKey, external?: CryptoKeyPair }} RsaKeyPair
 */

/**
 * @typedef {Readonly<{
 *   name: string,
 *   randomBytes: (length: number) => Bytes,
 *   md5: (data: Uint8Array) => Bytes,
 *   sha256: (data: Uint8Array) => Promise<Bytes>,
 *   hmacSha256: (key: Uint8Array, data: Uint8Array) => Promise<Bytes>,
 *   aesCtr: (key: Uint8Array, iv: Uint8Array, data: Uint8Array) => Promise<Bytes>,
 *   aesCbcSeal: (key: Uint8Array, iv: Uint8Array, data: Uint8Array) => Promise<Bytes>,
 *   aesCbcOpen: (key: Uint8Array, iv: Uint8Array, data: Uint8Array) => Promise<Bytes | null>,
 *   aesGcmSeal: (key: Uint8Array, iv: Uint8Array, data: Uint8Array, aad?: Uint8Array) => Promise<Bytes>,
 *   aesGcmOpen: (key: Uint8Array, iv: Uint8Array, data: Uint8Array, aad?: Uint8Array) => Promise<Bytes | null>,
 *   pbkdf2: (secret: Uint8Array, salt: Uint8Array, iterations: number) => Promise<Bytes>,
 *   wrap: (key: RsaPublicKey, secret: Uint8Array, padding: RsaPadding) => Promise<Bytes>,
 *   generateKeyPair: (options: GenerateOptions) => Promise<RsaKeyPair>,
 *   importPrivateKey: (stored: StoredKey) => Promise<RsaPrivateKey>,
 *   adoptKeyPair: (external: CryptoKeyPair) => Promise<RsaKeyPair>,
 * }>} Primitives
 */

export const KEY_BITS = 2048;
export const EXPONENT = 65537;
export const AES_BLOCK_BYTES = 16;
export const GCM_TAG_BYTES = 16;
