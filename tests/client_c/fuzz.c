/*
 * Every parser of the C client, for libFuzzer (make fuzz-c), and for files as a test.
 *
 * The first byte of the input chooses the parser. A fuzzer for one parser, fuzz_hello for example, is
 * built with CERTLESS_FUZZ_PARSER=fuzz_hello, and ignores the choice. The cryptography below is
 * none: seals are always right and hashes are zero. So the fuzzer comes to what is inside of a seal.
 */
#include "certless_http.h"
#include "certless_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* --- no cryptography --- */

void certless_crypto_sha256(const certless_piece *pieces, size_t count, uint8_t out[32])
{
    (void)pieces;
    (void)count;
    memset(out, 0, 32);
}

void certless_crypto_hmac(const uint8_t *key, size_t key_length, const certless_piece *pieces,
                          size_t count, uint8_t out[32])
{
    (void)key;
    (void)key_length;
    certless_crypto_sha256(pieces, count, out);
}

void certless_crypto_pbkdf2(const uint8_t *password, size_t password_length,
                            const certless_piece *salt, size_t salt_count, unsigned iterations,
                            uint8_t out[32])
{
    (void)iterations;
    certless_crypto_hmac(password, password_length, salt, salt_count, out);
}

void certless_crypto_seal(const uint8_t key[32], const uint8_t iv[12], const uint8_t *aad,
                          size_t aad_length, uint8_t *data, size_t length, uint8_t tag[16])
{
    (void)key;
    (void)iv;
    (void)aad;
    (void)aad_length;
    (void)data;
    (void)length;
    memset(tag, 0, 16);
}

int certless_crypto_open(const uint8_t key[32], const uint8_t iv[12], const uint8_t *aad,
                         size_t aad_length, uint8_t *data, size_t length, const uint8_t tag[16])
{
    uint8_t ignored[16];
    (void)tag;
    certless_crypto_seal(key, iv, aad, aad_length, data, length, ignored);
    return 1;
}

void certless_crypto_base(uint8_t point[CERTLESS_POINT_BYTES],
                          const uint8_t scalar[CERTLESS_SCALAR_BYTES])
{
    (void)scalar;
    memset(point, 0, CERTLESS_POINT_BYTES);
}

int certless_crypto_multiply(uint8_t point[CERTLESS_POINT_BYTES],
                             const uint8_t scalar[CERTLESS_SCALAR_BYTES])
{
    (void)scalar;
    return point[0] == 4;
}

int certless_crypto_combine(uint8_t a[CERTLESS_POINT_BYTES], const uint8_t x[CERTLESS_SCALAR_BYTES],
                            const uint8_t *b, const uint8_t y[CERTLESS_SCALAR_BYTES])
{
    (void)b;
    (void)y;
    return certless_crypto_multiply(a, x);
}

/* --- a client for each input --- */

static int zeros(void *context, uint8_t *out, size_t length)
{
    (void)context;
    memset(out, 0, length);
    return 0;
}

static int save(void *context, const uint8_t *state, size_t length)
{
    (void)context;
    (void)state;
    return length != CERTLESS_STATE_BYTES;
}

static const certless_config WITH_CLOCK = {"a", "r", CERTLESS_CLOCK, zeros, save, NULL, NULL};
static const certless_config WITH_COUNTER = {"a", "r", CERTLESS_COUNTER, zeros, save, NULL, NULL};

static void check(int holds)
{
    if (!holds)
        abort();
}

static void fuzz_hello(certless_client *client, uint8_t *in, size_t length)
{
    uint8_t out[CERTLESS_LOGIN_BYTES];
    size_t n;
    check(certless_begin_login(client, out, sizeof out, &n) == CERTLESS_OK);
    check((certless_receive_hello(client, in, length) == CERTLESS_OK)
          == (client->handshake.has_login == 1));
}

