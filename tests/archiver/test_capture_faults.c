/*
 * Every call that capture makes to the store and to LMDB fails in turn, before it took effect and after. At each stop: nothing is
 * indexed that is not stored, nothing is there twice, and a run with healthy parts afterwards completes everything. A capture that goes
 * on gets over each failure that may pass by itself, and stops no partition.
 */
#include <errno.h>
#include <lmdb.h>
#include <stdio.h>

#include "tests/archiver/meetings.h"
#include "tests/harness/lmdb_faults.h"

enum { PATIENCE_MS = 100, SLOW_PATIENCE_MS = 10000, HEALTHY_PATIENCE_MS = 60000 };    /* what does not fail may still be slow */

static rig *r;

/* ---- the work ---- */

static void
setup(void)
{
    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    rig_setup(r);
    hv_scripted_hub(r->source, RIG_HUB, 2, "topic-1");
    hv_scripted_policy(r->source, RIG_HUB, (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_DELETE, .retention_ms = -1});
    r->config.classify = rig_three_classes;
    r->config.max_bytes = 3000;
    r->config.block_bytes = 2000;
    r->config.uploaders = 1;
    r->config.patience_ms = PATIENCE_MS;
    r->config.give_up_ms = 300;
    rig_produce(r, 1, 0, 5);
    rig_skip(r, 1, 0, 2, 'x');
    rig_produce(r, 1, 0, 25);
    rig_produce(r, 1, 1, 3);
}

static void
teardown(void)
{
    (void)lmdb_faults_end();
    rig_teardown(r);
    free(r);
}

static void
be_patient(void)
{
    r->config.patience_ms = r->config.give_up_ms = HEALTHY_PATIENCE_MS;
}

static void
finish_with_healthy_parts(void)
{
    hv_err err;

    be_patient();
    rig_check(r);
    ck_hv_ok(rig_run_once(r, NULL, &err));
    rig_check_all_captured(r);
    rig_lose_disk(r);                   /* the store alone tells the same */
    ck_hv_ok(rig_run_once(r, NULL, &err));
    rig_check_all_captured(r);
}

static const struct storage_fault {
    hv_rc rc;
    bool takes_effect, lands_late;
    unsigned calls;
} storage_faults[] = {
    {.rc = HV_UNAVAILABLE, .calls = 1},
    {.rc = HV_UNAVAILABLE, .takes_effect = true, .calls = 1},
    {.rc = HV_IO, .takes_effect = true, .calls = 3},
    {.rc = HV_AUTH, .calls = 2},
    {.rc = HV_LIMIT, .calls = 1},
    {.rc = HV_UNAVAILABLE, .calls = 1, .lands_late = true},
    {.rc = HV_UNAVAILABLE, .calls = 100000},                    /* the store goes away for good, as in a crash */
    {.rc = HV_UNAVAILABLE, .takes_effect = true, .calls = 100000},
    {.rc = HV_USAGE, .calls = 1},                               /* a permanent refusal */
};
enum { STORAGE_FAULTS = sizeof storage_faults / sizeof *storage_faults };

/* One call fails; false if the run needs fewer calls than that, or had no time for them. */
static bool
run_with_storage_fault(const struct storage_fault *fault, unsigned call, int64_t patience_ms, hv_rc *ret, hv_err *err)
{
    HV_AUTO(hv_storage_close) hv_storage *faulty = NULL;
    hv_storage_fault_config config = {.fail_call = call, .fail_calls = fault->calls, .fail_with = fault->rc,
        .takes_effect = fault->takes_effect, .lands_late = fault->lands_late};

    teardown();
    setup();
    config.inner = r->storage;
    r->config.patience_ms = patience_ms;
    r->config.give_up_ms = 3 * patience_ms;
    ck_assert_int_eq(hv_storage_fault_open(&config, &faulty, err), HV_OK);
    *ret = rig_run_once(r, faulty, err);
    bool fired = hv_storage_fault_fired(faulty);
    if (fault->calls > 1000 && fired)
        ck_assert_msg(*ret != HV_OK || hv_storage_fault_calls(faulty) == call + 1, "a store that went away was not noticed");
    if (fault->lands_late && fired) {
        rig_check(r);
        hv_err late;
        (void)!hv_storage_fault_land(faulty, &late);
    }
    return fired;
}

START_TEST(no_failing_storage_call_loses_or_doubles_an_event)
{
    const struct storage_fault *fault = &storage_faults[_i];
    unsigned fired = 0;
    hv_err err;

    for (unsigned call = 0;; call++) {
        hv_rc rc;
        bool failed = run_with_storage_fault(fault, call, PATIENCE_MS, &rc, &err);
        if (!failed && rc != HV_OK)             /* the patience with a store that is gone is too short for a slow machine */
            failed = run_with_storage_fault(fault, call, SLOW_PATIENCE_MS, &rc, &err);
        ck_assert_msg(failed || rc == HV_OK, "failed without a fault: %s", err.msg);
        if (!failed)
            break;
        fired++;
        finish_with_healthy_parts();
        ck_assert_uint_lt(call, 500);
    }
    ck_assert_uint_ge(fired, 10);
}
END_TEST

