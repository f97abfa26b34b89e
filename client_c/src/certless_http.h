/* One HTTP exchange, for certless_posix.c. */
#ifndef CERTLESS_HTTP_H
#define CERTLESS_HTTP_H

#include "certless_posix.h"

#define CL_HTTP_HOST_BYTES 300u

/* A connection, what was received and not read, and how the body of the response ends. */
typedef struct cl_http {
    int socket;
    uint64_t deadline_ms;
    uint8_t kept[512];
    size_t at, end;
    uint8_t is_chunked, has_length, is_stream; /* is_stream: its Content-Type is that of streams */
    uint8_t has_chunk, is_over;
    size_t left; /* of the body, or of this chunk */
} cl_http;

certless_error cl_http_open(cl_http *http, const certless_link *link);
void cl_http_close(cl_http *http);

/* The host of `link` as a Host header has it. 0 if it does not fit. */
size_t cl_http_host(const certless_link *link, char *out, size_t capacity);

certless_error cl_http_post(cl_http *http, const certless_link *link, const char *route,
                            const uint8_t *body, size_t length);

/* A POST whose body is chunks. The last one has no bytes. */
certless_error cl_http_post_chunks(cl_http *http, const certless_link *link, const char *route);
certless_error cl_http_chunk(cl_http *http, const uint8_t *data, size_t length);

/* Begin the timeout again: in a stream, it limits each pause. */
void cl_http_extend(cl_http *http, const certless_link *link);

/* Status and header of the response. CERTLESS_HTTP_REFUSED if the status is not 200. */
certless_error cl_http_head(cl_http *http, certless_link *link);

/* Bytes of the body as they come; none at its end. */
certless_error cl_http_some(cl_http *http, uint8_t *out, size_t capacity, size_t *length);

/* Exactly `length` bytes of the body. */
certless_error cl_http_exactly(cl_http *http, uint8_t *out, size_t length);

/* The whole body. */
certless_error cl_http_body(cl_http *http, uint8_t *out, size_t capacity, size_t *length);

#endif
