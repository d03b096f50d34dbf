/*
 * Globs over names: '*' stands for any bytes, '?' for one, every other byte for itself.
 */
#ifndef HV_COMMON_GLOB_H
#define HV_COMMON_GLOB_H

#include "common/buf.h"

/* Time is at most pattern length times text length, whatever the pattern. The text must not be null. */
bool hv_glob_match(hv_slice pattern, hv_slice text);

/* Whether the pattern can match anything but itself. */
bool hv_glob_is_pattern(hv_slice pattern);

#endif
