/*
 * A sensor that logs in once with a code of the operator, and then reports by itself for months.
 *
 *     sensor HOST PORT NAME STATE_FILE [TIMES [REALM [DEVICE]]]
 *
 * It waits for a gateway that is away or busy. It ends with status 3 if it needs a person: start it
 * by hand, and type a new code. A service manager must not restart it then; in systemd that is
 * RestartPreventExitStatus=3.
 */
#include "certless_posix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DONE = 0, FAILED = 1, USAGE = 2, NEEDS_PERSON = 3 };

/* A sensor and its gateway. */
typedef struct sensor {
    certless_link link;
    certless_client client;
    certless_file file;
    certless_retry retry;
    uint8_t buffer[16384];
} sensor;

static void complain(const char *doing, certless_error error, const certless_link *link)
{
    (void)fprintf(stderr, "%s: %s", doing, certless_error_text(error));
    if (error == CERTLESS_HTTP_REFUSED)
        (void)fprintf(stderr, " (status %u)", link->status);
    (void)fputc('\n', stderr);
}

static void sleep_ms(uint32_t ms)
{
    struct timespec left = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* The first session: with a code that a person types. It is asked for first: people are slow. */
static int log_in(sensor *own)
{
    char typed[64];
    (void)printf("Code of the operator: ");
    (void)fflush(stdout);
    if (fgets(typed, sizeof typed, stdin) == NULL) {
        (void)fprintf(stderr, "no code was typed: start this by hand\n");
        return NEEDS_PERSON;
    }
    certless_error error =
        certless_request_login(&own->link, &own->client, own->buffer, sizeof own->buffer);
    if (error == CERTLESS_OK)
        error = certless_submit_code(&own->link, &own->client, typed, own->buffer,
                                     sizeof own->buffer);
    if (error == CERTLESS_OK)
        return DONE;
    complain("login", error, &own->link);
    return NEEDS_PERSON;
}

/* Wait, or the status with which to end. */
static int obey(const sensor *own, certless_remedy remedy, uint32_t wait_ms)
{
    if (remedy == CERTLESS_TRY_AGAIN) {
        sleep_ms(wait_ms);
        return DONE;
    }
    if (remedy == CERTLESS_REPAIR)
        return FAILED;
    (void)fprintf(stderr,
                  "The gateway does not accept the ticket of this device any more. It stops here.\n"
                  "If the device was not stolen, erase %s, start this by hand, and type a new code.\n",
                  own->file.path);
    return NEEDS_PERSON;
}

static certless_failure failure_of(const sensor *own, certless_error error)
{
    const certless_failure failure = {error, own->link.status, own->link.retry_after_s};
    return failure;
}

/* A session, by the stored ticket. */
static int resume(sensor *own)
{
    certless_error error =
        certless_resume(&own->link, &own->client, own->buffer, sizeof own->buffer);
    if (error == CERTLESS_OK)
        return DONE;
    complain("resumption", error, &own->link);
    const certless_failure failure = failure_of(own, error);
    uint32_t wait_ms;
    certless_remedy remedy = certless_after_resumption(&own->client, &own->retry, &failure, &wait_ms);
    return obey(own, remedy, wait_ms);
}

/* One attempt to send a reading. */
static int send_reading(sensor *own, unsigned long number, int *sent)
{
    char target[64], body[64];
    certless_response response;
    static const certless_header headers[] = {{"Content-Type", "application/json"}};
    (void)snprintf(target, sizeof target, "/readings/%lu", number);
    int length = snprintf(body, sizeof body, "{\"degrees\": %lu}", 20 + number % 5);
    const certless_request request = {"PUT", target, NULL, headers, 1, body, (size_t)length};
    certless_error error = certless_send(&own->link, &own->client, &request, own->buffer,
                                         sizeof own->buffer, &response);
    if (error == CERTLESS_OK) {
        (void)printf("%lu: status %u\n", number, response.status);
        own->retry = (certless_retry){0, 0};
        *sent = 1;
        return DONE;
    }
    const certless_failure failure = failure_of(own, error);
    uint32_t wait_ms;
    certless_remedy remedy = certless_after_message(&own->client, &own->retry, &failure, &wait_ms);
    if (remedy != CERTLESS_TRY_AGAIN || wait_ms > 0) /* else the session has ended, as each does */
        complain("report", error, &own->link);
    return obey(own, remedy, wait_ms);
}

/*
 * A PUT of a numbered reading does no harm if it is handled twice. So it can be sent again after an
 * answer that is lost, or is not sealed: both prove nothing.
 */
static int report(sensor *own, unsigned long number)
{
    int status = DONE, sent = 0;
    while (status == DONE && !sent)
        status = certless_has_session(&own->client, certless_now_ms())
                   ? send_reading(own, number, &sent)
                   : resume(own);
    return status;
}

int main(int count, char **given)
{
    static sensor own;
    if (count < 5) {
        (void)fprintf(stderr, "usage: sensor HOST PORT NAME STATE_FILE [TIMES [REALM [DEVICE]]]\n");
        return USAGE;
    }
    own.link = (certless_link){given[1], given[2], CERTLESS_PREFIX, 30000, 0, 0};
    unsigned long times = count > 5 ? strtoul(given[5], NULL, 10) : 1;
    const certless_config config = {.username = given[3],
                                    .realm = count > 6 ? given[6] : CERTLESS_DEFAULT_REALM,
                                    .fresh = CERTLESS_COUNTER,
                                    .entropy = certless_random,
                                    .save = certless_file_save,
                                    .context = &own.file,
                                    .device = count > 7 ? given[7] : NULL};
    certless_error error = certless_file_open(&own.file, given[4]);
    if (error == CERTLESS_OK)
        error = certless_init(&own.client, &config);
    if (error == CERTLESS_OK)
        error = certless_file_load(&own.file, &own.client);
    if (error != CERTLESS_OK && error != CERTLESS_NO_TICKET) {
        complain(given[4], error, &own.link);
        return FAILED;
    }
    int status = certless_has_ticket(&own.client) ? DONE : log_in(&own);
    for (unsigned long number = 1; status == DONE && number <= times; number++)
        status = report(&own, number);
    return status;
}
