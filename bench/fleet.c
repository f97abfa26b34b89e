/*
 * Many devices in one process, each with a client of its own: they resume, and send one message.
 *
 *     fleet DEVICES PATIENCE_S
 *
 * Each line of the file DEVICES is a local address, a name, a ticket and its secret. The program makes
 * the first message of each device, writes "ready", and reads "HOST PORT" from its input. Then all
 * devices begin. Each opens a connection for each exchange, as certless_posix.c does, and waits after
 * an error as certless_after_resumption says. A device whose wait is longer than PATIENCE_S ends. The
 * last line of the output is JSON.
 */
#include "certless_internal.h"
#include "certless_posix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXCHANGE_MS 30000u
#define MOST_EVENTS 256

typedef enum step { RESUMES, SENDS, ENDED } step;
typedef enum kind { NO_CONNECTION, NO_ANSWER, FORBIDDEN, LIMITED, UNAVAILABLE, OTHER, KINDS } kind;

static const char *const KIND_NAMES[KINDS] = {"no_connection", "no_answer", "forbidden",
                                              "limited",       "unavailable", "other"};

typedef struct device {
    certless_client client;
    certless_retry retry;
    struct sockaddr_in from;
    char name[64];
    step next;
    int socket;                  /* -1 if it waits */
    uint64_t due_ms;             /* of the next attempt, or the end of this exchange */
    uint8_t out[2048], in[4096];
    size_t out_length, out_sent, in_length;
    uint8_t first[512];          /* the first message of the resumption, made before */
    size_t first_length;
} device;

static struct {
    device *devices;
    size_t count, running;
    struct sockaddr_in gateway;
    char host[80];
    int events;
    uint32_t patience_ms;
    uint64_t began_ms;
    /* results */
    size_t sessions, sent, stopped, errors[KINDS];
    double session_s, sent_s, median_s;
    uint32_t least_wait_ms, most_wait_ms;
} fleet;

static int save(void *context, const uint8_t *state, size_t length)
{
    (void)context;
    (void)state;
    (void)length;
    return 0;
}

static double passed_s(void)
{
    return (double)(certless_now_ms() - fleet.began_ms) / 1000;
}

/* --- exchanges --- */

