/*
 * Runs test vectors against the C client. Each line of the input is one test: its kind, and members
 * as name=value, where bytes and texts are hexadecimal and numbers are decimal. Each line of the
 * output is the result: "ok" and members, or the code of an error (PROTOCOL §5.4).
 */
#include "certless_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LINE 1000000
#define MAX_MEMBERS 32
#define MAX_BYTES 300000

typedef struct member {
    const char *name, *value;
} member;

typedef struct test {
    const char *kind;
    member members[MAX_MEMBERS];
    size_t count;
} test;

typedef struct bytes {
    uint8_t *data;
    size_t length;
} bytes;

static void fail(const char *why)
{
    (void)fprintf(stderr, "vectors: %s\n", why);
    exit(2);
}

static const char *text_of(const test *given, const char *name)
{
    for (size_t i = 0; i < given->count; i++)
        if (strcmp(given->members[i].name, name) == 0)
            return given->members[i].value;
    fail(name);
    return NULL;
}

static uint64_t number_of(const test *given, const char *name)
{
    return strtoull(text_of(given, name), NULL, 10);
}

static unsigned nibble(char c)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, c);
    if (at == NULL || c == 0)
        fail("not hexadecimal");
    return (unsigned)(at - digits);
}

/* In memory of its own and of exactly this length, so that a sanitizer sees a read beyond it. */
static bytes bytes_of(const test *given, const char *name)
{
    const char *hex = text_of(given, name);
    bytes found = {malloc(strlen(hex) / 2 + (hex[0] == 0)), strlen(hex) / 2};
    if (found.data == NULL)
        fail("no memory");
    for (size_t i = 0; i < found.length; i++)
        found.data[i] = (uint8_t)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    return found;
}

static char *string_of(const test *given, const char *name)
{
    bytes found = bytes_of(given, name);
    char *text = malloc(found.length + 1);
    if (text == NULL)
        fail("no memory");
    memcpy(text, found.data, found.length);
    text[found.length] = 0;
    free(found.data);
    return text;
}

static void copy_of(const test *given, const char *name, uint8_t *out, size_t length)
{
    bytes found = bytes_of(given, name);
    if (found.length != length)
        fail("another length");
    memcpy(out, found.data, length);
    free(found.data);
}

static void print_bytes(const char *name, const uint8_t *data, size_t length)
{
    (void)printf(" %s=", name);
    for (size_t i = 0; i < length; i++)
        (void)printf("%02x", data[i]);
}

static const char *code_of(certless_error error)
{
    switch (error) {
    case CERTLESS_OK: return "ok";
    case CERTLESS_MALFORMED: return "malformed";
    case CERTLESS_UNSUPPORTED_SUITE: return "unsupported_suite";
    case CERTLESS_BAD_POINT: return "key_not_admitted";
    case CERTLESS_CODE_REFUSED: case CERTLESS_NO_CODE: return "code_refused";
    case CERTLESS_TICKET_REFUSED: return "ticket_refused";
    case CERTLESS_BAD_SEAL: return "decryption_failed";
    case CERTLESS_EPOCH_ENDED: return "stale_epoch";
    case CERTLESS_CLOCK_CORRECTED: case CERTLESS_CLOCK_REFUSED: return "stale_timestamp";
    case CERTLESS_BAD_REQUEST: return "bad_request";
    case CERTLESS_STREAM_BROKEN: return "broken_stream";
    case CERTLESS_STREAM_ABORTED: return "aborted_stream";
    default: return certless_error_text(error);
    }
}

/* --- a device whose random bytes and storage are those of the test --- */

typedef struct device {
    bytes entropy;
    uint8_t state[CERTLESS_STATE_BYTES];
    int saved;
} device;

static int give_entropy(void *context, uint8_t *out, size_t length)
{
    device *own = context;
    if (length > own->entropy.length)
        return 1;
    memcpy(out, own->entropy.data, length);
    memmove(own->entropy.data, own->entropy.data + length, own->entropy.length - length);
    own->entropy.length -= length;
    return 0;
}

static int keep_state(void *context, const uint8_t *state, size_t length)
{
    device *own = context;
    if (length != sizeof own->state)
        return 1;
    memcpy(own->state, state, length);
    own->saved++;
    return 0;
}

