/*
 * Time passes ten times as fast: for tests of what is tried again after a pause. Linked by the dependency `fast_clock` of meson, which
 * lets the linker put this in the place of hv_clock_boot_ms() and of what sleeps: conditions, which are all of CLOCK_MONOTONIC here, and
 * nanosleep().
 */
#include <pthread.h>
#include <stdint.h>
#include <time.h>

enum { TIMES_FASTER = 10 };

int64_t __real_hv_clock_boot_ms(void);
int64_t __wrap_hv_clock_boot_ms(void);
int __real_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until);
int __real_nanosleep(const struct timespec *length, struct timespec *left);
int __wrap_nanosleep(const struct timespec *length, struct timespec *left);

int64_t
__wrap_hv_clock_boot_ms(void)
{
    return TIMES_FASTER * __real_hv_clock_boot_ms();
}

static int64_t
to_ns(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static struct timespec
from_ns(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

int
__wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t left = to_ns(until) - to_ns(&now);
    struct timespec sooner = from_ns(to_ns(&now) + (left > 0 ? left / TIMES_FASTER : left));
    return __real_pthread_cond_timedwait(cond, mutex, &sooner);
}

int
__wrap_nanosleep(const struct timespec *length, struct timespec *left)
{
    struct timespec shorter = from_ns(to_ns(length) / TIMES_FASTER);

    return __real_nanosleep(&shorter, left);
}
