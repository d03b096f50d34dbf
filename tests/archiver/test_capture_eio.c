/*
 * The device of the vault or of the index reports EIO, in each call that writes, syncs or reads in turn, and for good. At each stop:
 * nothing is indexed that is not stored, nothing is there twice or damaged, and a run on a sound device completes everything.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/archiver/meetings.h"
#include "tests/harness/device_faults.h"

enum { FOR_GOOD = 1000000, STEP_ON = 5, PATIENCE_MS = 100 };

static rig *r;
static scratch_dir vault;

static void
setup(void)
{
    hv_err err;

    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    rig_setup(r);
    vault = scratch_dir_make();
    hv_storage_close(r->storage);
    ck_hv_ok(hv_storage_dir_open(vault.path, true, &r->storage, &err));
    hv_scripted_hub(r->source, RIG_HUB, 2, "topic-1");
    hv_scripted_policy(r->source, RIG_HUB, (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_DELETE, .retention_ms = -1});
    r->config.sources = &r->source;
    r->config.classify = rig_three_classes;
    r->config.max_bytes = 3000;
    r->config.block_bytes = 2000;
    r->config.uploaders = 1;
    r->config.patience_ms = PATIENCE_MS;
    rig_produce(r, 1, 0, 5);
    rig_skip(r, 1, 0, 2, 'x');
    rig_produce(r, 1, 0, 25);
    rig_produce(r, 1, 1, 3);
}

static void
teardown(void)
{
    (void)device_faults_end();
    rig_teardown(r);
    free(r);
    scratch_dir_remove(&vault);
}

static void
again(void)
{
    teardown();
    setup();
}

static void
finish_on_a_sound_device(void)
{
    hv_err err;

    r->config.patience_ms = r->config.give_up_ms = 60000;       /* what does not fail may still be slow */
    rig_reopen_index(r);
    rig_check(r);
    ck_hv_ok(rig_run_once(r, NULL, &err));
    rig_check_all_captured(r);
    rig_lose_disk(r);                   /* the store alone tells the same */
    ck_hv_ok(rig_run_once(r, NULL, &err));
    rig_check_all_captured(r);
}

static const struct way {
    bool index;
    long calls;
} ways[] = {{false, 1}, {false, FOR_GOOD}, {true, 1}, {true, FOR_GOOD}};
enum { WAYS = sizeof ways / sizeof *ways };

static device_faults
faults_of(const struct way *way, long call)
{
    return (device_faults){.folder = way->index ? r->dir.path : vault.path, .fail_at = call, .fail_calls = way->calls,
                           .loses_content = !way->index};
}

/* How many calls failed. */
static long
run_with_faults(const struct way *way, long call, int64_t patience_ms, hv_rc *ret, hv_err *err)
{
    again();
    r->config.give_up_ms = way->calls == 1 ? 20000 : 1500;     /* of a clock ten times as fast */
    r->config.patience_ms = patience_ms;
    device_faults faults = faults_of(way, call);
    device_faults_begin(&faults);
    *ret = rig_run_once(r, NULL, err);
    return device_faults_end();
}

START_TEST(no_eio_of_a_device_loses_or_doubles_or_damages_an_event)
{
    const struct way *way = &ways[_i];
    long fired = 0, lost = 0;
    hv_err err;

    for (long call = 0;; call++) {
        hv_rc rc;
        long failed = run_with_faults(way, call, PATIENCE_MS, &rc, &err);
        if (failed == 0 && rc != HV_OK)         /* the patience with a device that fails is too short for a slow machine */
            failed = run_with_faults(way, call, 600000, &rc, &err);
        ck_assert_msg(failed != 0 || rc == HV_OK, "failed without a fault: %s", err.msg);
        if (failed == 0)
            break;
        fired++;
        lost += device_faults_lost();
        finish_on_a_sound_device();
        ck_assert_int_lt(call, 1000);
    }
    ck_assert_int_ge(fired, way->index ? 6 : 20);
    if (!way->index)
        ck_assert_int_ge(lost, 5);
}
END_TEST

static long fired_on;

static void
end_faults(void)
{
    fired_on += device_faults_end();
}

/* Three calls in a row, so that what is tried again fails again. */
START_TEST(a_capture_that_goes_on_gets_over_eio_by_itself)
{
    const struct way way = {.index = _i % 2 == 1, .calls = 3};

    fired_on = 0;
    for (long call = _i / 2, before = -1; before != fired_on; call += STEP_ON) {
        char what[64];
        again();
        r->config.patience_ms = 3000;
        r->config.max_age_ms = 50;
        device_faults faults = faults_of(&way, call);
        faults.spares_caller = true;
        (void)snprintf(what, sizeof what, "call %ld of the %s", call, way.index ? "index" : "vault");
        before = fired_on;
        device_faults_begin(&faults);
        meeting_run_on(r, r->storage, NULL, end_faults, what);
        finish_on_a_sound_device();
        ck_assert_int_lt(call, 1000);
    }
    ck_assert_int_ge(fired_on, way.calls);
}
END_TEST

/* fsync(2) fails once and would succeed when asked again, though what was written is gone: only new bytes in a new file may get the name. */
START_TEST(a_put_whose_sync_failed_is_made_anew_with_all_its_bytes)
{
    static const hv_slice parts[] = {{.data = "01234", .len = 5}, {.data = "56789", .len = 5}};
    hv_err err;
    long lost = 0;

    for (long call = 0;; call++) {
        char name[64];
        HV_AUTO(hv_buf_free) hv_buf got = HV_BUF_INIT(100);
        device_faults faults = {.folder = vault.path, .fail_at = call, .fail_calls = 1, .loses_content = true};
        (void)snprintf(name, sizeof name, "a/blob-%ld", call);
        device_faults_begin(&faults);
        hv_rc rc = r->storage->ops->put_new(r->storage, name, parts, 2, NULL, &err);
        if (device_faults_end() == 0) {
            ck_assert_int_eq(rc, HV_OK);
            break;
        }
        ck_hv_fails(HV_IO, rc);
        if (device_faults_lost() != 0) {
            lost++;
            ck_hv_fails(HV_NOT_FOUND, hv_storage_get(r->storage, name, &got, &err));
        }
        rc = r->storage->ops->put_new(r->storage, name, parts, 2, NULL, &err);
        ck_assert(rc == HV_OK || rc == HV_EXISTS);
        ck_hv_ok(hv_storage_get(r->storage, name, &got, &err));
        ck_assert_str_eq(got.data, "0123456789");
    }
    ck_assert_int_eq(lost, 1);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("capture on a device that fails");

    scratch_dir_use_memory();
    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, no_eio_of_a_device_loses_or_doubles_or_damages_an_event, 0, WAYS);
    tcase_add_loop_test(tests, a_capture_that_goes_on_gets_over_eio_by_itself, 0, 4);
    tcase_add_test(tests, a_put_whose_sync_failed_is_made_anew_with_all_its_bytes);
    return ck_hv_run("capture on a device that fails", tests);
}
