/*
 * Login by a code and resumption by a ticket (PROTOCOL §2.4, §2.8).
 *
 * A handshake has a session id, transcripts and keys of its own. The session that is open stays
 * open until the server has proven itself and the next ticket is stored.
 *
 * The file is long because a login and a resumption are one state machine: they share the stages,
 * the transcripts and the last two messages.
 */
#include "certless_internal.h"

#include <string.h>

#define VERSION 1u
#define SUITE "ecdh-gcm"
#define SUITE_NUMBER 1u
#define CODE_CHARS 8u
#define MAX_TYPED_CHARS 16384u
#define MAX_BOX_BYTES 4096u
#define MAX_SESSION_S 43200u
#define MAX_U32 0xffffffffu

typedef enum stage { IDLE, HELLO_SENT, CODE_AWAITED, SHARE_SENT, RESUMPTION_SENT, CONFIRMATION_SENT } stage;

static certless_error start(const certless_client *client, const uint8_t *out,
                            const size_t *length)
{
    if (client == NULL || client->config == NULL || out == NULL || length == NULL)
        return CERTLESS_BAD_ARGUMENT;
    return CERTLESS_OK;
}

static const char *fresh_name(const certless_client *client)
{
    return client->config->fresh == CERTLESS_CLOCK ? "clock" : "counter";
}

static int draw(const certless_client *client, uint8_t *out, size_t length)
{
    return client->config->entropy(client->config->context, out, length) == 0;
}

/* A new secret number. */
static int draw_scalar(const certless_client *client, uint8_t scalar[32])
{
    uint8_t seed[CL_SEED_BYTES];
    int drawn = draw(client, seed, sizeof seed);
    if (drawn)
        cl_scalar(seed, scalar);
    cl_wipe(seed, sizeof seed);
    return drawn;
}

const char *certless_route(const certless_client *client)
{
    switch (client->handshake.stage) {
    case HELLO_SENT: return "/session/hello";
    case SHARE_SENT: return "/session/share";
    case RESUMPTION_SENT: return "/session/resume";
    case CONFIRMATION_SENT:
        return client->handshake.resumes ? "/session/resume/confirm" : "/session/confirm";
    default: return "/message";
    }
}

/* --- login --- */

static void put_client_hello(cl_writer *writer, const certless_client *client)
{
    const char *device = client->config->device;
    cl_put_map(writer, device == NULL ? 5 : 6);
    cl_put_string(writer, "v");
    cl_put_number(writer, VERSION);
    cl_put_string(writer, "username");
    cl_put_string(writer, client->config->username);
    cl_put_string(writer, "suites");
    cl_put_array(writer, 1);
    cl_put_string(writer, SUITE);
    cl_put_string(writer, "fresh");
    cl_put_string(writer, fresh_name(client));
    cl_put_string(writer, "cn");
    cl_put_bytes(writer, client->handshake.greeting, 32);
    if (device != NULL) {
        cl_put_string(writer, "device");
        cl_put_string(writer, device);
    }
}

certless_error certless_begin_login(certless_client *client, uint8_t *out, size_t capacity,
                                    size_t *length)
{
    cl_writer size = {NULL, 0, 0}, writer = {out, capacity, 0};
    certless_error error = start(client, out, length);
    if (error != CERTLESS_OK)
        return error;
    put_client_hello(&size, client);
    *length = size.length;
    if (size.length > capacity)
        return CERTLESS_BUFFER_TOO_SMALL;
    cl_wipe(&client->handshake, sizeof client->handshake);
    if (!draw(client, client->handshake.greeting, 32))
        return CERTLESS_NO_ENTROPY;
    put_client_hello(&writer, client);
    client->handshake.stage = HELLO_SENT;
    return CERTLESS_OK;
}

/* th0; the client's nonce is in handshake->greeting before, and th0 after. */
static void hash_greeting(const certless_client *client, certless_handshake *handshake,
                          uint64_t expires_s)
{
    static const char suites[] = "\0\0\0\010" SUITE;
    uint8_t version[2], fresh[1], suite[2], expires[4];
    cl_fields fields;
    cl_store(version, VERSION, 2);
    cl_store(fresh, client->config->fresh, 1);
    cl_store(suite, SUITE_NUMBER, 2);
    cl_store(expires, expires_s, 4);
    cl_begin(&fields, "certless/1 greeting");
    cl_add(&fields, version, sizeof version);
    cl_add(&fields, client->config->username, strlen(client->config->username));
    cl_add(&fields, suites, sizeof suites - 1);
    cl_add(&fields, fresh, sizeof fresh);
    cl_add(&fields, handshake->greeting, 32);
    cl_add(&fields, handshake->id, 16);
    cl_add(&fields, suite, sizeof suite);
    cl_add(&fields, handshake->server_nonce, 32);
    cl_add(&fields, expires, sizeof expires);
    cl_add(&fields, client->config->realm, strlen(client->config->realm));
    if (client->config->device != NULL)
        cl_add(&fields, client->config->device, strlen(client->config->device));
    cl_hash(&fields, handshake->greeting);
}

