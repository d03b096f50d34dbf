#include <string.h>

#include "common/err.h"
#include "tests/harness/check_hv.h"

START_TEST(a_failure_carries_its_code_and_its_text)
{
    hv_err err;

    ck_assert_int_eq(hv_err_set(&err, HV_USAGE, "'%s' takes %d to %d", "x", 1, 9), HV_USAGE);
    ck_assert_int_eq(err.rc, HV_USAGE);
    ck_assert_str_eq(err.msg, "'x' takes 1 to 9");
}
END_TEST

START_TEST(a_prefix_stands_before_what_was_there_and_keeps_the_code)
{
    hv_err err;

    (void)hv_err_set(&err, HV_IO, "disk is gone");
    ck_assert_int_eq(hv_err_prefix(&err, "put '%s'", "a"), HV_IO);
    ck_assert_int_eq(hv_err_prefix(&err, "partition %d", 3), HV_IO);
    ck_assert_str_eq(err.msg, "partition 3: put 'a': disk is gone");
    ck_assert_int_eq(err.rc, HV_IO);
}
END_TEST

START_TEST(a_text_that_is_too_long_is_cut_off_and_ended)
{
    hv_err err;
    char text[3000];

    memset(text, 't', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    (void)hv_err_set(&err, HV_IO, "%s", text);
    ck_assert_uint_eq(strlen(err.msg), sizeof err.msg - 1);

    for (size_t len = 0; len < sizeof text; len += 7) {     /* prefixes that leave room for the colon, a part of it, nothing */
        (void)hv_err_set(&err, HV_IO, "below");
        (void)hv_err_prefix(&err, "%.*s", (int)len, text);
        ck_assert_uint_lt(strlen(err.msg), sizeof err.msg);
        ck_assert(strncmp(err.msg, text, len < sizeof err.msg ? len : sizeof err.msg - 1) == 0);
        ck_assert(len + 7 >= sizeof err.msg || strcmp(err.msg + len, ": below") == 0);
    }
    (void)hv_err_set(&err, HV_IO, "%s", text);
    (void)hv_err_prefix(&err, "new");
    ck_assert(strncmp(err.msg, "new: ttt", 8) == 0);
    ck_assert_uint_eq(strlen(err.msg), sizeof err.msg - 1);
}
END_TEST

/* Scripts depend on them: they are part of the manual. */
START_TEST(exit_statuses_stay_and_differ)
{
    static const int statuses[] = {
        [HV_OK] = 0,      [HV_INTERNAL] = 1, [HV_USAGE] = 2,       [HV_NOT_FOUND] = 3, [HV_EXISTS] = 4, [HV_POLICY] = 5,
        [HV_CORRUPT] = 6, [HV_AUTH] = 7,     [HV_UNAVAILABLE] = 8, [HV_LIMIT] = 9,     [HV_NOMEM] = 10, [HV_IO] = 11,
        [HV_CLOSED] = 12, [HV_BUSY] = 13,    [HV_VERSION] = 14,    [HV_GAP] = 15,
    };

    for (unsigned rc = 0; rc < sizeof statuses / sizeof *statuses; rc++)
        ck_assert_int_eq(hv_rc_exit_status((hv_rc)rc), statuses[rc]);
}
END_TEST

START_TEST(only_what_may_work_when_repeated_is_retriable)
{
    for (unsigned rc = HV_OK; rc <= HV_GAP; rc++)
        ck_assert_msg(hv_rc_retriable((hv_rc)rc) == (rc == HV_UNAVAILABLE || rc == HV_IO), "%s", hv_rc_name((hv_rc)rc));
}
END_TEST

START_TEST(every_code_has_a_name_and_a_meaning)
{
    for (unsigned rc = HV_OK; rc <= HV_GAP; rc++) {
        ck_assert_uint_gt(strlen(hv_rc_name((hv_rc)rc)), 1);
        ck_assert_uint_gt(strlen(hv_rc_meaning((hv_rc)rc)), 4);
    }
    ck_assert_str_eq(hv_rc_name(HV_NOT_FOUND), "NOT_FOUND");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("err");
    tcase_add_test(tests, a_failure_carries_its_code_and_its_text);
    tcase_add_test(tests, a_prefix_stands_before_what_was_there_and_keeps_the_code);
    tcase_add_test(tests, a_text_that_is_too_long_is_cut_off_and_ended);
    tcase_add_test(tests, exit_statuses_stay_and_differ);
    tcase_add_test(tests, only_what_may_work_when_repeated_is_retriable);
    tcase_add_test(tests, every_code_has_a_name_and_a_meaning);
    return ck_hv_run("err", tests);
}
