/*
 * A store that is slower than the hubs: memory stays in the budget, polling stops, nothing is dropped, and when the store is quick again
 * capture catches up by itself.
 */
#include <stdio.h>
#include <unistd.h>

#include "tests/archiver/rig.h"
#include "tests/archiver/slow_store.h"

enum { BUDGET = 512 << 10, BLOCK = 8 << 10, EVENTS = 9000, SLOW_MS = 400, SLOW_FOR_EVER = 1 << 30 };

static rig *r;
static slow_store slow;
static hv_archiver *archiver;

static void
setup(void)
{
    hv_err err;

    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    rig_setup(r);
    hv_scripted_hub(r->source, RIG_HUB, 2, "topic-1");
    r->config.memory_bytes = BUDGET;
    r->config.codec = HV_CODEC_NULL;    /* what the rig makes would shrink to nothing */
    r->config.block_bytes = BLOCK;
    r->config.max_bytes = 1 << 30;      /* only memory and age close cuts */
    r->config.max_age_ms = 100;
    r->config.sources = &r->source;
    slow_store_make(&slow, r->storage, 0);
    r->config.storage = &slow.base;
    r->config.once = false;
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
}

static void
teardown(void)
{
    rig_teardown(r);
    free(r);
}

static hv_archiver_totals
totals(void)
{
    hv_archiver_totals now;

    hv_archiver_totals_read(archiver, &now);
    return now;
}

static void
wait_for_report(hv_archiver_event event)
{
    for (int i = 0; i < 6000 && r->reports[event] == 0; i++)
        usleep(10000);
    ck_assert_int_eq(r->reports[event], 1);
}

START_TEST(a_slow_store_stops_polling_keeps_memory_in_the_budget_and_loses_nothing)
{
    int64_t most = 0, before = -1;
    int standing = 0;
    hv_err err;

    atomic_store(&slow.put_ms, SLOW_FOR_EVER);
    rig_produce(r, 1, 0, EVENTS);
    rig_produce(r, 1, 1, EVENTS);
    /* It reads until the budget is used up, and then nothing more comes in. */
    for (int i = 0; i < 6000 && standing < 50; i++) {
        hv_archiver_totals now = totals();
        most = now.memory_bytes > most ? now.memory_bytes : most;
        standing = now.events == before && now.events > 0 ? standing + 1 : 0;
        before = now.events;
        usleep(10000);
    }
    ck_assert_int_eq(standing, 50);
    ck_assert_int_lt(before, 2 * EVENTS);
    ck_assert_int_ge(most, BUDGET / 2);
    /* One event may be added before the limit is noticed, and grow a block. */
    ck_assert_msg(most <= BUDGET + 4 * BLOCK, "%lld of %d bytes", (long long)most, BUDGET);
    ck_assert_int_eq(totals().cuts, 0);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_STOPPED], 0);
    wait_for_report(HV_ARCHIVER_PAUSED);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_RESUMED], 0);
    atomic_store(&slow.put_ms, 0);
    wait_for_report(HV_ARCHIVER_RESUMED);
    hv_archiver_stop(archiver);
    ck_hv_ok(hv_archiver_join(archiver, NULL, &err));
    rig_check(r);                       /* what was read is sealed, the rest is still in the hub */
    ck_hv_ok(rig_run_once(r, NULL, &err));
    rig_check_all_captured(r);
}
END_TEST

START_TEST(when_a_slow_store_is_quick_again_capture_catches_up)
{
    int64_t most = 0;
    hv_err err;

    atomic_store(&slow.put_ms, SLOW_MS);
    for (int i = 0; i < 40; i++) {      /* hubs that go on meanwhile */
        hv_archiver_totals now = totals();
        most = now.memory_bytes > most ? now.memory_bytes : most;
        rig_produce(r, 1, 0, EVENTS / 40);
        rig_produce(r, 1, 1, EVENTS / 40);
        usleep(20000);
    }
    ck_assert_int_gt(r->log[0][0].end - rig_position(r, 1, 0), 0);
    atomic_store(&slow.put_ms, 0);
    for (int i = 0; i < 6000 && (rig_position(r, 1, 0) < r->log[0][0].end || rig_position(r, 1, 1) < r->log[0][1].end); i++)
        usleep(10000);
    ck_assert_msg(most <= BUDGET + 4 * BLOCK, "%lld of %d bytes", (long long)most, BUDGET);
    hv_archiver_stop(archiver);
    ck_hv_ok(hv_archiver_join(archiver, NULL, &err));
    rig_check_all_captured(r);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("capture into a slow store");

    tcase_set_timeout(tests, 100);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, a_slow_store_stops_polling_keeps_memory_in_the_budget_and_loses_nothing);
    tcase_add_test(tests, when_a_slow_store_is_quick_again_capture_catches_up);
    return ck_hv_run("capture into a slow store", tests);
}