certless_error certless_receive_hello(certless_client *client, uint8_t *in, size_t in_length)
{
    cl_member members[] = {{.name = "sid", .kind = CL_BYTES, .least = 16, .most = 16},
                           {.name = "suite", .kind = CL_TEXT},
                           {.name = "sn", .kind = CL_BYTES, .least = 32, .most = 32},
                           {.name = "expires_s", .kind = CL_NUMBER, .most = MAX_U32}};
    if (client == NULL || in == NULL)
        return CERTLESS_BAD_ARGUMENT;
    certless_handshake *handshake = &client->handshake;
    if (handshake->stage != HELLO_SENT)
        return CERTLESS_WRONG_ORDER;
    handshake->stage = IDLE;
    if (!cl_members(in, in_length, members, 4))
        return CERTLESS_MALFORMED;
    const cl_value *suite = &members[1].value;
    if (suite->length != strlen(SUITE) || memcmp(suite->bytes, SUITE, suite->length) != 0)
        return CERTLESS_UNSUPPORTED_SUITE;
    memcpy(handshake->id, members[0].value.bytes, 16);
    memcpy(handshake->server_nonce, members[2].value.bytes, 32);
    hash_greeting(client, handshake, members[3].value.number);
    handshake->has_login = 1;
    handshake->stage = CODE_AWAITED;
    return CERTLESS_OK;
}

/* The character of the alphabet that `typed` means, or 0 (PROTOCOL §1.6.2). */
static char meant(char typed)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    char upper = typed;
    if (typed >= 'a' && typed <= 'z')
        upper = (char)(typed - 'a' + 'A');
    if (upper == 'O')
        return '0';
    if (upper == 'I' || upper == 'L')
        return '1';
    return upper != 0 && strchr(alphabet, upper) != NULL ? upper : 0;
}

static int read_code(const char *typed, char code[CODE_CHARS])
{
    size_t found = 0;
    for (size_t i = 0; typed[i] != 0; i++) {
        if ((unsigned char)typed[i] > 0x7f || i == MAX_TYPED_CHARS)
            return 0;
        if (!cl_is_letter_or_digit(typed[i]))
            continue;
        char c = meant(typed[i]);
        if (c == 0 || found == CODE_CHARS)
            return 0;
        code[found++] = c;
    }
    return found == CODE_CHARS;
}

static void put_share(cl_writer *writer, const certless_handshake *handshake)
{
    cl_put_map(writer, 2);
    cl_put_string(writer, "sid");
    cl_put_bytes(writer, handshake->id, 16);
    cl_put_string(writer, "pA");
    cl_put_bytes(writer, handshake->point, 65);
}

certless_error certless_enter_code(certless_client *client, const char *typed, uint8_t *out,
                                   size_t capacity, size_t *length)
{
    cl_writer size = {NULL, 0, 0}, writer = {out, capacity, 0};
    char code[CODE_CHARS];
    certless_error error = start(client, out, length);
    if (error != CERTLESS_OK || typed == NULL)
        return CERTLESS_BAD_ARGUMENT;
    certless_handshake *handshake = &client->handshake;
    if (!handshake->has_login)
        return CERTLESS_WRONG_ORDER;
    put_share(&size, handshake);
    *length = size.length;
    if (size.length > capacity)
        return CERTLESS_BUFFER_TOO_SMALL;
    if (!read_code(typed, code))
        return CERTLESS_NO_CODE;
    cl_code_scalar(code, client->config->username, handshake->id, handshake->server_nonce,
                   handshake->w);
    cl_wipe(code, sizeof code);
    handshake->stage = CODE_AWAITED;
    if (!draw_scalar(client, handshake->x))
        return CERTLESS_NO_ENTROPY;
    if (!cl_share(handshake->w, handshake->x, handshake->point))
        return CERTLESS_BAD_POINT;
    put_share(&writer, handshake);
    handshake->stage = SHARE_SENT;
    return CERTLESS_OK;
}

