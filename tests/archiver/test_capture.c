/* What capture makes of what hubs do: gaps, incarnations, classes, restarts. */
#include <stdio.h>
#include <unistd.h>

#include "tests/archiver/rig.h"

static rig *r;

static void
setup(void)
{
    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    rig_setup(r);
    hv_scripted_hub(r->source, RIG_HUB, 2, "");
    hv_scripted_policy(r->source, RIG_HUB, (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_DELETE, .retention_ms = -1});
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

START_TEST(every_event_of_every_partition_is_captured_once_and_unchanged)
{
    rig_produce(r, 1, 0, 5000);
    rig_produce(r, 1, 1, 300);
    run_ok();
    rig_check_all_captured(r);
}
END_TEST

START_TEST(running_again_without_news_changes_nothing)
{
    rig_produce(r, 1, 0, 500);
    run_ok();
    int sealed = r->reports[HV_ARCHIVER_SEALED];
    run_ok();
    run_ok();
    ck_assert_int_eq(r->reports[HV_ARCHIVER_SEALED], sealed);
    rig_check_all_captured(r);
}
END_TEST

START_TEST(a_later_run_goes_on_where_the_first_one_ended)
{
    for (int i = 1; i < 6; i++) {
        rig_produce(r, 1, 0, 111 * i);
        rig_produce(r, 1, 1, 10);
        run_ok();
        rig_reopen_index(r);
    }
    rig_check_all_captured(r);
}
END_TEST

START_TEST(an_empty_hub_and_an_empty_namespace_end_at_once)
{
    run_ok();
    hv_scripted_delete(r->source, RIG_HUB);
    run_ok();
    ck_assert_int_eq(r->reports[HV_ARCHIVER_SEALED], 0);
}
END_TEST

START_TEST(control_records_become_transaction_gaps_of_the_cut_that_follows)
{
    rig_produce(r, 1, 0, 10);
    rig_skip(r, 1, 0, 1, 'x');
    rig_produce(r, 1, 0, 10);
    rig_skip(r, 1, 0, 5, 'x');
    run_ok();
    ck_assert_int_eq(rig_position(r, 1, 0), 21);        /* a cut ends behind its last event */
    rig_produce(r, 1, 0, 1);
    run_ok();
    rig_check_all_captured(r);
    ck_assert_int_eq(rig_position(r, 1, 0), 27);
}
END_TEST

/* ---- a hole is believed when it was seen twice ---- */

START_TEST(an_event_that_the_client_passes_over_is_captured_all_the_same_and_told)
{
    static const int64_t passed_over[] = {0, 13, 19};       /* the first, one in the middle, and the last, behind which comes the end */

    rig_produce(r, 1, 0, 20);
    hv_scripted_overlook(r->source, RIG_HUB, 0, passed_over[_i], 0, 1);
    run_ok();
    rig_check_all_captured(r);
    ck_assert_int_eq(rig_position(r, 1, 0), 20);
    char text[40];
    (void)snprintf(text, sizeof text, "offset %d was passed over", (int)passed_over[_i]);
    ck_assert(rig_has_said(r, text));
}
END_TEST

START_TEST(an_event_that_is_passed_over_beside_a_true_hole_is_found_too)
{
    rig_produce(r, 1, 0, 100);
    run_ok();
    for (int i = 0; i < 20; i++) {
        rig_skip(r, 1, 0, 1, 'x');
        rig_produce(r, 1, 0, 2);
        hv_scripted_overlook(r->source, RIG_HUB, 0, 100 + 3 * i + 1, 0, 1);
        run_ok();
        rig_check_all_captured(r);
    }
}
END_TEST

static const hv_source_ops *real_ops;
static int assignments;

static hv_rc
count_assignments(hv_source *source, const hv_source_assignment *wanted, size_t count, hv_err *err)
{
    assignments++;
    return real_ops->assign(source, wanted, count, err);
}

START_TEST(an_event_that_the_first_look_has_shown_is_not_lost_by_the_second)
{
    rig_produce(r, 1, 0, 10);
    rig_skip(r, 1, 0, 1, 'x');
    rig_produce(r, 1, 0, 5);
    hv_scripted_overlook(r->source, RIG_HUB, 0, 11, 1, 1);  /* it was what made the hole known */
    run_ok();
    rig_check_all_captured(r);
}
END_TEST

START_TEST(holes_that_are_usual_are_not_all_read_again)
{
    enum { HOLES = 1000 };
    static hv_source_ops ops;

    for (int i = 0; i < HOLES; i++) {
        rig_produce(r, 1, 0, 1);
        rig_skip(r, 1, 0, 1, 'x');
    }
    rig_produce(r, 1, 0, 1);
    real_ops = r->source->ops;
    ops = *real_ops;
    ops.assign = count_assignments;
    r->source->ops = &ops;
    assignments = 0;
    run_ok();
    r->source->ops = real_ops;
    rig_check_all_captured(r);
    ck_assert_int_ge(assignments, 1 + 4 + HOLES / 256 - 1);
    ck_assert_int_le(assignments, 1 + 4 + HOLES / 256 + 1);
}
END_TEST

START_TEST(holes_of_a_compacted_hub_become_compaction_gaps)
{
    hv_scripted_policy(r->source, RIG_HUB, (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_COMPACT, .retention_ms = -1});
    rig_produce(r, 1, 0, 50);
    for (int64_t o = 3; o < 40; o += 4) {
        hv_scripted_compact(r->source, RIG_HUB, 0, o);
        rig_mark(r, 1, 0, o, o + 1, 'c');
    }
    run_ok();
    rig_check_all_captured(r);
}
END_TEST

START_TEST(events_expired_before_the_first_run_become_a_retention_gap_from_offset_0)
{
    rig_produce(r, 1, 0, 100);
    hv_scripted_expire(r->source, RIG_HUB, 0, 60);
    rig_mark(r, 1, 0, 0, 60, 'r');
    run_ok();
    rig_check_all_captured(r);
    ck_assert_int_ge(r->reports[HV_ARCHIVER_GAP], 1);
}
END_TEST

START_TEST(events_expired_between_two_runs_become_a_retention_gap)
{
    rig_produce(r, 1, 0, 100);
    run_ok();
    rig_produce(r, 1, 0, 100);
    hv_scripted_expire(r->source, RIG_HUB, 0, 150);
    rig_mark(r, 1, 0, 100, 150, 'r');
    run_ok();
    rig_check_all_captured(r);
}
END_TEST

START_TEST(when_all_that_is_left_expired_a_lead_without_events_says_so)
{
    rig_produce(r, 1, 0, 100);
    hv_scripted_expire(r->source, RIG_HUB, 0, 100);
    rig_mark(r, 1, 0, 0, 100, 'r');
    run_ok();
    rig_check(r);
    ck_assert_int_eq(rig_position(r, 1, 0), 100);
    rig_produce(r, 1, 0, 7);
    run_ok();
    rig_check_all_captured(r);
}
END_TEST

START_TEST(a_hub_created_again_with_a_shorter_log_becomes_a_new_incarnation_from_offset_0)
{
    rig_produce(r, 1, 0, 100);
    run_ok();
    hv_scripted_delete(r->source, RIG_HUB);
    hv_scripted_hub(r->source, RIG_HUB, 2, "");
    rig_produce(r, 2, 0, 40);
    run_ok();
    rig_check_all_captured(r);
    ck_assert_int_eq(rig_position(r, 1, 0), 100);
    ck_assert_int_eq(rig_position(r, 2, 0), 40);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_INCARNATION], 1);
}
END_TEST