static certless_fresh fresh_of(const test *given)
{
    return number_of(given, "fresh") == 1 ? CERTLESS_CLOCK : CERTLESS_COUNTER;
}

static void print_keys(const certless_client *client)
{
    print_bytes("c2s", client->session.c2s, 32);
    print_bytes("s2c", client->session.s2c, 32);
    print_bytes("ticket", client->ticket, client->has_ticket ? 16 : 0);
    print_bytes("resume", client->secret, client->has_ticket ? 32 : 0);
    (void)printf(" offset_ms=%lld", (long long)client->session.offset_ms);
}

static certless_error confirm(certless_client *client, const test *given, const char *name)
{
    bytes in = bytes_of(given, name);
    certless_error error =
        certless_receive_confirmation(client, number_of(given, "now_ms"), in.data, in.length);
    free(in.data);
    return error;
}

static certless_error log_in(certless_client *client, const test *given)
{
    uint8_t m0[CERTLESS_LOGIN_BYTES], m2[CERTLESS_LOGIN_BYTES], m4[CERTLESS_LOGIN_BYTES];
    size_t m0_length = 0, m2_length = 0, m4_length = 0;
    bytes m1 = bytes_of(given, "M1"), m3 = bytes_of(given, "M3");
    char *code = string_of(given, "code");
    certless_error error = certless_begin_login(client, m0, sizeof m0, &m0_length);
    if (error == CERTLESS_OK)
        error = certless_receive_hello(client, m1.data, m1.length);
    if (error == CERTLESS_OK)
        error = certless_enter_code(client, code, m2, sizeof m2, &m2_length);
    if (error == CERTLESS_OK)
        error = certless_receive_share(client, m3.data, m3.length, m4, sizeof m4, &m4_length);
    if (error == CERTLESS_OK)
        error = confirm(client, given, "M5");
    (void)printf("%s", code_of(error));
    if (error == CERTLESS_OK) {
        print_bytes("M0", m0, m0_length);
        print_bytes("M2", m2, m2_length);
        print_bytes("M4", m4, m4_length);
        print_keys(client);
    }
    free(m1.data);
    free(m3.data);
    free(code);
    return error;
}

static certless_error resume(certless_client *client, const test *given)
{
    uint8_t r1[CERTLESS_LOGIN_BYTES], r3[CERTLESS_LOGIN_BYTES];
    size_t r1_length = 0, r3_length = 0;
    bytes r2 = bytes_of(given, "R2");
    client->has_ticket = 1;
    copy_of(given, "ticket", client->ticket, 16);
    copy_of(given, "secret", client->secret, 32);
    certless_error error = certless_begin_resumption(client, r1, sizeof r1, &r1_length);
    if (error == CERTLESS_OK)
        error = certless_receive_share(client, r2.data, r2.length, r3, sizeof r3, &r3_length);
    if (error == CERTLESS_OK)
        error = confirm(client, given, "R4");
    (void)printf("%s", code_of(error));
    if (error == CERTLESS_OK) {
        print_bytes("R1", r1, r1_length);
        print_bytes("R3", r3, r3_length);
        print_keys(client);
    }
    free(r2.data);
    return error;
}

/* What is stored opens the same session or has the same ticket, and half of it is refused. */
static void check_stored(const certless_client *client, const device *own)
{
    certless_client loaded;
    if (own->saved != 1 || certless_init(&loaded, client->config) != CERTLESS_OK
        || certless_load(&loaded, 5, own->state, sizeof own->state) != CERTLESS_OK)
        fail("the state was not stored once");
    if (loaded.has_ticket != client->has_ticket || memcmp(loaded.ticket, client->ticket, 16) != 0
        || memcmp(loaded.secret, client->secret, 32) != 0)
        fail("another ticket was stored");
    if (loaded.session.is_open != (client->config->fresh == CERTLESS_COUNTER))
        fail("a session is stored with a counter, and only then");
    if (certless_load(&loaded, 5, own->state, sizeof own->state - 1) != CERTLESS_BAD_STATE)
        fail("half of a state was loaded");
}