static void start_exchange(device *own, const uint8_t *body, size_t length)
{
    const char *route = own->next == SENDS ? "/message" : certless_route(&own->client);
    struct epoll_event wanted = {.events = EPOLLIN | EPOLLOUT, .data.ptr = own};
    int size = snprintf((char *)own->out, sizeof own->out,
                        "POST %s%s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\n"
                        "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                        CERTLESS_PREFIX, route, fleet.host, CERTLESS_CONTENT_TYPE, length);
    if (size < 0 || (size_t)size + length > sizeof own->out)
        abort();
    memcpy(own->out + size, body, length);
    own->out_length = (size_t)size + length;
    own->out_sent = own->in_length = 0;
    own->due_ms = certless_now_ms() + EXCHANGE_MS;
    own->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (own->socket < 0 || bind(own->socket, (struct sockaddr *)&own->from, sizeof own->from) != 0
        || epoll_ctl(fleet.events, EPOLL_CTL_ADD, own->socket, &wanted) != 0) {
        perror("fleet");
        exit(1);
    }
    /* An error is seen by the first send. */
    (void)connect(own->socket, (struct sockaddr *)&fleet.gateway, sizeof fleet.gateway);
}

static void begin_resumption(device *own)
{
    if (own->first_length == 0
        && certless_begin_resumption(&own->client, own->first, sizeof own->first,
                                     &own->first_length)
               != CERTLESS_OK)
        abort();
    size_t length = own->first_length;
    own->first_length = 0;
    own->next = RESUMES;
    start_exchange(own, own->first, length);
}

static void send_message(device *own)
{
    static const certless_header headers[] = {{"Content-Type", "application/json"}};
    static const char body[] = "{\"degrees\": 21}";
    const certless_request request = {"PUT", "/readings/1", fleet.host, headers, 1, body,
                                      sizeof body - 1};
    uint8_t sealed[1024];
    size_t length;
    if (certless_seal(&own->client, certless_now_ms(), &request, sealed, sizeof sealed, &length)
        != CERTLESS_OK)
        abort();
    own->next = SENDS;
    start_exchange(own, sealed, length);
}

static void end(device *own)
{
    own->next = ENDED;
    own->due_ms = UINT64_MAX;
    fleet.running--;
}

/* --- answers --- */

static void count_error(const certless_failure *failure)
{
    kind found = OTHER;
    if (failure->error == CERTLESS_NO_CONNECTION)
        found = NO_CONNECTION;
    else if (failure->error == CERTLESS_NO_ANSWER)
        found = NO_ANSWER;
    else if (failure->status == 403)
        found = FORBIDDEN;
    else if (failure->status == 429)
        found = LIMITED;
    else if (failure->status == 503)
        found = UNAVAILABLE;
    fleet.errors[found]++;
}

static void fail(device *own, certless_error error, unsigned status, unsigned retry_after_s)
{
    const certless_failure failure = {error, status, retry_after_s};
    uint32_t wait_ms = 0;
    certless_remedy remedy =
        own->next == SENDS ? certless_after_message(&own->client, &own->retry, &failure, &wait_ms)
                           : certless_after_resumption(&own->client, &own->retry, &failure, &wait_ms);
    count_error(&failure);
    own->due_ms = certless_now_ms() + wait_ms;
    if (remedy != CERTLESS_TRY_AGAIN || wait_ms > fleet.patience_ms) {
        if (fleet.stopped++ == 0 || wait_ms < fleet.least_wait_ms)
            fleet.least_wait_ms = wait_ms;
        if (wait_ms > fleet.most_wait_ms)
            fleet.most_wait_ms = wait_ms;
        end(own);
    }
}

static void take_session(device *own)
{
    fleet.sessions++;
    fleet.session_s = passed_s();
    send_message(own);
}

static void take_response(device *own, unsigned status)
{
    fleet.sent++;
    fleet.sent_s = passed_s();
    if (fleet.sent == (fleet.count + 1) / 2)
        fleet.median_s = fleet.sent_s;
    if (status != 200)
        fleet.errors[OTHER]++;
    end(own);
}

static void take_body(device *own, uint8_t *body, size_t length)
{
    uint8_t confirmation[128];
    size_t n = 0;
    certless_response response = {.status = 0};
    certless_error error;
    if (own->next == SENDS) {
        error = certless_open(&own->client, certless_now_ms(), body, length, &response);
        if (error == CERTLESS_OK)
            take_response(own, response.status);
    } else if (strcmp(certless_route(&own->client), "/session/resume") == 0) {
        error = certless_receive_share(&own->client, body, length, confirmation,
                                       sizeof confirmation, &n);
        if (error == CERTLESS_OK)
            start_exchange(own, confirmation, n);
    } else {
        error = certless_receive_confirmation(&own->client, certless_now_ms(), body, length);
        if (error == CERTLESS_OK)
            take_session(own);
    }
    if (error != CERTLESS_OK)
        fail(own, error, 200, 0);
}

/* The number behind `name` in the head of the response; 0 if it is not there. */
static unsigned number_in(const char *head, const char *name)
{
    const char *found = strstr(head, name);
    return found == NULL ? 0 : (unsigned)strtoul(found + strlen(name), NULL, 10);
}

static void close_exchange(device *own)
{
    (void)close(own->socket);
    own->socket = -1;
}

static void take_answer(device *own)
{
    own->in[own->in_length] = 0;
    close_exchange(own);
    char *head = (char *)own->in, *body = strstr(head, "\r\n\r\n");
    if (body == NULL || strncmp(head, "HTTP/1.1 ", 9) != 0) {
        fail(own, CERTLESS_NO_ANSWER, 0, 0);
        return;
    }
    *body = 0;
    body += 4;
    unsigned status = (unsigned)strtoul(head + 9, NULL, 10);
    size_t length = own->in_length - (size_t)(body - head);
    if (status != 200)
        fail(own, CERTLESS_HTTP_REFUSED, status, number_in(head, "Retry-After: "));
    else if (length != number_in(head, "Content-Length: "))
        fail(own, CERTLESS_NO_ANSWER, 0, 0);
    else
        take_body(own, (uint8_t *)body, length);
}

/* --- sockets --- */

static int is_passing(int error)
{
    return error == EAGAIN || error == EINTR;
}

/* 0 if the connection has failed. */
static int send_more(device *own)
{
    struct epoll_event wanted = {.events = EPOLLIN, .data.ptr = own};
    while (own->out_sent < own->out_length) {
        ssize_t sent = send(own->socket, own->out + own->out_sent, own->out_length - own->out_sent,
                            MSG_NOSIGNAL);
        if (sent < 0)
            return is_passing(errno);
        own->out_sent += (size_t)sent;
    }
    return epoll_ctl(fleet.events, EPOLL_CTL_MOD, own->socket, &wanted) == 0;
}

/* 0 while more can come. */
static int receive_more(device *own)
{
    while (own->in_length < sizeof own->in - 1) {
        ssize_t got =
            recv(own->socket, own->in + own->in_length, sizeof own->in - 1 - own->in_length, 0);
        if (got <= 0)
            return got == 0 || !is_passing(errno);
        own->in_length += (size_t)got;
    }
    return 1;
}

static void handle(device *own, uint32_t events)
{
    if (own->socket < 0)
        return;
    if (own->out_sent < own->out_length && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0
        && !send_more(own)) {
        certless_error error = own->out_sent == 0 ? CERTLESS_NO_CONNECTION : CERTLESS_NO_ANSWER;
        close_exchange(own);
        fail(own, error, 0, 0);
    } else if (own->out_sent == own->out_length && receive_more(own)) {
        take_answer(own);
    }
}

/* Begin what is due, and end what takes too long. Milliseconds until the next time. */
static int check_times(void)
{
    uint64_t now_ms = certless_now_ms(), next_ms = now_ms + 1000;
    for (size_t i = 0; i < fleet.count; i++) {
        device *own = &fleet.devices[i];
        if (own->next != ENDED && own->due_ms <= now_ms) {
            if (own->socket >= 0) {
                certless_error error =
                    own->out_sent == 0 ? CERTLESS_NO_CONNECTION : CERTLESS_NO_ANSWER;
                close_exchange(own);
                fail(own, error, 0, 0);
            } else if (own->client.session.is_open) {
                send_message(own);
            } else {
                begin_resumption(own);
            }
        }
        if (own->next != ENDED && own->due_ms < next_ms)
            next_ms = own->due_ms;
    }
    return next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
}

static void run(void)
{
    struct epoll_event found[MOST_EVENTS];
    uint64_t checked_ms = 0;
    int wait_ms = 0;
    while (fleet.running > 0) {
        /* Not after each event: a thousand devices are looked at. */
        if (certless_now_ms() >= checked_ms) {
            wait_ms = check_times();
            checked_ms = certless_now_ms() + 10;
        }
        int count = epoll_wait(fleet.events, found, MOST_EVENTS, wait_ms < 10 ? wait_ms : 10);
        for (int i = 0; i < count; i++)
            handle(found[i].data.ptr, found[i].events);
    }
}

/* --- the devices --- */

static int read_hex(const char *text, uint8_t *out, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned value;
        if (sscanf(text + 2 * i, "%2x", &value) != 1)
            return 0;
        out[i] = (uint8_t)value;
    }
    return text[2 * length] == 0;
}

