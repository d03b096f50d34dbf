/*
 * Greedy with one way back: when a byte does not fit, the last '*' takes one byte more. An earlier '*' never has to be tried again,
 * because what stands before the last one has already matched as far to the left as it can.
 */
#include "common/glob.h"

static bool
negates(hv_slice pattern, size_t at)
{
    const char *p = pattern.data;

    return at + 1 < pattern.len && (p[at + 1] == '!' || p[at + 1] == '^');
}

/* Where the set that begins at `at` (its '[') has its ']'; 0 if it is never closed. A ']' that comes first belongs to the set. */
static size_t
end_of_set(hv_slice pattern, size_t at)
{
    const char *p = pattern.data;
    size_t end = at + (negates(pattern, at) ? 3 : 2);

    while (end < pattern.len && p[end] != ']')
        end++;
    return end < pattern.len ? end : 0;
}

static bool
in_set(hv_slice pattern, size_t at, size_t end, char c)
{
    const unsigned char *p = pattern.data;
    unsigned char wanted = (unsigned char)c;
    bool none_of = negates(pattern, at), found = false;

    for (at += none_of ? 2 : 1; at < end; at++) {
        unsigned char low = p[at], high = low;
        if (at + 2 < end && p[at + 1] == '-') {
            at += 2;
            high = p[at];
        }
        found |= wanted >= low && wanted <= high;
    }
    return found != none_of;
}

/* Where the pattern goes on when its element at `at`, not a '*', takes c; 0 if it does not take it. */
static size_t
take(hv_slice pattern, size_t at, char c)
{
    const char *p = pattern.data;
    size_t end = p[at] == '[' ? end_of_set(pattern, at) : 0;

    if (end != 0)
        return in_set(pattern, at, end, c) ? end + 1 : 0;
    return p[at] == '?' || p[at] == c ? at + 1 : 0;
}

bool
hv_glob_match(hv_slice pattern, hv_slice text)
{
    const char *p = pattern.data, *t = text.data;
    size_t at_p = 0, at_t = 0, star = SIZE_MAX, star_t = 0, next;

    while (at_t < text.len) {
        if (at_p < pattern.len && p[at_p] == '*') {
            star = ++at_p;
            star_t = at_t;
        } else if (at_p < pattern.len && (next = take(pattern, at_p, t[at_t])) != 0) {
            at_p = next;
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
hv_glob_match_any(const char *const *patterns, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (hv_glob_match(hv_slice_text(patterns[i]), hv_slice_text(text)))
            return true;
    return false;
}

bool
hv_glob_is_pattern(hv_slice pattern)
{
    const char *p = pattern.data;

    for (size_t i = 0; i < pattern.len; i++)
        if (p[i] == '*' || p[i] == '?' || (p[i] == '[' && end_of_set(pattern, i) != 0))
            return true;
    return false;
}
