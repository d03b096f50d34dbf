/*
 * The n-th allocation of a whole capture fails, in whatever thread it happens, for n = 0, 1, 2 ... until a run needs fewer. A run to
 * the present either ends with HV_NOMEM or has sealed everything; a run that goes on gets over it by itself, and no partition stops.
 * Then a run with enough memory, and one more without the local disk, find each event exactly once.
 */
#include <stdio.h>

#include "tests/archiver/meetings.h"
#include "tests/harness/oom.h"

enum { PATIENT_MS = 600000 };           /* by a clock that is ten times as fast: a slow machine is not a failure */

static rig *r;
static late_store late;
static bool fired;
static long step = 23;                  /* OOM_STEP=1 in the environment: every one */

static void
setup(void)
{
    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
}

static void
teardown(void)
{
    (void)oom_end();
    free(r);
}

START_TEST(a_run_to_the_present_ends_without_memory_or_has_captured_everything)
{
    long n = 0;
    hv_err err;

    for (fired = true; fired; n++) {
        hv_storage *store = meeting_setup(r, (meeting)_i, &late);
        r->config.patience_ms = r->config.give_up_ms = PATIENT_MS;
        ck_assert_int_lt(n, 5000);
        oom_begin(OOM_ALL_THREADS, n, 1);
        hv_rc rc = rig_run_once(r, store, &err);
        fired = oom_end();
        ck_assert_msg(rc == HV_OK || (fired && rc == HV_NOMEM), "allocation %ld: %s: %s", n, hv_rc_name(rc), err.msg);
        if (rc == HV_OK)
            rig_check_all_captured(r);
        if (rc != HV_OK || n % 8 == 0)
            meeting_finish(r);
        rig_teardown(r);
    }
    ck_assert_int_gt(n, 100);           /* or the wrapping does not work, and nothing was tested */
}
END_TEST

static void
end_shortage(void)
{
    fired = oom_end();
}

/* Each `step`-th allocation in a run of its own. */
static void
run_on_with_failures(meeting which, void (*meanwhile)(rig *r))
{
    long n = 0;

    for (fired = true; fired; n += step) {
        char what[32];
        hv_storage *store = meeting_setup(r, which, &late);
        (void)snprintf(what, sizeof what, "allocation %ld", n);
        ck_assert_int_lt(n, 5000);
        oom_begin(OOM_OTHER_THREADS, n, 1);
        meeting_run_on(r, store, meanwhile, end_shortage, what);
        rig_teardown(r);
    }
    ck_assert_int_gt(n, 100);
}

START_TEST(a_capture_that_goes_on_gets_over_a_failed_allocation_by_itself)
{
    run_on_with_failures((meeting)_i, NULL);
}
END_TEST

static void
create_the_hub_again(rig *with)
{
    hv_scripted_hub(with->source, RIG_HUB, 2, "topic-2");
    rig_produce(with, 2, 0, 8);
    rig_produce(with, 2, 1, 2);
}

START_TEST(a_hub_created_again_is_captured_although_an_allocation_failed)
{
    run_on_with_failures(MEET_NEW_HUB, create_the_hub_again);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("capture without memory");

    scratch_dir_use_memory();
    if (getenv("OOM_STEP") != NULL)
        step = atol(getenv("OOM_STEP"));
    tcase_set_timeout(tests, 170);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_run_to_the_present_ends_without_memory_or_has_captured_everything, 0, MEETINGS);
    tcase_add_loop_test(tests, a_capture_that_goes_on_gets_over_a_failed_allocation_by_itself, 0, MEETINGS);
    tcase_add_test(tests, a_hub_created_again_is_captured_although_an_allocation_failed);
    return ck_hv_run("capture without memory", tests);
}
