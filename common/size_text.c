/* Digits are read by hand: strtoll() would also take blanks, signs and the digits of the locale. */
#include "common/size_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char unit_letters[] = "KMGT";

hv_rc
hv_size_parse(const char *text, int64_t *ret, hv_err *err)
{
    const char *at = text;
    int64_t number = 0;
    bool fits = true;

    for (; *at >= '0' && *at <= '9'; at++)
        fits = fits && !__builtin_mul_overflow(number, 10, &number) && !__builtin_add_overflow(number, *at - '0', &number);
    const char *unit = *at != '\0' ? strchr(unit_letters, *at) : NULL;
    fits = fits && at > text && (unit != NULL ? at[1] == '\0' : *at == '\0');
    for (int i = unit != NULL ? (int)(unit - unit_letters) : -1; i >= 0 && fits; i--)
        fits = !__builtin_mul_overflow(number, 1024, &number);
    if (!fits)
        return hv_err_set(err, HV_USAGE, "a size is a number of bytes like 4096, 64K, 8M or 1G, not '%s'", text);
    *ret = number;
    return HV_OK;
}

hv_size_text
hv_size_format(int64_t bytes)
{
    hv_size_text ret;
    int unit = -1;

    while (bytes != 0 && bytes % 1024 == 0 && unit < 3) {
        bytes /= 1024;
        unit++;
    }
    (void)snprintf(ret.text, sizeof ret.text, "%" PRId64 "%.*s", bytes, unit < 0 ? 0 : 1, unit < 0 ? "" : &unit_letters[unit]);
    return ret;
}

hv_size_text
hv_size_round(uint64_t bytes)
{
    hv_size_text ret;
    uint64_t tenths = bytes;
    int unit = -1;

    if (bytes < 1024) {
        (void)snprintf(ret.text, sizeof ret.text, "%" PRIu64 " B", bytes);
        return ret;
    }
    /* Tenths of the unit, cut off, without a product that overflows. */
    while (tenths >= 1024 && unit < 3) {
        bytes = tenths;
        tenths /= 1024;
        unit++;
    }
    tenths = tenths * 10 + bytes % 1024 * 10 / 1024;
    if (tenths < 1000)
        (void)snprintf(ret.text, sizeof ret.text, "%" PRIu64 ".%" PRIu64 " %ciB", tenths / 10, tenths % 10, unit_letters[unit]);
    else
        (void)snprintf(ret.text, sizeof ret.text, "%" PRIu64 " %ciB", tenths / 10, unit_letters[unit]);
    return ret;
}
