#include "cli/args.h"

#include <string.h>

#include "tests/harness/check_hv.h"

static const hv_flag global[] = {{.name = "--quiet", .help = ""}, {.name = NULL}};
static const hv_flag own[] = {
    {.name = "--from", .value = "TIME", .help = ""},
    {.name = "--count", .value = "NUMBER", .help = ""},
    {.name = "--partition", .value = "NUMBER", .help = "", .many = true},
    {.name = "--order", .value = "ORDER", .words = (const char *const[]){"offset", "time", "random", NULL}, .help = ""},
    {.name = NULL},
};

static hv_args *args;
static hv_err err;

static hv_rc
take(const char *const *words)
{
    const char *value;

    ck_hv_ok(hv_args_new(words, &args, &err));
    hv_args_declare(args, global);
    hv_args_declare(args, own);
    for (;;) {
        hv_rc rc = hv_args_next(args, &value, &err);
        if (rc != HV_OK || value == NULL)
            return rc;
        hv_args_keep(args, value);
    }
}
#define take(...) take((const char *const[]){__VA_ARGS__, NULL})

static void
setup(void)
{
    args = NULL;
}

static void
teardown(void)
{
    hv_args_free(args);
}

START_TEST(values_and_flags_stand_in_any_order)
{
    ck_hv_ok(take("a", "--from", "now", "b", "--quiet", "--partition=1", "c", "--partition", "2"));
    ck_assert_int_eq(hv_args_count(args), 3);
    ck_assert_str_eq(hv_args_value(args, 0), "a");
    ck_assert_str_eq(hv_args_value(args, 2), "c");
    ck_assert_ptr_null(hv_args_value(args, 3));
    ck_assert_str_eq(hv_args_text(args, "--from"), "now");
    ck_assert(hv_args_has(args, "--quiet"));
    ck_assert_str_eq(hv_args_each(args, "--partition", 0), "1");
    ck_assert_str_eq(hv_args_each(args, "--partition", 1), "2");
    ck_assert_ptr_null(hv_args_each(args, "--partition", 2));
}
END_TEST

START_TEST(two_dashes_end_the_flags_and_a_value_may_begin_with_one)
{
    ck_hv_ok(take("-", "--count", "-5", "--", "--from", "-x"));
    ck_assert_int_eq(hv_args_count(args), 3);
    ck_assert_str_eq(hv_args_value(args, 0), "-");
    ck_assert_str_eq(hv_args_value(args, 1), "--from");
    ck_assert_str_eq(hv_args_text(args, "--count"), "-5");
    ck_assert(!hv_args_has(args, "--from"));
}
END_TEST

START_TEST(a_flag_may_have_an_empty_value)
{
    ck_hv_ok(take("--from="));
    ck_assert_str_eq(hv_args_text(args, "--from"), "");
}
END_TEST

static const struct refused {
    const char *words[4], *says;
} refused[] = {
    {{"--form", "x"}, "unknown option '--form'; did you mean '--from'?"},
    {{"--zzzzzzzz"}, "unknown option '--zzzzzzzz'; --help lists what there is"},
    {{"--form=x"}, "unknown option '--form'; did you mean '--from'?"},
    {{"-f"}, "unknown option '-f'; options begin with two dashes, and --help lists them"},
    {{"--from"}, "--from needs a value: TIME"},
    {{"--quiet=yes"}, "--quiet takes no value"},
    {{"--quiet", "--quiet"}, "--quiet is given twice"},
    {{"--from=a", "--from=b"}, "--from is given twice"},
    {{"--order", "tmie"}, "--order takes offset, time or random, not 'tmie'; did you mean 'time'?"},
    {{"--order="}, "--order takes offset, time or random, not ''"},
};

START_TEST(what_no_table_declares_is_refused_in_one_line)
{
    hv_args *fresh = NULL;
    const char *value;

    ck_hv_ok(hv_args_new(refused[_i].words, &fresh, &err));
    args = fresh;
    hv_args_declare(args, global);
    hv_args_declare(args, own);
    hv_rc rc = HV_OK;
    while (rc == HV_OK)
        rc = hv_args_next(args, &value, &err);
    ck_assert_int_eq(rc, HV_USAGE);
    ck_assert_str_eq(err.msg, refused[_i].says);
}
END_TEST

static const char *const no_numbers[] = {"", "-", "x", "1x", " 1", "+1", "1.0", "101", "-1", "99999999999999999999", "0x1"};

START_TEST(a_number_outside_of_its_range_or_none_at_all_is_refused_by_flag_and_value)
{
    int64_t number = 7;

    ck_hv_ok(take("--count", no_numbers[_i]));
    ck_hv_fails(HV_USAGE, hv_args_number(args, "--count", 0, 100, &number, &err));
    ck_assert_int_eq(number, 7);
    ck_assert_ptr_nonnull(strstr(err.msg, "--count is a number from 0 to 100, not '"));
}
END_TEST

START_TEST(numbers_reach_both_ends_and_stay_as_they_are_without_the_flag)
{
    int64_t number = 7;

    ck_hv_ok(take("--count", "-9223372036854775808"));
    ck_hv_ok(hv_args_number(args, "--count", INT64_MIN, INT64_MAX, &number, &err));
    ck_assert(number == INT64_MIN);
    ck_hv_ok(hv_args_time(args, "--from", 0, &number, &err));
    ck_assert(number == INT64_MIN);
}
END_TEST

START_TEST(a_time_is_refused_with_the_name_of_its_flag)
{
    int64_t ms = 7;

    ck_hv_ok(take("--from", "yesterday"));
    ck_hv_fails(HV_USAGE, hv_args_time(args, "--from", 0, &ms, &err));
    ck_assert_int_eq(strncmp(err.msg, "--from: a time is written", 25), 0);
    ck_hv_fails(HV_USAGE, hv_args_duration(args, "--from", &ms, &err));
    ck_assert_int_eq(ms, 7);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("args");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, values_and_flags_stand_in_any_order);
    tcase_add_test(tests, two_dashes_end_the_flags_and_a_value_may_begin_with_one);
    tcase_add_test(tests, a_flag_may_have_an_empty_value);
    tcase_add_loop_test(tests, what_no_table_declares_is_refused_in_one_line, 0, sizeof refused / sizeof *refused);
    tcase_add_loop_test(tests, a_number_outside_of_its_range_or_none_at_all_is_refused_by_flag_and_value, 0,
                        sizeof no_numbers / sizeof *no_numbers);
    tcase_add_test(tests, numbers_reach_both_ends_and_stay_as_they_are_without_the_flag);
    tcase_add_test(tests, a_time_is_refused_with_the_name_of_its_flag);
    return ck_hv_run("args", tests);
}
