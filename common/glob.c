/*
 * Greedy with one way back: when a byte does not fit, the last '*' takes one byte more. An earlier '*' never has to be tried again,
 * because what stands before the last one has already matched as far to the left as it can.
 */
#include "common/glob.h"

bool
hv_glob_match(hv_slice pattern, hv_slice text)
{
    const char *p = pattern.data, *t = text.data;
    size_t at_p = 0, at_t = 0, star = SIZE_MAX, star_t = 0;

    while (at_t < text.len) {
        if (at_p < pattern.len && p[at_p] == '*') {
            star = ++at_p;
            star_t = at_t;
        } else if (at_p < pattern.len && (p[at_p] == '?' || p[at_p] == t[at_t])) {
            at_p++;
            at_t++;
        } else if (star != SIZE_MAX) {
            at_p = star;
            at_t = ++star_t;
        } else {
            return false;
        }
    }
    while (at_p < pattern.len && p[at_p] == '*')
        at_p++;
    return at_p == pattern.len;
}

bool
hv_glob_is_pattern(hv_slice pattern)
{
    return pattern.len > 0 && (memchr(pattern.data, '*', pattern.len) != NULL || memchr(pattern.data, '?', pattern.len) != NULL);
}