static int read_device(device *own, certless_config *config, const char *line)
{
    char address[20], ticket[40], secret[70];
    if (sscanf(line, "%19s %63s %39s %69s", address, own->name, ticket, secret) != 4)
        return 0;
    *config = (certless_config){.username = own->name,
                                .realm = CERTLESS_DEFAULT_REALM,
                                .fresh = CERTLESS_CLOCK,
                                .entropy = certless_random,
                                .save = save};
    own->from.sin_family = AF_INET;
    own->socket = -1;
    if (inet_pton(AF_INET, address, &own->from.sin_addr) != 1
        || certless_init(&own->client, config) != CERTLESS_OK
        || !read_hex(ticket, own->client.ticket, sizeof own->client.ticket)
        || !read_hex(secret, own->client.secret, sizeof own->client.secret))
        return 0;
    own->client.has_ticket = 1;
    return certless_begin_resumption(&own->client, own->first, sizeof own->first,
                                     &own->first_length)
        == CERTLESS_OK;
}

static int read_devices(const char *path)
{
    char line[256];
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof line, file) != NULL)
        fleet.count++;
    rewind(file);
    fleet.devices = calloc(fleet.count, sizeof *fleet.devices);
    certless_config *configs = calloc(fleet.count, sizeof *configs);
    int done = fleet.count > 0 && fleet.devices != NULL && configs != NULL;
    for (size_t i = 0; done && i < fleet.count; i++)
        done = fgets(line, sizeof line, file) != NULL
            && read_device(&fleet.devices[i], &configs[i], line);
    (void)fclose(file);
    fleet.running = fleet.count;
    return done;
}

static int read_gateway(void)
{
    char line[100], host[40];
    unsigned port;
    if (fgets(line, sizeof line, stdin) == NULL || sscanf(line, "%39s %u", host, &port) != 2)
        return 0;
    (void)snprintf(fleet.host, sizeof fleet.host, "%s:%u", host, port);
    fleet.gateway.sin_family = AF_INET;
    fleet.gateway.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &fleet.gateway.sin_addr) == 1;
}

static void print_results(void)
{
    struct rusage used;
    (void)getrusage(RUSAGE_SELF, &used);
    double cpu_s = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
                 + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    (void)printf("{\"sessions\": %zu, \"sent\": %zu, \"stopped\": %zu, \"session_s\": %.3f, "
                 "\"sent_s\": %.3f, \"median_s\": %.3f, \"least_wait_s\": %.1f, "
                 "\"most_wait_s\": %.1f, \"cpu_s\": %.3f, \"errors\": {",
                 fleet.sessions, fleet.sent, fleet.stopped, fleet.session_s, fleet.sent_s,
                 fleet.median_s, fleet.least_wait_ms / 1000.0, fleet.most_wait_ms / 1000.0, cpu_s);
    for (int i = 0; i < KINDS; i++)
        (void)printf("%s\"%s\": %zu", i > 0 ? ", " : "", KIND_NAMES[i], fleet.errors[i]);
    (void)printf("}}\n");
}

int main(int count, char **given)
{
    if (count != 3 || !read_devices(given[1])) {
        (void)fprintf(stderr, "usage: fleet DEVICES PATIENCE_S\n");
        return 2;
    }
    fleet.patience_ms = 1000 * (uint32_t)strtoul(given[2], NULL, 10);
    fleet.events = epoll_create1(EPOLL_CLOEXEC);
    (void)printf("ready\n");
    (void)fflush(stdout);
    if (fleet.events < 0 || !read_gateway())
        return 2;
    fleet.began_ms = certless_now_ms();
    run();
    print_results();
    return 0;
}