static const struct lmdb_way {
    int error;
    bool takes_effect;
} ways[] = {{.error = EIO}, {.error = ENOSPC}, {.error = EIO, .takes_effect = true}, {.error = MDB_MAP_FULL}};
enum { LMDB_WAYS = sizeof ways / sizeof *ways };

START_TEST(no_failing_call_of_lmdb_loses_or_doubles_an_event)
{
    unsigned fired = 0;
    hv_err err;

    for (long call = 0;; call++) {
        teardown();
        setup();
        lmdb_faults_begin(LMDB_ALL_THREADS, call, ways[_i].error, ways[_i].takes_effect);
        (void)!rig_run_once(r, NULL, &err);
        if (!lmdb_faults_end())
            break;
        fired++;
        rig_reopen_index(r);
        finish_with_healthy_parts();
        ck_assert_int_lt(call, 2000);
    }
    ck_assert_uint_ge(fired, 20);
}
END_TEST

/* ---- a capture that goes on ---- */

static late_store late;
static hv_storage *faulty;
static unsigned fired;

static void
end_faults(void)
{
    bool lmdb_fired = lmdb_faults_end();
    fired += faulty != NULL ? hv_storage_fault_fired(faulty) : lmdb_fired;
}

static const struct passing {
    hv_rc rc;
    bool takes_effect;
    unsigned calls;
} passing[] = {{HV_UNAVAILABLE, false, 1}, {HV_AUTH, false, 3}, {HV_LIMIT, false, 2}, {HV_IO, true, 2}, {HV_NOMEM, false, 1}};
enum { PASSING = sizeof passing / sizeof *passing };

/* Each call of the store fails in one of the ways, another one in each meeting. */
START_TEST(a_capture_that_goes_on_gets_over_each_failing_call_of_the_store_by_itself)
{
    unsigned before;

    fired = 0;
    for (unsigned call = 0;; call++) {
        const struct passing *way = &passing[(call + (unsigned)_i) % PASSING];
        hv_storage_fault_config config = {.fail_call = call, .fail_calls = way->calls, .fail_with = way->rc,
            .takes_effect = way->takes_effect};
        char what[64];
        hv_err err;
        rig_teardown(r);
        config.inner = meeting_setup(r, (meeting)_i, &late);
        ck_hv_ok(hv_storage_fault_open(&config, &faulty, &err));
        (void)snprintf(what, sizeof what, "call %u with %s", call, hv_rc_name(way->rc));
        before = fired;
        meeting_run_on(r, faulty, NULL, end_faults, what);
        hv_storage_close(HV_TAKE(faulty));
        if (fired == before)
            break;
        ck_assert_int_lt(call, 500);
    }
    ck_assert_uint_ge(fired, 10);
}
END_TEST

static const int passing_errors[] = {EIO, ENOSPC, ENOMEM, MDB_READERS_FULL};
enum { PASSING_ERRORS = sizeof passing_errors / sizeof *passing_errors, LMDB_STEP = 7 };

START_TEST(a_capture_that_goes_on_gets_over_failing_calls_of_lmdb_by_itself)
{
    unsigned before;

    fired = 0;
    for (long call = _i;; call += LMDB_STEP) {
        char what[64];
        rig_teardown(r);
        hv_storage *store = meeting_setup(r, (meeting)_i, &late);
        int error = passing_errors[call % PASSING_ERRORS];
        (void)snprintf(what, sizeof what, "call %ld with %s", call, mdb_strerror(error));
        before = fired;
        lmdb_faults_begin(LMDB_OTHER_THREADS, call, error, call % 2 == 0);
        meeting_run_on(r, store, NULL, end_faults, what);
        if (fired == before)
            break;
        ck_assert_int_lt(call, 2000);
    }
    ck_assert_uint_ge(fired, 5);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("capture faults");

    scratch_dir_use_memory();
    tcase_set_timeout(tests, 170);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, no_failing_storage_call_loses_or_doubles_an_event, 0, STORAGE_FAULTS);
    tcase_add_loop_test(tests, no_failing_call_of_lmdb_loses_or_doubles_an_event, 0, LMDB_WAYS);
    tcase_add_loop_test(tests, a_capture_that_goes_on_gets_over_each_failing_call_of_the_store_by_itself, 0, MEETINGS);
    tcase_add_loop_test(tests, a_capture_that_goes_on_gets_over_failing_calls_of_lmdb_by_itself, 0, MEETINGS);
    return ck_hv_run("capture faults", tests);
}