static void run_handshake(const test *given)
{
    device own = {.entropy = bytes_of(given, "entropy")};
    char *username = string_of(given, "username"), *realm = string_of(given, "realm");
    char *name = string_of(given, "device");
    certless_config config = {username, realm, fresh_of(given), give_entropy, keep_state,
                              &own,     name[0] == 0 ? NULL : name};
    certless_client client;
    int is_login = strcmp(given->kind, "client_login") == 0;
    if (certless_init(&client, &config) != CERTLESS_OK)
        fail("certless_init");
    certless_error error = is_login ? log_in(&client, given) : resume(&client, given);
    if (error == CERTLESS_OK)
        check_stored(&client, &own);
    else if (own.saved != 0)
        fail("a handshake that failed has stored something");
    free(own.entropy.data);
    free(username);
    free(realm);
    free(name);
}

/* --- messages --- */

static void open_session(certless_client *client, const test *given, const certless_config *config)
{
    if (certless_init(client, config) != CERTLESS_OK)
        fail("certless_init");
    copy_of(given, "sid", client->session.id, 16);
    copy_of(given, "c2s", client->session.c2s, 32);
    copy_of(given, "s2c", client->session.s2c, 32);
    client->session.epoch = (uint32_t)number_of(given, "epoch");
    client->session.is_open = 1;
    client->session.expires_ms = UINT64_MAX;
    client->session.reserved = UINT64_MAX;
}

static void run_seal(const test *given)
{
    device own = {.entropy = bytes_of(given, "entropy")};
    const certless_config config = {"Ada", "r", fresh_of(given), give_entropy, keep_state, &own,
                                    NULL};
    certless_client client;
    certless_header headers[8];
    size_t count = (size_t)number_of(given, "headers");
    char *method = string_of(given, "method"), *target = string_of(given, "target");
    bytes body = bytes_of(given, "body");
    if (count > 8)
        fail("too many headers");
    for (size_t i = 0; i < count; i++) {
        char name[] = "name0", value[] = "value0";
        name[4] = value[5] = (char)('0' + i);
        headers[i].name = string_of(given, name);
        headers[i].value = string_of(given, value);
    }
    open_session(&client, given, &config);
    client.session.sequence = number_of(given, "sequence");
    client.session.offset_ms = (int64_t)number_of(given, "offset_ms");
    const certless_request request = {method, target, NULL, headers, count, body.data, body.length};
    uint8_t *out = malloc(body.length + 400000), small[1];
    size_t length = 0, needed = 0;
    certless_error first =
        certless_seal(&client, number_of(given, "now_ms"), &request, small, 1, &needed);
    if (first != CERTLESS_BUFFER_TOO_SMALL && first != CERTLESS_BAD_REQUEST)
        fail("a buffer of one byte was enough");
    certless_error error = certless_seal(&client, number_of(given, "now_ms"), &request, out,
                                         body.length + 400000, &length);
    if (error == CERTLESS_OK && length != needed)
        fail("another length than was said before");
    (void)printf("%s", code_of(error));
    if (error == CERTLESS_OK)
        print_bytes("message", out, length);
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)headers[i].name);
        free((void *)(uintptr_t)headers[i].value);
    }
    free(out);
    free(method);
    free(target);
    free(body.data);
    free(own.entropy.data);
}

static void print_response(certless_response *response)
{
    certless_text name, value;
    (void)printf(" status=%u", response->status);
    print_bytes("body", response->body, response->body_length);
    (void)printf(" headers=");
    while (certless_next_header(response, &name, &value)) {
        print_bytes("n", (const uint8_t *)name.start, name.length);
        print_bytes("v", (const uint8_t *)value.start, value.length);
    }
}

