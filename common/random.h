/*
 * Random bytes of the system.
 */
#ifndef HV_COMMON_RANDOM_H
#define HV_COMMON_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

/* From getrandom(2). HV_IO if the system has none to give. Any thread. */
hv_rc hv_random_fill(void *to, size_t len, hv_err *err) HV_MUST_USE;

/* Around `ms`, give or take a quarter: so that many who wait for one thing do not come back at the same moment. */
int64_t hv_random_jitter(int64_t ms);

#endif
