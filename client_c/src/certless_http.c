/*
 * One HTTP/1.1 exchange over a TCP connection, with a deadline (RFC 9112).
 *
 * The file is long because each of the three ways in which a body ends, a length, chunks and the
 * end of the connection, reads through the same buffer and the same deadline.
 */
#include "certless_http.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_HEAD_BYTES 65536u
#define LINE_BYTES 256u

/* --- the socket --- */

/* Wait until the socket is ready. 0 if the deadline is over. */
static int wait_for(const cl_http *http, short events)
{
    struct pollfd polled = {http->socket, events, 0};
    for (;;) {
        uint64_t now_ms = certless_now_ms();
        if (now_ms >= http->deadline_ms)
            return 0;
        int found = poll(&polled, 1, (int)(http->deadline_ms - now_ms));
        if (found > 0)
            return 1;
        if (found < 0 && errno != EINTR)
            return 0;
    }
}

static int try_address(cl_http *http, const struct addrinfo *address)
{
    int failed = 0;
    socklen_t size = sizeof failed;
    http->socket = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
    if (http->socket < 0)
        return 0;
    if (fcntl(http->socket, F_SETFL, O_NONBLOCK) == 0
        && (connect(http->socket, address->ai_addr, address->ai_addrlen) == 0
            || (errno == EINPROGRESS && wait_for(http, POLLOUT)
                && getsockopt(http->socket, SOL_SOCKET, SO_ERROR, &failed, &size) == 0
                && failed == 0)))
        return 1;
    cl_http_close(http);
    return 0;
}

certless_error cl_http_open(cl_http *http, const certless_link *link)
{
    struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    memset(http, 0, sizeof *http);
    http->socket = -1;
    cl_http_extend(http, link);
    if (getaddrinfo(link->host, link->port, &wanted, &found) != 0)
        return CERTLESS_NO_CONNECTION;
    for (struct addrinfo *each = found; each != NULL && http->socket < 0; each = each->ai_next)
        (void)try_address(http, each);
    freeaddrinfo(found);
    return http->socket < 0 ? CERTLESS_NO_CONNECTION : CERTLESS_OK;
}

void cl_http_extend(cl_http *http, const certless_link *link)
{
    http->deadline_ms = certless_now_ms() + link->timeout_ms;
}

void cl_http_close(cl_http *http)
{
    if (http->socket >= 0)
        (void)close(http->socket);
    http->socket = -1;
}

static int send_all(cl_http *http, const void *data, size_t length)
{
    const uint8_t *at = data;
    while (length > 0) {
        ssize_t sent = send(http->socket, at, length, MSG_NOSIGNAL);
        if (sent > 0) {
            at += sent;
            length -= (size_t)sent;
        } else if (sent == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
                   || !wait_for(http, POLLOUT)) {
            return 0;
        }
    }
    return 1;
}

/* Up to `length` bytes; 0 at the end of the connection, after an error and after the deadline. */
static size_t receive(cl_http *http, uint8_t *out, size_t length)
{
    for (;;) {
        ssize_t got = recv(http->socket, out, length, 0);
        if (got >= 0)
            return (size_t)got;
        if ((errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) || !wait_for(http, POLLIN))
            return 0;
    }
}

static size_t read_some(cl_http *http, uint8_t *out, size_t length)
{
    size_t kept = http->end - http->at;
    if (kept == 0)
        return receive(http, out, length);
    if (length > kept)
        length = kept;
    memcpy(out, http->kept + http->at, length);
    http->at += length;
    return length;
}

/* A line without its end. What is longer than `line` is dropped. 0 if the line has no end. */
static int read_line(cl_http *http, char line[LINE_BYTES])
{
    size_t length = 0;
    for (size_t left = MAX_HEAD_BYTES; left > 0; left--) {
        if (http->at == http->end) {
            http->at = 0;
            http->end = receive(http, http->kept, sizeof http->kept);
            if (http->end == 0)
                return 0;
        }
        char c = (char)http->kept[http->at++];
        if (c == '\n') {
            if (length > 0 && line[length - 1] == '\r')
                length--;
            line[length] = 0;
            return 1;
        }
        if (length < LINE_BYTES - 1)
            line[length++] = c;
    }
    return 0;
}

