/* What a running archiver shows to whoever watches it: lag, headroom, stalled threads; and what can be changed while it runs. */
#include "archiver/archiver_state.h"

#include <unistd.h>

#include "common/clock.h"
#include "tests/archiver/gate_storage.h"
#include "tests/archiver/rig.h"

enum { HOUR_MS = 60 * 60 * 1000 };

static rig *r;
static hv_storage *gate;
static hv_archiver *archiver;
static hv_archiver_state state;
static hv_err err;

static void
setup(void)
{
    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    rig_setup(r);
    hv_scripted_hub(r->source, RIG_HUB, 2, "");
    hv_scripted_policy(r->source, RIG_HUB, (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_DELETE, .retention_ms = HOUR_MS});
    gate = gate_open(r->storage);
    r->config.sources = &r->source;
    r->config.storage = gate;
    state = (hv_archiver_state){0};
    archiver = NULL;
}

static void
teardown(void)
{
    gate_set(gate, GATE_OPEN);
    if (archiver != NULL) {
        hv_archiver_stop(archiver);
        ck_hv_ok(hv_archiver_join(archiver, NULL, &err));
    }
    hv_archiver_state_clear(&state);
    hv_storage_close(gate);
    rig_teardown(r);
    free(r);
}

static void
start(int64_t max_age_ms)
{
    r->config.max_age_ms = max_age_ms;
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
}

static void
produce_at(int32_t partition, int64_t timestamp_ms)
{
    hv_event event = {.timestamp_ms = timestamp_ms, .timestamp_type = HV_TIMESTAMP_CREATE, .value = hv_slice_text("v")};

    hv_scripted_append(r->source, RIG_HUB, partition, &event);
}

static void
read_state(void)
{
    hv_archiver_state_clear(&state);
    ck_hv_ok(hv_archiver_state_read(archiver, &state, &err));
}

/* Partition 0 as soon as it fits; the test fails after ten seconds without. */
static const hv_partition_state *
wait_for(bool (*fits)(const hv_partition_state *partition), const char *what)
{
    for (int i = 0; i < 1000; i++) {
        read_state();
        if (state.partition_count > 0 && fits(&state.partitions[0]))
            return &state.partitions[0];
        usleep(10000);
    }
    ck_abort_msg("partition 0 was never seen %s", what);
    return NULL;
}

static bool
is_reading(const hv_partition_state *partition)
{
    return strcmp(partition->state, "reading") == 0;
}

static bool
first_is_open(const hv_partition_state *partition)
{
    return partition->open && partition->next >= 1;
}

static bool
first_is_sealing(const hv_partition_state *partition)
{
    return partition->sealing && partition->next >= 1 && gate_waiting(gate) == 1;
}

static bool
second_is_read(const hv_partition_state *partition)
{
    return partition->sealing && partition->open && partition->next == 2;
}

static bool
first_is_sealed(const hv_partition_state *partition)
{
    return partition->position == 1;
}

static bool
all_is_sealed(const hv_partition_state *partition)
{
    return partition->position == 2 && !partition->sealing;
}

START_TEST(hubs_and_partitions_are_shown_with_what_is_read_and_what_is_sealed)
{
    produce_at(0, hv_clock_wall_ms());
    produce_at(0, hv_clock_wall_ms());
    start(1);
    const hv_partition_state *partition = wait_for(all_is_sealed, "sealed");
    ck_assert_str_eq(partition->state, "reading");
    ck_assert(!partition->stopped && !partition->open);
    ck_assert_int_eq(partition->next, 2);
    ck_assert_int_eq(partition->high, 2);
    ck_assert_int_eq(partition->lag, 0);
    ck_assert_uint_eq(state.hub_count, 1);
    ck_assert_str_eq(state.hubs[0].name, RIG_HUB);
    ck_assert_uint_eq(state.hubs[0].count, 2);
    ck_assert_int_eq(state.hubs[0].retention_ms, HOUR_MS);
    const hv_hub_counters *counters = &state.hubs[0].counters;
    ck_assert_int_eq(counters->read_events, 2);
    ck_assert_int_eq(counters->read_bytes, 2);
    ck_assert_int_eq(counters->events, 2);
    ck_assert_int_ge(counters->cuts, 1);
    ck_assert_int_eq(counters->segments, counters->cuts);
    ck_assert_int_gt(counters->stored_bytes, 0);
    ck_assert_int_eq(counters->adopted, 0);
    ck_assert(partition->owned && partition->open_bytes == 0);
    ck_assert_uint_eq(state.partition_count, 2);
    ck_assert_int_eq(state.partitions[1].number, 1);
    ck_assert(state.discovered && state.discovered_wall_ms > 0);
}
END_TEST

START_TEST(lag_is_what_the_hub_has_and_the_vault_has_not)
{
    start(1);
    (void)wait_for(is_reading, "reading");
    gate_set(gate, GATE_HOLDS);
    produce_at(0, hv_clock_wall_ms());
    ck_assert_int_eq(wait_for(first_is_sealing, "sealing")->lag, 1);
    gate_set(gate, GATE_OPEN);
    ck_assert_int_eq(wait_for(first_is_sealed, "sealed")->lag, 0);
}
END_TEST

START_TEST(headroom_is_that_of_the_oldest_event_that_is_not_sealed_even_while_more_is_read_all_the_time)
{
    int64_t now = hv_clock_wall_ms();

    start(1);
    (void)wait_for(is_reading, "reading");
    gate_set(gate, GATE_HOLDS);
    produce_at(0, now - HOUR_MS / 2);
    const hv_partition_state *partition = wait_for(first_is_sealing, "sealing");
    ck_assert(partition->has_headroom);
    ck_assert_int_le(partition->headroom_ms, HOUR_MS / 2);
    hv_archiver_tune(archiver, &(hv_archiver_tuning){.max_age_ms = HOUR_MS});       /* the second stays unsealed */
    produce_at(0, now);
    (void)wait_for(second_is_read, "reading on");
    gate_set(gate, GATE_OPEN);
    partition = wait_for(first_is_sealed, "sealed");
    ck_assert(partition->has_headroom);
    ck_assert_int_gt(partition->headroom_ms, HOUR_MS / 2 + 60000);
    ck_assert_int_le(partition->headroom_ms, HOUR_MS);
}
END_TEST

