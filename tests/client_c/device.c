/*
 * A device that a test controls: each line of the input is a command, each line of the output its
 * result, which is "ok" and more or the name of an error.
 *
 *     device HOST PORT NAME STATE_FILE clock|counter
 */
#include "certless_internal.h"
#include "certless_posix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const NAMES[] = {
    "ok",          "bad_argument",      "bad_request",       "wrong_order",   "buffer_too_small",
    "no_entropy",  "not_saved",         "bad_state",         "no_ticket",     "no_code",
    "malformed",   "unsupported_suite", "bad_point",         "code_refused",  "ticket_refused",
    "bad_seal",    "clock_corrected",   "clock_refused",     "epoch_ended",   "session_ended",
    "state_in_use", "no_connection",    "no_answer",         "http_refused"};

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
    else if (strcmp(command, "fail") == 0)
        saving_fails = rest[0] == '1';
    else
        return CERTLESS_BAD_ARGUMENT;
    return CERTLESS_OK;
}

int main(int count, char **given)
{
    static char line[200000];
    if (count != 6)
        return 2;
    certless_link link = {given[1], given[2], CERTLESS_PREFIX, 20000, 0, 0};
    certless_fresh fresh = strcmp(given[5], "clock") == 0 ? CERTLESS_CLOCK : CERTLESS_COUNTER;
    const certless_config config = {given[3], CERTLESS_DEFAULT_REALM, fresh, certless_random, save,
                                    &file};
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
            (void)printf("ok %u %llu %d %d %d\n", client.session.epoch,
                         (unsigned long long)client.session.sequence, saves,
                         certless_has_ticket(&client),
                         certless_has_session(&client, certless_now_ms()));
        } else if (strcmp(line, "send") == 0) {
            certless_error sent = send_text(&link, rest);
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
