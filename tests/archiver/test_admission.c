/*
 * Partitions that are admitted: many at the same time and not too many, while everything else goes on; through failures of the store and
 * of several at once; and interrupted by a stop at every request.
 */
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>

#include "segment/names.h"
#include "tests/archiver/crew.h"
#include "tests/archiver/crowd_store.h"

enum { AT_ONCE = 16, MANY = 40, WAIT_MS = 120000, AGE_NEVER_MS = 3600 * 1000 };

static rig *r;
static crowd_store crowd;
static hv_archiver *archiver;

static void
setup(void)
{
    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    rig_setup(r);
    r->config.patience_ms = r->config.give_up_ms = 10 * WAIT_MS;        /* by a clock that is ten times as fast */
    crowd_make(&crowd, r->storage, "hub=crowd");
    archiver = NULL;
}

static void
teardown(void)
{
    crowd_end(&crowd);
    rig_teardown(r);
    free(r);
}

static void
begin(int64_t max_age_ms)
{
    hv_err err;

    r->config.sources = &r->source;
    r->config.storage = &crowd.base;
    r->config.max_age_ms = max_age_ms;
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
}

static int64_t
partitions_assigned(void)
{
    hv_archiver_totals totals;

    hv_archiver_totals_read(archiver, &totals);
    return totals.assigned;
}

static void
wait_for_partitions(int64_t count)
{
    for (int ms = 0; ms < WAIT_MS && partitions_assigned() != count; ms += 2)
        usleep(2000);
    ck_assert_int_eq(partitions_assigned(), count);
}

static void
wait_for_held(unsigned count)
{
    for (int ms = 0; ms < WAIT_MS && crowd_held(&crowd) < count; ms += 2)
        usleep(2000);
    ck_assert_uint_ge(crowd_held(&crowd), count);
}

static int
threads_now(void)
{
    DIR *tasks = opendir("/proc/self/task");
    int count = 0;

    ck_assert_ptr_nonnull(tasks);
    while (readdir(tasks) != NULL)
        count++;
    (void)closedir(tasks);
    return count;
}

START_TEST(as_many_partitions_as_allowed_are_asked_about_at_once_and_no_more)
{
    hv_scripted_hub(r->source, "crowd", MANY, "topic-1");
    crowd_gather(&crowd, AT_ONCE);
    begin(AGE_NEVER_MS);
    wait_for_partitions(MANY);
    ck_assert_uint_eq(crowd_most(&crowd), AT_ONCE);
    rig_end(archiver);
}
END_TEST

START_TEST(hubs_of_one_partition_are_admitted_at_once_too)
{
    for (int h = 0; h < MANY; h++) {
        char name[32];
        (void)snprintf(name, sizeof name, "crowd-%d", h);
        hv_scripted_hub(r->source, name, 1, "topic-1");
    }
    crowd_gather(&crowd, AT_ONCE);
    begin(AGE_NEVER_MS);
    wait_for_partitions(MANY);
    ck_assert_uint_eq(crowd_most(&crowd), AT_ONCE);
    rig_end(archiver);
}
END_TEST

START_TEST(an_end_of_a_chain_costs_one_listing)
{
    hv_scripted_hub(r->source, "crowd", 1, "topic-1");
    begin(AGE_NEVER_MS);
    wait_for_partitions(1);
    unsigned one = crowd_calls(&crowd);
    hv_scripted_hub(r->source, "crowd", 1 + MANY, "topic-1");
    wait_for_partitions(1 + MANY);
    unsigned more = crowd_calls(&crowd) - one;
    /* The record of the incarnation is asked for, too, a few times for all of them. */
    ck_assert_msg(more >= MANY && more <= MANY + 8, "%u calls for %d partitions", more, MANY);
    rig_end(archiver);
}
END_TEST

START_TEST(threads_that_admit_end_when_all_is_admitted)
{
    hv_scripted_hub(r->source, RIG_HUB, 1, "topic-1");
    begin(AGE_NEVER_MS);
    rig_produce(r, 1, 0, 1);
    wait_for_partitions(1);
    usleep(200000);                     /* those of its own admission may end later: then we ask for less */
    int before = threads_now();
    hv_scripted_hub(r->source, "crowd", MANY, "topic-1");
    crowd_gather(&crowd, AT_ONCE);
    wait_for_partitions(1 + MANY);
    for (int ms = 0; ms < WAIT_MS && threads_now() > before; ms += 2)
        usleep(2000);
    ck_assert_int_le(threads_now(), before);
    rig_end(archiver);
}
END_TEST

START_TEST(what_is_captured_is_sealed_while_other_partitions_are_admitted)
{
    hv_scripted_hub(r->source, RIG_HUB, 1, "topic-1");
    begin(1);
    rig_produce(r, 1, 0, 20);
    rig_wait_position(r, 1, 0, 20);
    hv_scripted_hub(r->source, "crowd", MANY, "topic-2");
    crowd_hold_from(&crowd, 0);
    wait_for_held(1);
    rig_produce(r, 1, 0, 30);           /* whether it is the same hub has to be asked before that is sealed */
    rig_wait_position(r, 1, 0, 50);
    ck_assert_uint_ge(crowd_held(&crowd), 1);
    crowd_hold_from(&crowd, CROWD_NEVER);
    wait_for_partitions(1 + MANY);
    rig_end(archiver);
    rig_check_all_captured(r);
}
END_TEST

