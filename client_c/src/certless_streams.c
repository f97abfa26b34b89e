/*
 * Streams: bodies of any length in records, each of which is verified alone (PROTOCOL §2.10).
 *
 * The file is long because both directions share the nonces, the limits and the change of keys.
 */
#include "certless_internal.h"

#include <string.h>

#define LENGTH_BYTES 4u
#define MIN_SEALED_BYTES 17u /* the type and the tag */
#define MAX_HEAD_BYTES 131072u
#define MAX_KEY_RECORDS 1048576u
#define MAX_KEY_BYTES 1073741824u
#define MAX_KEY_MS 900000u

enum { HEAD = 1, DATA = 2, FINAL = 3, ABORT = 4, REKEY = 5, PING = 6 };
enum { FROM_CLIENT = 1, FROM_SERVER = 2 };

/* --- one direction --- */

static void nonce_and_aad(const certless_stream *stream, const certless_records *records,
                          size_t sealed_length, uint8_t nonce[12], uint8_t aad[29])
{
    cl_store(nonce, records->counter, 12);
    memcpy(aad, stream->id, 16);
    aad[16] = records->direction;
    cl_store(aad + 17, records->counter, 8);
    cl_store(aad + 25, sealed_length, 4);
}

static void expand_key(uint8_t key[32], const char *purpose, const uint8_t *more, size_t length)
{
    const certless_piece info[2] = {{purpose, strlen(purpose)}, {more, length}};
    uint8_t next[32];
    cl_expand(key, 32, info, 2, next, sizeof next);
    memcpy(key, next, sizeof next);
    cl_wipe(next, sizeof next);
}

static void renew(certless_records *records)
{
    expand_key(records->key, "certless/1 stream rekey", NULL, 0);
    records->key_records = records->key_bytes = 0;
}

/* --- opening --- */

int cl_grant(certless_stream *stream, uint8_t *grant, size_t length, const uint8_t keys[64],
             uint32_t record_bytes)
{
    cl_member members[] = {{.name = "stream", .kind = CL_BYTES, .least = 16, .most = 16},
                           {.name = "record_bytes",
                            .kind = CL_NUMBER,
                            .least = CERTLESS_MIN_RECORD_BYTES,
                            .most = CERTLESS_MAX_RECORD_BYTES}};
    if (!cl_members(grant, length, members, 2))
        return 0;
    memcpy(stream->id, members[0].value.bytes, 16);
    memcpy(stream->sent.key, keys, 32);
    memcpy(stream->received.key, keys + 32, 32);
    stream->sent.direction = FROM_CLIENT;
    stream->sent.limit = (uint32_t)members[1].value.number;
    stream->received.direction = FROM_SERVER;
    stream->received.limit = record_bytes;
    stream->is_open = 1;
    return 1;
}

void certless_await_response(certless_stream *stream, uint8_t *head, size_t capacity,
                             int is_bodiless)
{
    stream->head = head;
    stream->head_capacity = capacity;
    stream->is_bodiless = is_bodiless != 0;
}

