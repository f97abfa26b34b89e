/* Start-up of a Cortex-M in QEMU; input and output by semihosting. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern uint32_t __data_load__, __data_start__, __data_end__, __bss_start__, __bss_end__, __stack;
extern void initialise_monitor_handles(void);
extern int main(void);
void Reset_Handler(void);
void SysTick_Handler(void);

/* The interrupt of the timer. pump.c has its own. */
__attribute__((weak)) void SysTick_Handler(void)
{
}

/* The C library calls these; there is nothing to do. */
void _init(void);
void _fini(void);
void _init(void)
{
}
void _fini(void)
{
}

static void stop(void)
{
    for (;;) {
    }
}

/* The stack, and where to begin; then the faults, which stop. */
__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    &__stack, (const void *)Reset_Handler, (const void *)stop, (const void *)stop,
    (const void *)stop, (const void *)stop, (const void *)stop, 0, 0, 0, 0, (const void *)stop, (const void *)stop,
    0, (const void *)stop, (const void *)SysTick_Handler};

void Reset_Handler(void)
{
    memcpy(&__data_start__, &__data_load__, (size_t)((char *)&__data_end__ - (char *)&__data_start__));
    memset(&__bss_start__, 0, (size_t)((char *)&__bss_end__ - (char *)&__bss_start__));
    initialise_monitor_handles();
    exit(main());
}
