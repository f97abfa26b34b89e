/*
 * The primitives of certless_crypto.h, from BearSSL. All functions here are those that BearSSL
 * describes as constant-time.
 *
 * Define CERTLESS_SMALL_MULTIPLIER for a processor whose multiplication to 64 bits is missing or
 * takes a time that depends on its operands: Cortex-M0, M0+ and M3.
 */
#include "certless_crypto.h"

#include <bearssl.h>
#include <string.h>

#ifdef CERTLESS_SMALL_MULTIPLIER
#define P256 br_ec_p256_m15
#define GHASH br_ghash_ctmul32
#else
#define P256 br_ec_p256_m31
#define GHASH br_ghash_ctmul
#endif

void certless_crypto_sha256(const certless_piece *pieces, size_t count, uint8_t out[32])
{
    br_sha256_context hash;
    br_sha256_init(&hash);
    for (size_t i = 0; i < count; i++)
        br_sha256_update(&hash, pieces[i].data, pieces[i].length);
    br_sha256_out(&hash, out);
}

static void hmac(const br_hmac_key_context *key, const certless_piece *pieces, size_t count,
                 const uint8_t *more, size_t more_length, uint8_t out[32])
{
    br_hmac_context mac;
    br_hmac_init(&mac, key, 0);
    for (size_t i = 0; i < count; i++)
        br_hmac_update(&mac, pieces[i].data, pieces[i].length);
    br_hmac_update(&mac, more, more_length);
    br_hmac_out(&mac, out);
}

void certless_crypto_hmac(const uint8_t *key, size_t key_length, const certless_piece *pieces,
                          size_t count, uint8_t out[32])
{
    br_hmac_key_context prepared;
    br_hmac_key_init(&prepared, &br_sha256_vtable, key, key_length);
    hmac(&prepared, pieces, count, NULL, 0, out);
}

/* RFC 8018 §5.2, for one block: the exclusive or of a chain of HMACs. */
void certless_crypto_pbkdf2(const uint8_t *password, size_t password_length,
                            const certless_piece *salt, size_t salt_count, unsigned iterations,
                            uint8_t out[32])
{
    static const uint8_t first_block[4] = {0, 0, 0, 1};
    uint8_t link[32];
    br_hmac_key_context key;
    br_hmac_key_init(&key, &br_sha256_vtable, password, password_length);
    hmac(&key, salt, salt_count, first_block, sizeof first_block, link);
    memcpy(out, link, sizeof link);
    for (unsigned done = 1; done < iterations; done++) {
        hmac(&key, NULL, 0, link, sizeof link, link);
        for (size_t i = 0; i < sizeof link; i++)
            out[i] = (uint8_t)(out[i] ^ link[i]);
    }
}

static void gcm(int encrypt, const uint8_t key[32], const uint8_t iv[12], const uint8_t *aad,
                size_t aad_length, uint8_t *data, size_t length, uint8_t tag[16])
{
    br_aes_ct_ctr_keys aes;
    br_gcm_context context;
    br_aes_ct_ctr_init(&aes, key, 32);
    br_gcm_init(&context, &aes.vtable, GHASH);
    br_gcm_reset(&context, iv, 12);
    br_gcm_aad_inject(&context, aad, aad_length);
    br_gcm_flip(&context);
    br_gcm_run(&context, encrypt, data, length);
    br_gcm_get_tag(&context, tag);
}

void certless_crypto_seal(const uint8_t key[32], const uint8_t iv[12], const uint8_t *aad,
                          size_t aad_length, uint8_t *data, size_t length, uint8_t tag[16])
{
    gcm(1, key, iv, aad, aad_length, data, length, tag);
}

int certless_crypto_open(const uint8_t key[32], const uint8_t iv[12], const uint8_t *aad,
                         size_t aad_length, uint8_t *data, size_t length, const uint8_t tag[16])
{
    uint8_t right[16];
    uint8_t differs = 0;
    gcm(0, key, iv, aad, aad_length, data, length, right);
    for (size_t i = 0; i < sizeof right; i++)
        differs = (uint8_t)(differs | (right[i] ^ tag[i]));
    if (differs != 0 && length > 0)
        memset(data, 0, length);
    return differs == 0;
}

void certless_crypto_base(uint8_t point[CERTLESS_POINT_BYTES],
                          const uint8_t scalar[CERTLESS_SCALAR_BYTES])
{
    (void)P256.mulgen(point, scalar, CERTLESS_SCALAR_BYTES, BR_EC_secp256r1);
}

/* mul and muladd refuse a point whose coordinates are not below p, or that is not on the curve. */

int certless_crypto_multiply(uint8_t point[CERTLESS_POINT_BYTES],
                             const uint8_t scalar[CERTLESS_SCALAR_BYTES])
{
    return P256.mul(point, CERTLESS_POINT_BYTES, scalar, CERTLESS_SCALAR_BYTES, BR_EC_secp256r1)
        != 0;
}

int certless_crypto_combine(uint8_t a[CERTLESS_POINT_BYTES], const uint8_t x[CERTLESS_SCALAR_BYTES],
                            const uint8_t *b, const uint8_t y[CERTLESS_SCALAR_BYTES])
{
    return P256.muladd(a, b, CERTLESS_POINT_BYTES, x, CERTLESS_SCALAR_BYTES, y,
                       CERTLESS_SCALAR_BYTES, BR_EC_secp256r1)
        != 0;
}