START_TEST(a_lead_that_a_listing_missed_is_looked_for_again_before_the_chain_is_called_broken)
{
    hv_err err;

    hv_scripted_hub(r->source, RIG_HUB, 1, "topic-1");
    for (int run = 0; run < 2; run++) {
        rig_produce(r, 1, 0, 20);
        ck_hv_ok(rig_run_once(r, NULL, &err));
    }
    int sealed = r->reports[HV_ARCHIVER_SEALED];
    ck_assert_int_ge(sealed, 2);
    rig_lose_disk(r);
    hv_partition partition;
    ck_hv_ok(hv_partition_make(RIG_HUB, 1, 0, &partition, &err));
    hv_blob_name first = hv_name_of_lead(&partition, 0);
    crowd_hide_once(&crowd, first.text);
    ck_hv_ok(rig_run_once(r, &crowd.base, &err));
    ck_assert(crowd_has_hidden(&crowd));
    ck_assert_int_eq(r->reports[HV_ARCHIVER_SEALED], sealed);
    rig_check_all_captured(r);
}
END_TEST

/* ---- a stop ---- */

static void
wait_for_end(void)
{
    for (int ms = 0; ms < WAIT_MS && !hv_archiver_ended(archiver); ms += 2)
        usleep(2000);
    ck_assert(hv_archiver_ended(archiver));
}

/* Stopped when request number `call` of the admission is under way; false if it does not need so many. */
static bool
stop_at(unsigned call)
{
    hv_err err;

    hv_scripted_hub(r->source, RIG_HUB, 2, "topic-1");
    begin(AGE_NEVER_MS);
    rig_produce(r, 1, 0, 20);
    rig_produce(r, 1, 1, 5);
    for (int ms = 0; ms < WAIT_MS && r->reports[HV_ARCHIVER_CONNECTED] == 0; ms += 2)
        usleep(2000);
    hv_archiver_totals totals = {0};
    for (int ms = 0; ms < WAIT_MS && totals.events < 25; ms += 2) {
        usleep(2000);
        hv_archiver_totals_read(archiver, &totals);
    }
    ck_assert_int_eq(totals.events, 25);
    crowd_hold_from(&crowd, call);
    hv_scripted_hub(r->source, "crowd-1", 3, "topic-2");
    hv_scripted_hub(r->source, "crowd-2", 20, "topic-3");
    for (int ms = 0; ms < WAIT_MS && crowd_held(&crowd) == 0 && partitions_assigned() < 25; ms += 2)
        usleep(2000);
    bool held = crowd_held(&crowd) > 0;
    hv_archiver_stop(archiver);
    wait_for_end();                     /* while the store still holds what was asked */
    ck_assert_int_eq(rig_position(r, 1, 0), 20);
    ck_assert_int_eq(rig_position(r, 1, 1), 5);
    unsigned calls = crowd_calls(&crowd);
    crowd_hold_from(&crowd, CROWD_NEVER);
    ck_hv_ok(hv_archiver_join(archiver, NULL, &err));
    /* Nobody asks anything more, but for who was about to. */
    ck_assert_msg(crowd_calls(&crowd) <= calls + AT_ONCE, "%u calls after the end, %u before", crowd_calls(&crowd) - calls, calls);
    rig_check_all_captured(r);
    return held;
}

START_TEST(a_stop_interrupts_admission_at_every_request_and_seals_what_is_open)
{
    unsigned interrupted = 0;

    for (unsigned call = 0;; call++) {
        teardown();
        setup();
        if (!stop_at(call))
            break;
        interrupted++;
        hv_err err;
        ck_hv_ok(rig_run_once(r, NULL, &err));          /* nothing is left that hinders the next life */
        rig_check_all_captured(r);
        ck_assert_uint_lt(call, 200);
    }
    ck_assert_uint_ge(interrupted, 23);
}
END_TEST

/* ---- failures ---- */

static const struct way {
    hv_rc rc;
    bool takes_effect;
    unsigned calls;
} ways[] = {{HV_UNAVAILABLE, false, 1}, {HV_UNAVAILABLE, true, 1}, {HV_AUTH, false, 3}, {HV_IO, true, 5}, {HV_NOMEM, false, 2}};
enum { WAYS = sizeof ways / sizeof *ways };