CL_OWN_FRAME static void hash_login(certless_handshake *handshake, const uint8_t *server_point)
{
    cl_fields fields;
    cl_begin(&fields, "certless/1 login");
    cl_add(&fields, handshake->greeting, 32);
    cl_add(&fields, handshake->point, 65);
    cl_add(&fields, server_point, 65);
    cl_add(&fields, NULL, 0);
    cl_add(&fields, NULL, 0);
    cl_hash(&fields, handshake->th);
}

/* Ke, cA and cB of a login, from the server's share. */
static certless_error agree_on_code(certless_client *client, uint8_t *in, size_t in_length)
{
    cl_member share = {.name = "pB", .kind = CL_BYTES, .least = 65, .most = 65};
    certless_handshake *handshake = &client->handshake;
    uint8_t k[65];
    if (!cl_members(in, in_length, &share, 1))
        return CERTLESS_MALFORMED;
    const uint8_t *point = share.value.bytes;
    if (memcmp(point, handshake->point, 65) == 0
        || !cl_agree(handshake->w, handshake->x, point, k))
        return CERTLESS_BAD_POINT;
    hash_login(handshake, point);
    const cl_spake spake = {"client:",        client->config->username,
                            "server:",        client->config->realm,
                            handshake->point, point,
                            k,                handshake->w};
    cl_confirmations(&spake, handshake->th, 32, handshake->shared, handshake->confirm_client,
                     handshake->confirm_server);
    handshake->shared_length = 16;
    cl_wipe(k, sizeof k);
    return CERTLESS_OK;
}

/* --- resumption --- */

static void put_resumption(cl_writer *writer, const certless_client *client)
{
    cl_put_map(writer, 6);
    cl_put_string(writer, "v");
    cl_put_number(writer, VERSION);
    cl_put_string(writer, "ticket");
    cl_put_bytes(writer, client->ticket, 16);
    cl_put_string(writer, "suite");
    cl_put_string(writer, SUITE);
    cl_put_string(writer, "fresh");
    cl_put_string(writer, fresh_name(client));
    cl_put_string(writer, "cn");
    cl_put_bytes(writer, client->handshake.greeting, 32);
    cl_put_string(writer, "eC");
    cl_put_bytes(writer, client->handshake.point, 65);
}

certless_error certless_begin_resumption(certless_client *client, uint8_t *out, size_t capacity,
                                         size_t *length)
{
    cl_writer size = {NULL, 0, 0}, writer = {out, capacity, 0};
    certless_error error = start(client, out, length);
    if (error != CERTLESS_OK)
        return error;
    if (!client->has_ticket)
        return CERTLESS_NO_TICKET;
    put_resumption(&size, client);
    *length = size.length;
    if (size.length > capacity)
        return CERTLESS_BUFFER_TOO_SMALL;
    certless_handshake *handshake = &client->handshake;
    cl_wipe(handshake, sizeof *handshake);
    if (!draw_scalar(client, handshake->x) || !draw(client, handshake->greeting, 32))
        return CERTLESS_NO_ENTROPY;
    certless_crypto_base(handshake->point, handshake->x);
    put_resumption(&writer, client);
    handshake->resumes = 1;
    handshake->stage = RESUMPTION_SENT;
    return CERTLESS_OK;
}

CL_OWN_FRAME static void hash_resumption(const certless_client *client,
                                         certless_handshake *handshake,
                                         const uint8_t *server_point)
{
    uint8_t version[2], fresh[1], suite[2];
    cl_fields fields;
    cl_store(version, VERSION, 2);
    cl_store(fresh, client->config->fresh, 1);
    cl_store(suite, SUITE_NUMBER, 2);
    cl_begin(&fields, "certless/1 resumption");
    cl_add(&fields, version, sizeof version);
    cl_add(&fields, client->ticket, 16);
    cl_add(&fields, suite, sizeof suite);
    cl_add(&fields, fresh, sizeof fresh);
    cl_add(&fields, handshake->greeting, 32);
    cl_add(&fields, handshake->point, 65);
    cl_add(&fields, handshake->id, 16);
    cl_add(&fields, handshake->server_nonce, 32);
    cl_add(&fields, server_point, 65);
    cl_add(&fields, client->config->username, strlen(client->config->username));
    cl_add(&fields, client->config->realm, strlen(client->config->realm));
    cl_add(&fields, NULL, 0);
    cl_add(&fields, NULL, 0);
    cl_hash(&fields, handshake->th);
}

