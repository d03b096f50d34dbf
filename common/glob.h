/*
 * Globs over names: `*` stands for any bytes, `?` for one byte, `[a-z_]` for one of these, `[!a-z]` or `[^a-z]` for one byte that
 * is none of them, every other byte for itself. There is no escape, names of hubs need none. A `[` that is never closed is itself.
 */
#ifndef HV_COMMON_GLOB_H
#define HV_COMMON_GLOB_H

#include "common/buf.h"

/* Time is at most text length times the square of pattern length, whatever the pattern. The text must not be null. */
bool hv_glob_match(hv_slice pattern, hv_slice text);

/* Whether one of them matches; false if there are none. */
bool hv_glob_match_any(const char *const *patterns, size_t count, const char *text);

/* Whether the pattern can match anything but itself. */
bool hv_glob_is_pattern(hv_slice pattern);

#endif
