/* The client as a whole, what it stores, and the texts of its errors (PROTOCOL §2.6.4, §2.8.3). */
#include "certless_internal.h"

#include <string.h>

#define HAS_TICKET 1u
#define HAS_SESSION 2u
#define CHECK_BYTES 16u
#define MAX_SESSION_MS 43200000u

/*
 * The layout of the stored state. Only the version that wrote it can read it. `certless ticket
 * issue` writes the same (gateway/cli/ticket_formats.py).
 */
enum {
    MAGIC = 0,
    FLAGS = 4,
    FRESH = 5,
    TICKET = 6,
    SECRET = 22,
    ID = 54,
    EPOCH = 70,
    RESERVED = 74,
    C2S = 82,
    S2C = 114,
    CHECK = 146
};

static const uint8_t MAGIC_BYTES[4] = {'C', 'L', 'T', '1'};

static int is_name(const char *name)
{
    return name != NULL && memchr(name, 0, CERTLESS_MAX_NAME_BYTES + 1) != NULL
        && cl_characters((const uint8_t *)name, strlen(name)) != SIZE_MAX;
}

int cl_is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int is_device(const char *name)
{
    size_t length = 0;
    while (name[length] != 0) {
        if (length == CERTLESS_MAX_DEVICE_BYTES)
            return 0;
        if (!cl_is_letter_or_digit(name[length])
            && (length == 0 || memchr("._:-", name[length], 4) == NULL))
            return 0;
        length++;
    }
    return length > 0;
}

certless_error certless_init(certless_client *client, const certless_config *config)
{
    if (client == NULL || config == NULL || !is_name(config->username) || !is_name(config->realm)
        || config->username[0] == 0 || config->entropy == NULL || config->save == NULL
        || (config->fresh != CERTLESS_CLOCK && config->fresh != CERTLESS_COUNTER)
        || (config->device != NULL && !is_device(config->device)))
        return CERTLESS_BAD_ARGUMENT;
    memset(client, 0, sizeof *client);
    client->config = config;
    return CERTLESS_OK;
}

void certless_wipe(certless_client *client)
{
    const certless_config *config = client->config;
    cl_wipe(client, sizeof *client);
    client->config = config;
}

int certless_has_ticket(const certless_client *client)
{
    return client->has_ticket;
}

int certless_has_session(const certless_client *client, uint64_t now_ms)
{
    return client->session.is_open && now_ms < client->session.expires_ms;
}

/* A hash that shows a state that was written by halves, or belongs to another user or realm. */
static void check_of(const certless_config *config, const uint8_t *state, uint8_t check[32])
{
    cl_fields fields;
    cl_begin(&fields, "certless/1 state of a device");
    cl_add(&fields, config->username, strlen(config->username));
    cl_add(&fields, config->realm, strlen(config->realm));
    cl_add(&fields, state, CHECK);
    cl_hash(&fields, check);
}

certless_error cl_save(const certless_client *client, const uint8_t *ticket, const uint8_t *secret,
                       const certless_session *session)
{
    const certless_config *config = client->config;
    uint8_t state[CERTLESS_STATE_BYTES] = {0}, check[32];
    memcpy(state + MAGIC, MAGIC_BYTES, sizeof MAGIC_BYTES);
    state[FRESH] = (uint8_t)config->fresh;
    if (ticket != NULL) {
        state[FLAGS] = HAS_TICKET;
        memcpy(state + TICKET, ticket, 16);
        memcpy(state + SECRET, secret, 32);
    }
    if (config->fresh == CERTLESS_COUNTER) {
        state[FLAGS] = (uint8_t)(state[FLAGS] | HAS_SESSION);
        memcpy(state + ID, session->id, 16);
        cl_store(state + EPOCH, session->epoch, 4);
        cl_store(state + RESERVED, session->reserved, 8);
        memcpy(state + C2S, session->c2s, 32);
        memcpy(state + S2C, session->s2c, 32);
    }
    check_of(config, state, check);
    memcpy(state + CHECK, check, CHECK_BYTES);
    int result = config->save(config->context, state, sizeof state);
    cl_wipe(state, sizeof state);
    return result == 0 ? CERTLESS_OK : CERTLESS_NOT_SAVED;
}

