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
    uint8_t is_chunked, has_length;
    size_t length;
} cl_http;

certless_error cl_http_open(cl_http *http, const certless_link *link);
void cl_http_close(cl_http *http);

/* The host of `link` as a Host header has it. 0 if it does not fit. */
size_t cl_http_host(const certless_link *link, char *out, size_t capacity);

certless_error cl_http_post(cl_http *http, const certless_link *link, const char *route,
                            const uint8_t *body, size_t length);

/* Status and header of the response. CERTLESS_HTTP_REFUSED if the status is not 200. */
certless_error cl_http_head(cl_http *http, certless_link *link);

/* The whole body. */
certless_error cl_http_body(cl_http *http, uint8_t *out, size_t capacity, size_t *length);

#endif
