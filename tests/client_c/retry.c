/*
 * What a device does after each error: each line of the input is "message" or "resumption", the
 * number of an error, a status and a Retry-After; "zeros" begins again. The output is the remedy and
 * the wait.
 *
 *     retry RANDOM, where RANDOM is the value of all random bytes, or -1 if they fail
 */
#include "certless.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int value;

static int entropy(void *context, uint8_t *out, size_t length)
{
    (void)context;
    memset(out, value, length);
    return value < 0;
}

static int save(void *context, const uint8_t *state, size_t length)
{
    (void)context;
    (void)state;
    (void)length;
    return 0;
}

int main(int count, char **given)
{
    static const certless_config config = {.username = "fan-7",
                                           .realm = "certless",
                                           .fresh = CERTLESS_COUNTER,
                                           .entropy = entropy,
                                           .save = save};
    static certless_client client;
    certless_retry retry = {0, 0};
    char line[100], kind[20];
    unsigned error, status, retry_after_s;
    if (count != 2 || certless_init(&client, &config) != CERTLESS_OK)
        return 2;
    value = (int)strtol(given[1], NULL, 10);
    while (fgets(line, sizeof line, stdin) != NULL) {
        uint32_t wait_ms = 0;
        if (strcmp(line, "zeros\n") == 0) {
            memset(&retry, 0, sizeof retry);
            continue;
        }
        if (sscanf(line, "%19s %u %u %u", kind, &error, &status, &retry_after_s) != 4)
            return 2;
        const certless_failure failure = {(certless_error)error, status, retry_after_s};
        client.session.is_open = 1;
        certless_remedy remedy =
            strcmp(kind, "message") == 0
                ? certless_after_message(&client, &retry, &failure, &wait_ms)
                : certless_after_resumption(&client, &retry, &failure, &wait_ms);
        (void)printf("%d %lu %d\n", (int)remedy, (unsigned long)wait_ms, client.session.is_open);
    }
    return 0;
}