START_TEST(a_hub_created_again_with_a_longer_log_is_told_by_the_content_of_the_last_event)
{
    rig_produce(r, 1, 0, 100);
    rig_produce(r, 1, 1, 10);
    run_ok();
    hv_scripted_delete(r->source, RIG_HUB);
    hv_scripted_hub(r->source, RIG_HUB, 2, "");
    rig_produce(r, 2, 0, 200);
    rig_produce(r, 2, 1, 200);
    run_ok();
    rig_check_all_captured(r);
    ck_assert_int_eq(rig_position(r, 2, 0), 200);
    ck_assert_int_eq(rig_position(r, 2, 1), 200);
    ck_assert_int_eq(rig_position(r, 1, 1), 10);
}
END_TEST

START_TEST(another_identity_is_another_incarnation_even_if_the_log_looks_alike)
{
    hv_scripted_hub(r->source, "other", 1, "topic-id-1");
    run_ok();
    hv_scripted_hub(r->source, "other", 1, "topic-id-2");
    run_ok();
    hv_index_incarnation *all = NULL;
    size_t count = 0;
    hv_err err;
    ck_hv_ok(hv_index_incarnations(r->index, &all, &count, &err));
    ck_assert_uint_eq(count, 3);        /* orders 1, other 1, other 2 */
    free(all);
}
END_TEST

START_TEST(more_partitions_are_met_and_captured_from_their_beginning)
{
    rig_produce(r, 1, 0, 50);
    run_ok();
    hv_scripted_hub(r->source, RIG_HUB, 4, "");
    rig_produce(r, 1, 3, 70);
    rig_produce(r, 1, 0, 50);
    run_ok();
    rig_check_all_captured(r);
    ck_assert_int_eq(rig_position(r, 1, 3), 70);
}
END_TEST