static void run_open(const test *given)
{
    device own = {.saved = 0};
    const certless_config config = {"Ada", "r", fresh_of(given), give_entropy, keep_state, &own,
                                    NULL};
    certless_client client;
    certless_response response;
    bytes message = bytes_of(given, "message");
    uint64_t now_ms = 1000000000;
    open_session(&client, given, &config);
    client.pending.is_open = 1;
    client.pending.value = number_of(given, "value");
    client.pending.sealed_ms = now_ms - number_of(given, "elapsed_ms");
    copy_of(given, "tag", client.pending.tag, 16);
    certless_error error = certless_open(&client, now_ms, message.data, message.length, &response);
    if (strcmp(given->kind, "open_refusal") == 0
        && (error == CERTLESS_CLOCK_CORRECTED || error == CERTLESS_CLOCK_REFUSED))
        (void)printf("ok server_ms=%lld may_retry=%d",
                     (long long)(client.session.offset_ms + (int64_t)now_ms),
                     error == CERTLESS_CLOCK_CORRECTED);
    else
        (void)printf("%s", code_of(error));
    if (error == CERTLESS_OK)
        print_response(&response);
    if (certless_open(&client, now_ms, message.data, message.length, &response)
        != CERTLESS_WRONG_ORDER)
        fail("an answer was opened twice");
    free(message.data);
}

/* --- streams --- */

static void run_grant(const test *given)
{
    device own = {.saved = 0};
    const certless_config config = {"Ada", "r", fresh_of(given), give_entropy, keep_state, &own,
                                    NULL};
    certless_client client;
    certless_response response;
    certless_stream stream;
    bytes message = bytes_of(given, "message");
    open_session(&client, given, &config);
    client.pending.is_open = 1;
    client.pending.value = number_of(given, "value");
    client.pending.record_bytes = number_of(given, "takes_stream") ? 65536 : 0;
    copy_of(given, "tag", client.pending.tag, 16);
    certless_error error =
        certless_open_stream(&client, 1, message.data, message.length, &response, &stream);
    (void)printf("%s", code_of(error));
    if (error == CERTLESS_OK) {
        print_bytes("stream", stream.id, 16);
        print_bytes("client_key", stream.sent.key, 32);
        print_bytes("server_key", stream.received.key, 32);
        (void)printf(" record_bytes=%lu", (unsigned long)stream.sent.limit);
    }
    free(message.data);
}

static void open_test_stream(certless_stream *stream, const test *given)
{
    memset(stream, 0, sizeof *stream);
    stream->is_open = 1;
    copy_of(given, "stream", stream->id, 16);
    copy_of(given, "key", stream->sent.key, 32);
    copy_of(given, "key", stream->received.key, 32);
    stream->sent.direction = stream->received.direction = (uint8_t)number_of(given, "direction");
    stream->sent.limit = stream->received.limit = (uint32_t)number_of(given, "record_bytes");
}

/* All records of `in`; the body goes to `body`. */
static certless_error read_records(certless_stream *stream, bytes in, bytes *body, int *verified)
{
    certless_part part;
    size_t at = 0, length;
    while (in.length - at >= 4) {
        certless_error error = certless_record_length(stream, in.data + at, &length);
        if (error != CERTLESS_OK)
            return error;
        at += 4;
        if (length > in.length - at)
            return CERTLESS_STREAM_BROKEN;
        error = certless_receive_record(stream, in.data + at, length, &part);
        if (error != CERTLESS_OK)
            return error;
        if (part.event == CERTLESS_END)
            *verified = part.request_verified;
        if (part.length > 0)
            memcpy(body->data + body->length, part.data, part.length);
        body->length += part.length;
        at += length;
    }
    return at == in.length ? certless_end_stream(stream) : CERTLESS_STREAM_BROKEN;
}

static void run_read(const test *given)
{
    certless_stream stream;
    uint8_t *head = malloc(200000);
    bytes in = bytes_of(given, "in"), body = {malloc(in.length + 1), 0};
    int verified = 0, is_response = number_of(given, "direction") == 2;
    open_test_stream(&stream, given);
    certless_await_response(&stream, head, 200000, (int)number_of(given, "is_bodiless"));
    if (!is_response) { /* the body of a request has no head, and its length was declared before */
        stream.has_head = 1;
        stream.has_length = strcmp(text_of(given, "length"), "none") != 0;
        stream.length = number_of(given, "length");
    }
    certless_error error = read_records(&stream, in, &body, &verified);
    (void)printf("%s", code_of(error));
    if (error == CERTLESS_OK) {
        print_bytes("body", body.data, body.length);
        print_bytes("head", head, stream.head_length);
        (void)printf(" request_verified=%d", verified);
    }
    free(head);
    free(in.data);
    free(body.data);
}

