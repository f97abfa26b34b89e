/*
 * The cryptography that Certless needs, from a library. certless_bearssl.c takes BearSSL. To use
 * another library, implement these functions with it and link that file instead.
 *
 * Every function runs in constant time with respect to its secrets: all keys, scalars, messages of
 * certless_crypto_hmac and points that are computed from scalars. Results that say "1" or "0" are
 * public.
 */
#ifndef CERTLESS_CRYPTO_H
#define CERTLESS_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#define CERTLESS_POINT_BYTES 65u  /* 04, x, y */
#define CERTLESS_SCALAR_BYTES 32u /* big-endian, 1 to n - 1 */

/* A piece of a longer input. The input is the pieces one after the other. */
typedef struct certless_piece {
    const void *data;
    size_t length;
} certless_piece;

/* SHA-256. */
void certless_crypto_sha256(const certless_piece *pieces, size_t count, uint8_t out[32]);

/* HMAC-SHA256. `out` may be a piece or the key. */
void certless_crypto_hmac(const uint8_t *key, size_t key_length, const certless_piece *pieces,
                          size_t count, uint8_t out[32]);

/* The first 32 bytes of PBKDF2-HMAC-SHA256. */
void certless_crypto_pbkdf2(const uint8_t *password, size_t password_length,
                            const certless_piece *salt, size_t salt_count, unsigned iterations,
                            uint8_t out[32]);

/* AES-256-GCM in place. */
void certless_crypto_seal(const uint8_t key[32], const uint8_t iv[12], const uint8_t *aad,
                          size_t aad_length, uint8_t *data, size_t length, uint8_t tag[16]);

/* 1 if the tag is right; otherwise 0, and `data` is overwritten with zeros. */
int certless_crypto_open(const uint8_t key[32], const uint8_t iv[12], const uint8_t *aad,
                         size_t aad_length, uint8_t *data, size_t length, const uint8_t tag[16]);

/* The generator of P-256, multiplied by `scalar`. */
void certless_crypto_base(uint8_t point[CERTLESS_POINT_BYTES],
                          const uint8_t scalar[CERTLESS_SCALAR_BYTES]);

/* `point` multiplied by `scalar`. 0 if `point` is not on the curve. */
int certless_crypto_multiply(uint8_t point[CERTLESS_POINT_BYTES],
                             const uint8_t scalar[CERTLESS_SCALAR_BYTES]);

/*
 * a = x * a + y * b, where b of NULL is the generator. 0 if a or b is not on the curve, or if the
 * result is the point at infinity.
 */
int certless_crypto_combine(uint8_t a[CERTLESS_POINT_BYTES], const uint8_t x[CERTLESS_SCALAR_BYTES],
                            const uint8_t *b, const uint8_t y[CERTLESS_SCALAR_BYTES]);

#endif
