/*
 * The secret paths with secrets that valgrind knows as undefined. It then reports each branch and
 * each address that depends on a secret. What the protocol makes public is defined again.
 */
#include "certless_internal.h"

#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#define HIDE(data) VALGRIND_MAKE_MEM_UNDEFINED(&(data), sizeof(data))
#define SHOW(data) VALGRIND_MAKE_MEM_DEFINED(&(data), sizeof(data))

/* The linker puts these in front of the real ones: whether a result is valid is public. */
int __real_certless_crypto_combine(uint8_t *a, const uint8_t *x, const uint8_t *b, const uint8_t *y);
int __wrap_certless_crypto_combine(uint8_t *a, const uint8_t *x, const uint8_t *b, const uint8_t *y);
int __real_certless_crypto_multiply(uint8_t *point, const uint8_t *scalar);
int __wrap_certless_crypto_multiply(uint8_t *point, const uint8_t *scalar);
int __real_cl_equal(const uint8_t *a, const uint8_t *b, size_t length);
int __wrap_cl_equal(const uint8_t *a, const uint8_t *b, size_t length);

int __wrap_certless_crypto_combine(uint8_t *a, const uint8_t *x, const uint8_t *b, const uint8_t *y)
{
    int result = __real_certless_crypto_combine(a, x, b, y);
    SHOW(result);
    return result;
}

int __wrap_certless_crypto_multiply(uint8_t *point, const uint8_t *scalar)
{
    int result = __real_certless_crypto_multiply(point, scalar);
    SHOW(result);
    return result;
}

int __wrap_cl_equal(const uint8_t *a, const uint8_t *b, size_t length)
{
    int result = __real_cl_equal(a, b, length);
    SHOW(result);
    return result;
}

static int hidden_entropy(void *context, uint8_t *out, size_t length)
{
    (void)context;
    for (size_t i = 0; i < length; i++)
        out[i] = (uint8_t)(7 * i + length);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(out, length);
    return 0;
}

static int save(void *context, const uint8_t *state, size_t length)
{
    (void)context;
    (void)state;
    (void)length;
    return 0;
}

static const certless_config CONFIG = {"ada", "certless", CERTLESS_COUNTER, hidden_entropy, save, NULL};

/* A share that an honest server could send: 5 * G. */
static void server_share(uint8_t point[65])
{
    uint8_t five[32] = {0};
    five[31] = 5;
    certless_crypto_base(point, five);
}

static int login(certless_client *client)
{
    uint8_t out[CERTLESS_LOGIN_BYTES], in[200], point[65];
    cl_writer writer = {in, sizeof in, 0};
    size_t length;
    client->handshake.has_login = 1;
    /* The code is not hidden: a person types it. What is made of it is. */
    if (certless_enter_code(client, "7K3QWXYZ", out, sizeof out, &length) != CERTLESS_OK)
        return 0;
    HIDE(client->handshake.w);
    SHOW(client->handshake.point); /* it is sent */
    server_share(point);
    cl_put_map(&writer, 1);
    cl_put_string(&writer, "pB");
    cl_put_bytes(&writer, point, 65);
    return certless_receive_share(client, in, writer.length, out, sizeof out, &length) == CERTLESS_OK;
}

static int resumption(certless_client *client)
{
    uint8_t out[CERTLESS_LOGIN_BYTES], in[200], point[65];
    cl_writer writer = {in, sizeof in, 0};
    size_t length;
    client->has_ticket = 1;
    HIDE(client->secret);
    if (certless_begin_resumption(client, out, sizeof out, &length) != CERTLESS_OK)
        return 0;
    SHOW(client->handshake.point);
    server_share(point);
    cl_put_map(&writer, 3);
    cl_put_string(&writer, "sid");
    cl_put_bytes(&writer, point, 16);
    cl_put_string(&writer, "sn");
    cl_put_bytes(&writer, point, 32);
    cl_put_string(&writer, "eS");
    cl_put_bytes(&writer, point, 65);
    return certless_receive_share(client, in, writer.length, out, sizeof out, &length) == CERTLESS_OK;
}

/* A proof that is wrong in its last byte, compared with a secret. */
static int confirmation(certless_client *client)
{
    uint8_t in[200], proof[32] = {1};
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
    char body[64] = "secret";
    uint8_t out[400];
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

/* Opening ends in one comparison whose result is public: see constant_time.supp. */
static void opening(void)
{
    uint8_t key[32] = {1}, iv[12] = {2}, tag[16] = {3}, data[40] = {4};
    HIDE(key);
    HIDE(iv);
    (void)certless_crypto_open(key, iv, iv, 0, data, sizeof data, tag);
}

/* A branch on a secret, to show that valgrind would find one. */
static int control(void)
{
    uint8_t secret = 1;
    HIDE(secret);
    if (secret == 1)
        (void)printf("one\n");
    return 0;
}

int main(int count, char **given)
{
    certless_client client;
    if (count > 1 && strcmp(given[1], "control") == 0)
        return control();
    int done = certless_init(&client, &CONFIG) == CERTLESS_OK && login(&client)
            && certless_init(&client, &CONFIG) == CERTLESS_OK && resumption(&client)
            && confirmation(&client) && certless_init(&client, &CONFIG) == CERTLESS_OK
            && message(&client);
    opening();
    (void)printf(done ? "done\n" : "a step failed\n");
    return done ? 0 : 1;
}
