/*
 * Dates are counted in the proleptic Gregorian calendar, as RFC 3339 section 1 says, by arithmetic on days: timegm() and gmtime()
 * differ between systems outside of 1970..2038 and depend on what a time_t can hold.
 *
 * A year of this arithmetic begins in March, so that the leap day is its last day and the days before a month follow from one
 * formula (153 days in each five months). 400 years have 146097 days.
 */
#include "common/time_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define FIRST_DATE_MS INT64_C(-62167219200000)          /* 0000-01-01T00:00:00Z */
#define LAST_DATE_MS INT64_C(253402300799999)           /* 9999-12-31T23:59:59.999Z */

typedef struct civil_date {
    int64_t year, month, day;
} civil_date;

static int64_t
days_of(civil_date date)
{
    int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    int64_t from_march = (date.month + 9) % 12;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * from_march + 2) / 5 + date.day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

/* Inverse of days_of(), for the years 0 and later. */
static civil_date
date_of(int64_t days)
{
    int64_t since_march_0 = days + 719468 + 146097;     /* one era more, so that January and February of year 0 are not negative */
    int64_t era = since_march_0 / 146097, day_of_era = since_march_0 % 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t from_march = (5 * day_of_year + 2) / 153;
    civil_date date = {.year = (era - 1) * 400 + year_of_era, .month = (from_march + 2) % 12 + 1,
                       .day = day_of_year - (153 * from_march + 2) / 5 + 1};

    if (date.month <= 2)
        date.year++;
    return date;
}

bool
hv_time_has_date(int64_t ms)
{
    return ms >= FIRST_DATE_MS && ms <= LAST_DATE_MS;
}

/* By hand, because every replayed event prints a time. */
static char *
put_two(char *to, uint32_t number)
{
    to[0] = (char)('0' + number / 10);
    to[1] = (char)('0' + number % 10);
    return to + 2;
}

