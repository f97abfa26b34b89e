/*
 * A login, a resumption, a proof and a message without a server, up to what the client writes. The
 * file that includes this says with HIDE(data) and SHOW(data) what is secret.
 */
#include "certless_internal.h"

#include <string.h>

static int hidden_entropy(void *context, uint8_t *out, size_t length)
{
    (void)context;
    for (size_t i = 0; i < length; i++)
        out[i] = (uint8_t)(7 * i + length);
    HIDE_BYTES(out, length);
    return 0;
}

static int save(void *context, const uint8_t *state, size_t length)
{
    (void)context;
    (void)state;
    (void)length;
    return 0;
}

static const certless_config CONFIG = {"ada", "certless", CERTLESS_COUNTER, hidden_entropy, save, NULL, NULL};

/* For all steps, because a board with a Cortex-M0 has 16 KiB. */
static uint8_t out[CERTLESS_LOGIN_BYTES], in[200], server_point[65];

/* A share that an honest server could send: 5 * G. The first call makes it. */
static void server_share(void)
{
    static uint8_t made[65];
    uint8_t five[32] = {0};
    five[31] = 5;
    if (made[0] == 0)
        certless_crypto_base(made, five);
    memcpy(server_point, made, sizeof server_point);
}

static int login(certless_client *client)
{
    cl_writer writer = {in, sizeof in, 0};
    size_t length;
    client->handshake.has_login = 1;
    /* The code is not hidden: a person types it. What is made of it is. */
    if (certless_enter_code(client, "7K3QWXYZ", out, sizeof out, &length) != CERTLESS_OK)
        return 0;
    HIDE(client->handshake.w);
    SHOW(client->handshake.point); /* it is sent */
    server_share();
    cl_put_map(&writer, 1);
    cl_put_string(&writer, "pB");
    cl_put_bytes(&writer, server_point, 65);
    return certless_receive_share(client, in, writer.length, out, sizeof out, &length) == CERTLESS_OK;
}

static int resumption(certless_client *client)
{
    cl_writer writer = {in, sizeof in, 0};
    size_t length;
    client->has_ticket = 1;
    HIDE(client->secret);
    if (certless_begin_resumption(client, out, sizeof out, &length) != CERTLESS_OK)
        return 0;
    SHOW(client->handshake.point);
    server_share();
    cl_put_map(&writer, 3);
    cl_put_string(&writer, "sid");
    cl_put_bytes(&writer, server_point, 16);
    cl_put_string(&writer, "sn");
    cl_put_bytes(&writer, server_point, 32);
    cl_put_string(&writer, "eS");
    cl_put_bytes(&writer, server_point, 65);
    return certless_receive_share(client, in, writer.length, out, sizeof out, &length) == CERTLESS_OK;
}

/* A proof that is wrong in its last byte, compared with a secret. */
static int confirmation(certless_client *client)
{
    static const uint8_t proof[32] = {1};
    cl_writer writer = {in, sizeof in, 0};
    HIDE(client->handshake.confirm_server);
    client->handshake.stage = 5;
    cl_put_map(&writer, 2);
    cl_put_string(&writer, "cB");
    cl_put_bytes(&writer, proof, 32);
    cl_put_string(&writer, "box");
    cl_put_bytes(&writer, proof, 32);
    return certless_receive_confirmation(client, 1, in, writer.length) == CERTLESS_TICKET_REFUSED;
}

static int message(certless_client *client)
{
    static char body[256] = "secret";
    size_t length;
    const certless_request request = {"PUT", "/x", NULL, NULL, 0, body, sizeof body};
    client->session.is_open = 1;
    client->session.heard = client->session.next_epoch_due = 1;
    client->session.expires_ms = 10;
    HIDE(client->session.c2s);
    HIDE(client->session.s2c);
    HIDE(body);
    return certless_seal(client, 1, &request, out, sizeof out, &length) == CERTLESS_OK;
}