static void fuzz_share(certless_client *client, uint8_t *in, size_t length)
{
    /* Made once: to reduce secrets to numbers takes longer than to parse. */
    static certless_client sent[2];
    uint8_t out[CERTLESS_LOGIN_BYTES];
    size_t n;
    certless_client *kept = &sent[client->config == &WITH_CLOCK];
    if (kept->config == NULL) {
        *kept = *client;
        kept->has_ticket = 1;
        kept->handshake.has_login = 1;
        check((client->config == &WITH_CLOCK
                   ? certless_begin_resumption(kept, out, sizeof out, &n)
                   : certless_enter_code(kept, "00000000", out, sizeof out, &n))
              == CERTLESS_OK);
    }
    *client = *kept;
    (void)certless_receive_share(client, in, length, out, sizeof out, &n);
}

static void fuzz_confirmation(certless_client *client, uint8_t *in, size_t length)
{
    client->handshake.stage = 5; /* ClientConfirmation was sent */
    if (certless_receive_confirmation(client, 5, in, length) == CERTLESS_OK)
        check(client->session.is_open && client->session.expires_ms <= 43200005);
    else
        check(!client->session.is_open && !client->has_ticket);
}

static int is_inside(const uint8_t *in, size_t length, const void *part, size_t part_length)
{
    size_t at = (size_t)((const uint8_t *)part - in);
    return at <= length && part_length <= length - at;
}

static void fuzz_answer(certless_client *client, uint8_t *in, size_t length)
{
    certless_response response;
    certless_text name, value;
    client->session.is_open = 1;
    client->pending.is_open = 1;
    if (certless_open(client, 5, in, length, &response) != CERTLESS_OK) {
        check(response.status == 0 && response.header_count == 0 && response.body == NULL);
        return;
    }
    check(response.status >= 200 && response.status <= 599 && response.header_count <= 128);
    check(is_inside(in, length, response.body, response.body_length));
    size_t headers = response.header_count;
    while (certless_next_header(&response, &name, &value)) {
        check(is_inside(in, length, name.start, name.length));
        check(is_inside(in, length, value.start, value.length));
        check(headers-- > 0);
    }
    check(headers == 0 && response.headers_length == 0);
}

static void fuzz_state(certless_client *client, uint8_t *in, size_t length)
{
    if (certless_load(client, 5, in, length) != CERTLESS_OK)
        check(!client->has_ticket && !client->session.is_open);
}

static void fuzz_code(certless_client *client, uint8_t *in, size_t length)
{
    uint8_t out[CERTLESS_LOGIN_BYTES];
    size_t n;
    char *typed = malloc(length + 1);
    check(typed != NULL);
    memcpy(typed, in, length);
    typed[length] = 0;
    client->handshake.has_login = 1;
    (void)certless_enter_code(client, typed, out, sizeof out, &n);
    free(typed);
}

/* Method, target, a header and a body, with a zero after each of the first four. */
static void fuzz_request(certless_client *client, uint8_t *in, size_t length)
{
    const char *parts[4];
    uint8_t *end = in + length;
    for (size_t i = 0; i < 4; i++) {
        uint8_t *zero = memchr(in, 0, (size_t)(end - in));
        if (zero == NULL)
            return;
        parts[i] = (const char *)in;
        in = zero + 1;
    }
    const certless_header header = {parts[2], parts[3]};
    const certless_request request = {parts[0], parts[1], "h", &header, 1, in, (size_t)(end - in)};
    size_t needed = 0, n = 0;
    client->session.is_open = 1;
    client->session.expires_ms = 10;
    client->session.reserved = 10;
    certless_error error = certless_seal(client, 5, &request, end - 1, 0, &needed);
    check(error == CERTLESS_BUFFER_TOO_SMALL || error == CERTLESS_BAD_REQUEST);
    if (error == CERTLESS_BAD_REQUEST)
        return;
    uint8_t *out = malloc(needed);
    check(out != NULL);
    check(certless_seal(client, 5, &request, out, needed, &n) == CERTLESS_OK && n == needed);
    free(out);
}