static void run_write(const test *given)
{
    certless_stream stream;
    uint8_t out[5000];
    size_t length = 0, pieces = (size_t)number_of(given, "pieces");
    uint64_t now_ms = 0;
    open_test_stream(&stream, given);
    (void)printf("ok records=");
    for (size_t i = 0; i <= pieces; i++) {
        char piece_name[] = "piece0", at_name[] = "at0";
        piece_name[5] = at_name[2] = (char)('0' + i);
        certless_error error;
        if (i == pieces) {
            error = certless_send_end(&stream, now_ms, out, sizeof out, &length);
        } else {
            bytes piece = bytes_of(given, piece_name);
            now_ms = number_of(given, at_name);
            memcpy(out, piece.data, piece.length);
            /* In place, as a device with one buffer does it. */
            error = certless_send_data(&stream, now_ms, out, piece.length, out, sizeof out, &length);
            free(piece.data);
        }
        if (error != CERTLESS_OK)
            fail(certless_error_text(error));
        for (size_t k = 0; k < length; k++)
            (void)printf("%02x", out[k]);
    }
    if (certless_send_ping(&stream, now_ms, out, sizeof out, &length) != CERTLESS_WRONG_ORDER)
        fail("a record after the end");
}

static void run_response_key(const test *given)
{
    certless_stream stream;
    uint8_t salt[16];
    memset(&stream, 0, sizeof stream);
    copy_of(given, "server_key", stream.received.key, 32);
    copy_of(given, "salt", salt, 16);
    certless_salt_stream(&stream, salt);
    (void)printf("ok");
    print_bytes("server_key", stream.received.key, 32);
}

/* --- parts --- */

static void run_spake2(const test *given)
{
    uint8_t w[32], x[32], share[65], pa[65], k[65], ke[16], ca[32], cb[32];
    char *id_a = string_of(given, "idA"), *id_b = string_of(given, "idB");
    copy_of(given, "w", w, 32);
    copy_of(given, "x", x, 32);
    copy_of(given, "pB", share, 65);
    int agreed = cl_share(w, x, pa) && cl_agree(w, x, share, k);
    const cl_spake spake = {"", id_a, "", id_b, pa, share, k, w};
    (void)printf("%s", agreed ? "ok" : "key_not_admitted");
    if (agreed) {
        cl_confirmations(&spake, NULL, 0, ke, ca, cb);
        print_bytes("pA", pa, 65);
        print_bytes("K", k, 65);
        print_bytes("Ke", ke, 16);
        print_bytes("cA", ca, 32);
        print_bytes("cB", cb, 32);
    }
    free(id_a);
    free(id_b);
}

/* Whether a login admits a share that an honest server could have sent for some code. */
static void run_share(const test *given)
{
    uint8_t w[32] = {0}, x[32] = {0}, k[65];
    bytes share = bytes_of(given, "share");
    w[31] = 2;
    x[31] = 3;
    int admitted = share.length == 65 && cl_agree(w, x, share.data, k);
    (void)printf("%s", admitted ? "ok" : "key_not_admitted");
    if (admitted)
        print_bytes("share", share.data, share.length);
    free(share.data);
}

static void run_code(const test *given)
{
    device own = {.entropy = bytes_of(given, "entropy")};
    char *username = string_of(given, "username"), *typed = string_of(given, "typed");
    const certless_config config = {username, "r", CERTLESS_CLOCK, give_entropy, keep_state, &own,
                                    NULL};
    certless_client client;
    uint8_t out[CERTLESS_LOGIN_BYTES];
    size_t length;
    if (certless_init(&client, &config) != CERTLESS_OK)
        fail("certless_init");
    client.handshake.has_login = 1;
    copy_of(given, "sid", client.handshake.id, 16);
    copy_of(given, "sn", client.handshake.server_nonce, 32);
    certless_error error = certless_enter_code(&client, typed, out, sizeof out, &length);
    (void)printf("%s", code_of(error));
    if (error == CERTLESS_OK)
        print_bytes("w", client.handshake.w, 32);
    free(username);
    free(typed);
    free(own.entropy.data);
}

