/* What every test file needs on top of Check. */
#ifndef HV_TESTS_HARNESS_CHECK_HV_H
#define HV_TESTS_HARNESS_CHECK_HV_H

#include <check.h>
#include <stdlib.h>

#include "common/err.h"

/* Both expect a local `hv_err err`. A failing test prints the line an operator would have seen. */
#define ck_hv_ok(call) \
    do { \
        hv_rc got_ = (call); \
        ck_assert_msg(got_ == HV_OK, "%s: %s: %s", #call, hv_rc_name(got_), err.msg); \
    } while (0)
#define ck_hv_fails(want, call) \
    do { \
        hv_rc got_ = (call); \
        ck_assert_msg(got_ == (want), "%s: wanted %s, got %s (%s)", #call, hv_rc_name(want), hv_rc_name(got_), \
                      got_ == HV_OK ? "" : err.msg); \
        ck_assert_msg(err.rc == got_ && err.msg[0] != '\0', "%s: no message", #call); \
    } while (0)

/* Runs one test case as a suite of its own; the exit status for main(). */
static inline int
ck_hv_run(const char *name, TCase *tests)
{
    Suite *suite = suite_create(name);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
