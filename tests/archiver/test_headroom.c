/* The warning before a hub deletes what is not sealed: it is about the oldest event that is not sealed now. */
#include <stdatomic.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/archiver/gate_storage.h"
#include "tests/archiver/rig.h"

enum { HOUR_MS = 60 * 60 * 1000 };

static rig *r;
static hv_storage *gate;
static hv_archiver *archiver;
static hv_err err;

static void
produce_at(int64_t timestamp_ms)
{
    hv_event event = {.timestamp_ms = timestamp_ms, .timestamp_type = HV_TIMESTAMP_CREATE, .value = hv_slice_text("v")};

    hv_scripted_append(r->source, RIG_HUB, 0, &event);
}

static void
setup(void)
{
    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    rig_setup(r);
    hv_scripted_hub(r->source, RIG_HUB, 1, "");
    hv_scripted_policy(r->source, RIG_HUB, (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_DELETE, .retention_ms = HOUR_MS});
    gate = gate_open(r->storage);
    r->config.sources = &r->source;
    r->config.storage = gate;
    r->config.max_age_ms = 1;
    r->config.headroom_warning_ms = HOUR_MS / 2;
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
    for (int i = 0; i < 6000 && atomic_load(&r->reports[HV_ARCHIVER_HUB]) == 0; i++)
        usleep(10000);
}

static void
teardown(void)
{
    gate_set(gate, GATE_OPEN);
    hv_archiver_stop(archiver);
    ck_hv_ok(hv_archiver_join(archiver, NULL, &err));
    hv_storage_close(gate);
    rig_teardown(r);
    free(r);
}

static int64_t
events_read(void)
{
    hv_archiver_totals totals;

    hv_archiver_totals_read(archiver, &totals);
    return totals.events;
}

/* One event on its way into a store that holds it up, and one behind it that was read meanwhile. */
static void
seal_one_and_read_another(int64_t first_ms, int64_t second_ms)
{
    gate_set(gate, GATE_HOLDS);
    produce_at(first_ms);
    for (int i = 0; i < 6000 && gate_waiting(gate) == 0; i++)
        usleep(10000);
    ck_assert_uint_eq(gate_waiting(gate), 1);
    produce_at(second_ms);
    for (int i = 0; i < 6000 && events_read() < 2; i++)
        usleep(10000);
    ck_assert_int_eq(events_read(), 2);
}

START_TEST(when_the_oldest_event_is_sealed_the_next_one_counts_although_it_was_read_before)
{
    int64_t now = hv_clock_wall_ms();

    seal_one_and_read_another(now, now - HOUR_MS / 4 * 3);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_HEADROOM], 0);
    gate_set(gate, GATE_OPEN);
    for (int i = 0; i < 6000 && rig_position(r, 1, 0) < 2; i++)
        usleep(10000);
    ck_assert_int_eq(rig_position(r, 1, 0), 2);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_HEADROOM], 1);
}
END_TEST

START_TEST(an_event_that_the_hub_will_delete_soon_is_warned_of_while_the_store_hangs)
{
    int64_t now = hv_clock_wall_ms();

    seal_one_and_read_another(now - HOUR_MS / 4 * 3, now);
    for (int i = 0; i < 6000 && atomic_load(&r->reports[HV_ARCHIVER_HEADROOM]) == 0; i++)
        usleep(10000);
    ck_assert_int_eq(r->reports[HV_ARCHIVER_HEADROOM], 1);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("headroom");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, when_the_oldest_event_is_sealed_the_next_one_counts_although_it_was_read_before);
    tcase_add_test(tests, an_event_that_the_hub_will_delete_soon_is_warned_of_while_the_store_hangs);
    return ck_hv_run("headroom", tests);
}
