/*
 * A sensor that logs in once with a code of the operator, and then reports by itself for months.
 *
 *     sensor HOST PORT NAME STATE_FILE [TIMES [REALM]]
 */
#include "certless_posix.h"

#include <stdio.h>
#include <stdlib.h>

static int stop(const char *doing, certless_error error, const certless_link *link)
{
    (void)fprintf(stderr, "%s: %s", doing, certless_error_text(error));
    if (error == CERTLESS_HTTP_REFUSED)
        (void)fprintf(stderr, " (status %u)", link->status);
    (void)fputc('\n', stderr);
    return 1;
}

/* A session: with the stored state, or with a code that a person types. */
static certless_error connect_to(certless_link *link, certless_client *client, uint8_t *buffer,
                                 size_t capacity)
{
    char typed[64];
    if (certless_has_session(client, certless_now_ms()))
        return CERTLESS_OK;
    if (certless_has_ticket(client))
        return certless_resume(link, client, buffer, capacity);
    certless_error error = certless_request_login(link, client, buffer, capacity);
    if (error != CERTLESS_OK)
        return error;
    (void)printf("Code of the operator: ");
    (void)fflush(stdout);
    if (fgets(typed, sizeof typed, stdin) == NULL)
        return CERTLESS_NO_CODE;
    return certless_submit_code(link, client, typed, buffer, capacity);
}

/*
 * A PUT of a numbered reading does no harm if it is handled twice. So it can be sent again after an
 * answer that is lost, or is not sealed: both prove nothing.
 */
static certless_error report(certless_link *link, certless_client *client, unsigned long number,
                             uint8_t *buffer, size_t capacity)
{
    char target[64], body[64];
    certless_response response;
    static const certless_header headers[] = {{"Content-Type", "application/json"}};
    (void)snprintf(target, sizeof target, "/readings/%lu", number);
    int length = snprintf(body, sizeof body, "{\"degrees\": %lu}", 20 + number % 5);
    const certless_request request = {"PUT", target, NULL, headers, 1, body, (size_t)length};
    certless_error error = certless_send(link, client, &request, buffer, capacity, &response);
    if (error == CERTLESS_HTTP_REFUSED && link->status == 403) {
        /* The session has expired, or the gateway has lost it. */
        error = certless_resume(link, client, buffer, capacity);
        if (error == CERTLESS_OK)
            error = certless_send(link, client, &request, buffer, capacity, &response);
    }
    if (error == CERTLESS_OK)
        (void)printf("%lu: status %u\n", number, response.status);
    return error;
}

int main(int count, char **given)
{
    static uint8_t buffer[16384];
    static certless_client client;
    certless_file file;
    if (count < 5) {
        (void)fprintf(stderr, "usage: sensor HOST PORT NAME STATE_FILE [TIMES [REALM]]\n");
        return 2;
    }
    certless_link link = {given[1], given[2], CERTLESS_PREFIX, 30000, 0, 0};
    unsigned long times = count > 5 ? strtoul(given[5], NULL, 10) : 1;
    const certless_config config = {given[3],        count > 6 ? given[6] : CERTLESS_DEFAULT_REALM,
                                    CERTLESS_COUNTER, certless_random,
                                    certless_file_save, &file};
    certless_error error = certless_file_open(&file, given[4]);
    if (error == CERTLESS_OK)
        error = certless_init(&client, &config);
    if (error == CERTLESS_OK)
        error = certless_file_load(&file, &client);
    if (error != CERTLESS_OK && error != CERTLESS_NO_TICKET)
        return stop(given[4], error, &link);
    error = connect_to(&link, &client, buffer, sizeof buffer);
    if (error != CERTLESS_OK)
        return stop("login", error, &link);
    for (unsigned long number = 1; number <= times; number++) {
        error = report(&link, &client, number, buffer, sizeof buffer);
        if (error != CERTLESS_OK)
            return stop("report", error, &link);
    }
    return 0;
}
