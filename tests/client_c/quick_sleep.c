/* The sensor of the examples does not wait in a test: it says how long it would. */
#include <stdio.h>
#include <time.h>

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
    (void)left;
    (void)fprintf(stderr, "waits %ld ms\n", (long)wanted->tv_sec * 1000 + wanted->tv_nsec / 1000000);
    return 0;
}
