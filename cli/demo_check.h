/* What the demo believes only after it has counted. */
#ifndef HV_CLI_DEMO_CHECK_H
#define HV_CLI_DEMO_CHECK_H

#include "common/buf.h"

typedef struct hv_demo_count {
    int64_t events, doubled;
} hv_demo_count;

/* Count JSON lines of a replay, and those whose (hub, partition, offset) was there before. */
hv_rc hv_demo_count_lines(hv_slice lines, hv_demo_count *ret, hv_err *err) HV_MUST_USE;

/* Segments below a folder. */
int64_t hv_demo_count_segments(const char *dir);

#endif
