/*
 * Sealed messages: freshness, epochs, clock correction (PROTOCOL §2.6, §2.7).
 *
 * The file is long because sealing and opening share the rules of headers and of the envelope.
 */
#include "certless_internal.h"

#include <string.h>

#define SUITE_ECDH 1u
#define SUITE_RSA 2u
#define MIN_WRAPPED_BYTES 256u
#define MAX_WRAPPED_BYTES 512u
#define EPOCH_MS 900000u
#define CLOCK_MARGIN_MS 1000u
#define MAX_METHOD_CHARS 64u
#define MAX_TARGET_CHARS 8192u
#define MAX_HEADERS 128u
#define MAX_HEADER_CHARS 65536u

enum { REQUEST = 1, RESPONSE = 2, REFUSAL = 3, STREAM_REQUEST = 4, STREAM_GRANT = 5, SOCKET_REQUEST = 6 };

/* SHA-256 of the empty string: no key is wrapped in ecdh-gcm. */
static const uint8_t NOTHING_WRAPPED[32] = {
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};

/* --- rules of HTTP inside a seal (PROTOCOL §1.8) --- */

static int is_token_char(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
        || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static int is_token(const uint8_t *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!is_token_char(text[i]))
            return 0;
    return length > 0;
}

/* `is_bytes`: no character is above U+00FF. In UTF-8 those begin with a byte above C3. */
static int is_field_value(const uint8_t *text, size_t length, int is_bytes)
{
    for (size_t i = 0; i < length; i++)
        if ((text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f || (is_bytes && text[i] > 0xc3))
            return 0;
    return cl_characters(text, length) != SIZE_MAX;
}

/* Whether a header is valid. Takes its characters from `left`. */
static int is_header(const uint8_t *name, size_t name_length, const uint8_t *value,
                     size_t value_length, int is_bytes, size_t *left)
{
    if (!is_token(name, name_length) || !is_field_value(value, value_length, is_bytes))
        return 0;
    size_t characters = name_length + cl_characters(value, value_length);
    if (characters > *left)
        return 0;
    *left -= characters;
    return 1;
}

static int equals_ignoring_case(const char *text, const char *upper)
{
    for (; *text != 0 && *upper != 0; text++, upper++)
        if (*text != *upper && !(*text >= 'a' && *text <= 'z' && *text - 'a' + 'A' == *upper))
            return 0;
    return *text == *upper;
}

static int is_method(const char *method)
{
    size_t length = strlen(method);
    return length <= MAX_METHOD_CHARS && is_token((const uint8_t *)method, length)
        && !equals_ignoring_case(method, "CONNECT") && !equals_ignoring_case(method, "TRACE");
}

static int is_target(const char *target)
{
    size_t length = strlen(target);
    if (target[0] != '/' || target[1] == '/')
        return 0;
    for (size_t i = 0; i < length; i++)
        if ((uint8_t)target[i] <= ' ' || target[i] == 0x7f || target[i] == '#'
            || target[i] == '\\')
            return 0;
    /* SIZE_MAX, which means that the text is not UTF-8, is above the limit too. */
    return cl_characters((const uint8_t *)target, length) <= MAX_TARGET_CHARS;
}

/* What is sealed: a request with its body, one whose response can be a stream, or an upload. */
typedef struct sealing {
    const certless_request *request;
    unsigned kind;
    uint32_t record_bytes; /* 0 if no stream is accepted */
    uint64_t body_length;  /* of an upload */
} sealing;

static int is_text_header(const char *name, const char *value, int is_bytes, size_t *left)
{
    return name != NULL && value != NULL
        && is_header((const uint8_t *)name, strlen(name), (const uint8_t *)value, strlen(value),
                     is_bytes, left);
}

static size_t header_count(const sealing *sealed)
{
    return sealed->request->header_count + (sealed->request->host != NULL)
         + (sealed->kind == REQUEST && sealed->record_bytes > 0);
}

static int is_request(const sealing *sealed)
{
    const certless_request *request = sealed->request;
    size_t left = MAX_HEADER_CHARS;
    int is_bytes = sealed->record_bytes > 0;
    if (request->method == NULL || request->target == NULL || !is_method(request->method)
        || !is_target(request->target) || header_count(sealed) > MAX_HEADERS)
        return 0;
    if (request->host != NULL && !is_text_header("Host", request->host, is_bytes, &left))
        return 0;
    for (size_t i = 0; i < request->header_count; i++)
        if (!is_text_header(request->headers[i].name, request->headers[i].value, is_bytes, &left))
            return 0;
    return 1;
}

/* --- sealing --- */

static void put_header(cl_writer *writer, const char *name, const char *value)
{
    cl_put_array(writer, 2);
    cl_put_string(writer, name);
    cl_put_string(writer, value);
}

/* The offer to accept a stream (PROTOCOL §2.10.1). */
static void put_offer(cl_writer *writer, uint32_t record_bytes)
{
    char digits[11];
    size_t at = sizeof digits;
    digits[--at] = 0;
    for (; record_bytes > 0; record_bytes /= 10)
        digits[--at] = (char)('0' + record_bytes % 10);
    put_header(writer, "Certless-Stream", digits + at);
}

static void put_plaintext(cl_writer *writer, const sealing *sealed)
{
    const certless_request *request = sealed->request;
    cl_put_array(writer, sealed->kind == REQUEST ? 4 : 5);
    cl_put_string(writer, request->method);
    cl_put_string(writer, request->target);
    cl_put_array(writer, header_count(sealed));
    if (request->host != NULL)
        put_header(writer, "Host", request->host);
    for (size_t i = 0; i < request->header_count; i++)
        put_header(writer, request->headers[i].name, request->headers[i].value);
    if (sealed->kind == REQUEST) {
        if (sealed->record_bytes > 0)
            put_offer(writer, sealed->record_bytes);
        cl_put_bytes(writer, request->body, request->body_length);
        return;
    }
    cl_put_array(writer, sealed->body_length != CERTLESS_UNKNOWN_LENGTH);
    if (sealed->body_length != CERTLESS_UNKNOWN_LENGTH)
        cl_put_number(writer, sealed->body_length);
    cl_put_number(writer, sealed->record_bytes);
}

/*
 * The state after the next message: the next epoch if it is due, and the next number. It is stored
 * before it is used, because a number or an epoch that a restart forgets locks the device out.
 */
static certless_error advance(certless_client *client, uint64_t now_ms)
{
    certless_session next = client->session;
    certless_error error = CERTLESS_OK;
    int must_save = 0;
    if (next.next_epoch_due || (next.heard && now_ms - next.epoch_started_ms >= EPOCH_MS)) {
        cl_next_epoch(next.c2s, next.c2s);
        cl_next_epoch(next.s2c, next.s2c);
        next.epoch++;
        next.epoch_started_ms = now_ms;
        next.heard = next.next_epoch_due = 0;
        must_save = 1;
    }
    next.sequence++;
    if (next.sequence > next.reserved) {
        next.reserved = next.sequence + CL_RESERVED_NUMBERS;
        must_save = 1;
    }
    if (client->config->fresh == CERTLESS_COUNTER && must_save)
        error = cl_save(client, client->has_ticket ? client->ticket : NULL, client->secret, &next);
    if (error == CERTLESS_OK)
        client->session = next;
    cl_wipe(&next, sizeof next);
    return error;
}

static uint64_t value_of(const certless_client *client, uint64_t now_ms)
{
    if (client->config->fresh == CERTLESS_COUNTER)
        return client->session.sequence;
    int64_t server_ms = (int64_t)now_ms + client->session.offset_ms;
    return server_ms < 0 ? 0 : (uint64_t)server_ms;
}

static void write_header(const certless_client *client, unsigned kind, uint64_t value,
                         uint8_t header[CL_HEADER_BYTES])
{
    memcpy(header, "CG1", 3);
    cl_store(header + 3, SUITE_ECDH, 2);
    cl_store(header + 5, kind, 1);
    cl_store(header + 6, client->session.epoch, 4);
    memcpy(header + 10, client->session.id, 16);
    cl_store(header + 26, client->config->fresh, 1);
    cl_store(header + 27, value, 8);
    memcpy(header + 35, NOTHING_WRAPPED, 32);
}

/* The key and the IV of one message. */
static void message_key(const uint8_t key[32], const uint8_t *salt, const uint8_t *header,
                        size_t header_length, uint8_t block[44])
{
    uint8_t prk[32];
    const certless_piece ikm = {key, 32}, info = {header, header_length};
    cl_extract(salt, CL_SALT_BYTES, &ikm, 1, prk);
    cl_expand(prk, sizeof prk, &info, 1, block, 44);
    cl_wipe(prk, sizeof prk);
}

/* Where the parts of an envelope are that is being written. */
typedef struct parts {
    size_t header, salt, plaintext, tag, end;
} parts;

static parts put_envelope(cl_writer *writer, const sealing *sealed)
{
    cl_writer size = {NULL, 0, 0};
    parts at;
    put_plaintext(&size, sealed);
    cl_put_map(writer, 3);
    cl_put_string(writer, "header");
    cl_put_bytes_head(writer, CL_HEADER_BYTES);
    at.header = writer->length;
    writer->length += CL_HEADER_BYTES;
    cl_put_string(writer, "salt");
    cl_put_bytes_head(writer, CL_SALT_BYTES);
    at.salt = writer->length;
    writer->length += CL_SALT_BYTES;
    cl_put_string(writer, "sealed");
    cl_put_bytes_head(writer, size.length + CL_TAG_BYTES);
    at.plaintext = writer->length;
    put_plaintext(writer, sealed);
    at.tag = writer->length;
    writer->length += CL_TAG_BYTES;
    at.end = writer->length;
    return at;
}

static certless_error seal_in_place(certless_client *client, uint64_t now_ms, uint8_t *out,
                                    const parts *at, const sealing *sealed)
{
    const certless_session *session = &client->session;
    certless_pending *pending = &client->pending;
    uint8_t block[44];
    if (client->config->entropy(client->config->context, out + at->salt, CL_SALT_BYTES) != 0)
        return CERTLESS_NO_ENTROPY;
    pending->value = value_of(client, now_ms);
    pending->sealed_ms = now_ms;
    pending->record_bytes = sealed->record_bytes;
    write_header(client, sealed->kind, pending->value, out + at->header);
    message_key(session->c2s, out + at->salt, out + at->header, CL_HEADER_BYTES, block);
    certless_crypto_seal(block, block + 32, out + at->header, CL_HEADER_BYTES, out + at->plaintext,
                         at->tag - at->plaintext, out + at->tag);
    cl_wipe(block, sizeof block);
    memcpy(pending->tag, out + at->tag, CL_TAG_BYTES);
    pending->is_open = 1;
    return CERTLESS_OK;
}

static certless_error seal(certless_client *client, uint64_t now_ms, const sealing *sealed,
                           uint8_t *out, size_t capacity, size_t *length)
{
    cl_writer size = {NULL, 0, 0}, writer = {out, capacity, 0};
    const certless_request *request = sealed->request;
    if (client == NULL || client->config == NULL || request == NULL || out == NULL || length == NULL
        || (request->header_count > 0 && request->headers == NULL)
        || (request->body_length > 0 && request->body == NULL) || now_ms > CL_MAX_VALUE)
        return CERTLESS_BAD_ARGUMENT;
    if (!certless_has_session(client, now_ms) || client->session.sequence >= CL_MAX_VALUE)
        return CERTLESS_SESSION_ENDED;
    if (!is_request(sealed))
        return CERTLESS_BAD_REQUEST;
    *length = put_envelope(&size, sealed).end;
    if (*length > capacity)
        return CERTLESS_BUFFER_TOO_SMALL;
    client->pending.is_open = 0;
    certless_error error = advance(client, now_ms);
    if (error != CERTLESS_OK)
        return error;
    const parts at = put_envelope(&writer, sealed);
    error = seal_in_place(client, now_ms, out, &at, sealed);
    if (error != CERTLESS_OK)
        cl_wipe(out, at.end);
    return error;
}

certless_error certless_seal(certless_client *client, uint64_t now_ms,
                             const certless_request *request, uint8_t *out, size_t capacity,
                             size_t *length)
{
    const sealing sealed = {request, REQUEST, 0, 0};
    return seal(client, now_ms, &sealed, out, capacity, length);
}

static int is_record_limit(uint32_t record_bytes)
{
    return record_bytes >= CERTLESS_MIN_RECORD_BYTES && record_bytes <= CERTLESS_MAX_RECORD_BYTES;
}

certless_error certless_seal_for_stream(certless_client *client, uint64_t now_ms,
                                        const certless_request *request, uint32_t record_bytes,
                                        uint8_t *out, size_t capacity, size_t *length)
{
    const sealing sealed = {request, REQUEST, record_bytes, 0};
    if (!is_record_limit(record_bytes))
        return CERTLESS_BAD_ARGUMENT;
    return seal(client, now_ms, &sealed, out, capacity, length);
}

certless_error certless_seal_upload(certless_client *client, uint64_t now_ms,
                                    const certless_request *request, uint64_t body_length,
                                    uint32_t record_bytes, uint8_t *out, size_t capacity,
                                    size_t *length)
{
    const sealing sealed = {request, STREAM_REQUEST, record_bytes, body_length};
    if (!is_record_limit(record_bytes)
        || (body_length > CL_MAX_VALUE && body_length != CERTLESS_UNKNOWN_LENGTH))
        return CERTLESS_BAD_ARGUMENT;
    return seal(client, now_ms, &sealed, out, capacity, length);
}

/* --- opening --- */

typedef struct envelope {
    uint8_t *header;
    size_t header_length;
    uint8_t *salt, *sealed;
    size_t sealed_length;
} envelope;

static int is_request_kind(unsigned kind)
{
    return kind == REQUEST || kind == STREAM_REQUEST || kind == SOCKET_REQUEST;
}

static certless_error check_header(const uint8_t *header, size_t length, const cl_value *wrapped)
{
    uint64_t suite = cl_load(header + 3, 2);
    unsigned kind = header[5];
    if (memcmp(header, "CG1", 3) != 0 || kind < REQUEST || kind > SOCKET_REQUEST
        || is_request_kind(kind) != (length == CL_HEADER_BYTES)
        || (header[26] != CERTLESS_CLOCK && header[26] != CERTLESS_COUNTER)
        || cl_load(header + 27, 8) > CL_MAX_VALUE)
        return CERTLESS_MALFORMED;
    if (suite != SUITE_ECDH && suite != SUITE_RSA)
        return CERTLESS_UNSUPPORTED_SUITE;
    if ((suite == SUITE_RSA) != (wrapped != NULL))
        return CERTLESS_MALFORMED;
    return CERTLESS_OK;
}

static certless_error read_envelope(uint8_t *in, size_t in_length, envelope *found)
{
    cl_member members[] = {
        {.name = "header", .kind = CL_BYTES, .least = CL_HEADER_BYTES, .most = CL_ANSWER_HEADER_BYTES},
        {.name = "salt", .kind = CL_BYTES, .least = CL_SALT_BYTES, .most = CL_SALT_BYTES},
        {.name = "sealed", .kind = CL_BYTES, .least = CL_TAG_BYTES, .most = SIZE_MAX},
        {.name = "wrapped",
         .kind = CL_BYTES,
         .is_optional = 1,
         .least = MIN_WRAPPED_BYTES,
         .most = MAX_WRAPPED_BYTES}};
    if (!cl_members(in, in_length, members, 4))
        return CERTLESS_MALFORMED;
    found->header = members[0].value.bytes;
    found->header_length = members[0].value.length;
    found->salt = members[1].value.bytes;
    found->sealed = members[2].value.bytes;
    found->sealed_length = members[2].value.length;
    if (found->header_length != CL_HEADER_BYTES && found->header_length != CL_ANSWER_HEADER_BYTES)
        return CERTLESS_MALFORMED;
    return check_header(found->header, found->header_length,
                        members[3].is_present ? &members[3].value : NULL);
}

/* Whether an answer is for the request that waits (PROTOCOL §2.6.7). */
static int fits_request(const certless_client *client, const envelope *answer)
{
    const uint8_t *header = answer->header;
    const certless_session *session = &client->session;
    if (answer->header_length != CL_ANSWER_HEADER_BYTES || cl_load(header + 3, 2) != SUITE_ECDH
        || cl_load(header + 6, 4) != session->epoch || memcmp(header + 10, session->id, 16) != 0
        || header[26] != (uint8_t)client->config->fresh)
        return 0;
    if (memcmp(header + CL_HEADER_BYTES, client->pending.tag, CL_TAG_BYTES) != 0)
        return 0;
    return client->config->fresh == CERTLESS_CLOCK
        || cl_load(header + 27, 8) == client->pending.value;
}

static certless_error read_refusal(certless_client *client, uint64_t now_ms, uint8_t *plaintext,
                                   size_t length)
{
    cl_member members[] = {{.name = "error", .kind = CL_TEXT},
                           {.name = "time_ms", .kind = CL_NUMBER, .most = CL_MAX_VALUE},
                           {.name = "window_ms", .kind = CL_NUMBER, .most = CL_MAX_VALUE}};
    if (!cl_members(plaintext, length, members, 3))
        return CERTLESS_MALFORMED;
    const cl_value *name = &members[0].value;
    if (name->length == 11 && memcmp(name->bytes, "stale_epoch", 11) == 0) {
        client->session.next_epoch_due = 1;
        return CERTLESS_EPOCH_ENDED;
    }
    if (name->length != 15 || memcmp(name->bytes, "stale_timestamp", 15) != 0
        || client->config->fresh != CERTLESS_CLOCK)
        return CERTLESS_MALFORMED;
    /* All four are at most 2^53, so no sum and no difference overflows. */
    int64_t server_ms = (int64_t)members[1].value.number;
    int64_t window_ms = (int64_t)members[2].value.number + CLOCK_MARGIN_MS;
    int64_t stamp = (int64_t)client->pending.value;
    int64_t elapsed_ms = (int64_t)(now_ms - client->pending.sealed_ms);
    client->session.offset_ms = server_ms - (int64_t)now_ms;
    int was_never_inside = server_ms < stamp - window_ms
                        || server_ms - elapsed_ms > stamp + window_ms;
    return was_never_inside ? CERTLESS_CLOCK_CORRECTED : CERTLESS_CLOCK_REFUSED;
}

static int next_header(cl_reader *reader, cl_value *name, cl_value *value)
{
    cl_value pair;
    return cl_next(reader, &pair) && pair.kind == CL_ARRAY && pair.length == 2
        && cl_next(reader, name) && name->kind == CL_TEXT && cl_next(reader, value)
        && value->kind == CL_TEXT;
}

int cl_read_headers(cl_reader *reader, int is_bytes, certless_response *response)
{
    cl_value list, name, value;
    size_t left = MAX_HEADER_CHARS;
    if (!cl_next(reader, &list) || list.kind != CL_ARRAY)
        return 0;
    response->header_count = list.length;
    response->headers = reader->at;
    for (size_t i = 0; i < list.length; i++)
        if (!next_header(reader, &name, &value)
            || !is_header(name.bytes, name.length, value.bytes, value.length, is_bytes,
                          &left))
            return 0;
    response->headers_length = (size_t)(reader->at - response->headers);
    return 1;
}

static certless_error read_response(uint8_t *plaintext, size_t length, certless_response *response)
{
    cl_reader reader = {plaintext, length};
    cl_value array, status, body;
    if (!cl_next(&reader, &array) || array.kind != CL_ARRAY || array.length != 3
        || !cl_next(&reader, &status) || status.kind != CL_NUMBER || status.number < 200
        || status.number > 599 || !cl_read_headers(&reader, 0, response) || !cl_next(&reader, &body)
        || body.kind != CL_BYTES || reader.left != 0)
        return CERTLESS_MALFORMED;
    response->status = (unsigned)status.number;
    response->body = body.bytes;
    response->body_length = body.length;
    return CERTLESS_OK;
}

int certless_next_header(certless_response *response, certless_text *name, certless_text *value)
{
    /* The response was checked as a whole; the cast is for a reader that is used for boxes too. */
    cl_reader reader = {(uint8_t *)(uintptr_t)response->headers, response->headers_length};
    cl_value found_name, found_value;
    if (response->header_count == 0 || !next_header(&reader, &found_name, &found_value))
        return 0;
    name->start = (const char *)found_name.bytes;
    name->length = found_name.length;
    value->start = (const char *)found_value.bytes;
    value->length = found_value.length;
    response->header_count--;
    response->headers = reader.at;
    response->headers_length = reader.left;
    return 1;
}

static int open_in_place(const certless_client *client, const envelope *answer, size_t *length)
{
    uint8_t block[44];
    *length = answer->sealed_length - CL_TAG_BYTES;
    message_key(client->session.s2c, answer->salt, answer->header, answer->header_length, block);
    int opened = certless_crypto_open(block, block + 32, answer->header, answer->header_length,
                                      answer->sealed, *length, answer->sealed + *length);
    cl_wipe(block, sizeof block);
    return opened;
}

/* Open a stream with the grant that was decrypted in `answer`. */
static certless_error read_grant(const certless_client *client, const envelope *answer,
                                 size_t length, certless_stream *stream)
{
    uint8_t prk[32], keys[64];
    const certless_piece ikm = {client->session.s2c, 32};
    cl_extract(answer->salt, CL_SALT_BYTES, &ikm, 1, prk);
    cl_expand_with(prk, "stream", answer->header, answer->header_length, keys, sizeof keys);
    int granted = cl_grant(stream, answer->sealed, length, keys, client->pending.record_bytes);
    cl_wipe(prk, sizeof prk);
    cl_wipe(keys, sizeof keys);
    return granted ? CERTLESS_OK : CERTLESS_MALFORMED;
}

/* A response, or a grant if a stream was offered and there is a `stream` for it. */
static certless_error read_answer(const certless_client *client, const envelope *answer,
                                  size_t length, certless_response *response,
                                  certless_stream *stream)
{
    if (answer->header[5] != STREAM_GRANT)
        return read_response(answer->sealed, length, response);
    if (stream == NULL || client->pending.record_bytes == 0)
        return CERTLESS_MALFORMED;
    return read_grant(client, answer, length, stream);
}

static certless_error open_answer(certless_client *client, uint64_t now_ms, uint8_t *in,
                                  size_t in_length, certless_response *response,
                                  certless_stream *stream)
{
    envelope answer;
    size_t length;
    if (client == NULL || client->config == NULL || in == NULL || response == NULL
        || now_ms > CL_MAX_VALUE || now_ms < client->pending.sealed_ms)
        return CERTLESS_BAD_ARGUMENT;
    memset(response, 0, sizeof *response);
    if (!client->pending.is_open)
        return CERTLESS_WRONG_ORDER;
    client->pending.is_open = 0;
    certless_error error = read_envelope(in, in_length, &answer);
    if (error != CERTLESS_OK)
        return error;
    if (!fits_request(client, &answer) || !open_in_place(client, &answer, &length))
        return CERTLESS_BAD_SEAL;
    if (answer.header[5] == REFUSAL)
        return read_refusal(client, now_ms, answer.sealed, length);
    error = read_answer(client, &answer, length, response, stream);
    if (error != CERTLESS_OK) {
        memset(response, 0, sizeof *response);
        return error;
    }
    client->session.heard = 1;
    if (stream != NULL)
        stream->sent.key_since_ms = now_ms;
    return CERTLESS_OK;
}

certless_error certless_open(certless_client *client, uint64_t now_ms, uint8_t *in,
                             size_t in_length, certless_response *response)
{
    return open_answer(client, now_ms, in, in_length, response, NULL);
}

certless_error certless_open_stream(certless_client *client, uint64_t now_ms, uint8_t *in,
                                    size_t in_length, certless_response *response,
                                    certless_stream *stream)
{
    if (stream == NULL)
        return CERTLESS_BAD_ARGUMENT;
    memset(stream, 0, sizeof *stream);
    return open_answer(client, now_ms, in, in_length, response, stream);
}