/* Cuts of three classes in four partitions, known to the store alone; more events in the hub. */
static void
store_cuts(void)
{
    hv_err err;

    hv_scripted_hub(r->source, RIG_HUB, RIG_PARTITIONS, "topic-1");
    r->config.classify = rig_three_classes;
    r->config.max_bytes = 3000;
    r->config.block_bytes = 2000;
    for (int p = 0; p < RIG_PARTITIONS; p++)
        rig_produce(r, 1, p, 5 + p);
    ck_hv_ok(rig_run_once(r, NULL, &err));
    rig_lose_disk(r);
    for (int p = 0; p < RIG_PARTITIONS; p++)
        rig_produce(r, 1, p, 3);
}

/* All four are at their listings when a failure comes that is not one of the first. A run that is to end by itself ends with a refusal. */
static bool
admit_with_failure(const struct way *way, unsigned call)
{
    HV_AUTO(hv_storage_close) hv_storage *faulty = NULL;
    hv_storage_fault_config config = {.inner = r->storage, .fail_call = call, .fail_calls = way->calls, .fail_with = way->rc,
        .takes_effect = way->takes_effect};
    crowd_store gathering;
    hv_err err;

    ck_hv_ok(hv_storage_fault_open(&config, &faulty, &err));
    crowd_make(&gathering, faulty, "/partition=");
    crowd_gather(&gathering, RIG_PARTITIONS);
    hv_rc rc = rig_run_once(r, &gathering.base, &err);
    ck_assert_msg(rc == HV_OK || !hv_rc_retriable(way->rc), "%s", err.msg);
    if (rc == HV_OK)
        ck_assert_uint_ge(crowd_most(&gathering), RIG_PARTITIONS);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_STOPPED], 0);
    crowd_end(&gathering);
    rig_check(r);
    ck_hv_ok(rig_run_once(r, NULL, &err));
    rig_check_all_captured(r);
    return hv_storage_fault_fired(faulty);
}

START_TEST(each_failing_request_of_several_admissions_is_got_over)
{
    unsigned fired = 0;

    for (unsigned call = 0;; call++) {
        teardown();
        setup();
        store_cuts();
        if (!admit_with_failure(&ways[_i], call))
            break;
        fired++;
        ck_assert_uint_lt(call, 500);
    }
    ck_assert_uint_ge(fired, 30);
}
END_TEST

/* ---- a group ---- */

START_TEST(what_is_revoked_is_sealed_and_the_rest_read_on_while_a_rebalance_is_admitted)
{
    crew *c = crew_make(3);
    hv_err err;

    crowd_store slow;
    crowd_make(&slow, c->store, "hub=crowd");
    c->rigs[0]->config.max_age_ms = AGE_NEVER_MS;
    hv_scripted_hub(c->rigs[0]->source, "crowd", 200, "topic-2");
    rig *first = c->rigs[0];
    first->config.sources = &first->source;
    first->config.memberships = &c->memberships[0];
    first->config.storage = &slow.base;
    first->config.once = false;
    ck_hv_ok(hv_archiver_start(&first->config, &c->archivers[0], &err));
    hv_scripted_assign(c->memberships[0], RIG_HUB, 0, 2);
    crew_produce(c, 0, 40);
    crew_produce(c, 1, 10);
    crew_wait_read(c, 0, 50);
    crowd_hold_from(&slow, 3);
    hv_scripted_assign(c->memberships[0], "crowd", 0, 200);
    for (int ms = 0; ms < WAIT_MS && crowd_held(&slow) == 0; ms += 2)
        usleep(2000);
    ck_assert_uint_ge(crowd_held(&slow), 1);
    crew_produce(c, 1, 11);             /* polling goes on */
    crew_wait_read(c, 0, 61);
    crew_take_back(c, 0, 6000000);      /* sealed long before the group would take it away */
    ck_assert_int_eq(rig_position(first, 1, 0), 40);
    ck_assert_int_eq(crew_totals(c, 0).abandoned, 0);
    ck_assert_uint_ge(crowd_held(&slow), 1);
    crowd_hold_from(&slow, CROWD_NEVER);
    ck_hv_ok(crew_stop(c, 0, &err));
    rig_check_all_captured(first);
    crowd_end(&slow);
    crew_free(c);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("admission");

    scratch_dir_use_memory();
    tcase_set_timeout(tests, 170);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, as_many_partitions_as_allowed_are_asked_about_at_once_and_no_more);
    tcase_add_test(tests, hubs_of_one_partition_are_admitted_at_once_too);
    tcase_add_test(tests, an_end_of_a_chain_costs_one_listing);
    tcase_add_test(tests, threads_that_admit_end_when_all_is_admitted);
    tcase_add_test(tests, what_is_captured_is_sealed_while_other_partitions_are_admitted);
    tcase_add_test(tests, a_lead_that_a_listing_missed_is_looked_for_again_before_the_chain_is_called_broken);
    tcase_add_test(tests, a_stop_interrupts_admission_at_every_request_and_seals_what_is_open);
    tcase_add_loop_test(tests, each_failing_request_of_several_admissions_is_got_over, 0, WAYS);
    tcase_add_test(tests, what_is_revoked_is_sealed_and_the_rest_read_on_while_a_rebalance_is_admitted);
    return ck_hv_run("admission", tests);
}
