#include "common/histogram.h"

#include <stddef.h>

/* From a local disk that answers at once to a service that takes a put's whole deadline. */
const int64_t hv_histogram_bounds_us[HV_HISTOGRAM_BOUNDS] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 15000000, 60000000, 120000000,
};

void
hv_histogram_add(hv_histogram *histogram, int64_t us)
{
    size_t at = 0;

    if (us < 0)
        us = 0;
    while (at < HV_HISTOGRAM_BOUNDS && us > hv_histogram_bounds_us[at])
        at++;
    atomic_fetch_add_explicit(&histogram->counts[at], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->sum_us, (uint64_t)us, memory_order_relaxed);
}

void
hv_histogram_read(const hv_histogram *histogram, hv_histogram_facts *ret)
{
    uint64_t sum = 0;

    for (size_t i = 0; i <= HV_HISTOGRAM_BOUNDS; i++) {
        sum += atomic_load_explicit(&histogram->counts[i], memory_order_relaxed);
        ret->cumulative[i] = sum;
    }
    ret->sum_us = atomic_load_explicit(&histogram->sum_us, memory_order_relaxed);
}