/* Ke, cA and cB of a resumption, from the server's point. */
static certless_error agree_on_ticket(certless_client *client, uint8_t *in, size_t in_length)
{
    cl_member members[] = {{.name = "sid", .kind = CL_BYTES, .least = 16, .most = 16},
                           {.name = "sn", .kind = CL_BYTES, .least = 32, .most = 32},
                           {.name = "eS", .kind = CL_BYTES, .least = 65, .most = 65}};
    certless_handshake *handshake = &client->handshake;
    uint8_t agreed[65], prk[32];
    if (!cl_members(in, in_length, members, 3))
        return CERTLESS_MALFORMED;
    memcpy(handshake->id, members[0].value.bytes, 16);
    memcpy(handshake->server_nonce, members[1].value.bytes, 32);
    memcpy(agreed, members[2].value.bytes, 65);
    if (memcmp(agreed, handshake->point, 65) == 0
        || !certless_crypto_multiply(agreed, handshake->x))
        return CERTLESS_BAD_POINT;
    hash_resumption(client, handshake, members[2].value.bytes);
    const certless_piece ikm[2] = {{client->secret, 32}, {agreed + 1, 32}};
    cl_extract(handshake->th, 32, ikm, 2, prk);
    cl_expand_label(prk, "resumed", handshake->shared, 32);
    cl_expand_label(prk, "confirm c2s", handshake->confirm_client, 32);
    cl_expand_label(prk, "confirm s2c", handshake->confirm_server, 32);
    handshake->shared_length = 32;
    cl_wipe(agreed, sizeof agreed);
    cl_wipe(prk, sizeof prk);
    return CERTLESS_OK;
}

/* --- confirmation, alike in both --- */

static void put_confirmation(cl_writer *writer, const certless_handshake *handshake)
{
    cl_put_map(writer, 2);
    cl_put_string(writer, "sid");
    cl_put_bytes(writer, handshake->id, 16);
    cl_put_string(writer, "cA");
    cl_put_bytes(writer, handshake->confirm_client, 32);
}

certless_error certless_receive_share(certless_client *client, uint8_t *in, size_t in_length,
                                      uint8_t *out, size_t capacity, size_t *length)
{
    cl_writer size = {NULL, 0, 0}, writer = {out, capacity, 0};
    certless_error error = start(client, out, length);
    if (error != CERTLESS_OK || in == NULL)
        return CERTLESS_BAD_ARGUMENT;
    certless_handshake *handshake = &client->handshake;
    if (handshake->stage != SHARE_SENT && handshake->stage != RESUMPTION_SENT)
        return CERTLESS_WRONG_ORDER;
    put_confirmation(&size, handshake);
    *length = size.length;
    if (size.length > capacity)
        return CERTLESS_BUFFER_TOO_SMALL;
    handshake->stage = IDLE;
    error = handshake->resumes ? agree_on_ticket(client, in, in_length)
                               : agree_on_code(client, in, in_length);
    cl_wipe(handshake->x, sizeof handshake->x);
    cl_wipe(handshake->w, sizeof handshake->w);
    if (error != CERTLESS_OK)
        return error;
    put_confirmation(&writer, handshake);
    handshake->stage = CONFIRMATION_SENT;
    return CERTLESS_OK;
}

/* The contents of ServerBox. */
typedef struct terms {
    uint64_t time_ms, session_s;
    const uint8_t *ticket; /* NULL if none was granted */
} terms;

static certless_error open_box(const certless_handshake *handshake, uint8_t *box, size_t length,
                               terms *found)
{
    cl_member members[] = {
        {.name = "time_ms", .kind = CL_NUMBER, .most = CL_MAX_VALUE},
        {.name = "session_s", .kind = CL_NUMBER, .most = MAX_SESSION_S},
        {.name = "ticket", .kind = CL_BYTES, .is_optional = 1, .least = 16, .most = 16},
        {.name = "ticket_s", .kind = CL_NUMBER, .is_optional = 1, .most = MAX_U32}};
    uint8_t prk[32], block[44], aad[32];
    const certless_piece ikm = {handshake->shared, handshake->shared_length};
    cl_fields fields;
    if (length < CL_TAG_BYTES)
        return CERTLESS_BAD_SEAL;
    cl_begin(&fields, "certless/1 box s2c");
    cl_add(&fields, handshake->th, 32);
    cl_add(&fields, handshake->confirm_client, 32);
    cl_add(&fields, NULL, 0);
    cl_add(&fields, handshake->confirm_server, 32);
    cl_hash(&fields, aad);
    cl_extract(handshake->th, 32, &ikm, 1, prk);
    cl_expand_label(prk, "box s2c", block, sizeof block);
    size_t plain = length - CL_TAG_BYTES;
    int opened = certless_crypto_open(block, block + 32, aad, sizeof aad, box, plain, box + plain);
    cl_wipe(prk, sizeof prk);
    cl_wipe(block, sizeof block);
    if (!opened)
        return CERTLESS_BAD_SEAL;
    if (!cl_members(box, plain, members, 4) || members[2].is_present != members[3].is_present)
        return CERTLESS_MALFORMED;
    found->time_ms = members[0].value.number;
    found->session_s = members[1].value.number;
    found->ticket = members[2].is_present ? members[2].value.bytes : NULL;
    return CERTLESS_OK;
}

