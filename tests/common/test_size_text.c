#include "common/size_text.h"

#include <string.h>

#include "common/nearest.h"
#include "tests/harness/check_hv.h"

static const struct sample {
    int64_t bytes;
    const char *text;
} samples[] = {
    {0, "0"}, {1, "1"}, {1023, "1023"}, {1024, "1K"}, {1536, "1536"}, {8 << 20, "8M"}, {INT64_C(1) << 30, "1G"}, {INT64_C(4) << 40, "4T"},
    {INT64_C(1) << 50, "1024T"}, {INT64_MAX, "9223372036854775807"},
};

START_TEST(a_size_prints_in_the_largest_exact_unit_and_reads_back)
{
    hv_err err;
    int64_t bytes = -1;

    ck_assert_str_eq(hv_size_format(samples[_i].bytes).text, samples[_i].text);
    ck_hv_ok(hv_size_parse(samples[_i].text, &bytes, &err));
    ck_assert_int_eq(bytes, samples[_i].bytes);
}
END_TEST

static const char *const refused[] = {"", "K", "-1", "+1", " 1", "1 ", "1k", "1KB", "1Ki", "1.5M", "1m", "1P", "9223372036854775808", "8388608T",
                                      "99999999999999999999999", "1K1"};

START_TEST(what_is_no_size_is_refused_and_writes_nothing)
{
    hv_err err;
    int64_t bytes = 7;

    ck_hv_fails(HV_USAGE, hv_size_parse(refused[_i], &bytes, &err));
    ck_assert_int_eq(bytes, 7);
    ck_assert_ptr_nonnull(strstr(err.msg, refused[_i]));
}
END_TEST

static const struct rounded {
    uint64_t bytes;
    const char *text;
} rounded[] = {
    {0, "0 B"}, {1023, "1023 B"}, {1024, "1.0 KiB"}, {1536, "1.5 KiB"}, {99 << 10, "99.0 KiB"}, {102399, "99.9 KiB"}, {102400, "100 KiB"},
    {8 << 20, "8.0 MiB"}, {UINT64_C(1536) << 30, "1.5 TiB"}, {UINT64_MAX, "16777215 TiB"},
};

START_TEST(for_eyes_a_size_has_three_digits_or_so)
{
    ck_assert_str_eq(hv_size_round(rounded[_i].bytes).text, rounded[_i].text);
}
END_TEST

static const char *
word_at(const void *arg, size_t i)
{
    static const char *const words[] = {"segments", "status", "show", "run", "replay", NULL};

    (void)arg;
    return words[i];
}

START_TEST(the_nearest_word_is_found_by_few_changes_or_swapped_neighbours_and_none_if_all_are_far)
{
    ck_assert_str_eq(hv_nearest("segmnets", word_at, NULL), "segments");
    ck_assert_str_eq(hv_nearest("stats", word_at, NULL), "status");
    ck_assert_str_eq(hv_nearest("rum", word_at, NULL), "run");
    ck_assert_str_eq(hv_nearest("run", word_at, NULL), "run");
    ck_assert_str_eq(hv_nearest("rpelay", word_at, NULL), "replay");
    ck_assert_ptr_null(hv_nearest("frobnicate", word_at, NULL));
    ck_assert_ptr_null(hv_nearest("", word_at, NULL));
    ck_assert_ptr_null(hv_nearest("x", word_at, NULL));
    ck_assert_ptr_null(hv_nearest("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", word_at, NULL));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("size text");
    tcase_add_loop_test(tests, a_size_prints_in_the_largest_exact_unit_and_reads_back, 0, sizeof samples / sizeof *samples);
    tcase_add_loop_test(tests, what_is_no_size_is_refused_and_writes_nothing, 0, sizeof refused / sizeof *refused);
    tcase_add_loop_test(tests, for_eyes_a_size_has_three_digits_or_so, 0, sizeof rounded / sizeof *rounded);
    tcase_add_test(tests, the_nearest_word_is_found_by_few_changes_or_swapped_neighbours_and_none_if_all_are_far);
    return ck_hv_run("size text", tests);
}
