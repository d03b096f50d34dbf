/* Digits are read by hand: strtoll() would also take blanks, signs and the digits of the locale. */
#include "common/size_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char unit_letters[] = "KMGT";
static const char *const short_units[] = {"", "K", "M", "G", "T"}, *const long_units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
enum { LARGEST = 4 };

/* Digits, then nothing or one unit letter. */
static bool
parse(const char *text, int64_t *ret)
{
    const char *at = text;
    int64_t number = 0;

    for (; *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *at - '0', &number))
            return false;
    if (at == text)
        return false;
    if (*at != '\0') {
        const char *unit = strchr(unit_letters, *at);
        if (unit == NULL || at[1] != '\0')
            return false;
        for (int64_t i = unit - unit_letters; i >= 0; i--)
            if (__builtin_mul_overflow(number, 1024, &number))
                return false;
    }
    *ret = number;
    return true;
}

hv_rc
hv_size_parse(const char *text, int64_t *ret, hv_err *err)
{
    if (parse(text, ret))
        return HV_OK;
    return hv_err_set(err, HV_USAGE, "a size is a number of bytes like 4096, 64K, 8M or 1G, not '%s'", text);
}

hv_size_text
hv_size_format(int64_t bytes)
{
    hv_size_text ret;
    int unit = 0;

    while (bytes != 0 && bytes % 1024 == 0 && unit < LARGEST) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(ret.text, sizeof ret.text, "%" PRId64 "%s", bytes, short_units[unit]);
    return ret;
}

hv_size_text
hv_size_round(uint64_t bytes)
{
    hv_size_text ret;
    uint64_t whole = bytes, below = 0;  /* in the unit, and the rest in the unit below it */
    int unit = 0;

    for (; whole >= 1024 && unit < LARGEST; unit++) {
        below = whole % 1024;
        whole /= 1024;
    }
    if (unit > 0 && whole < 100)
        (void)snprintf(ret.text, sizeof ret.text, "%" PRIu64 ".%" PRIu64 " %s", whole, below * 10 / 1024, long_units[unit]);
    else
        (void)snprintf(ret.text, sizeof ret.text, "%" PRIu64 " %s", whole, long_units[unit]);
    return ret;
}
