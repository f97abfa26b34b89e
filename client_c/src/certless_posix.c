/* The clock, the random numbers, the state file and the exchanges of a client on POSIX. */
#include "certless_http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/random.h>
#endif

#define PATH_BYTES 1024u

uint64_t certless_now_ms(void)
{
    struct timespec now = {0, 0};
#ifdef CLOCK_BOOTTIME
    if (clock_gettime(CLOCK_BOOTTIME, &now) != 0)
#endif
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static int read_file(int file, uint8_t *out, size_t length)
{
    while (length > 0) {
        ssize_t got = read(file, out, length);
        if (got <= 0 && !(got < 0 && errno == EINTR))
            return 0;
        if (got > 0) {
            out += got;
            length -= (size_t)got;
        }
    }
    return 1;
}

/*
 * Linux gives bytes from /dev/urandom even before it has gathered entropy, so the keys of a device
 * that has just started could be predicted. getrandom waits for the entropy.
 */
#ifdef __linux__
int certless_random(void *context, uint8_t *out, size_t length)
{
    (void)context;
    while (length > 0) {
        ssize_t got = getrandom(out, length, 0);
        if (got < 0 && errno != EINTR)
            return 1;
        if (got > 0) {
            out += got;
            length -= (size_t)got;
        }
    }
    return 0;
}
#else
int certless_random(void *context, uint8_t *out, size_t length)
{
    (void)context;
    int file = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 1;
    int done = read_file(file, out, length);
    (void)close(file);
    return done ? 0 : 1;
}
#endif

/* --- the state file --- */

/* `path` with `end` behind it. 0 if it is too long. */
static int path_with(const char *path, const char *end, char out[PATH_BYTES])
{
    size_t length = strlen(path), end_length = strlen(end);
    if (length + end_length >= PATH_BYTES)
        return 0;
    memcpy(out, path, length);
    memcpy(out + length, end, end_length + 1);
    return 1;
}

certless_error certless_file_open(certless_file *file, const char *path)
{
    char name[PATH_BYTES];
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (!path_with(path, ".lock", name))
        return CERTLESS_BAD_ARGUMENT;
    file->path = path;
    file->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file->lock < 0)
        return CERTLESS_NOT_SAVED;
    return fcntl(file->lock, F_SETLK, &whole) == 0 ? CERTLESS_OK : CERTLESS_STATE_IN_USE;
}

/* Wait until the entry of a renamed file is on the disk. */
static int sync_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        memcpy(path, ".", 2);
    else
        slash[slash == path ? 1 : 0] = 0;
    int folder = open(path, O_RDONLY | O_CLOEXEC);
    if (folder < 0)
        return 0;
    int done = fsync(folder) == 0;
    (void)close(folder);
    return done;
}

static int write_file(const char *name, const uint8_t *state, size_t length)
{
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0)
        return 0;
    int done = write(file, state, length) == (ssize_t)length && fsync(file) == 0;
    return close(file) == 0 && done;
}

int certless_file_save(void *context, const uint8_t *state, size_t length)
{
    const certless_file *file = context;
    char name[PATH_BYTES];
    if (!path_with(file->path, ".new", name) || !write_file(name, state, length)
        || rename(name, file->path) != 0)
        return 1;
    return sync_folder(name) ? 0 : 1;
}

certless_error certless_file_load(const certless_file *file, certless_client *client)
{
    uint8_t state[CERTLESS_STATE_BYTES];
    struct stat found;
    int opened = open(file->path, O_RDONLY | O_CLOEXEC);
    if (opened < 0)
        return errno == ENOENT ? CERTLESS_NO_TICKET : CERTLESS_BAD_STATE;
    int done = fstat(opened, &found) == 0 && (found.st_mode & 077) == 0
            && read_file(opened, state, sizeof state);
    (void)close(opened);
    if (!done)
        return CERTLESS_BAD_STATE;
    return certless_load(client, certless_now_ms(), state, sizeof state);
}