/* --- the request --- */

size_t cl_http_host(const certless_link *link, char *out, size_t capacity)
{
    int is_ipv6 = strchr(link->host, ':') != NULL, is_usual = strcmp(link->port, "80") == 0;
    int length = snprintf(out, capacity, "%s%s%s%s%s", is_ipv6 ? "[" : "", link->host,
                          is_ipv6 ? "]" : "", is_usual ? "" : ":", is_usual ? "" : link->port);
    return length > 0 && (size_t)length < capacity ? (size_t)length : 0;
}

/* `framing` is the header that says where the body ends. */
static certless_error post(cl_http *http, const certless_link *link, const char *route,
                           const char *type, const char *framing)
{
    char host[CL_HTTP_HOST_BYTES], head[1024];
    if (cl_http_host(link, host, sizeof host) == 0)
        return CERTLESS_BAD_ARGUMENT;
    int size = snprintf(head, sizeof head,
                        "POST %s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\n%s\r\n"
                        "Connection: close\r\n\r\n",
                        link->prefix, route, host, type, framing);
    if (size < 0 || (size_t)size >= sizeof head)
        return CERTLESS_BAD_ARGUMENT;
    return send_all(http, head, (size_t)size) ? CERTLESS_OK : CERTLESS_NO_ANSWER;
}

certless_error cl_http_post(cl_http *http, const certless_link *link, const char *route,
                            const uint8_t *body, size_t length)
{
    char framing[64];
    (void)snprintf(framing, sizeof framing, "Content-Length: %zu", length);
    certless_error error = post(http, link, route, CERTLESS_CONTENT_TYPE, framing);
    if (error == CERTLESS_OK && !send_all(http, body, length))
        return CERTLESS_NO_ANSWER;
    return error;
}

certless_error cl_http_post_chunks(cl_http *http, const certless_link *link, const char *route)
{
    return post(http, link, route, CERTLESS_STREAM_TYPE, "Transfer-Encoding: chunked");
}

certless_error cl_http_chunk(cl_http *http, const uint8_t *data, size_t length)
{
    char head[32];
    int size = snprintf(head, sizeof head, "%zx\r\n", length);
    return send_all(http, head, (size_t)size) && send_all(http, data, length)
                && send_all(http, "\r\n", 2)
             ? CERTLESS_OK
             : CERTLESS_NO_ANSWER;
}

/* --- the response --- */

/* Digits and nothing else, below 10^9. */
static int parse_number(const char *text, size_t *number)
{
    size_t length = strspn(text, "0123456789");
    *number = 0;
    for (size_t i = 0; i < length && length <= 9; i++)
        *number = 10 * *number + (size_t)(text[i] - '0');
    return length > 0 && length <= 9 && text[length + strspn(text + length, " \t")] == 0;
}