START_TEST(with_nothing_unsealed_the_headroom_is_all_that_the_hub_keeps)
{
    produce_at(0, 1000);
    produce_at(0, 2000);
    start(1);
    const hv_partition_state *partition = wait_for(all_is_sealed, "sealed");
    ck_assert(partition->has_headroom);
    ck_assert_int_eq(partition->headroom_ms, HOUR_MS);
}
END_TEST

START_TEST(without_retention_there_is_no_headroom)
{
    hv_scripted_policy(r->source, RIG_HUB, (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_DELETE, .retention_ms = -1});
    produce_at(0, 1000);
    produce_at(0, 2000);
    start(1);
    ck_assert(!wait_for(all_is_sealed, "sealed")->has_headroom);
}
END_TEST

static int64_t
cuts_in(hv_archiver *of)
{
    hv_archiver_totals totals;

    hv_archiver_totals_read(of, &totals);
    return totals.cuts;
}

START_TEST(cuts_of_a_trickle_share_transactions_of_the_index)
{
    enum { TRICKLE = 16, AGE_MS = 6000, APART_US = 110000 };     /* apart by more than the time between looks at what is due, and by less than a twentieth of the age */
    hv_histogram_facts commits;

    hv_scripted_hub(r->source, RIG_HUB, TRICKLE, "");
    start(AGE_MS);
    (void)wait_for(is_reading, "reading");
    for (int32_t p = 0; p < TRICKLE; p++) {
        produce_at(p, hv_clock_wall_ms());
        usleep(APART_US);
    }
    for (int i = 0; i < 3000 && cuts_in(archiver) < TRICKLE; i++)
        usleep(10000);
    ck_assert_int_eq(cuts_in(archiver), TRICKLE);
    hv_histogram_read(hv_archiver_index_latency(archiver), &commits);
    ck_assert_uint_ge(commits.cumulative[HV_HISTOGRAM_BOUNDS], 1);
    ck_assert_uint_lt(commits.cumulative[HV_HISTOGRAM_BOUNDS], TRICKLE * 3 / 4);
}
END_TEST

START_TEST(a_thread_that_hangs_in_the_store_is_named_and_others_are_not)
{
    hv_archiver_thread stalled[4];

    start(1);
    (void)wait_for(is_reading, "reading");
    gate_set(gate, GATE_HOLDS);
    produce_at(0, hv_clock_wall_ms());
    (void)wait_for(first_is_sealing, "sealing");
    usleep(500000);
    ck_assert_uint_eq(hv_archiver_stalled(archiver, 400, stalled, 4), 1);
    ck_assert_int_eq(strncmp(stalled[0].name, "uploader-", 9), 0);
    ck_assert_int_gt(stalled[0].silent_ms, 400);
    ck_assert_uint_eq(hv_archiver_stalled(archiver, 60000, stalled, 4), 0);
    ck_assert_uint_eq(hv_archiver_stalled(archiver, 400, NULL, 0), 1);
    gate_set(gate, GATE_OPEN);
    (void)wait_for(first_is_sealed, "sealed");
    usleep(100000);
    ck_assert_uint_eq(hv_archiver_stalled(archiver, 400, stalled, 4), 0);
}
END_TEST

START_TEST(a_maximum_age_that_is_set_while_it_runs_counts_for_cuts_that_are_open)
{
    produce_at(0, hv_clock_wall_ms());
    produce_at(0, hv_clock_wall_ms());
    start(HOUR_MS);
    ck_assert_int_eq(wait_for(first_is_open, "open")->position, 0);
    hv_archiver_tune(archiver, &(hv_archiver_tuning){.max_age_ms = 1});
    (void)wait_for(all_is_sealed, "sealed");
}
END_TEST

START_TEST(how_long_the_index_takes_is_counted)
{
    hv_histogram_facts facts;

    produce_at(0, hv_clock_wall_ms());
    produce_at(0, hv_clock_wall_ms());
    start(1);
    (void)wait_for(all_is_sealed, "sealed");
    hv_histogram_read(hv_archiver_index_latency(archiver), &facts);
    ck_assert_uint_ge(facts.cumulative[HV_HISTOGRAM_BOUNDS], 1);
    ck_assert_uint_gt(facts.sum_us, 0);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("archiver state");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, hubs_and_partitions_are_shown_with_what_is_read_and_what_is_sealed);
    tcase_add_test(tests, lag_is_what_the_hub_has_and_the_vault_has_not);
    tcase_add_test(tests, headroom_is_that_of_the_oldest_event_that_is_not_sealed_even_while_more_is_read_all_the_time);
    tcase_add_test(tests, with_nothing_unsealed_the_headroom_is_all_that_the_hub_keeps);
    tcase_add_test(tests, without_retention_there_is_no_headroom);
    tcase_add_test(tests, cuts_of_a_trickle_share_transactions_of_the_index);
    tcase_add_test(tests, a_thread_that_hangs_in_the_store_is_named_and_others_are_not);
    tcase_add_test(tests, a_maximum_age_that_is_set_while_it_runs_counts_for_cuts_that_are_open);
    tcase_add_test(tests, how_long_the_index_takes_is_counted);
    return ck_hv_run("archiver state", tests);
}
