/* How many bytes of stack each step needs, in an image for a Cortex-M3 (make machines). */
#define HIDE_BYTES(data, length)
#define HIDE(data)
#define SHOW(data)

#include "steps.h"

#include <stdio.h>

#define REGION 32768u
#define PAINT 0xa5u

extern uint8_t __stack[]; /* of cortex_m3.ld: the end of the stack's memory, where it begins */

static certless_client client;

static uintptr_t here(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}

/* Fill what is below the stack of this function. */
static __attribute__((noinline)) void paint(void)
{
    for (uintptr_t at = (uintptr_t)__stack - REGION; at < here() - 64; at++)
        *(volatile uint8_t *)at = PAINT;
}

static __attribute__((noinline)) size_t used(void)
{
    uintptr_t at = (uintptr_t)__stack - REGION;
    while (at < here() && *(const volatile uint8_t *)at == PAINT)
        at++;
    return (size_t)(here() - at);
}

static int measure(const char *name, int (*step)(certless_client *))
{
    paint();
    int done = step(&client);
    size_t bytes = used();
    (void)printf("%s %u\n", name, (unsigned)bytes);
    return done;
}

int main(void)
{
    (void)printf("client %u\n", (unsigned)sizeof client);
    int done = certless_init(&client, &CONFIG) == CERTLESS_OK && measure("login", login)
            && certless_init(&client, &CONFIG) == CERTLESS_OK && measure("resumption", resumption)
            && measure("confirmation", confirmation)
            && certless_init(&client, &CONFIG) == CERTLESS_OK && measure("message", message);
    return done ? 0 : 1;
}
