/*
 * Points in time and lengths of time as people write them. Everything is UTC: the time zone of the machine has no influence.
 */
#ifndef HV_COMMON_TIME_TEXT_H
#define HV_COMMON_TIME_TEXT_H

#include <stdint.h>

#include "common/err.h"

typedef struct hv_time_text {
    char text[56];
} hv_time_text;

/* RFC 3339 with three digits of a second, "2026-11-24T09:00:00.000Z", of fixed width, so that text sorts like time. What lies outside
 * the years 0000 to 9999 prints as its milliseconds since 1970, "@253402300800000". hv_time_parse() reads both back, exactly. */
hv_time_text hv_time_format(int64_t ms);

/* Whether the RFC 3339 form exists. */
bool hv_time_has_date(int64_t ms);

/*
 * One of
 *   2026-11-24T09:00:00Z            RFC 3339: seconds and their fraction may be left out, 'T' may be a blank, the offset may be +02:00
 *   2026-11-24                      its first moment
 *   @1795510800000                  milliseconds since 1970, any sign
 *   now, now-2h
 * A fraction finer than a millisecond is cut off (towards the past). HV_USAGE otherwise, naming the value and what is accepted.
 */
hv_rc hv_time_parse(const char *text, int64_t now_ms, int64_t *ret, hv_err *err) HV_MUST_USE;

/* Digits and one unit: 500ms, 90s, 15m, 2h, 7d. HV_USAGE otherwise: also without a unit, since nobody can know what was meant. */
hv_rc hv_duration_parse(const char *text, int64_t *ret_ms, hv_err *err) HV_MUST_USE;

/* The largest unit that says it exactly, "90s", "15m"; hv_duration_parse() reads it back. ms is 0 or more. */
hv_time_text hv_duration_format(int64_t ms);

/* For eyes: two units at most, "3d 4h", "2h 14m", "59s"; rounds down. Negative ones have a '-' in front. */
hv_time_text hv_duration_round(int64_t ms);

#endif
