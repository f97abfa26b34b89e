/*
 * What each step needs: bytes of stack, and instructions where the machine counts them itself, which
 * is in an image for QEMU. With the name of a step it runs this step alone, for callgrind.
 */
#define HIDE_BYTES(data, length)
#define HIDE(data)
#define SHOW(data)

#include "steps.h"

#include <stdio.h>

#define PAINTED 6144u
#define PAINT 0xa5u

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

/* --- instructions --- */

#ifdef __arm__

#define LOOPS 1000000u
#define MOST_TICKS 0xffffffu

/* The timer of the processor, which counts down. With -icount it follows the instructions. */
#define TIMER_CONTROL (*(volatile uint32_t *)0xe000e010u)
#define TIMER_RELOAD (*(volatile uint32_t *)0xe000e014u)
#define TIMER_VALUE (*(volatile uint32_t *)0xe000e018u)

static uint32_t ticks_of_loops;

static uint32_t count(void)
{
    return MOST_TICKS - TIMER_VALUE;
}

/* How many ticks two million instructions take. */
static void calibrate(void)
{
    uint32_t left = LOOPS;
    TIMER_RELOAD = MOST_TICKS;
    TIMER_VALUE = 0;
    TIMER_CONTROL = 5; /* on, at the clock of the processor */
    uint32_t began = count();
    __asm__ volatile(".syntax unified\n1: subs %0, %0, #1\n bne 1b" : "+l"(left) : : "cc");
    ticks_of_loops = (count() - began) & MOST_TICKS;
}

static unsigned long instructions_of(uint32_t counted)
{
    return (unsigned long)((uint64_t)(counted & MOST_TICKS) * 2 * LOOPS / ticks_of_loops);
}

#else

static uint32_t count(void)
{
    uint32_t counted = 0;
#ifdef __riscv
    /* With -icount it is exact. */
    __asm__ volatile(".option push\n.option arch, +zicsr\ncsrr %0, minstret\n.option pop" : "=r"(counted));
#endif
    return counted;
}

static void calibrate(void)
{
}

static unsigned long instructions_of(uint32_t counted)
{
    return counted;
}

#endif

/* --- stack --- */

/* Where the stack of main is. Below it, the stack is painted. */
static uintptr_t top;

static uintptr_t here(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}

/* Fill what is below the stack of this function. */
static __attribute__((noinline)) void paint(void)
{
    for (uintptr_t at = top - PAINTED; at < here() - 128; at++)
        *(volatile uint8_t *)at = PAINT;
}

/* 0 if the stack was longer than what was painted. */
static __attribute__((noinline)) size_t used(void)
{
    uintptr_t at = top - PAINTED;
    while (at < here() && *(const volatile uint8_t *)at == PAINT)
        at++;
    return at == top - PAINTED ? 0 : (size_t)(here() - at);
}

int measured(step *run);

/* callgrind counts in this function alone. */
__attribute__((noinline)) int measured(step *run)
{
    return run(&client);
}

static int measure(const char *name, step *run)
{
    if (!prepare(name))
        return 0;
    paint();
    uint32_t began = count();
    int done = measured(run);
    uint32_t counted = count() - began;
    size_t bytes = used();
    (void)printf("%s %u %lu\n", name, (unsigned)bytes, instructions_of(counted));
    return done && bytes > 0;
}

/* `only`: the step that runs, without a measurement. */
static int run_all(const char *only)
{
    server_share(); /* it is not a part of a step */
    calibrate();
    if (only == NULL)
        (void)printf("client %u 0\n", (unsigned)sizeof client);
    for (size_t i = 0; i < STEP_COUNT; i++) {
        if (only != NULL && strcmp(only, STEPS[i].name) != 0)
            continue;
        if (!(only == NULL ? measure(STEPS[i].name, STEPS[i].run)
                           : prepare(only) && measured(STEPS[i].run)))
            return 1;
    }
    return 0;
}

#ifdef __x86_64__

int main(int given, char **words)
{
    top = here();
    return run_all(given == 2 ? words[1] : NULL);
}

#else

int main(void)
{
    top = here();
    return run_all(NULL);
}

#endif
