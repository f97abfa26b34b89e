/* Transcripts, key derivation and SPAKE2 on the client's side (PROTOCOL §2.4.3, §2.4.4, §2.5). */
#include "certless_internal.h"

#include <string.h>

#define LIMBS 8
#define ITERATIONS 1000u

/* Two points without a known logarithm (RFC 9382 §4). */
static const uint8_t POINT_M[65] = {
    0x04, 0x88, 0x6e, 0x2f, 0x97, 0xac, 0xe4, 0x6e, 0x55, 0xba, 0x9d, 0xd7, 0x24, 0x25, 0x79, 0xf2,
    0x99, 0x3b, 0x64, 0xe1, 0x6e, 0xf3, 0xdc, 0xab, 0x95, 0xaf, 0xd4, 0x97, 0x33, 0x3d, 0x8f, 0xa1,
    0x2f, 0x5f, 0xf3, 0x55, 0x16, 0x3e, 0x43, 0xce, 0x22, 0x4e, 0x0b, 0x0e, 0x65, 0xff, 0x02, 0xac,
    0x8e, 0x5c, 0x7b, 0xe0, 0x94, 0x19, 0xc7, 0x85, 0xe0, 0xca, 0x54, 0x7d, 0x55, 0xa1, 0x2e, 0x2d,
    0x20};
static const uint8_t POINT_N[65] = {
    0x04, 0xd8, 0xbb, 0xd6, 0xc6, 0x39, 0xc6, 0x29, 0x37, 0xb0, 0x4d, 0x99, 0x7f, 0x38, 0xc3, 0x77,
    0x07, 0x19, 0xc6, 0x29, 0xd7, 0x01, 0x4d, 0x49, 0xa2, 0x4b, 0x4f, 0x98, 0xba, 0xa1, 0x29, 0x2b,
    0x49, 0x07, 0xd6, 0x0a, 0xa6, 0xbf, 0xad, 0xe4, 0x50, 0x08, 0xa6, 0x36, 0x33, 0x7f, 0x51, 0x68,
    0xc6, 0x4d, 0x9b, 0xd3, 0x60, 0x34, 0x80, 0x8c, 0xd5, 0x64, 0x49, 0x0b, 0x1e, 0x65, 0x6e, 0xdb,
    0xe7};

/* n and n - 1, where n is the order of P-256; the lowest limb first. */
static const uint32_t ORDER[LIMBS] = {0xfc632551, 0xf3b9cac2, 0xa7179e84, 0xbce6faad,
                                      0xffffffff, 0xffffffff, 0x00000000, 0xffffffff};
static const uint32_t ORDER_LESS_1[LIMBS] = {0xfc632550, 0xf3b9cac2, 0xa7179e84, 0xbce6faad,
                                             0xffffffff, 0xffffffff, 0x00000000, 0xffffffff};

void cl_wipe(void *data, size_t length)
{
    /* A compiler may remove stores that nobody reads, but not volatile ones. */
    volatile uint8_t *at = data;
    while (length-- > 0)
        *at++ = 0;
}

void cl_store(uint8_t *out, uint64_t number, size_t length)
{
    while (length-- > 0) {
        out[length] = (uint8_t)number;
        number >>= 8;
    }
}

uint64_t cl_load(const uint8_t *in, size_t length)
{
    uint64_t number = 0;
    for (size_t i = 0; i < length; i++)
        number = number << 8 | in[i];
    return number;
}

int cl_equal(const uint8_t *a, const uint8_t *b, size_t length)
{
    uint8_t differs = 0;
    for (size_t i = 0; i < length; i++)
        differs = (uint8_t)(differs | (a[i] ^ b[i]));
    return differs == 0;
}

/* --- transcripts --- */

static void add_with(cl_fields *fields, const void *data, size_t length, size_t width)
{
    certless_piece *pieces = &fields->pieces[2 * fields->count];
    pieces[0].data = fields->lengths[fields->count];
    pieces[0].length = width;
    pieces[1].data = data;
    pieces[1].length = length;
    fields->count++;
}

void cl_add(cl_fields *fields, const void *data, size_t length)
{
    cl_store(fields->lengths[fields->count], length, 4);
    add_with(fields, data, length, 4);
}

void cl_add_little(cl_fields *fields, const void *data, size_t length)
{
    uint64_t left = length;
    for (size_t i = 0; i < 8; i++, left >>= 8)
        fields->lengths[fields->count][i] = (uint8_t)left;
    add_with(fields, data, length, 8);
}