void certless_stream_route(const certless_stream *stream, char route[CERTLESS_STREAM_ROUTE_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    memcpy(route, "/stream/", 8);
    for (size_t i = 0; i < sizeof stream->id; i++) {
        route[8 + 2 * i] = digits[stream->id[i] >> 4];
        route[9 + 2 * i] = digits[stream->id[i] & 0x0f];
    }
    route[CERTLESS_STREAM_ROUTE_BYTES - 1] = 0;
}

void certless_salt_stream(certless_stream *stream, const uint8_t salt[16])
{
    expand_key(stream->received.key, "certless/1 stream response", salt, 16);
}

/* --- sending --- */

size_t certless_max_data(const certless_stream *stream)
{
    return stream->sent.limit - MIN_SEALED_BYTES;
}

static uint8_t *put_record(certless_stream *stream, uint8_t type, const void *data, size_t length,
                           uint8_t *out)
{
    certless_records *sent = &stream->sent;
    size_t sealed_length = length + MIN_SEALED_BYTES;
    uint8_t nonce[12], aad[29];
    nonce_and_aad(stream, sent, sealed_length, nonce, aad);
    if (length > 0)
        memmove(out + LENGTH_BYTES + 1, data, length); /* first, because data may be in `out` */
    cl_store(out, sealed_length, LENGTH_BYTES);
    out += LENGTH_BYTES;
    out[0] = type;
    certless_crypto_seal(sent->key, nonce, aad, sizeof aad, out, length + 1, out + length + 1);
    sent->counter++;
    sent->key_records++;
    sent->key_bytes += (uint32_t)sealed_length;
    return out + sealed_length;
}

static certless_error send_record(certless_stream *stream, uint64_t now_ms, uint8_t type,
                                  const void *data, size_t data_length, uint8_t *out,
                                  size_t capacity, size_t *length)
{
    if (stream == NULL || out == NULL || length == NULL || (data_length > 0 && data == NULL))
        return CERTLESS_BAD_ARGUMENT;
    certless_records *sent = &stream->sent;
    if (!stream->is_open || sent->is_over)
        return CERTLESS_WRONG_ORDER;
    if (data_length > certless_max_data(stream))
        return CERTLESS_BAD_ARGUMENT;
    *length = data_length + CERTLESS_RECORD_OVERHEAD;
    if (*length > capacity)
        return CERTLESS_BUFFER_TOO_SMALL;
    uint8_t *at = out;
    if (sent->key_records >= MAX_KEY_RECORDS || sent->key_bytes >= MAX_KEY_BYTES
        || now_ms - sent->key_since_ms >= MAX_KEY_MS) {
        if (data_length > 0) /* it may be in `out`, where REKEY comes first */
            memmove(out + CERTLESS_RECORD_OVERHEAD, data, data_length);
        data = out + CERTLESS_RECORD_OVERHEAD;
        at = put_record(stream, REKEY, NULL, 0, at);
        renew(sent);
        sent->key_since_ms = now_ms;
    }
    at = put_record(stream, type, data, data_length, at);
    sent->is_over = type == FINAL;
    *length = (size_t)(at - out);
    return CERTLESS_OK;
}

certless_error certless_send_data(certless_stream *stream, uint64_t now_ms, const void *data,
                                  size_t data_length, uint8_t *out, size_t capacity,
                                  size_t *length)
{
    if (data_length == 0)
        return CERTLESS_BAD_ARGUMENT;
    return send_record(stream, now_ms, DATA, data, data_length, out, capacity, length);
}

certless_error certless_send_ping(certless_stream *stream, uint64_t now_ms, uint8_t *out,
                                  size_t capacity, size_t *length)
{
    return send_record(stream, now_ms, PING, NULL, 0, out, capacity, length);
}

certless_error certless_send_end(certless_stream *stream, uint64_t now_ms, uint8_t *out,
                                 size_t capacity, size_t *length)
{
    static const uint8_t flag[1] = {0};
    return send_record(stream, now_ms, FINAL, flag, 1, out, capacity, length);
}

/* --- receiving --- */

static certless_error broken(certless_stream *stream)
{
    stream->is_broken = 1;
    return CERTLESS_STREAM_BROKEN;
}

certless_error certless_record_length(certless_stream *stream, const uint8_t start[4],
                                      size_t *length)
{
    if (stream == NULL || start == NULL || length == NULL)
        return CERTLESS_BAD_ARGUMENT;
    uint64_t announced = cl_load(start, LENGTH_BYTES);
    if (stream->is_broken || stream->received.is_over || announced < MIN_SEALED_BYTES
        || announced > stream->received.limit)
        return broken(stream);
    *length = (size_t)announced;
    return CERTLESS_OK;
}

/* [status, headers, [? length]] */
static int read_head(certless_stream *stream, certless_response *response)
{
    cl_reader reader = {stream->head, stream->head_length};
    cl_value array, status, lengths, length;
    if (!cl_next(&reader, &array) || array.kind != CL_ARRAY || array.length != 3
        || !cl_next(&reader, &status) || status.kind != CL_NUMBER || status.number < 200
        || status.number > 599 || !cl_read_headers(&reader, 1, response)
        || !cl_next(&reader, &lengths) || lengths.kind != CL_ARRAY || lengths.length > 1)
        return 0;
    if (lengths.length == 1) {
        if (!cl_next(&reader, &length) || length.kind != CL_NUMBER || length.number > CL_MAX_VALUE)
            return 0;
        stream->has_length = 1;
        stream->length = length.number;
    }
    if (stream->is_bodiless) {
        stream->has_length = 1;
        stream->length = 0;
    }
    response->status = (unsigned)status.number;
    stream->has_head = 1;
    return reader.left == 0;
}

static certless_error add_to_head(certless_stream *stream, const uint8_t *data, size_t length,
                                  certless_part *part)
{
    if (length < 2 || data[0] > 1 || length - 1 > MAX_HEAD_BYTES - stream->head_length)
        return broken(stream);
    if (length - 1 > stream->head_capacity - stream->head_length) {
        stream->is_broken = 1;
        return CERTLESS_BUFFER_TOO_SMALL;
    }
    memcpy(stream->head + stream->head_length, data + 1, length - 1);
    stream->head_length += length - 1;
    if (data[0] == 1)
        return CERTLESS_OK;
    if (!read_head(stream, &part->response))
        return broken(stream);
    part->event = CERTLESS_HEAD;
    return CERTLESS_OK;
}

/*
 * The last byte of a declared length waits for FINAL. Otherwise a program that counts bytes takes
 * a body for complete that is not (PROTOCOL §2.10.5).
 */
static certless_error add_to_body(certless_stream *stream, const uint8_t *data, size_t length,
                                  certless_part *part)
{
    if (length == 0 || (stream->has_length && length > stream->length - stream->body_received))
        return broken(stream);
    stream->body_received += length;
    if (stream->has_length && stream->body_received == stream->length)
        stream->held = data[--length];
    part->event = length > 0 ? CERTLESS_DATA : CERTLESS_NOTHING;
    part->data = data;
    part->length = length;
    return CERTLESS_OK;
}

static certless_error finish(certless_stream *stream, const uint8_t *data, size_t length,
                             certless_part *part)
{
    stream->received.is_over = 1;
    if (length != 1 || data[0] > 1
        || (stream->has_length && stream->body_received != stream->length))
        return broken(stream);
    stream->is_complete = 1;
    part->event = CERTLESS_END;
    part->request_verified = data[0];
    part->data = &stream->held;
    part->length = stream->has_length && stream->length > 0;
    return CERTLESS_OK;
}

static certless_error take_record(certless_stream *stream, uint8_t type, const uint8_t *data,
                                  size_t length, certless_part *part)
{
    if (type == PING && length == 0)
        return CERTLESS_OK;
    if (type == REKEY && length == 0) {
        renew(&stream->received);
        return CERTLESS_OK;
    }
    if (type == ABORT && length == 1) {
        stream->received.is_over = stream->is_broken = 1;
        return CERTLESS_STREAM_ABORTED;
    }
    if (type == HEAD && !stream->has_head)
        return add_to_head(stream, data, length, part);
    if (type == DATA && stream->has_head)
        return add_to_body(stream, data, length, part);
    if (type == FINAL && stream->has_head)
        return finish(stream, data, length, part);
    return broken(stream);
}

certless_error certless_receive_record(certless_stream *stream, uint8_t *sealed, size_t length,
                                       certless_part *part)
{
    uint8_t nonce[12], aad[29];
    if (stream == NULL || sealed == NULL || part == NULL)
        return CERTLESS_BAD_ARGUMENT;
    memset(part, 0, sizeof *part);
    certless_records *received = &stream->received;
    if (stream->is_broken || received->is_over || length < MIN_SEALED_BYTES
        || length > received->limit)
        return broken(stream);
    nonce_and_aad(stream, received, length, nonce, aad);
    received->counter++;
    size_t plain = length - CL_TAG_BYTES;
    if (!certless_crypto_open(received->key, nonce, aad, sizeof aad, sealed, plain, sealed + plain))
        return broken(stream);
    return take_record(stream, sealed[0], sealed + 1, plain - 1, part);
}

certless_error certless_end_stream(const certless_stream *stream)
{
    return stream->is_complete && !stream->is_broken ? CERTLESS_OK : CERTLESS_STREAM_BROKEN;
}