START_TEST(with_several_classes_each_cut_has_a_segment_per_class_and_loses_nothing)
{
    r->config.classify = rig_three_classes;
    rig_produce(r, 1, 0, 3000);
    rig_produce(r, 1, 1, 2);            /* one class only */
    run_ok();
    rig_check_all_captured(r);
    rig_lose_disk(r);                   /* and it is all in the headers */
    run_ok();
    rig_check_all_captured(r);
}
END_TEST

START_TEST(a_lost_index_is_found_again_in_the_store_before_anything_is_read)
{
    rig_produce(r, 1, 0, 2000);
    rig_produce(r, 1, 1, 2000);
    run_ok();
    rig_lose_disk(r);
    rig_produce(r, 1, 0, 10);
    run_ok();
    rig_check_all_captured(r);
}
END_TEST

START_TEST(memory_stays_within_the_budget_and_everything_is_captured_all_the_same)
{
    r->config.memory_bytes = 256 << 10;
    r->config.max_bytes = 1 << 30;      /* only memory closes cuts */
    r->config.block_bytes = 16 << 10;
    rig_produce(r, 1, 0, 4000);
    rig_produce(r, 1, 1, 4000);
    run_ok();
    rig_check_all_captured(r);
    ck_assert_int_ge(r->reports[HV_ARCHIVER_SEALED], 4);
}
END_TEST

START_TEST(a_cut_is_closed_by_age_although_nothing_follows)
{
    rig_produce(r, 1, 0, 20);
    hv_archiver *archiver = rig_begin(r, 300);
    rig_wait_position(r, 1, 0, 20);
    ck_assert_int_eq(rig_position(r, 1, 0), 20);
    rig_end(archiver);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_SEALED], 1);
    rig_check_all_captured(r);
}
END_TEST

START_TEST(who_asks_for_hubs_does_not_wait_until_it_is_time)
{
    r->config.discovery_ms = 24 * 60 * 60 * 1000;
    hv_archiver *archiver = rig_begin(r, 100);
    for (int i = 0; i < 6000 && r->reports[HV_ARCHIVER_CONNECTED] == 0; i++)
        usleep(10000);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_CONNECTED], 1);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_HUB], 1);
    hv_scripted_hub(r->source, "another", 1, "");
    for (int i = 0; i < 6000 && r->reports[HV_ARCHIVER_HUB] < 2; i++) {
        hv_archiver_discover(archiver);
        hv_archiver_tune(archiver, &(hv_archiver_tuning){.max_age_ms = 100 + i, .max_bytes = 1 << 20});
        usleep(10000);
    }
    ck_assert_int_eq(r->reports[HV_ARCHIVER_HUB], 2);
    rig_end(archiver);
}
END_TEST

START_TEST(stop_seals_what_is_open)
{
    hv_archiver *archiver = NULL;
    hv_archiver_totals totals = {0};
    hv_err err;

    r->config.sources = &r->source;
    r->config.storage = r->storage;
    rig_produce(r, 1, 0, 200);
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
    for (int i = 0; i < 6000 && totals.events < 200; i++) {
        usleep(10000);
        hv_archiver_totals_read(archiver, &totals);
    }
    hv_archiver_stop(archiver);
    ck_hv_ok(hv_archiver_join(archiver, &totals, &err));
    ck_assert_int_eq(totals.events, 200);
    ck_assert_int_eq(rig_position(r, 1, 0), 200);
    rig_check_all_captured(r);
}
END_TEST

START_TEST(a_hub_that_vanishes_and_returns_as_another_while_running_is_a_new_incarnation)
{
    rig_produce(r, 1, 0, 200);
    hv_archiver *archiver = rig_begin(r, 100);
    rig_wait_position(r, 1, 0, 200);
    hv_scripted_delete(r->source, RIG_HUB);
    usleep(300000);
    hv_scripted_hub(r->source, RIG_HUB, 2, "");
    rig_produce(r, 2, 0, 300);
    rig_wait_position(r, 2, 0, 300);
    rig_end(archiver);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_GONE], 1);
    rig_check_all_captured(r);
    ck_assert_int_eq(rig_position(r, 2, 0), 300);
}
END_TEST

START_TEST(another_identity_while_running_is_a_new_incarnation)
{
    hv_scripted_delete(r->source, RIG_HUB);
    hv_scripted_hub(r->source, RIG_HUB, 2, "id-1");
    hv_archiver *archiver = rig_begin(r, 100);
    usleep(200000);
    hv_scripted_hub(r->source, RIG_HUB, 2, "id-2");     /* nothing was ever in it: no offset can tell */
    usleep(300000);
    rig_produce(r, 2, 0, 30);
    rig_wait_position(r, 2, 0, 30);
    rig_end(archiver);
    rig_check_all_captured(r);
    ck_assert_int_eq(rig_position(r, 2, 0), 30);
}
END_TEST