static void run_rekey(const test *given)
{
    uint8_t c2s[32], s2c[32];
    copy_of(given, "c2s", c2s, 32);
    copy_of(given, "s2c", s2c, 32);
    cl_next_epoch(c2s, c2s);
    cl_next_epoch(s2c, s2c);
    (void)printf("ok");
    print_bytes("c2s", c2s, 32);
    print_bytes("s2c", s2c, 32);
}

static void run_scalar(const test *given)
{
    uint8_t seed[CL_SEED_BYTES], scalar[32];
    copy_of(given, "seed", seed, sizeof seed);
    cl_scalar(seed, scalar);
    (void)printf("ok");
    print_bytes("scalar", scalar, 32);
}

/* A value and its contents, written again. The shapes of messages limit the rest (depth, names). */
static int walk(cl_reader *reader, cl_writer *writer, unsigned depth)
{
    cl_value value;
    if (!cl_next(reader, &value))
        return 0;
    if (value.kind == CL_NUMBER)
        cl_put_number(writer, value.number);
    else if (value.kind == CL_TEXT)
        cl_put_text(writer, (const char *)value.bytes, value.length);
    else if (value.kind == CL_BYTES)
        cl_put_bytes(writer, value.bytes, value.length);
    else if (depth == 0)
        return 0;
    else if (value.kind == CL_ARRAY)
        cl_put_array(writer, value.length);
    else
        cl_put_map(writer, value.length);
    if (value.kind != CL_ARRAY && value.kind != CL_MAP)
        return 1;
    for (size_t i = 0; i < value.length; i++) {
        if (value.kind == CL_MAP && (reader->left == 0 || (reader->at[0] & 0xe0) != 0xa0))
            return 0;
        if ((value.kind == CL_MAP && !walk(reader, writer, depth - 1))
            || !walk(reader, writer, depth - 1))
            return 0;
    }
    return 1;
}

static void run_msgpack(const test *given)
{
    bytes in = bytes_of(given, "in");
    uint8_t *out = malloc(in.length + 1);
    cl_reader reader = {in.data, in.length};
    cl_writer writer = {out, in.length + 1, 0};
    int parsed = walk(&reader, &writer, 4) && reader.left == 0;
    (void)printf("%s", parsed ? "ok" : "malformed");
    if (parsed)
        print_bytes("again", out, writer.length);
    free(in.data);
    free(out);
}

static const struct {
    const char *kind;
    void (*run)(const test *given);
} RUNNERS[] = {{"client_login", run_handshake},
               {"client_resumption", run_handshake},
               {"seal_sealed_request", run_seal},
               {"open_sealed_response", run_open},
               {"open_refusal", run_open},
               {"spake2", run_spake2},
               {"spake2_share", run_share},
               {"code_scalar", run_code},
               {"rekey", run_rekey},
               {"scalar", run_scalar},
               {"open_stream_grant", run_grant},
               {"read_stream", run_read},
               {"write_stream", run_write},
               {"stream_response_key", run_response_key},
               {"parse_msgpack", run_msgpack}};

static void run_line(char *line)
{
    test given = {.kind = strtok(line, " \n")};
    for (char *part = strtok(NULL, " \n"); part != NULL; part = strtok(NULL, " \n")) {
        char *sign = strchr(part, '=');
        if (sign == NULL || given.count == MAX_MEMBERS)
            fail("not name=value");
        *sign = 0;
        given.members[given.count].name = part;
        given.members[given.count++].value = sign + 1;
    }
    for (size_t i = 0; i < sizeof RUNNERS / sizeof *RUNNERS; i++)
        if (strcmp(RUNNERS[i].kind, given.kind) == 0) {
            RUNNERS[i].run(&given);
            (void)printf("\n");
            return;
        }
    fail("no such kind");
}

int main(void)
{
    char *line = malloc(MAX_LINE);
    if (line == NULL)
        fail("no memory");
    while (fgets(line, MAX_LINE, stdin) != NULL)
        run_line(line);
    free(line);
    return 0;
}
