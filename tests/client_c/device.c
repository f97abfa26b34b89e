/*
 * A device that a test controls: each line of the input is a command, each line of the output its
 * result, which is "ok" and more or the name of an error.
 *
 *     device HOST PORT NAME STATE_FILE clock|counter [DEVICE]
 */
#include "certless_internal.h"
#include "certless_posix.h"

#include <bearssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const NAMES[] = {
    "ok",          "bad_argument",      "bad_request",       "wrong_order",   "buffer_too_small",
    "no_entropy",  "not_saved",         "bad_state",         "no_ticket",     "no_code",
    "malformed",   "unsupported_suite", "bad_point",         "code_refused",  "ticket_refused",
    "bad_seal",    "clock_corrected",   "clock_refused",     "epoch_ended",   "session_ended",
    "stream_broken", "stream_aborted", "state_in_use",      "no_connection", "no_answer",
    "http_refused"};

static certless_client client;
static certless_file file;
static int saving_fails, saves;
static uint8_t buffer[300000];

static int save(void *context, const uint8_t *state, size_t length)
{
    saves++;
    return saving_fails ? 1 : certless_file_save(context, state, length);
}

static certless_error send_text(certless_link *link, char *body)
{
    certless_response response = {.status = 0};
    const certless_header headers[] = {{"Content-Type", "text/plain"}};
    const certless_request request = {"POST", "/echo", NULL, headers, 1, body, strlen(body)};
    certless_error error =
        certless_send(link, &client, &request, buffer, sizeof buffer, &response);
    if (error == CERTLESS_OK)
        (void)printf("ok %u %.*s\n", response.status, (int)response.body_length,
                     (const char *)response.body);
    return error;
}

/* A body that is made while it is sent, and the hash of one that is taken. */
typedef struct body {
    size_t left, taken;
    br_sha256_context hash;
} body;

static int give(void *context, uint8_t *out, size_t capacity, size_t *length)
{
    body *own = context;
    *length = own->left < capacity ? own->left : capacity;
    for (size_t i = 0; i < *length; i++)
        out[i] = (uint8_t)((own->left - i) % 251);
    own->left -= *length;
    return 0;
}

static int take(void *context, const uint8_t *data, size_t length)
{
    body *own = context;
    own->taken += length;
    br_sha256_update(&own->hash, data, length);
    return 0;
}

/* "download TARGET" or "upload LENGTH", in a buffer of 8 KiB. */
static certless_error transfer(certless_link *link, const char *command, char *rest)
{
    static uint8_t small[8192];
    uint8_t digest[32];
    body own = {.taken = 0};
    certless_response response = {.status = 0};
    certless_error error;
    br_sha256_init(&own.hash);
    if (strcmp(command, "download") == 0) {
        const certless_request request = {"GET", rest, NULL, NULL, 0, NULL, 0};
        error = certless_download(link, &client, &request, take, &own, small, sizeof small,
                                  &response);
    } else {
        const certless_request request = {"PUT", "/image", NULL, NULL, 0, NULL, 0};
        own.left = strtoul(rest, NULL, 10);
        error = certless_upload(link, &client, &request, own.left, give, take, &own, small,
                                sizeof small, &response);
    }
    if (error == CERTLESS_OK) {
        br_sha256_out(&own.hash, digest);
        (void)printf("ok %u %zu ", response.status, own.taken);
        for (size_t i = 0; i < sizeof digest; i++)
            (void)printf("%02x", digest[i]);
        (void)printf("\n");
    }
    return error;
}

/* The result of a command that prints nothing itself. */
static certless_error obey(certless_link *link, const char *command, char *rest)
{
    if (strcmp(command, "load") == 0)
        return certless_file_load(&file, &client);
    if (strcmp(command, "request") == 0)
        return certless_request_login(link, &client, buffer, sizeof buffer);
    if (strcmp(command, "code") == 0)
        return certless_submit_code(link, &client, rest, buffer, sizeof buffer);
    if (strcmp(command, "resume") == 0)
        return certless_resume(link, &client, buffer, sizeof buffer);
    if (strcmp(command, "age") == 0) /* the next epoch is due */
        client.session.epoch_started_ms -= 900000;
    else if (strcmp(command, "shift") == 0) /* this clock is wrong by so many milliseconds */
        client.session.offset_ms += strtol(rest, NULL, 10);
    else if (strcmp(command, "timeout") == 0)
        link->timeout_ms = (unsigned)strtoul(rest, NULL, 10);
    else if (strcmp(command, "fail") == 0)
        saving_fails = rest[0] == '1';
    else
        return CERTLESS_BAD_ARGUMENT;
    return CERTLESS_OK;
}

int main(int count, char **given)
{
    static char line[200000];
    if (count != 6 && count != 7)
        return 2;
    certless_link link = {given[1], given[2], CERTLESS_PREFIX, 20000, 0, 0};
    certless_fresh fresh = strcmp(given[5], "clock") == 0 ? CERTLESS_CLOCK : CERTLESS_COUNTER;
    const certless_config config = {given[3], CERTLESS_DEFAULT_REALM, fresh, certless_random, save,
                                    &file, count == 7 ? given[6] : NULL};
    certless_error error = certless_file_open(&file, given[4]);
    if (error == CERTLESS_OK)
        error = certless_init(&client, &config);
    (void)printf("%s\n", NAMES[error]);
    (void)fflush(stdout);
    while (error == CERTLESS_OK && fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = 0;
        char *rest = strchr(line, ' ');
        rest = rest == NULL ? line + strlen(line) : rest;
        if (*rest != 0)
            *rest++ = 0;
        if (strcmp(line, "state") == 0) {
            (void)printf("ok %lu %llu %d %d %d\n", (unsigned long)client.session.epoch,
                         (unsigned long long)client.session.sequence, saves,
                         certless_has_ticket(&client),
                         certless_has_session(&client, certless_now_ms()));
        } else if (strcmp(line, "send") == 0 || strstr(line, "load") > line) {
            certless_error sent = strcmp(line, "send") == 0 ? send_text(&link, rest)
                                                            : transfer(&link, line, rest);
            if (sent != CERTLESS_OK)
                (void)printf("%s %u\n", NAMES[sent], link.status);
        } else {
            certless_error result = obey(&link, line, rest);
            (void)printf("%s %u\n", NAMES[result], link.status);
        }
        (void)fflush(stdout);
    }
    return 0;
}
