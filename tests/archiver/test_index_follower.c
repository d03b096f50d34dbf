/*
 * Every node has the whole vault in its index: what others put into partitions that it does not own is followed.
 */
#include <unistd.h>

#include "archiver/incarnation.h"
#include "common/clock.h"
#include "segment/names.h"
#include "tests/archiver/crew.h"

enum { A, B, C };

static crew *c;

static void
setup(void)
{
    c = crew_make(3);
}

static void
teardown(void)
{
    crew_free(c);
}

static void
wait_equal(int a, int b)
{
    for (int ms = 0; ms < CREW_WAIT_MS && !crew_equal(c, a, b); ms += 20)
        usleep(20000);
    ck_assert(crew_equal(c, a, b));
}

START_TEST(what_others_put_is_in_the_index_of_one_who_owns_nothing)
{
    c->rigs[A]->config.max_age_ms = 20;
    c->rigs[A]->config.classify = rig_three_classes;
    crew_start(c, A);
    crew_start(c, B);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 3);
    for (int i = 0; i < 12; i++) {
        crew_produce(c, i % 3, 15);
        usleep(15000);
    }
    for (int p = 0; p < 3; p++)
        crew_wait_position(c, A, 1, p, 60);
    wait_equal(A, B);
    ck_assert_int_eq(crew_totals(c, B).events, 0);
    ck_assert_int_gt(crew_totals(c, B).followed_cuts, 2);
    ck_assert_int_gt(crew_totals(c, B).followed_segments, crew_totals(c, B).followed_cuts);
    ck_assert_int_eq(c->rigs[B]->reports[HV_ARCHIVER_FOLLOWED], crew_totals(c, B).followed_cuts);
    ck_assert_uint_eq(gate_puts(c->gates[B]), 0);
    ck_assert_int_eq(c->rigs[B]->reports[HV_ARCHIVER_TROUBLE], 0);
    crew_check(c, true);
}
END_TEST

START_TEST(an_archiver_that_captures_everything_itself_has_the_cuts_of_others_too)
{
    c->rigs[A]->config.max_age_ms = 15;
    c->rigs[B]->config.max_age_ms = 40;
    for (int i = A; i <= B; i++) {
        hv_err err;
        c->rigs[i]->config.memberships = NULL;
        ck_hv_ok(hv_archiver_start(&c->rigs[i]->config, &c->archivers[i], &err));
    }
    for (int i = 0; i < 12; i++) {
        crew_produce(c, i % 3, 15);
        usleep(15000);
    }
    for (int i = A; i <= B; i++)
        for (int p = 0; p < 3; p++)
            crew_wait_position(c, i, 1, p, 60);
    wait_equal(A, B);
    crew_check(c, true);
}
END_TEST

/* B's source does not have it: another credential, another list. */
START_TEST(a_hub_that_only_others_capture_is_found_in_the_store)
{
    hv_err err;

    c->rigs[A]->config.max_age_ms = 10;
    crew_produce(c, 1, 30);
    crew_start(c, A);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 3);
    crew_wait_position(c, A, 1, 1, 30);
    hv_source_close(c->rigs[B]->source);
    ck_hv_ok(hv_source_scripted_open(&c->rigs[B]->source, &err));
    crew_start(c, B);
    wait_equal(A, B);
    for (int i = 0; i < CREW; i++)
        if (i != B)
            rig_produce(c->rigs[i], 1, 1, 20);
    crew_wait_position(c, B, 1, 1, 50);
    wait_equal(A, B);
}
END_TEST

START_TEST(a_cut_that_lacks_siblings_is_not_followed_before_it_is_complete)
{
    c->rigs[A]->config.max_age_ms = 10;
    c->rigs[A]->config.classify = rig_three_classes;
    gate_set(c->gates[A], GATE_HOLDS_SIBLINGS);
    crew_produce(c, 0, 30);
    crew_start(c, B);
    crew_start(c, A);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 1);
    for (int ms = 0; ms < CREW_WAIT_MS && gate_leads(c->gates[A]) == 0; ms += 2)
        usleep(2000);
    int64_t looks = crew_totals(c, B).follow_looks;
    for (int ms = 0; ms < CREW_WAIT_MS && crew_totals(c, B).follow_looks < looks + 6; ms += 2)
        usleep(2000);
    ck_assert_int_eq(rig_position(c->rigs[B], 1, 0), 0);
    ck_assert_int_eq(c->rigs[B]->reports[HV_ARCHIVER_TROUBLE], 0);      /* nothing is wrong with it, so nobody is told */
    gate_set(c->gates[A], GATE_OPEN);
    crew_wait_position(c, B, 1, 0, 30);
    crew_check(c, true);
}
END_TEST

