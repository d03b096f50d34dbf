#include "common/time_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/harness/check_hv.h"

static const struct sample {
    int64_t ms;
    const char *text;
} samples[] = {
    {0, "1970-01-01T00:00:00.000Z"},
    {-1, "1969-12-31T23:59:59.999Z"},
    {1795510800000, "2026-11-24T09:00:00.000Z"},
    {951782400000, "2000-02-29T00:00:00.000Z"},
    {-2203891200000, "1900-03-01T00:00:00.000Z"},
    {-62167219200000, "0000-01-01T00:00:00.000Z"},
    {-62162035200001, "0000-02-29T23:59:59.999Z"},
    {253402300799999, "9999-12-31T23:59:59.999Z"},
    {253402300800000, "@253402300800000"},
    {-62167219200001, "@-62167219200001"},
    {INT64_MAX, "@9223372036854775807"},
    {INT64_MIN, "@-9223372036854775808"},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

START_TEST(every_number_of_milliseconds_has_one_text_and_the_text_reads_back_as_that_number)
{
    hv_err err;
    int64_t back = 1;

    ck_assert_str_eq(hv_time_format(samples[_i].ms).text, samples[_i].text);
    ck_hv_ok(hv_time_parse(samples[_i].text, 0, &back, &err));
    ck_assert_int_eq(back, samples[_i].ms);
}
END_TEST

/* gmtime_r() of this C library knows the years 0 to 9999; a prime step meets every kind of year and day. */
START_TEST(dates_are_those_of_the_c_library_over_ten_thousand_years)
{
    hv_err err;
    int64_t back;

    for (int64_t ms = -62167219200000; ms <= 253402300799999; ms += 7919 * 86399993LL) {
        time_t seconds = (time_t)((ms - (ms % 1000 + 1000) % 1000) / 1000);
        struct tm tm;
        char want[64];
        ck_assert_ptr_nonnull(gmtime_r(&seconds, &tm));
        snprintf(want, sizeof want, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                 tm.tm_sec);
        hv_time_text got = hv_time_format(ms);
        ck_assert_msg(strncmp(got.text, want, strlen(want)) == 0, "%" PRId64 ": %s, not %s", ms, got.text, want);
        ck_hv_ok(hv_time_parse(got.text, 0, &back, &err));
        ck_assert_int_eq(back, ms);
    }
}
END_TEST

static const struct sample accepted[] = {
    {1795510800000, "2026-11-24T09:00:00Z"},
    {1795510800000, "2026-11-24t09:00:00z"},
    {1795510800000, "2026-11-24 09:00:00Z"},
    {1795510800000, "2026-11-24T09:00Z"},
    {1795510800000, "2026-11-24T11:00:00+02:00"},
    {1795510800000, "2026-11-24T03:30:00-05:30"},
    {1795510800123, "2026-11-24T09:00:00.123Z"},
    {1795510800120, "2026-11-24T09:00:00.12Z"},
    {1795510800123, "2026-11-24T09:00:00.123999Z"},
    {-876, "1969-12-31T23:59:59.1249Z"},
    {1795478400000, "2026-11-24"},
    {1483228800000, "2016-12-31T23:59:60Z"},
    {1483228800000, "2017-01-01T00:59:60+01:00"},
    {-62167305600000 + 82800000, "0000-01-01T00:00:00+01:00"},
    {1000000, "now"},
    {1000000 - 90000, "now-90s"},
    {-42, "@-42"},
    {0, "@0"},
};
enum { ACCEPTED = sizeof accepted / sizeof *accepted };

START_TEST(each_accepted_form_of_a_time_means_what_the_header_says)
{
    hv_err err;
    int64_t ms = 7;

    ck_hv_ok(hv_time_parse(accepted[_i].text, 1000000, &ms, &err));
    ck_assert_int_eq(ms, accepted[_i].ms);
}
END_TEST

static const char *const refused[] = {
    "", " ", "yesterday", "2026", "2026-11", "2026-11-24T09:00:00", "2026-11-24T09Z", "2026-13-01", "2026-00-01", "2026-02-29",
    "1900-02-29", "2026-11-31", "2026-11-24T24:00:00Z", "2026-11-24T09:60:00Z", "2026-11-24T09:00:61Z", "2026-11-24T09:00:60Z",
    "2026-11-24T09:00:00.Z", "2026-11-24T09:00:00+2:00", "2026-11-24T09:00:00+24:00", "2026-11-24T09:00:00+02:60", "2026-11-24T09:00:00Zx",
    "2026-11-24T", "2026-11-24T09:00:00ZZ", "26-11-24", "2026-1-24", "2026/11/24", "+2026-11-24", "-2026-11-24", "@", "@-", "@+1", "@1x",
    "@9223372036854775808", "@-9223372036854775809", "@ 1", "1795510800000", "now-", "now-2", "now+2h", "nowish", "now -2h", "now--2h",
    "@99999999999999999999", "now-999999999999d"};
enum { REFUSED = sizeof refused / sizeof *refused };

START_TEST(what_is_no_time_is_refused_by_name_and_writes_nothing)
{
    hv_err err;
    int64_t ms = 7;

    ck_hv_fails(HV_USAGE, hv_time_parse(refused[_i], 1000000, &ms, &err));
    ck_assert_int_eq(ms, 7);
    ck_assert_ptr_nonnull(strstr(err.msg, refused[_i]));
}
END_TEST

START_TEST(now_less_a_duration_may_not_leave_the_range_of_time)
{
    hv_err err;
    int64_t ms = 7;

    ck_hv_fails(HV_USAGE, hv_time_parse("now-1d", INT64_MIN + 5, &ms, &err));
    ck_assert_int_eq(ms, 7);
}
END_TEST

static const struct sample durations[] = {
    {500, "500ms"}, {90000, "90s"}, {900000, "15m"}, {7200000, "2h"}, {604800000, "7d"}, {0, "0s"}, {1001, "1001ms"},
    {9223372036854775807, "9223372036854775807ms"},
};
enum { DURATIONS = sizeof durations / sizeof *durations };

START_TEST(a_duration_reads_and_prints_in_the_largest_exact_unit)
{
    hv_err err;
    int64_t ms = -1;

    ck_hv_ok(hv_duration_parse(durations[_i].text, &ms, &err));
    ck_assert_int_eq(ms, durations[_i].ms);
    ck_assert_str_eq(hv_duration_format(durations[_i].ms).text, durations[_i].text);
}
END_TEST

static const char *const no_durations[] = {"", "90", "s", "-1s", "+1s", "1 s", " 1s", "1S", "64M", "1h30m", "1.5h", "1w", "9223372036854775808ms",
                                           "106751991168d", "99999999999999999999s"};
enum { NO_DURATIONS = sizeof no_durations / sizeof *no_durations };

START_TEST(a_duration_without_or_with_a_wrong_unit_is_refused)
{
    hv_err err;
    int64_t ms = 7;

    ck_hv_fails(HV_USAGE, hv_duration_parse(no_durations[_i], &ms, &err));
    ck_assert_int_eq(ms, 7);
    ck_assert_ptr_nonnull(strstr(err.msg, no_durations[_i]));
}
END_TEST

static const struct sample rounded[] = {
    {0, "0ms"}, {999, "999ms"}, {59999, "59s"}, {60000, "1m"}, {61000, "1m 1s"}, {7200000, "2h"}, {8099999, "2h 14m"},
    {273600000, "3d 4h"}, {86400000 + 59000, "1d"}, {-90000, "-1m 30s"}, {INT64_MIN, "-106751991167d 7h"},
};
enum { ROUNDED = sizeof rounded / sizeof *rounded };

START_TEST(for_eyes_a_length_of_time_has_two_units_at_most)
{
    ck_assert_str_eq(hv_duration_round(rounded[_i].ms).text, rounded[_i].text);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("time text");
    tcase_add_loop_test(tests, every_number_of_milliseconds_has_one_text_and_the_text_reads_back_as_that_number, 0, SAMPLES);
    tcase_add_test(tests, dates_are_those_of_the_c_library_over_ten_thousand_years);
    tcase_add_loop_test(tests, each_accepted_form_of_a_time_means_what_the_header_says, 0, ACCEPTED);
    tcase_add_loop_test(tests, what_is_no_time_is_refused_by_name_and_writes_nothing, 0, REFUSED);
    tcase_add_test(tests, now_less_a_duration_may_not_leave_the_range_of_time);
    tcase_add_loop_test(tests, a_duration_reads_and_prints_in_the_largest_exact_unit, 0, DURATIONS);
    tcase_add_loop_test(tests, a_duration_without_or_with_a_wrong_unit_is_refused, 0, NO_DURATIONS);
    tcase_add_loop_test(tests, for_eyes_a_length_of_time_has_two_units_at_most, 0, ROUNDED);
    return ck_hv_run("time text", tests);
}
