/*
 * What a device does after an error: when it tries again, and when it needs a person (PROTOCOL
 * §1.12, decision 117).
 */
#include "certless_internal.h"

#define LEAST_WAIT_MS 1000u
#define MOST_WAIT_MS 300000u
#define MOST_RETRY_AFTER_S 3600u
#define HTTP_FORBIDDEN 403u

/* A number up to `most`, from the random bytes of the device; 0 if they fail. */
static uint32_t random_up_to(const certless_client *client, uint32_t most)
{
    uint8_t bytes[4];
    if (client->config->entropy(client->config->context, bytes, sizeof bytes) != 0)
        return 0;
    return (uint32_t)(cl_load(bytes, sizeof bytes) % ((uint64_t)most + 1u));
}

/* Twice as long for each failure in a row. */
static uint32_t growing(uint8_t failures)
{
    uint32_t wait_ms = LEAST_WAIT_MS;
    for (uint8_t i = 1; i < failures && wait_ms < MOST_WAIT_MS; i++)
        wait_ms *= 2;
    return wait_ms < MOST_WAIT_MS ? wait_ms : MOST_WAIT_MS;
}

/*
 * Half of a growing wait is random. After a Retry-After, a quarter of it is added at random: the
 * gateway names the same moment to all devices.
 */
static uint32_t wait_for(const certless_client *client, uint8_t failures, uint32_t retry_after_s)
{
    uint32_t wait_ms = growing(failures);
    if (retry_after_s == 0)
        return wait_ms / 2 + random_up_to(client, wait_ms / 2);
    /* Anybody on the network can write this header, and must not stop a device for years. */
    uint32_t told_ms =
        1000u * (retry_after_s < MOST_RETRY_AFTER_S ? retry_after_s : MOST_RETRY_AFTER_S);
    return told_ms + random_up_to(client, told_ms / 4 > wait_ms ? told_ms / 4 : wait_ms);
}

static certless_remedy remedy_for(certless_error error)
{
    switch (error) {
    case CERTLESS_NO_TICKET: return CERTLESS_ASK_FOR_CODE;
    case CERTLESS_BAD_ARGUMENT:
    case CERTLESS_BAD_REQUEST:
    case CERTLESS_WRONG_ORDER:
    case CERTLESS_BUFFER_TOO_SMALL:
    case CERTLESS_NO_ENTROPY:
    case CERTLESS_NOT_SAVED:
    case CERTLESS_BAD_STATE:
    case CERTLESS_STATE_IN_USE: return CERTLESS_REPAIR;
    default: return CERTLESS_TRY_AGAIN;
    }
}

static void count(uint8_t *counter)
{
    if (*counter < UINT8_MAX)
        (*counter)++;
}

certless_remedy certless_after_resumption(const certless_client *client, certless_retry *retry,
                                          const certless_failure *failure, uint32_t *wait_ms)
{
    count(&retry->failures);
    if (failure->error == CERTLESS_HTTP_REFUSED && failure->status == HTTP_FORBIDDEN)
        count(&retry->refusals);
    *wait_ms = wait_for(client, retry->failures, failure->retry_after_s);
    return retry->refusals >= CERTLESS_MAX_REFUSALS ? CERTLESS_ASK_FOR_CODE
                                                    : remedy_for(failure->error);
}

certless_remedy certless_after_message(certless_client *client, certless_retry *retry,
                                       const certless_failure *failure, uint32_t *wait_ms)
{
    int is_first = retry->failures == 0, has_ended = failure->error == CERTLESS_SESSION_ENDED;
    retry->refusals = 0;
    count(&retry->failures);
    if (failure->error == CERTLESS_HTTP_REFUSED && failure->status == HTTP_FORBIDDEN) {
        cl_wipe(&client->session, sizeof client->session);
        has_ended = 1;
    }
    *wait_ms = has_ended && is_first ? 0
                                     : wait_for(client, retry->failures, failure->retry_after_s);
    return remedy_for(failure->error);
}