/* Nothing but the check before a cut is sealed can tell: the log goes on, and the next discovery is far away. */
START_TEST(events_of_the_next_incarnation_are_not_sealed_under_the_old_one)
{
    hv_scripted_delete(r->source, RIG_HUB);
    hv_scripted_hub(r->source, RIG_HUB, 2, "id-1");
    r->config.discovery_ms = 60000;
    hv_archiver *archiver = rig_begin(r, 200);
    usleep(200000);
    hv_scripted_hub(r->source, RIG_HUB, 2, "id-2");
    rig_produce(r, 2, 0, 30);
    rig_produce(r, 2, 1, 1);
    rig_wait_position(r, 2, 1, 1);
    rig_end(archiver);
    ck_assert_int_eq(rig_position(r, 1, 0), 0);
    ck_assert_int_eq(rig_position(r, 2, 0), 30);
    rig_check_all_captured(r);
}
END_TEST

START_TEST(with_an_identity_everything_is_captured_as_without)
{
    hv_scripted_delete(r->source, RIG_HUB);
    hv_scripted_hub(r->source, RIG_HUB, 2, "id-1");
    r->config.max_bytes = 4000;
    r->config.block_bytes = 1000;
    r->config.classify = rig_three_classes;
    rig_produce(r, 1, 0, 3000);
    rig_produce(r, 1, 1, 70);
    run_ok();
    rig_check_all_captured(r);
}
END_TEST

START_TEST(expiry_under_the_reader_while_running_becomes_a_retention_gap)
{
    rig_produce(r, 1, 0, 100);
    hv_archiver *archiver = rig_begin(r, 100);
    rig_wait_position(r, 1, 0, 100);
    rig_mark(r, 1, 0, 100, 140, 0);     /* read or expired: either is right */
    rig_produce(r, 1, 0, 40);
    hv_scripted_expire(r->source, RIG_HUB, 0, 130);
    rig_mark(r, 1, 0, 100, 130, 0);
    rig_produce(r, 1, 0, 5);
    rig_wait_position(r, 1, 0, 145);
    rig_end(archiver);
    rig_check_all_captured(r);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("capture");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, every_event_of_every_partition_is_captured_once_and_unchanged);
    tcase_add_test(tests, running_again_without_news_changes_nothing);
    tcase_add_test(tests, a_later_run_goes_on_where_the_first_one_ended);
    tcase_add_test(tests, an_empty_hub_and_an_empty_namespace_end_at_once);
    tcase_add_test(tests, control_records_become_transaction_gaps_of_the_cut_that_follows);
    tcase_add_loop_test(tests, an_event_that_the_client_passes_over_is_captured_all_the_same_and_told, 0, 3);
    tcase_add_test(tests, an_event_that_is_passed_over_beside_a_true_hole_is_found_too);
    tcase_add_test(tests, an_event_that_the_first_look_has_shown_is_not_lost_by_the_second);
    tcase_add_test(tests, holes_that_are_usual_are_not_all_read_again);
    tcase_add_test(tests, holes_of_a_compacted_hub_become_compaction_gaps);
    tcase_add_test(tests, events_expired_before_the_first_run_become_a_retention_gap_from_offset_0);
    tcase_add_test(tests, events_expired_between_two_runs_become_a_retention_gap);
    tcase_add_test(tests, when_all_that_is_left_expired_a_lead_without_events_says_so);
    tcase_add_test(tests, a_hub_created_again_with_a_shorter_log_becomes_a_new_incarnation_from_offset_0);
    tcase_add_test(tests, a_hub_created_again_with_a_longer_log_is_told_by_the_content_of_the_last_event);
    tcase_add_test(tests, another_identity_is_another_incarnation_even_if_the_log_looks_alike);
    tcase_add_test(tests, more_partitions_are_met_and_captured_from_their_beginning);
    tcase_add_test(tests, with_several_classes_each_cut_has_a_segment_per_class_and_loses_nothing);
    tcase_add_test(tests, a_lost_index_is_found_again_in_the_store_before_anything_is_read);
    tcase_add_test(tests, memory_stays_within_the_budget_and_everything_is_captured_all_the_same);
    tcase_add_test(tests, a_cut_is_closed_by_age_although_nothing_follows);
    tcase_add_test(tests, who_asks_for_hubs_does_not_wait_until_it_is_time);
    tcase_add_test(tests, stop_seals_what_is_open);
    tcase_add_test(tests, a_hub_that_vanishes_and_returns_as_another_while_running_is_a_new_incarnation);
    tcase_add_test(tests, another_identity_while_running_is_a_new_incarnation);
    tcase_add_test(tests, events_of_the_next_incarnation_are_not_sealed_under_the_old_one);
    tcase_add_test(tests, with_an_identity_everything_is_captured_as_without);
    tcase_add_test(tests, expiry_under_the_reader_while_running_becomes_a_retention_gap);
    return ck_hv_run("capture", tests);
}
