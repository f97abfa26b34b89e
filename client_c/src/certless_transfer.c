/* Long bodies over HTTP, in both directions (PROTOCOL §2.10). */
#include "certless_http.h"

#include <string.h>

#define SALT_BYTES 16u
#define LENGTH_BYTES 4u

/* One transfer. The first half of the buffer is for the head of the response, the other for records. */
typedef struct transfer {
    certless_link *link;
    certless_client *client;
    certless_give *give;
    certless_take *take;
    void *context;
    uint8_t *buffer, *record;
    size_t capacity, half;
    certless_response *response;
    certless_stream stream;
    cl_http http;
    uint8_t is_bodiless, request_verified;
} transfer;

static uint32_t record_bytes(const transfer *now)
{
    return now->half < CERTLESS_MAX_RECORD_BYTES ? (uint32_t)now->half : CERTLESS_MAX_RECORD_BYTES;
}

/* --- the response --- */

static certless_error take_part(transfer *now, const certless_part *part)
{
    if (part->event == CERTLESS_HEAD)
        *now->response = part->response;
    if (part->event == CERTLESS_END)
        now->request_verified = part->request_verified;
    if (part->length > 0 && now->take(now->context, part->data, part->length) != 0)
        return CERTLESS_STREAM_BROKEN;
    return CERTLESS_OK;
}

static certless_error read_record(transfer *now, certless_part *part)
{
    uint8_t start[LENGTH_BYTES];
    size_t length = 0;
    cl_http_extend(&now->http, now->link);
    if (cl_http_exactly(&now->http, start, sizeof start) != CERTLESS_OK)
        return CERTLESS_STREAM_BROKEN;
    certless_error error = certless_record_length(&now->stream, start, &length);
    if (error != CERTLESS_OK)
        return error;
    if (cl_http_exactly(&now->http, now->record, length) != CERTLESS_OK)
        return CERTLESS_STREAM_BROKEN;
    return certless_receive_record(&now->stream, now->record, length, part);
}

static certless_error read_records(transfer *now)
{
    certless_part part = {.event = CERTLESS_NOTHING};
    size_t more;
    certless_await_response(&now->stream, now->buffer, now->half, now->is_bodiless);
    while (part.event != CERTLESS_END) {
        certless_error error = read_record(now, &part);
        if (error == CERTLESS_OK)
            error = take_part(now, &part);
        if (error != CERTLESS_OK)
            return error;
    }
    /* Bytes behind the end belong to nobody. */
    if (cl_http_some(&now->http, now->record, 1, &more) != CERTLESS_OK || more > 0)
        return CERTLESS_STREAM_BROKEN;
    return certless_end_stream(&now->stream);
}

/* The grant before the records of a response: its length in four bytes, and the message. */
static certless_error read_grant(transfer *now, size_t *length)
{
    uint8_t start[LENGTH_BYTES];
    if (cl_http_exactly(&now->http, start, sizeof start) != CERTLESS_OK)
        return CERTLESS_NO_ANSWER;
    *length = (size_t)start[0] << 24 | (size_t)start[1] << 16 | (size_t)start[2] << 8 | start[3];
    if (*length > now->capacity)
        return CERTLESS_BUFFER_TOO_SMALL;
    return cl_http_exactly(&now->http, now->buffer, *length);
}

/* Send the message in the buffer, and open the answer: a grant or a whole response. */
static certless_error ask(transfer *now, const char *route, size_t length)
{
    now->link->status = now->link->retry_after_s = 0;
    certless_error error = cl_http_open(&now->http, now->link);
    if (error == CERTLESS_OK)
        error = cl_http_post(&now->http, now->link, route, now->buffer, length);
    if (error == CERTLESS_OK)
        error = cl_http_head(&now->http, now->link);
    if (error == CERTLESS_OK)
        error = now->http.is_stream
                  ? read_grant(now, &length)
                  : cl_http_body(&now->http, now->buffer, now->capacity, &length);
    if (error != CERTLESS_OK)
        return error;
    return certless_open_stream(now->client, certless_now_ms(), now->buffer, length, now->response,
                                &now->stream);
}

static certless_error take_whole(transfer *now)
{
    const certless_response *whole = now->response;
    if (whole->body_length > 0 && now->take(now->context, whole->body, whole->body_length) != 0)
        return CERTLESS_STREAM_BROKEN;
    return CERTLESS_OK;
}

static certless_error download(transfer *now, const certless_request *request)
{
    size_t length = 0;
    certless_error error =
        certless_seal_for_stream(now->client, certless_now_ms(), request, record_bytes(now),
                                 now->buffer, now->capacity, &length);
    if (error == CERTLESS_OK)
        error = ask(now, "/message", length);
    if (error != CERTLESS_OK)
        return error;
    if (now->stream.is_open != now->http.is_stream)
        return CERTLESS_MALFORMED; /* records without a grant, or a grant without records */
    return now->stream.is_open ? read_records(now) : take_whole(now);
}

/* --- the body of a request --- */

static certless_error send_record(transfer *now, certless_error written, size_t length)
{
    cl_http_extend(&now->http, now->link);
    return written == CERTLESS_OK ? cl_http_chunk(&now->http, now->record, length) : written;
}