/* --- exchanges --- */

certless_error certless_post(certless_link *link, const char *route, uint8_t *buffer,
                             size_t capacity, size_t *length)
{
    cl_http http;
    link->status = link->retry_after_s = 0;
    certless_error error = cl_http_open(&http, link);
    if (error == CERTLESS_OK)
        error = cl_http_post(&http, link, route, buffer, *length);
    if (error == CERTLESS_OK)
        error = cl_http_head(&http, link);
    if (error == CERTLESS_OK)
        error = cl_http_body(&http, buffer, capacity, length);
    cl_http_close(&http);
    return error;
}

certless_error certless_request_login(certless_link *link, certless_client *client, uint8_t *buffer,
                                      size_t capacity)
{
    size_t length = 0;
    certless_error error = certless_begin_login(client, buffer, capacity, &length);
    if (error == CERTLESS_OK)
        error = certless_post(link, certless_route(client), buffer, capacity, &length);
    return error == CERTLESS_OK ? certless_receive_hello(client, buffer, length) : error;
}

/* From the message in `buffer` to the open session: the second half of a login or a resumption. */
static certless_error finish(certless_link *link, certless_client *client, uint8_t *buffer,
                             size_t capacity, size_t length)
{
    uint8_t confirmation[128];
    size_t confirmation_length = 0;
    certless_error error = certless_post(link, certless_route(client), buffer, capacity, &length);
    if (error == CERTLESS_OK)
        error = certless_receive_share(client, buffer, length, confirmation, sizeof confirmation,
                                       &confirmation_length);
    if (error != CERTLESS_OK)
        return error;
    if (confirmation_length > capacity)
        return CERTLESS_BUFFER_TOO_SMALL;
    memcpy(buffer, confirmation, confirmation_length);
    length = confirmation_length;
    error = certless_post(link, certless_route(client), buffer, capacity, &length);
    if (error != CERTLESS_OK)
        return error;
    return certless_receive_confirmation(client, certless_now_ms(), buffer, length);
}

certless_error certless_submit_code(certless_link *link, certless_client *client, const char *typed,
                                    uint8_t *buffer, size_t capacity)
{
    size_t length = 0;
    certless_error error = certless_enter_code(client, typed, buffer, capacity, &length);
    return error == CERTLESS_OK ? finish(link, client, buffer, capacity, length) : error;
}

certless_error certless_resume(certless_link *link, certless_client *client, uint8_t *buffer,
                               size_t capacity)
{
    size_t length = 0;
    certless_error error = certless_begin_resumption(client, buffer, capacity, &length);
    return error == CERTLESS_OK ? finish(link, client, buffer, capacity, length) : error;
}

static certless_error exchange(certless_link *link, certless_client *client,
                               const certless_request *request, uint8_t *buffer, size_t capacity,
                               certless_response *response)
{
    size_t length = 0;
    certless_error error =
        certless_seal(client, certless_now_ms(), request, buffer, capacity, &length);
    if (error == CERTLESS_OK)
        error = certless_post(link, "/message", buffer, capacity, &length);
    if (error != CERTLESS_OK)
        return error;
    return certless_open(client, certless_now_ms(), buffer, length, response);
}

certless_error certless_send(certless_link *link, certless_client *client,
                             const certless_request *request, uint8_t *buffer, size_t capacity,
                             certless_response *response)
{
    char host[CL_HTTP_HOST_BYTES];
    certless_request inside = *request;
    if (inside.host == NULL && cl_http_host(link, host, sizeof host) > 0)
        inside.host = host;
    certless_error error = exchange(link, client, &inside, buffer, capacity, response);
    if (error == CERTLESS_CLOCK_CORRECTED)
        error = exchange(link, client, &inside, buffer, capacity, response);
    if (error == CERTLESS_EPOCH_ENDED)
        error = exchange(link, client, &inside, buffer, capacity, response);
    return error;
}
