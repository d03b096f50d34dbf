#include "common/clock.h"

#include <sys/timex.h>
#include <time.h>

static int64_t
read_clock(clockid_t id, int64_t units_per_second)
{
    struct timespec now;

    (void)clock_gettime(id, &now);      /* fails for an unknown id only */
    return (int64_t)now.tv_sec * units_per_second + now.tv_nsec / (1000000000 / units_per_second);
}

int64_t
hv_clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME, 1000);
}

int64_t
hv_clock_boot_ms(void)
{
    return read_clock(CLOCK_BOOTTIME, 1000);
}

int64_t
hv_clock_boot_us(void)
{
    return read_clock(CLOCK_BOOTTIME, 1000000);
}

int64_t
hv_clock_cpu_us(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID, 1000000);
}

bool
hv_clock_synchronised(void)
{
    struct timex clock = {.modes = 0};  /* only asks */

    return adjtimex(&clock) != TIME_ERROR && (clock.status & STA_UNSYNC) == 0;
}