static void load_session(certless_session *session, uint64_t now_ms, const uint8_t *state)
{
    memcpy(session->id, state + ID, 16);
    memcpy(session->c2s, state + C2S, 32);
    memcpy(session->s2c, state + S2C, 32);
    session->epoch = (uint32_t)cl_load(state + EPOCH, 4);
    session->reserved = cl_load(state + RESERVED, 8);
    /* Any number up to this one may have been used. */
    session->sequence = session->reserved;
    session->epoch_started_ms = now_ms;
    /* When it began is not known. The server knows it, and rejects what comes too late. */
    session->expires_ms = now_ms + MAX_SESSION_MS;
    session->is_open = 1;
}

certless_error certless_load(certless_client *client, uint64_t now_ms, const uint8_t *state,
                             size_t length)
{
    uint8_t check[32];
    if (client == NULL || client->config == NULL || state == NULL || now_ms > CL_MAX_VALUE)
        return CERTLESS_BAD_ARGUMENT;
    if (length != CERTLESS_STATE_BYTES || memcmp(state, MAGIC_BYTES, sizeof MAGIC_BYTES) != 0)
        return CERTLESS_BAD_STATE;
    check_of(client->config, state, check);
    if (!cl_equal(check, state + CHECK, CHECK_BYTES))
        return CERTLESS_BAD_STATE;
    certless_wipe(client);
    if (state[FLAGS] & HAS_TICKET) {
        client->has_ticket = 1;
        memcpy(client->ticket, state + TICKET, 16);
        memcpy(client->secret, state + SECRET, 32);
    }
    if ((state[FLAGS] & HAS_SESSION) != 0 && state[FRESH] == (uint8_t)client->config->fresh)
        load_session(&client->session, now_ms, state);
    return CERTLESS_OK;
}

const char *certless_error_text(certless_error error)
{
    switch (error) {
    case CERTLESS_OK: return "Done.";
    case CERTLESS_BAD_ARGUMENT: return "The program passed a value that is not allowed.";
    case CERTLESS_BAD_REQUEST:
        return "Method, target or headers are not allowed in a sealed request (PROTOCOL 1.8).";
    case CERTLESS_WRONG_ORDER: return "The program called this at a time when it is not possible.";
    case CERTLESS_BUFFER_TOO_SMALL: return "The buffer for the output is too small.";
    case CERTLESS_NO_ENTROPY: return "The source of random numbers failed.";
    case CERTLESS_NOT_SAVED: return "The state was not stored, so it was not used: try again.";
    case CERTLESS_BAD_STATE:
        return "The stored state is damaged, is of another user or realm, or other users can read it: "
               "erase it and log in with a code.";
    case CERTLESS_NO_TICKET: return "No ticket is stored: log in with a code.";
    case CERTLESS_NO_CODE: return "A code has eight letters and digits: enter it again.";
    case CERTLESS_MALFORMED: return "The answer is not a message of this protocol.";
    case CERTLESS_UNSUPPORTED_SUITE: return "The gateway did not accept the suite ecdh-gcm.";
    case CERTLESS_BAD_POINT: return "The answer has a point that is not valid: begin again.";
    case CERTLESS_CODE_REFUSED:
        return "The server did not prove that it knows the code: check code, realm and address.";
    case CERTLESS_TICKET_REFUSED:
        return "The server did not prove that it knows the ticket: check realm and address.";
    case CERTLESS_BAD_SEAL: return "The answer was changed on its way, or is not for this request.";
    case CERTLESS_CLOCK_CORRECTED:
        return "The request was too early or too late and was not handled: send it once more.";
    case CERTLESS_CLOCK_REFUSED:
        return "The request came too early or too late: check whether it was handled before.";
    case CERTLESS_EPOCH_ENDED: return "The request was not handled: send it once more.";
    case CERTLESS_SESSION_ENDED: return "The session has ended: resume, or log in with a code.";
    case CERTLESS_STREAM_BROKEN: return "The body was cut off or changed: do not use it.";
    case CERTLESS_STREAM_ABORTED: return "The server has ended the body early: do not use it.";
    case CERTLESS_STATE_IN_USE: return "Another process uses the stored state: end it first.";
    case CERTLESS_NO_CONNECTION: return "No connection to the gateway: check address and network.";
    case CERTLESS_NO_ANSWER:
        return "The answer did not arrive as a whole: check whether the request was handled.";
    case CERTLESS_HTTP_REFUSED: return "The gateway answered with an error outside the seal.";
    }
    return "An error that this version does not know.";
}