void cl_begin(cl_fields *fields, const char *purpose)
{
    fields->count = 0;
    cl_add(fields, purpose, strlen(purpose));
}

void cl_hash(const cl_fields *fields, uint8_t out[32])
{
    certless_crypto_sha256(fields->pieces, 2 * fields->count, out);
}

/* --- HKDF (RFC 5869) --- */

void cl_extract(const uint8_t *salt, size_t salt_length, const certless_piece *ikm, size_t count,
                uint8_t prk[32])
{
    certless_crypto_hmac(salt, salt_length, ikm, count, prk);
}

void cl_expand(const uint8_t *prk, size_t prk_length, const certless_piece *info, size_t count,
               uint8_t *out, size_t length)
{
    certless_piece pieces[4];
    uint8_t block[32];
    size_t block_length = 0;
    for (uint8_t number = 1; length > 0; number++) {
        pieces[0].data = block;
        pieces[0].length = block_length;
        for (size_t i = 0; i < count; i++)
            pieces[i + 1] = info[i];
        pieces[count + 1].data = &number;
        pieces[count + 1].length = 1;
        certless_crypto_hmac(prk, prk_length, pieces, count + 2, block);
        block_length = sizeof block;
        size_t now = length < sizeof block ? length : sizeof block;
        memcpy(out, block, now);
        out += now;
        length -= now;
    }
    cl_wipe(block, sizeof block);
}

void cl_expand_with(const uint8_t prk[32], const char *purpose, const uint8_t *more,
                    size_t more_length, uint8_t *out, size_t length)
{
    static const char common[] = "\0\0\0\012certless/1\0\0\0\010ecdh-gcm\0\0\0";
    uint8_t purpose_length = (uint8_t)strlen(purpose);
    uint8_t label[sizeof common + 16];
    memcpy(label, common, sizeof common - 1);
    label[sizeof common - 1] = purpose_length;
    memcpy(label + sizeof common, purpose, purpose_length);
    const certless_piece info[2] = {{label, sizeof common + purpose_length}, {more, more_length}};
    cl_expand(prk, 32, info, 2, out, length);
}

void cl_expand_label(const uint8_t prk[32], const char *purpose, uint8_t *out, size_t length)
{
    cl_expand_with(prk, purpose, NULL, 0, out, length);
}

void cl_next_epoch(const uint8_t key[32], uint8_t next[32])
{
    cl_expand_label(key, "rekey", next, 32);
}

/* --- numbers: in constant time, so without a branch on a limb --- */

/* r = a - b, and the borrow (0 or 1). */
static uint32_t subtract(uint32_t *r, const uint32_t *a, const uint32_t *b)
{
    uint32_t borrow = 0;
    for (size_t i = 0; i < LIMBS; i++) {
        uint64_t difference = (uint64_t)a[i] - b[i] - borrow;
        r[i] = (uint32_t)difference;
        borrow = (uint32_t)(difference >> 32) & 1u;
    }
    return borrow;
}

/* r = 2 * r + bit, and the bit that no longer fits. */
static uint32_t shift_in(uint32_t *r, uint32_t bit)
{
    for (size_t i = 0; i < LIMBS; i++) {
        uint32_t out = r[i] >> 31;
        r[i] = r[i] << 1 | bit;
        bit = out;
    }
    return bit;
}

static void store_limbs(uint8_t out[32], const uint32_t *limbs)
{
    for (size_t i = 0; i < LIMBS; i++)
        cl_store(out + 4 * (LIMBS - 1 - i), limbs[i], 4);
}

void cl_scalar(const uint8_t seed[CL_SEED_BYTES], uint8_t scalar[32])
{
    /* Long division, bit by bit. The remainder stays below n - 1, so one subtraction is enough. */
    uint32_t remainder[LIMBS] = {0}, less[LIMBS];
    for (size_t bit = 0; bit < (size_t)8 * CL_SEED_BYTES; bit++) {
        uint32_t carry = shift_in(remainder, (uint32_t)(seed[bit / 8] >> (7 - bit % 8)) & 1u);
        uint32_t borrow = subtract(less, remainder, ORDER_LESS_1);
        uint32_t mask = 0u - (carry | (borrow ^ 1u));
        for (size_t i = 0; i < LIMBS; i++)
            remainder[i] = (less[i] & mask) | (remainder[i] & ~mask);
    }
    uint32_t carry = 1;
    for (size_t i = 0; i < LIMBS; i++) {
        remainder[i] += carry;
        carry &= (uint32_t)(((uint64_t)remainder[i] - 1) >> 63);
    }
    store_limbs(scalar, remainder);
    cl_wipe(remainder, sizeof remainder);
    cl_wipe(less, sizeof less);
}