static certless_error send_body(transfer *now)
{
    size_t length = 0, record = 0, most = now->half - CERTLESS_RECORD_OVERHEAD;
    if (most > certless_max_data(&now->stream))
        most = certless_max_data(&now->stream);
    for (;;) {
        if (now->give(now->context, now->record, most, &length) != 0)
            return CERTLESS_STREAM_BROKEN;
        if (length == 0)
            break;
        certless_error error = certless_send_data(&now->stream, certless_now_ms(), now->record,
                                                  length, now->record, now->half, &record);
        error = send_record(now, error, record);
        if (error != CERTLESS_OK)
            return error;
    }
    certless_error error =
        certless_send_end(&now->stream, certless_now_ms(), now->record, now->half, &record);
    error = send_record(now, error, record);
    return error == CERTLESS_OK ? cl_http_chunk(&now->http, NULL, 0) : error;
}

static certless_error send_and_read(transfer *now)
{
    char route[CERTLESS_STREAM_ROUTE_BYTES];
    uint8_t salt[SALT_BYTES];
    certless_stream_route(&now->stream, route);
    certless_error error = cl_http_open(&now->http, now->link);
    if (error == CERTLESS_OK)
        error = cl_http_post_chunks(&now->http, now->link, route);
    if (error == CERTLESS_OK)
        error = send_body(now);
    /* A server that refuses the body answers before its end, and closes the connection. */
    if (error != CERTLESS_OK && error != CERTLESS_NO_ANSWER)
        return error;
    cl_http_extend(&now->http, now->link);
    error = cl_http_head(&now->http, now->link);
    if (error != CERTLESS_OK)
        return error;
    if (!now->http.is_stream || cl_http_exactly(&now->http, salt, sizeof salt) != CERTLESS_OK)
        return CERTLESS_NO_ANSWER;
    certless_salt_stream(&now->stream, salt);
    error = read_records(now);
    /* Otherwise a success in answer to a part of the body would look like one for all of it. */
    if (error == CERTLESS_OK && !now->request_verified && now->response->status < 400)
        return CERTLESS_NO_ANSWER;
    return error;
}

static certless_error upload(transfer *now, const certless_request *request, uint64_t body_length)
{
    size_t length = 0;
    certless_error error =
        certless_seal_upload(now->client, certless_now_ms(), request, body_length,
                             record_bytes(now), now->buffer, now->capacity, &length);
    if (error == CERTLESS_OK)
        error = ask(now, "/stream", length);
    cl_http_close(&now->http);
    if (error != CERTLESS_OK)
        return error;
    return now->stream.is_open ? send_and_read(now) : take_whole(now);
}

/* --- both --- */

typedef struct call {
    const certless_request *request;
    uint64_t body_length;
} call;

static certless_error run(transfer *now, const call *given)
{
    memset(&now->stream, 0, sizeof now->stream);
    now->http.socket = -1;
    certless_error error = now->give == NULL ? download(now, given->request)
                                             : upload(now, given->request, given->body_length);
    cl_http_close(&now->http);
    return error;
}

/* A refusal shows that the request was not handled, so it is sent once more. */
static certless_error run_again(transfer *now, const certless_request *request,
                                uint64_t body_length)
{
    char host[CL_HTTP_HOST_BYTES];
    certless_request inside = *request;
    const call given = {&inside, body_length};
    if (now->buffer == NULL || now->half < CERTLESS_MIN_RECORD_BYTES)
        return CERTLESS_BAD_ARGUMENT;
    if (inside.host == NULL && cl_http_host(now->link, host, sizeof host) > 0)
        inside.host = host;
    now->is_bodiless = request->method != NULL && strcmp(request->method, "HEAD") == 0;
    certless_error error = run(now, &given);
    if (error == CERTLESS_CLOCK_CORRECTED)
        error = run(now, &given);
    if (error == CERTLESS_EPOCH_ENDED)
        error = run(now, &given);
    return error;
}

certless_error certless_download(certless_link *link, certless_client *client,
                                 const certless_request *request, certless_take *take,
                                 void *context, uint8_t *buffer, size_t capacity,
                                 certless_response *response)
{
    size_t half = capacity / 2;
    transfer now = {.link = link,
                    .client = client,
                    .take = take,
                    .context = context,
                    .buffer = buffer,
                    .record = buffer + half,
                    .capacity = capacity,
                    .half = half,
                    .response = response};
    return run_again(&now, request, 0);
}

certless_error certless_upload(certless_link *link, certless_client *client,
                               const certless_request *request, uint64_t body_length,
                               certless_give *give, certless_take *take, void *context,
                               uint8_t *buffer, size_t capacity, certless_response *response)
{
    size_t half = capacity / 2;
    certless_request without_body = *request;
    transfer now = {.link = link,
                    .client = client,
                    .give = give,
                    .take = take,
                    .context = context,
                    .buffer = buffer,
                    .record = buffer + half,
                    .capacity = capacity,
                    .half = half,
                    .response = response};
    without_body.body = NULL;
    without_body.body_length = 0;
    return run_again(&now, &without_body, body_length);
}