hv_time_text
hv_time_format(int64_t ms)
{
    hv_time_text ret;

    if (!hv_time_has_date(ms)) {
        (void)snprintf(ret.text, sizeof ret.text, "@%" PRId64, ms);
        return ret;
    }
    int64_t days = ms >= 0 ? ms / DAY_MS : -((DAY_MS - 1 - ms) / DAY_MS);
    uint32_t of_day = (uint32_t)(ms - days * DAY_MS), seconds = of_day / 1000;
    civil_date date = date_of(days);
    char *to = ret.text;
    to = put_two(to, (uint32_t)date.year / 100);
    to = put_two(to, (uint32_t)date.year % 100);
    *to++ = '-';
    to = put_two(to, (uint32_t)date.month);
    *to++ = '-';
    to = put_two(to, (uint32_t)date.day);
    *to++ = 'T';
    to = put_two(to, seconds / 3600);
    *to++ = ':';
    to = put_two(to, seconds / 60 % 60);
    *to++ = ':';
    to = put_two(to, seconds % 60);
    *to++ = '.';
    to = put_two(to, of_day % 1000 / 10);
    *to++ = (char)('0' + of_day % 10);
    *to++ = 'Z';
    *to = '\0';
    return ret;
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Exactly `width` digits, from 0 or 1 up to max. Moves *at behind them. */
static bool
take_number(const char **at, int width, int64_t min, int64_t max, int64_t *ret)
{
    int64_t number = 0;

    for (int i = 0; i < width; i++) {
        if (!is_digit((*at)[i]))
            return false;
        number = number * 10 + ((*at)[i] - '0');
    }
    if (number < min || number > max)
        return false;
    *at += width;
    *ret = number;
    return true;
}

static bool
take_char(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    ++*at;
    return true;
}

static int64_t
days_in_month(civil_date date)
{
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = date.year % 4 == 0 && (date.year % 100 != 0 || date.year % 400 == 0);

    return date.month == 2 && leap ? 29 : days[date.month - 1];
}

static bool
take_date(const char **at, int64_t *ms)
{
    civil_date date;

    if (!take_number(at, 4, 0, 9999, &date.year) || !take_char(at, '-') || !take_number(at, 2, 1, 12, &date.month) ||
        !take_char(at, '-') || !take_number(at, 2, 1, days_in_month(date), &date.day))
        return false;
    *ms = days_of(date) * DAY_MS;
    return true;
}

/* ".123456" as whole milliseconds; nothing there is 0. */
static bool
take_fraction(const char **at, int64_t *ms)
{
    int64_t unit = 100;

    *ms = 0;
    if (!take_char(at, '.'))
        return true;
    if (!is_digit(**at))
        return false;
    for (; is_digit(**at); ++*at, unit /= 10)
        *ms += (**at - '0') * unit;
    return true;
}

static bool
take_offset(const char **at, int64_t *ms)
{
    int64_t hours, minutes, sign = **at == '-' ? -1 : 1;

    *ms = 0;
    if (take_char(at, 'Z') || take_char(at, 'z'))
        return true;
    if (!take_char(at, '+') && !take_char(at, '-'))
        return false;
    if (!take_number(at, 2, 0, 23, &hours) || !take_char(at, ':') || !take_number(at, 2, 0, 59, &minutes))
        return false;
    *ms = sign * (hours * 60 + minutes) * 60000;
    return true;
}

/* A second 60 is the leap second of RFC 3339 section 5.6: only the last minute of a UTC day has one. POSIX counts it as the second
 * that follows. */
static bool
take_time_of_day(const char **at, int64_t *ms)
{
    int64_t hour, minute, second = 0, fraction = 0, offset;

    if (!take_number(at, 2, 0, 23, &hour) || !take_char(at, ':') || !take_number(at, 2, 0, 59, &minute))
        return false;
    if (take_char(at, ':') && (!take_number(at, 2, 0, 60, &second) || !take_fraction(at, &fraction)))
        return false;
    if (!take_offset(at, &offset))
        return false;
    int64_t whole = ((hour * 60 + minute) * 60 + second) * 1000 - offset;
    if (second == 60 && whole % DAY_MS != 0)
        return false;
    *ms = whole + fraction;
    return true;
}

static bool
parse_absolute(const char *text, int64_t *ret)
{
    const char *at = text;
    int64_t day, of_day = 0;

    if (!take_date(&at, &day))
        return false;
    if (*at != '\0') {
        if (!take_char(&at, 'T') && !take_char(&at, 't') && !take_char(&at, ' '))
            return false;
        if (!take_time_of_day(&at, &of_day) || *at != '\0')
            return false;
    }
    *ret = day + of_day;
    return true;
}

/* Digits up to the first other character; false if there are none or too many. */
static bool
take_digits(const char **at, uint64_t max, uint64_t *ret)
{
    uint64_t number = 0;

    if (!is_digit(**at))
        return false;
    for (; is_digit(**at); ++*at) {
        unsigned digit = (unsigned)(**at - '0');
        if (number > (max - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *ret = number;
    return true;
}

/* What stands behind the '@'. */
static bool
parse_milliseconds(const char *text, int64_t *ret)
{
    bool negative = *text == '-';
    const char *at = negative ? text + 1 : text;
    uint64_t number;

    if (!take_digits(&at, (uint64_t)INT64_MAX + (negative ? 1 : 0), &number) || *at != '\0')
        return false;
    *ret = negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}

hv_rc
hv_time_parse(const char *text, int64_t now_ms, int64_t *ret, hv_err *err)
{
    int64_t back = 0, then;

    if (strncmp(text, "now", 3) == 0 && (text[3] == '\0' || text[3] == '-')) {
        if (text[3] == '-' && hv_duration_parse(text + 4, &back, err) != HV_OK)
            return hv_err_prefix(err, "'%s'", text);
        if (__builtin_sub_overflow(now_ms, back, &then))
            return hv_err_set(err, HV_USAGE, "'%s' lies before all time", text);
        *ret = then;
        return HV_OK;
    }
    if (text[0] == '@' ? parse_milliseconds(text + 1, ret) : parse_absolute(text, ret))
        return HV_OK;
    return hv_err_set(err, HV_USAGE, "a time is written 2026-11-24T09:00:00Z (or +01:00 for Z), 2026-11-24, @milliseconds, now or "
                      "now-2h, not '%s'", text);
}

static const struct duration_unit {
    const char *name;
    int64_t ms;
} units[] = {{"d", DAY_MS}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
enum { UNITS = sizeof units / sizeof *units };

hv_rc
hv_duration_parse(const char *text, int64_t *ret_ms, hv_err *err)
{
    const char *at = text;
    uint64_t number;

    if (take_digits(&at, INT64_MAX, &number))
        for (int i = 0; i < UNITS; i++)
            if (strcmp(at, units[i].name) == 0 && number <= (uint64_t)(INT64_MAX / units[i].ms)) {
                *ret_ms = (int64_t)number * units[i].ms;
                return HV_OK;
            }
    return hv_err_set(err, HV_USAGE, "a length of time is a number and a unit like 500ms, 90s, 15m, 2h or 7d, not '%s'", text);
}

hv_time_text
hv_duration_format(int64_t ms)
{
    hv_time_text ret;
    int unit = 0;

    if (ms == 0)
        unit = UNITS - 2;               /* "0s" */
    while (ms % units[unit].ms != 0)
        unit++;
    (void)snprintf(ret.text, sizeof ret.text, "%" PRId64 "%s", ms / units[unit].ms, units[unit].name);
    return ret;
}

hv_time_text
hv_duration_round(int64_t ms)
{
    hv_time_text ret;
    const char *sign = ms < 0 ? "-" : "";
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    int unit = 0;

    while (unit < UNITS - 1 && left < (uint64_t)units[unit].ms)
        unit++;
    uint64_t whole = left / (uint64_t)units[unit].ms, rest = left % (uint64_t)units[unit].ms;
    bool two = unit < 3 && rest / (uint64_t)units[unit + 1].ms > 0;
    if (two)
        (void)snprintf(ret.text, sizeof ret.text, "%s%" PRIu64 "%s %" PRIu64 "%s", sign, whole, units[unit].name,
                       rest / (uint64_t)units[unit + 1].ms, units[unit + 1].name);
    else
        (void)snprintf(ret.text, sizeof ret.text, "%s%" PRIu64 "%s", sign, whole, units[unit].name);
    return ret;
}
