/*
 * What each step needs: bytes of stack and instructions, in an image for a Cortex-M in QEMU (make
 * machines); on another machine, one step, for callgrind: costs STEP.
 */
#define HIDE_BYTES(data, length)
#define HIDE(data)
#define SHOW(data)

#include "steps.h"

#include <stdio.h>

static certless_client client;

typedef int step(certless_client *);

static const struct {
    const char *name;
    step *run;
} STEPS[] = {{"login", login}, {"resumption", resumption}, {"confirmation", confirmation}, {"message", message}};

#define STEP_COUNT (sizeof STEPS / sizeof *STEPS)

/* A confirmation follows a resumption. The other steps begin anew. */
static int prepare(const char *name)
{
    return strcmp(name, "confirmation") == 0 ? resumption(&client)
                                             : certless_init(&client, &CONFIG) == CERTLESS_OK;
}

#ifdef __arm__

#define REGION 32768u
#define PAINT 0xa5u
#define LOOPS 1000000u
#define MOST_TICKS 0xffffffu

/* The timer of the processor, which counts down. With -icount it counts instructions. */
#define TIMER_CONTROL (*(volatile uint32_t *)0xe000e010u)
#define TIMER_RELOAD (*(volatile uint32_t *)0xe000e014u)
#define TIMER_VALUE (*(volatile uint32_t *)0xe000e018u)

extern uint8_t __stack[]; /* of cortex_m3.ld: the end of the stack's memory, where it begins */

static uint32_t ticks_of_loops;

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

/* How many ticks two million instructions take. */
static void calibrate(void)
{
    uint32_t left = LOOPS;
    TIMER_RELOAD = MOST_TICKS;
    TIMER_VALUE = 0;
    TIMER_CONTROL = 5; /* on, at the clock of the processor */
    uint32_t began = TIMER_VALUE;
    __asm__ volatile(".syntax unified\n1: subs %0, %0, #1\n bne 1b" : "+l"(left) : : "cc");
    ticks_of_loops = (began - TIMER_VALUE) & MOST_TICKS;
}

static int measure(const char *name, step *run)
{
    if (!prepare(name))
        return 0;
    paint();
    uint32_t began = TIMER_VALUE;
    int done = run(&client);
    uint32_t ticks = (began - TIMER_VALUE) & MOST_TICKS;
    size_t bytes = used();
    uint64_t instructions = (uint64_t)ticks * 2 * LOOPS / ticks_of_loops;
    (void)printf("%s %u %lu\n", name, (unsigned)bytes, (unsigned long)instructions);
    return done;
}

int main(void)
{
    uint8_t point[65];
    server_share(point); /* it is not a part of a step */
    calibrate();
    (void)printf("client %u 0\n", (unsigned)sizeof client);
    for (size_t i = 0; i < STEP_COUNT; i++)
        if (!measure(STEPS[i].name, STEPS[i].run))
            return 1;
    return 0;
}

#else

int measured(step *run);

/* callgrind counts in this function alone. */
__attribute__((noinline)) int measured(step *run)
{
    return run(&client);
}

int main(int count, char **given)
{
    uint8_t point[65];
    server_share(point);
    for (size_t i = 0; count == 2 && i < STEP_COUNT; i++)
        if (strcmp(STEPS[i].name, given[1]) == 0)
            return prepare(given[1]) && measured(STEPS[i].run) ? 0 : 1;
    return 2;
}

#endif