/* The keys of the session, and the secret of the next ticket (PROTOCOL §2.5.2). */
static void derive(const certless_handshake *handshake, const uint8_t *box, size_t box_length,
                   certless_session *session, uint8_t resume[32])
{
    uint8_t th2[32], prk[32];
    const certless_piece ikm = {handshake->shared, handshake->shared_length};
    cl_fields fields;
    cl_begin(&fields, "certless/1 session");
    cl_add(&fields, handshake->th, 32);
    cl_add(&fields, handshake->confirm_client, 32);
    cl_add(&fields, NULL, 0);
    cl_add(&fields, handshake->confirm_server, 32);
    cl_add(&fields, box, box_length);
    cl_hash(&fields, th2);
    cl_extract(th2, sizeof th2, &ikm, 1, prk);
    cl_expand_label(prk, "c2s", session->c2s, 32);
    cl_expand_label(prk, "s2c", session->s2c, 32);
    cl_expand_label(prk, "resume", resume, 32);
    cl_wipe(prk, sizeof prk);
}

/* The session and the ticket are stored, then used. */
static certless_error enrol(certless_client *client, uint64_t now_ms, const terms *granted,
                            certless_session *session, const uint8_t resume[32])
{
    memcpy(session->id, client->handshake.id, 16);
    session->is_open = 1;
    session->offset_ms = (int64_t)(granted->time_ms - now_ms);
    session->expires_ms = now_ms + 1000 * granted->session_s;
    session->epoch_started_ms = now_ms;
    session->reserved = CL_RESERVED_NUMBERS;
    certless_error error = cl_save(client, granted->ticket, resume, session);
    if (error != CERTLESS_OK)
        return error;
    client->has_ticket = granted->ticket != NULL;
    cl_wipe(client->ticket, sizeof client->ticket);
    cl_wipe(client->secret, sizeof client->secret);
    if (granted->ticket != NULL) {
        memcpy(client->ticket, granted->ticket, 16);
        memcpy(client->secret, resume, 32);
    }
    client->session = *session;
    client->pending.is_open = 0;
    cl_wipe(&client->handshake, sizeof client->handshake);
    return CERTLESS_OK;
}

certless_error certless_receive_confirmation(certless_client *client, uint64_t now_ms, uint8_t *in,
                                             size_t in_length)
{
    cl_member members[] = {{.name = "cB", .kind = CL_BYTES, .least = 32, .most = 32},
                           {.name = "box", .kind = CL_BYTES, .most = MAX_BOX_BYTES}};
    certless_session session = {.is_open = 0};
    uint8_t resume[32];
    terms granted;
    if (client == NULL || in == NULL || now_ms > CL_MAX_VALUE)
        return CERTLESS_BAD_ARGUMENT;
    certless_handshake *handshake = &client->handshake;
    if (handshake->stage != CONFIRMATION_SENT)
        return CERTLESS_WRONG_ORDER;
    handshake->stage = IDLE;
    if (!cl_members(in, in_length, members, 2))
        return CERTLESS_MALFORMED;
    if (!cl_equal(members[0].value.bytes, handshake->confirm_server, 32))
        return handshake->resumes ? CERTLESS_TICKET_REFUSED : CERTLESS_CODE_REFUSED;
    uint8_t *box = members[1].value.bytes;
    /* Before the box is decrypted in place, because the keys depend on its bytes as they came. */
    derive(handshake, box, members[1].value.length, &session, resume);
    certless_error error = open_box(handshake, box, members[1].value.length, &granted);
    if (error == CERTLESS_OK)
        error = enrol(client, now_ms, &granted, &session, resume);
    cl_wipe(&session, sizeof session);
    cl_wipe(resume, sizeof resume);
    return error;
}