/* n - scalar. */
static void negate(const uint8_t scalar[32], uint8_t out[32])
{
    uint32_t limbs[LIMBS];
    for (size_t i = 0; i < LIMBS; i++)
        limbs[i] = (uint32_t)cl_load(scalar + 4 * (LIMBS - 1 - i), 4);
    (void)subtract(limbs, ORDER, limbs);
    store_limbs(out, limbs);
    cl_wipe(limbs, sizeof limbs);
}

/* --- SPAKE2 (RFC 9382) --- */

void cl_code_scalar(const char code[8], const char *username, const uint8_t id[16],
                    const uint8_t server_nonce[32], uint8_t w[32])
{
    cl_fields salt;
    uint8_t stretched[32], seed[CL_SEED_BYTES];
    cl_begin(&salt, "w");
    cl_add(&salt, "ecdh-gcm", 8);
    cl_add(&salt, username, strlen(username));
    cl_add(&salt, id, 16);
    cl_add(&salt, server_nonce, 32);
    certless_crypto_pbkdf2((const uint8_t *)code, 8, salt.pieces, 2 * salt.count, ITERATIONS,
                           stretched);
    cl_expand_label(stretched, "w", seed, sizeof seed);
    cl_scalar(seed, w);
    cl_wipe(stretched, sizeof stretched);
    cl_wipe(seed, sizeof seed);
}

int cl_share(const uint8_t w[32], const uint8_t x[32], uint8_t point[65])
{
    memcpy(point, POINT_M, sizeof POINT_M);
    return certless_crypto_combine(point, w, NULL, x);
}

int cl_agree(const uint8_t w[32], const uint8_t x[32], const uint8_t share[65], uint8_t k[65])
{
    uint8_t one[32] = {0}, minus_w[32];
    one[31] = 1;
    if (memcmp(share, POINT_M, 65) == 0 || memcmp(share, POINT_N, 65) == 0)
        return 0;
    negate(w, minus_w);
    memcpy(k, share, 65);
    int agreed = certless_crypto_combine(k, one, POINT_N, minus_w) && certless_crypto_multiply(k, x);
    cl_wipe(minus_w, sizeof minus_w);
    return agreed;
}

/* An identity is two pieces behind one length: a prefix and a name. */
static void add_identity(certless_piece *pieces, uint8_t length[8], const char *prefix,
                         const char *name)
{
    size_t prefix_length = strlen(prefix), name_length = strlen(name);
    uint64_t left = prefix_length + name_length;
    for (size_t i = 0; i < 8; i++, left >>= 8)
        length[i] = (uint8_t)left;
    pieces[0].data = length;
    pieces[0].length = 8;
    pieces[1].data = prefix;
    pieces[1].length = prefix_length;
    pieces[2].data = name;
    pieces[2].length = name_length;
}

void cl_confirmations(const cl_spake *spake, const uint8_t *aad, size_t aad_length,
                      uint8_t shared[16], uint8_t confirm_a[32], uint8_t confirm_b[32])
{
    cl_fields fields = {.count = 0};
    certless_piece tt[14];
    uint8_t lengths[2][8], digest[32], prk[32], keys[32];
    add_identity(tt, lengths[0], spake->client_prefix, spake->client);
    add_identity(tt + 3, lengths[1], spake->server_prefix, spake->server);
    cl_add_little(&fields, spake->share_a, 65);
    cl_add_little(&fields, spake->share_b, 65);
    cl_add_little(&fields, spake->k, 65);
    cl_add_little(&fields, spake->w, 32);
    memcpy(tt + 6, fields.pieces, 8 * sizeof *tt);
    certless_crypto_sha256(tt, 14, digest);
    memcpy(shared, digest, 16);
    certless_piece ka = {digest + 16, 16};
    certless_piece info[2] = {{"ConfirmationKeys", 16}, {aad, aad_length}};
    cl_extract(NULL, 0, &ka, 1, prk);
    cl_expand(prk, sizeof prk, info, 2, keys, sizeof keys);
    certless_crypto_hmac(keys, 16, tt, 14, confirm_a);
    certless_crypto_hmac(keys + 16, 16, tt, 14, confirm_b);
    cl_wipe(digest, sizeof digest);
    cl_wipe(prk, sizeof prk);
    cl_wipe(keys, sizeof keys);
}
