/* What the modules of the client share. Programs include certless.h alone. */
#ifndef CERTLESS_INTERNAL_H
#define CERTLESS_INTERNAL_H

#include "certless.h"
#include "certless_crypto.h"

#if SIZE_MAX < 0xffffffff
#error "Certless needs a processor of 32 bits: it does not run on an AVR, such as an Arduino Uno or Mega"
#endif

#define CL_HEADER_BYTES 67u
#define CL_ANSWER_HEADER_BYTES 83u
#define CL_SALT_BYTES 16u
#define CL_TAG_BYTES 16u
#define CL_MAX_VALUE 9007199254740991u /* 2^53 - 1 */
#define CL_MAX_TEXT_CHARS 1024u
#define CL_SEED_BYTES 48u

/*
 * For functions with a large frame whose caller goes on to multiply points. Inlined, their frame
 * would be a part of the caller's, and would add to the peak of the stack.
 */
#ifdef __GNUC__
#define CL_OWN_FRAME __attribute__((noinline))
#else
#define CL_OWN_FRAME
#endif

/* --- certless_msgpack.c: strict msgpack (PROTOCOL §1.4.3) --- */

typedef enum cl_kind { CL_NUMBER, CL_TEXT, CL_BYTES, CL_ARRAY, CL_MAP } cl_kind;

/* The bytes that are left. Not const, because a box is decrypted where it is. */
typedef struct cl_reader {
    uint8_t *at;
    size_t left;
} cl_reader;

/* A value. `bytes` and `length` for texts and bytes; `length` counts the items of the others. */
typedef struct cl_value {
    cl_kind kind;
    uint64_t number;
    uint8_t *bytes;
    size_t length;
} cl_value;

/* A member of a map: its name, and the values that it can have. */
typedef struct cl_member {
    const char *name;
    cl_kind kind;
    uint8_t is_optional;
    uint64_t least, most; /* a number; or the length of bytes */
    uint8_t is_present;
    cl_value value;
} cl_member;

/* The next value: a whole text, but only the head of an array or a map. 0 if it is not strict. */
int cl_next(cl_reader *reader, cl_value *value);

/* Read a map that has exactly these members, and nothing behind it. 0 if it is another one. */
int cl_members(uint8_t *in, size_t length, cl_member *members, size_t count);

/* The number of characters of UTF-8; SIZE_MAX if the bytes are not UTF-8. */
size_t cl_characters(const uint8_t *text, size_t length);

/* What was written. `length` also counts what did not fit into `capacity`. */
typedef struct cl_writer {
    uint8_t *out;
    size_t capacity, length;
} cl_writer;

void cl_put_raw(cl_writer *writer, const void *data, size_t length);
void cl_put_number(cl_writer *writer, uint64_t number);
void cl_put_string(cl_writer *writer, const char *text);
void cl_put_text(cl_writer *writer, const char *text, size_t length);
void cl_put_bytes_head(cl_writer *writer, size_t length);
void cl_put_bytes(cl_writer *writer, const void *data, size_t length);
void cl_put_array(cl_writer *writer, size_t items);
void cl_put_map(cl_writer *writer, size_t items);

/* --- certless_keys.c: transcripts, labels and SPAKE2 (PROTOCOL §2.4.3, §2.4.4, §2.5) --- */

void cl_wipe(void *data, size_t length);
void cl_store(uint8_t *out, uint64_t number, size_t length);
uint64_t cl_load(const uint8_t *in, size_t length);
int cl_equal(const uint8_t *a, const uint8_t *b, size_t length);

/* Fields with their lengths, to be hashed as one text. The fields have to outlive it. */
typedef struct cl_fields {
    certless_piece pieces[30];
    uint8_t lengths[15][8];
    size_t count;
} cl_fields;

/* Begin with the field `purpose`; for T of PROTOCOL §1.2.3 it starts with "certless/1 ". */
void cl_begin(cl_fields *fields, const char *purpose);
/* LP(field). */
void cl_add(cl_fields *fields, const void *data, size_t length);
/* The field behind its length in eight bytes, little-endian, as in SPAKE2. */
void cl_add_little(cl_fields *fields, const void *data, size_t length);
void cl_hash(const cl_fields *fields, uint8_t out[32]);

void cl_extract(const uint8_t *salt, size_t salt_length, const certless_piece *ikm, size_t count,
                uint8_t prk[32]);
/* HKDF-Expand with the pieces as info. At most 96 bytes. */
void cl_expand(const uint8_t *prk, size_t prk_length, const certless_piece *info, size_t count,
               uint8_t *out, size_t length);
/* HKDF-Expand with label(purpose), or with label(purpose) ‖ more, as info. */
void cl_expand_label(const uint8_t prk[32], const char *purpose, uint8_t *out, size_t length);
void cl_expand_with(const uint8_t prk[32], const char *purpose, const uint8_t *more,
                    size_t more_length, uint8_t *out, size_t length);

/* 1 + (seed mod (n - 1)). */
void cl_scalar(const uint8_t seed[CL_SEED_BYTES], uint8_t scalar[32]);

/* w from the eight characters of a code. */
void cl_code_scalar(const char code[8], const char *username, const uint8_t id[16],
                    const uint8_t server_nonce[32], uint8_t w[32]);

/* pA = x * G + w * M. 0 if it is the point at infinity. */
int cl_share(const uint8_t w[32], const uint8_t x[32], uint8_t point[65]);
/* K = x * (pB - w * N). 0 if pB is not a point, is M or N, or leads to infinity. */
int cl_agree(const uint8_t w[32], const uint8_t x[32], const uint8_t share[65], uint8_t k[65]);

/* The identities, shares and secrets that SPAKE2 hashes. */
typedef struct cl_spake {
    const char *client_prefix, *client, *server_prefix, *server;
    const uint8_t *share_a, *share_b, *k, *w;
} cl_spake;

/* Ke (16 bytes), cA and cB; `aad` is th. */
void cl_confirmations(const cl_spake *spake, const uint8_t *aad, size_t aad_length,
                      uint8_t shared[16], uint8_t confirm_a[32], uint8_t confirm_b[32]);

/* The key of the next epoch. */
void cl_next_epoch(const uint8_t key[32], uint8_t next[32]);

/* --- certless_messages.c: parts that streams need --- */

/* A list of header fields. `is_bytes`: no character of a value is above U+00FF. 0 if not valid. */
int cl_read_headers(cl_reader *reader, int is_bytes, certless_response *response);

/* --- certless_streams.c (PROTOCOL §2.10) --- */

/* Open `stream` with a grant. 0 if the grant is not valid. */
int cl_grant(certless_stream *stream, uint8_t *grant, size_t length, const uint8_t keys[64],
             uint32_t record_bytes);

/* --- certless_state.c: what is stored (PROTOCOL §2.6.4, §2.8.3) --- */

/* Store the ticket and, with a counter, the session. Nothing in `client` changes. */
certless_error cl_save(const certless_client *client, const uint8_t *ticket, const uint8_t *secret,
                       const certless_session *session);

/* Of ASCII. Not isalnum, which depends on the locale. */
int cl_is_letter_or_digit(char c);

/* Numbers that the stored state allows ahead, so that not every message writes to flash. */
#define CL_RESERVED_NUMBERS 1024u

#endif
