/* What a hub may answer besides events, while a partition is being read or compared with what is archived: refusals, troubles, ends. */
#include <stdlib.h>

#include "tests/archiver/rig.h"

static rig *r;

static void
setup(void)
{
    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    rig_setup(r);
    hv_scripted_hub(r->source, RIG_HUB, 2, "");
}

static void
teardown(void)
{
    rig_teardown(r);
    free(r);
}

static void
run_ok(void)
{
    hv_err err;

    ck_hv_ok(rig_run_once(r, NULL, &err));
}

START_TEST(a_hub_that_may_not_be_read_ends_a_run_to_the_present)
{
    hv_err err;

    rig_produce(r, 1, 0, 30);
    hv_scripted_trouble(r->source, RIG_HUB, HV_SOURCE_REFUSED);
    ck_hv_fails(HV_AUTH, rig_run_once(r, NULL, &err));
    rig_check(r);
    run_ok();
    rig_check_all_captured(r);
}
END_TEST

START_TEST(a_service_reports_a_refusal_and_reads_on_when_it_may)
{
    hv_scripted_trouble(r->source, RIG_HUB, HV_SOURCE_REFUSED);
    hv_archiver *archiver = rig_begin(r, 50);
    rig_wait_report(r, HV_ARCHIVER_TROUBLE);
    rig_produce(r, 1, 0, 30);
    rig_wait_position(r, 1, 0, 30);
    rig_end(archiver);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_STOPPED], 0);
    rig_check_all_captured(r);
}
END_TEST

START_TEST(a_trouble_on_the_way_costs_no_event)
{
    rig_produce(r, 1, 0, 30);
    hv_scripted_trouble(r->source, RIG_HUB, HV_SOURCE_TROUBLE);
    run_ok();
    ck_assert_int_eq(r->reports[HV_ARCHIVER_TROUBLE], 1);
    rig_check_all_captured(r);
}
END_TEST

START_TEST(a_hub_created_again_that_ends_right_before_the_position_is_another_one)
{
    rig_produce(r, 1, 0, 100);
    run_ok();
    hv_scripted_delete(r->source, RIG_HUB);
    hv_scripted_hub(r->source, RIG_HUB, 2, "");
    rig_produce(r, 2, 0, 99);           /* where the last archived event is looked for, the log ends */
    run_ok();
    ck_assert_int_eq(r->reports[HV_ARCHIVER_INCARNATION], 1);
    ck_assert_int_eq(rig_position(r, 2, 0), 99);
    rig_check_all_captured(r);
}
END_TEST

START_TEST(a_last_event_that_was_compacted_away_says_nothing_about_the_hub)
{
    hv_scripted_policy(r->source, RIG_HUB, (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_COMPACT, .retention_ms = -1});
    rig_produce(r, 1, 0, 100);
    run_ok();
    hv_scripted_compact(r->source, RIG_HUB, 0, 99);
    run_ok();                           /* the log ends behind it */
    rig_produce(r, 1, 0, 20);
    run_ok();                           /* a later event comes in its place */
    ck_assert_int_eq(r->reports[HV_ARCHIVER_INCARNATION], 0);
    ck_assert_int_eq(rig_position(r, 1, 0), 120);
    rig_check_all_captured(r);
}
END_TEST

START_TEST(who_lies_outside_of_the_log_asks_until_somebody_tells_how_far_it_goes)
{
    rig_produce(r, 1, 0, 50);
    hv_archiver *archiver = rig_begin(r, 50);
    rig_wait_position(r, 1, 0, 50);
    hv_scripted_questions_fail(r->source, HV_UNAVAILABLE);
    r->reports[HV_ARCHIVER_TROUBLE] = 0;
    rig_produce(r, 1, 0, 100);
    hv_scripted_expire(r->source, RIG_HUB, 0, 150);
    rig_mark(r, 1, 0, 50, 150, 0);      /* read or expired: either is right */
    hv_scripted_trouble(r->source, RIG_HUB, HV_SOURCE_OUT_OF_RANGE);
    rig_wait_report(r, HV_ARCHIVER_TROUBLE);
    hv_scripted_questions_fail(r->source, HV_OK);
    rig_produce(r, 1, 0, 20);
    rig_wait_position(r, 1, 0, 170);
    rig_end(archiver);
    rig_check_all_captured(r);
}
END_TEST

START_TEST(a_hub_that_is_gone_when_it_is_asked_for_its_ends_is_gone)
{
    rig_produce(r, 1, 0, 50);
    hv_archiver *archiver = rig_begin(r, 50);
    rig_wait_position(r, 1, 0, 50);
    hv_scripted_questions_fail(r->source, HV_NOT_FOUND);
    hv_scripted_trouble(r->source, RIG_HUB, HV_SOURCE_OUT_OF_RANGE);
    rig_wait_report(r, HV_ARCHIVER_GONE);
    rig_end(archiver);
    rig_check(r);
    ck_assert_int_eq(rig_position(r, 1, 0), 50);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("capture, answers");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_hub_that_may_not_be_read_ends_a_run_to_the_present);
    tcase_add_test(tests, a_service_reports_a_refusal_and_reads_on_when_it_may);
    tcase_add_test(tests, a_trouble_on_the_way_costs_no_event);
    tcase_add_test(tests, a_hub_created_again_that_ends_right_before_the_position_is_another_one);
    tcase_add_test(tests, a_last_event_that_was_compacted_away_says_nothing_about_the_hub);
    tcase_add_test(tests, who_lies_outside_of_the_log_asks_until_somebody_tells_how_far_it_goes);
    tcase_add_test(tests, a_hub_that_is_gone_when_it_is_asked_for_its_ends_is_gone);
    return ck_hv_run("capture, answers", tests);
}