/* A response of HTTP. Inputs that do not fit into the buffer of a socket are left out. */
static void fuzz_http(certless_client *client, uint8_t *in, size_t length)
{
    int pair[2];
    uint8_t out[4096];
    size_t n = 0;
    (void)client;
    if (length > 60000 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
        return;
    cl_http http = {.socket = pair[0], .deadline_ms = UINT64_MAX};
    certless_link link = {"h", "80", "", 1000, 0, 0};
    check(send(pair[1], in, length, 0) == (ssize_t)length);
    (void)close(pair[1]);
    if (cl_http_head(&http, &link) == CERTLESS_OK && cl_http_body(&http, out, sizeof out, &n) == CERTLESS_OK)
        check(n <= sizeof out && n <= length);
    (void)close(pair[0]);
}

/* The records of a response, behind each other. */
static void fuzz_records(certless_client *client, uint8_t *in, size_t length)
{
    static uint8_t head[140000];
    certless_stream stream;
    certless_part part;
    certless_text name, value;
    size_t at = 0, record = 0;
    memset(&stream, 0, sizeof stream);
    stream.received.limit = CERTLESS_MAX_RECORD_BYTES;
    certless_await_response(&stream, head, length % 2 ? sizeof head : 16, client->config == &WITH_CLOCK);
    while (length - at >= 4 && certless_record_length(&stream, in + at, &record) == CERTLESS_OK) {
        at += 4;
        if (record > length - at
            || certless_receive_record(&stream, in + at, record, &part) != CERTLESS_OK)
            break;
        if (part.event == CERTLESS_DATA)
            check(part.length > 0 && is_inside(in, length, part.data, part.length));
        while (part.event == CERTLESS_HEAD && certless_next_header(&part.response, &name, &value))
            check(is_inside(head, sizeof head, value.start, value.length));
        if (part.event == CERTLESS_END)
            check(certless_end_stream(&stream) == CERTLESS_OK && part.length <= 1);
        at += record;
    }
}

/* The answer to a request that offers to accept a stream. */
static void fuzz_grant(certless_client *client, uint8_t *in, size_t length)
{
    certless_response response;
    certless_stream stream;
    client->session.is_open = 1;
    client->pending.is_open = 1;
    client->pending.record_bytes = 4096;
    if (certless_open_stream(client, 5, in, length, &response, &stream) == CERTLESS_OK)
        check(stream.is_open == (response.status == 0));
    else
        check(!stream.is_open);
}

#ifndef CERTLESS_FUZZ_PARSER
static void (*const PARSERS[])(certless_client *, uint8_t *, size_t) = {
    fuzz_hello, fuzz_share, fuzz_confirmation, fuzz_answer,
    fuzz_state, fuzz_code,  fuzz_request,      fuzz_http,
    fuzz_records, fuzz_grant};

#define CERTLESS_FUZZ_PARSER PARSERS[(data[0] & 0x7f) % (sizeof PARSERS / sizeof *PARSERS)]
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    certless_client client;
    if (length < 2)
        return 0;
    /* A copy of exactly this length, so that a sanitizer sees a read beyond it. */
    uint8_t *in = malloc(length - 1);
    check(in != NULL);
    memcpy(in, data + 1, length - 1);
    check(certless_init(&client, data[0] & 0x80 ? &WITH_CLOCK : &WITH_COUNTER) == CERTLESS_OK);
    CERTLESS_FUZZ_PARSER(&client, in, length - 1);
    free(in);
    return 0;
}

#ifndef CERTLESS_LIBFUZZER
/* Each argument is a file with one input. */
int main(int count, char **names)
{
    static uint8_t data[1 << 20];
    for (int i = 1; i < count; i++) {
        FILE *file = fopen(names[i], "rb");
        check(file != NULL);
        size_t length = fread(data, 1, sizeof data, file);
        (void)fclose(file);
        (void)LLVMFuzzerTestOneInput(data, length);
    }
    return 0;
}
#endif