START_TEST(a_quiet_partition_is_asked_less_and_less)
{
    enum { ROUNDS = 40 };         /* of 10 ms */
    hv_err err;

    c->rigs[A]->config.max_age_ms = 10;
    for (int p = 0; p < 3; p++)
        crew_produce(c, p, 10);
    crew_start(c, A);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 3);
    for (int p = 0; p < 3; p++)
        crew_wait_position(c, A, 1, p, 10);
    ck_hv_ok(crew_stop(c, A, &err));
    c->rigs[B]->config.follow_ms = 10;
    crew_start(c, B);
    for (int p = 0; p < 3; p++)
        crew_wait_position(c, B, 1, p, 10);
    int64_t before = crew_totals(c, B).follow_looks, began_ms = hv_clock_boot_ms();
    usleep(ROUNDS * 10000);
    int64_t looks = crew_totals(c, B).follow_looks - before, rounds = (hv_clock_boot_ms() - began_ms) / 10;
    ck_assert_int_le(looks, rounds * 3 / 4);                /* of rounds * 3 without pauses */
    for (int ms = 0; ms < CREW_WAIT_MS && crew_totals(c, B).follow_looks == before; ms += 2)
        usleep(2000);
    ck_assert_int_gt(crew_totals(c, B).follow_looks, before);
}
END_TEST

START_TEST(a_damaged_cut_is_reported_and_holds_up_its_own_partition_only)
{
    hv_partition partition;
    hv_slice junk = hv_slice_text("no segment");
    hv_err err;

    ck_hv_ok(hv_partition_make(RIG_HUB, 1, 0, &partition, &err));
    ck_hv_ok(c->store->ops->put_new(c->store, hv_name_of_lead(&partition, 0).text, &junk, 1, NULL, &err));
    c->rigs[A]->config.max_age_ms = 10;
    crew_produce(c, 1, 30);
    crew_start(c, A);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 1, 1);
    crew_start(c, B);
    crew_wait_position(c, B, 1, 1, 30);
    for (int ms = 0; ms < CREW_WAIT_MS && c->rigs[B]->reports[HV_ARCHIVER_TROUBLE] == 0; ms += 2)
        usleep(2000);
    ck_assert_int_gt(c->rigs[B]->reports[HV_ARCHIVER_TROUBLE], 0);
    ck_assert_int_eq(c->rigs[B]->reports[HV_ARCHIVER_STOPPED], 0);
    ck_assert_int_eq(rig_position(c->rigs[B], 1, 0), 0);
}
END_TEST

START_TEST(while_the_store_is_out_of_reach_it_waits_and_then_catches_up)
{
    c->rigs[A]->config.max_age_ms = 10;
    crew_start(c, A);
    crew_start(c, B);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 3);
    crew_produce(c, 0, 10);
    crew_wait_position(c, B, 1, 0, 10);
    gate_set(c->gates[B], GATE_CUT);
    for (int i = 0; i < 20; i++) {      /* more than one batch */
        crew_produce(c, 0, 3);
        crew_wait_position(c, A, 1, 0, 10 + 3 * (i + 1));
    }
    for (int ms = 0; ms < CREW_WAIT_MS && c->rigs[B]->reports[HV_ARCHIVER_TROUBLE] == 0; ms += 2)
        usleep(2000);
    ck_assert_int_eq(rig_position(c->rigs[B], 1, 0), 10);
    ck_assert_int_gt(c->rigs[B]->reports[HV_ARCHIVER_TROUBLE], 0);
    ck_assert_int_le(c->rigs[B]->reports[HV_ARCHIVER_TROUBLE], 3);      /* not once a round */
    gate_set(c->gates[B], GATE_OPEN);
    crew_wait_position(c, B, 1, 0, 70);
    crew_check(c, true);
}
END_TEST

/* Whether the follower of B has been silent for so long. */
static bool
is_stuck(int64_t limit_ms)
{
    hv_archiver_thread stalled[8];
    size_t count = hv_archiver_stalled(c->archivers[B], limit_ms, stalled, 8);

    for (size_t i = 0; i < count && i < 8; i++)
        if (strcmp(stalled[i].name, "index-follower-0") == 0)
            return true;
    return false;
}

START_TEST(a_follower_that_hangs_in_the_store_counts_as_stuck_until_the_store_answers)
{
    c->rigs[A]->config.max_age_ms = 10;
    crew_start(c, A);
    crew_start(c, B);
    hv_scripted_assign(c->memberships[A], RIG_HUB, 0, 3);
    crew_produce(c, 0, 10);
    crew_wait_position(c, B, 1, 0, 10);
    gate_set(c->gates[B], GATE_HOLDS_ALL);
    for (int ms = 0; ms < CREW_WAIT_MS && !is_stuck(300); ms += 10)
        usleep(10000);
    ck_assert(is_stuck(300));
    gate_set(c->gates[B], GATE_OPEN);
    int left_ms = CREW_WAIT_MS;
    for (; left_ms > 0 && is_stuck(300); left_ms -= 10)
        usleep(10000);
    ck_assert_int_gt(left_ms, 0);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("index follower");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, what_others_put_is_in_the_index_of_one_who_owns_nothing);
    tcase_add_test(tests, an_archiver_that_captures_everything_itself_has_the_cuts_of_others_too);
    tcase_add_test(tests, a_hub_that_only_others_capture_is_found_in_the_store);
    tcase_add_test(tests, a_cut_that_lacks_siblings_is_not_followed_before_it_is_complete);
    tcase_add_test(tests, a_quiet_partition_is_asked_less_and_less);
    tcase_add_test(tests, a_damaged_cut_is_reported_and_holds_up_its_own_partition_only);
    tcase_add_test(tests, while_the_store_is_out_of_reach_it_waits_and_then_catches_up);
    tcase_add_test(tests, a_follower_that_hangs_in_the_store_counts_as_stuck_until_the_store_answers);
    return ck_hv_run("index follower", tests);
}
