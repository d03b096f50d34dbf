/*
 * The only place that asks the machine for the time.
 */
#ifndef HV_COMMON_CLOCK_H
#define HV_COMMON_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds since 1970 (CLOCK_REALTIME): for facts that people read. May jump both ways. */
int64_t hv_clock_wall_ms(void);

/* Milliseconds that also pass while the machine sleeps (CLOCK_BOOTTIME): for ages and deadlines. Never goes back. */
int64_t hv_clock_boot_ms(void);
/* The same clock in microseconds: for how long something took. */
int64_t hv_clock_boot_us(void);

/* Whether something (NTP) keeps CLOCK_REALTIME right, as far as the kernel knows. */
bool hv_clock_synchronised(void);

/* CPU time of this process so far, in microseconds. */
int64_t hv_clock_cpu_us(void);

#endif
