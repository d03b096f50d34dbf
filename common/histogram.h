/*
 * How long something takes: counts per bucket, as Prometheus wants them. Adding is two relaxed additions, from any thread.
 */
#ifndef HV_COMMON_HISTOGRAM_H
#define HV_COMMON_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { HV_HISTOGRAM_BOUNDS = 16 };

/* Upper bounds, inclusive; what is longer goes into the bucket behind the last. */
extern const int64_t hv_histogram_bounds_us[HV_HISTOGRAM_BOUNDS];

/* All zero: empty. */
typedef struct hv_histogram {
    _Atomic uint64_t counts[HV_HISTOGRAM_BOUNDS + 1];   /* not cumulative */
    _Atomic uint64_t sum_us;
} hv_histogram;

void hv_histogram_add(hv_histogram *histogram, int64_t us);

/* As it is now: `cumulative[i]` counts what is at most bound i, the last one everything. The sum may be of a moment later. */
typedef struct hv_histogram_facts {
    uint64_t cumulative[HV_HISTOGRAM_BOUNDS + 1];
    uint64_t sum_us;
} hv_histogram_facts;

void hv_histogram_read(const hv_histogram *histogram, hv_histogram_facts *ret);

#endif
