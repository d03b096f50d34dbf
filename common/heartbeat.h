/*
 * Whether a thread still gets anywhere: it says when it begins or goes on with something, and when it waits for work that may never come.
 * Somebody else reads how long it has been silent. One relaxed store; nobody ever waits.
 */
#ifndef HV_COMMON_HEARTBEAT_H
#define HV_COMMON_HEARTBEAT_H

#include <stdatomic.h>

#include "common/clock.h"

/* All zero: at rest. Written by one thread, read by any. */
typedef struct hv_heart {
    _Atomic int64_t beat_boot_ms;       /* last sign of progress; 0: at rest */
} hv_heart;

static inline void
hv_heart_beat(hv_heart *heart)
{
    atomic_store_explicit(&heart->beat_boot_ms, hv_clock_boot_ms(), memory_order_relaxed);
}

/* Before waiting for work. */
static inline void
hv_heart_rest(hv_heart *heart)
{
    atomic_store_explicit(&heart->beat_boot_ms, 0, memory_order_relaxed);
}

/* Since the last sign of progress; 0 at rest. */
static inline int64_t
hv_heart_silent_ms(const hv_heart *heart, int64_t now_boot_ms)
{
    int64_t beat = atomic_load_explicit(&heart->beat_boot_ms, memory_order_relaxed);

    return beat == 0 || now_boot_ms < beat ? 0 : now_boot_ms - beat;
}

#endif