static int read_status(cl_http *http, certless_link *link)
{
    char line[LINE_BYTES];
    if (!read_line(http, line) || strncmp(line, "HTTP/1.", 7) != 0 || strlen(line) < 12
        || line[8] != ' ' || strspn(line + 9, "0123456789") != 3)
        return 0;
    link->status =
        (unsigned)((line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'));
    return 1;
}

static const char *value_of(const char *line, const char *name)
{
    size_t length = strlen(name);
    if (strncasecmp(line, name, length) != 0 || line[length] != ':')
        return NULL;
    line += length + 1;
    return line + strspn(line, " \t");
}

/* One header line. 0 if it leaves open where the body ends. */
static int read_field(cl_http *http, certless_link *link, const char *line)
{
    const char *value;
    size_t number;
    if ((value = value_of(line, "Content-Length")) != NULL) {
        if (http->has_length || !parse_number(value, &http->left))
            return 0;
        http->has_length = 1;
    } else if ((value = value_of(line, "Transfer-Encoding")) != NULL) {
        if (http->is_chunked || strcasecmp(value, "chunked") != 0)
            return 0;
        http->is_chunked = 1;
    } else if ((value = value_of(line, "Content-Type")) != NULL) {
        http->is_stream = strncasecmp(value, CERTLESS_STREAM_TYPE, strlen(CERTLESS_STREAM_TYPE)) == 0;
    } else if ((value = value_of(line, "Retry-After")) != NULL && parse_number(value, &number)) {
        link->retry_after_s = (unsigned)number;
    }
    return 1;
}

static int read_fields(cl_http *http, certless_link *link)
{
    char line[LINE_BYTES];
    for (unsigned lines = 0; lines < 256; lines++) {
        if (!read_line(http, line))
            return 0;
        if (line[0] == 0)
            return !(http->has_length && http->is_chunked);
        if (!read_field(http, link, line))
            return 0;
    }
    return 0;
}

certless_error cl_http_head(cl_http *http, certless_link *link)
{
    do {
        if (!read_status(http, link) || !read_fields(http, link))
            return CERTLESS_NO_ANSWER;
    } while (link->status >= 100 && link->status < 200); /* interim responses (RFC 9110 §15.2) */
    return link->status == 200 ? CERTLESS_OK : CERTLESS_HTTP_REFUSED;
}

/* The length of the next chunk, in hexadecimal; extensions are ignored (RFC 9112 §7.1). */
static int read_chunk_head(cl_http *http, size_t *length)
{
    char line[LINE_BYTES] = "";
    const char *digits = "0123456789abcdef";
    *length = 0;
    if (!read_line(http, line))
        return 0;
    size_t count = strspn(line, "0123456789abcdefABCDEF");
    if (count == 0 || count > 7 || (line[count] != 0 && strchr("; \t", line[count]) == NULL))
        return 0;
    for (size_t i = 0; i < count; i++) {
        char lower = line[i] >= 'A' && line[i] <= 'F' ? (char)(line[i] - 'A' + 'a') : line[i];
        *length = *length << 4 | (size_t)(strchr(digits, lower) - digits);
    }
    return 1;
}

/* The head of the next chunk, behind the end of the one before. */
static int next_chunk(cl_http *http)
{
    char end[LINE_BYTES];
    if (http->has_chunk && (!read_line(http, end) || end[0] != 0))
        return 0;
    http->has_chunk = 1;
    if (!read_chunk_head(http, &http->left))
        return 0;
    http->is_over = http->left == 0;
    return 1;
}

certless_error cl_http_some(cl_http *http, uint8_t *out, size_t capacity, size_t *length)
{
    int is_framed = http->is_chunked || http->has_length;
    *length = 0;
    if (http->is_chunked && http->left == 0 && !http->is_over && !next_chunk(http))
        return CERTLESS_NO_ANSWER;
    if (http->is_over || (is_framed && http->left == 0))
        return CERTLESS_OK;
    *length = read_some(http, out, is_framed && capacity > http->left ? http->left : capacity);
    if (*length == 0 && is_framed)
        return CERTLESS_NO_ANSWER;
    if (is_framed)
        http->left -= *length;
    /* A body without a length ends with the connection. The seal shows whether it is whole. */
    http->is_over = *length == 0;
    return CERTLESS_OK;
}

certless_error cl_http_exactly(cl_http *http, uint8_t *out, size_t length)
{
    while (length > 0) {
        size_t got;
        certless_error error = cl_http_some(http, out, length, &got);
        if (error != CERTLESS_OK || got == 0)
            return CERTLESS_NO_ANSWER;
        out += got;
        length -= got;
    }
    return CERTLESS_OK;
}

certless_error cl_http_body(cl_http *http, uint8_t *out, size_t capacity, size_t *length)
{
    uint8_t more;
    size_t got = 1;
    *length = 0;
    while (*length < capacity && got > 0) {
        certless_error error = cl_http_some(http, out + *length, capacity - *length, &got);
        if (error != CERTLESS_OK)
            return error;
        *length += got;
    }
    if (got == 0)
        return CERTLESS_OK;
    certless_error error = cl_http_some(http, &more, 1, &got);
    return error == CERTLESS_OK && got > 0 ? CERTLESS_BUFFER_TOO_SMALL : error;
}
