/*
 * The secret paths with secrets that valgrind knows as undefined. It then reports each branch and
 * each address that depends on a secret. What the protocol makes public is defined again.
 */
#include <stdio.h>
#include <valgrind/memcheck.h>

#define HIDE_BYTES(data, length) (void)VALGRIND_MAKE_MEM_UNDEFINED(data, length)
#define HIDE(data) VALGRIND_MAKE_MEM_UNDEFINED(&(data), sizeof(data))
#define SHOW(data) VALGRIND_MAKE_MEM_DEFINED(&(data), sizeof(data))

#include "steps.h"

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
