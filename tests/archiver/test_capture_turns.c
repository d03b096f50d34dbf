/* A backlog of many partitions is read by turns: whole, in few cuts, and nobody waits for ever. */
#include <unistd.h>

#include "archiver/archiver_state.h"
#include "common/clock.h"
#include "tests/archiver/rig.h"

enum { TURNS = 64, BACKLOG = 600, VALUE = 200 };

static rig *r;
static hv_err err;

static void
setup(void)
{
    r = malloc(sizeof *r);
    ck_assert_ptr_nonnull(r);
    rig_setup(r);
    r->config.sources = &r->source;
    r->config.storage = r->storage;
}

static void
teardown(void)
{
    rig_teardown(r);
    free(r);
}

static void
append(int32_t partition, int64_t count)
{
    static char value[VALUE];

    memset(value, 'v', sizeof value);
    for (int64_t offset = 0; offset < count; offset++) {
        hv_event event = {.timestamp_ms = hv_clock_wall_ms(), .timestamp_type = HV_TIMESTAMP_CREATE,
            .value = hv_slice_of(value, sizeof value)};
        (void)hv_scripted_append(r->source, RIG_HUB, partition, &event);
    }
}

static void
fill(int32_t partitions, int64_t count)
{
    hv_scripted_hub(r->source, RIG_HUB, partitions, "");
    for (int32_t p = 0; p < partitions; p++)
        append(p, count);
}

START_TEST(a_backlog_of_many_partitions_becomes_one_cut_each_although_all_at_once_would_not_fit)
{
    enum { PARTITIONS = 256 };
    hv_archiver *archiver = NULL;
    hv_archiver_totals totals;

    fill(PARTITIONS, BACKLOG);
    r->config.once = true;
    r->config.memory_bytes = 24 << 20;  /* half of it for open cuts; all of them at once take 30 MB */
    r->config.block_bytes = 256 << 10;
    r->config.max_bytes = 64 << 20;
    r->config.max_age_ms = 60 * 60 * 1000;
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
    ck_hv_ok(hv_archiver_join(archiver, &totals, &err));
    ck_assert_int_eq(totals.events, PARTITIONS * BACKLOG);
    for (int32_t p = 0; p < PARTITIONS; p++)
        ck_assert_int_eq(rig_position(r, 1, p), BACKLOG);
    ck_assert_int_ge(totals.cuts, PARTITIONS);
    ck_assert_int_le(totals.cuts, PARTITIONS + PARTITIONS / 16);
}
END_TEST

/* They do not take turns, and their events take twice the memory there is. */
START_TEST(many_partitions_with_a_little_each_stay_in_memory_compressed_and_become_one_cut_each)
{
    enum { PARTITIONS = 256, SHALLOW = 300 };
    hv_archiver *archiver = NULL;
    hv_archiver_totals totals;

    fill(PARTITIONS, SHALLOW);
    r->config.once = true;
    r->config.memory_bytes = 8 << 20;
    r->config.block_bytes = 256 << 10;
    r->config.max_bytes = 64 << 20;
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
    ck_hv_ok(hv_archiver_join(archiver, &totals, &err));
    ck_assert_int_eq(totals.events, PARTITIONS * SHALLOW);
    ck_assert_int_ge(totals.cuts, PARTITIONS);
    ck_assert_int_le(totals.cuts, PARTITIONS + PARTITIONS / 16);
}
END_TEST

START_TEST(a_partition_with_little_to_catch_up_with_does_not_wait)
{
    enum { PARTITIONS = 3 * TURNS };
    hv_archiver *archiver = NULL;
    hv_archiver_totals totals;

    fill(PARTITIONS, 3);
    r->config.once = true;
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
    ck_hv_ok(hv_archiver_join(archiver, &totals, &err));
    ck_assert_int_eq(totals.events, PARTITIONS * 3);
}
END_TEST

/* ---- partitions that never get on ---- */

static const hv_source_ops *real_ops;
static hv_source_ops stuck_ops;

static hv_rc
assign_some(hv_source *source, const hv_source_assignment *assignments, size_t count, hv_err *e)
{
    ck_assert_uint_eq(count, 1);
    return assignments->partition < TURNS ? HV_OK : real_ops->assign(source, assignments, count, e);
}

static hv_rc
unassign_some(hv_source *source, const char *hub, int32_t partition, hv_err *e)
{
    return partition < TURNS ? HV_OK : real_ops->unassign(source, hub, partition, e);
}

START_TEST(nobody_waits_for_ever_for_those_that_do_not_get_on)
{
    enum { PARTITIONS = TURNS + 3, PATIENCE = 3000 };
    int64_t last = 0;

    fill(PARTITIONS, BACKLOG);
    real_ops = r->source->ops;
    stuck_ops = *real_ops;
    stuck_ops.assign = assign_some;
    stuck_ops.unassign = unassign_some;
    r->source->ops = &stuck_ops;
    hv_archiver *archiver = rig_begin(r, 1);
    for (int i = 0; i < PATIENCE && last < BACKLOG; i++) {
        last = rig_position(r, 1, TURNS) < rig_position(r, 1, TURNS + 1) ? rig_position(r, 1, TURNS) : rig_position(r, 1, TURNS + 1);
        last = rig_position(r, 1, TURNS + 2) < last ? rig_position(r, 1, TURNS + 2) : last;
        usleep(10000);
    }
    rig_end(archiver);
    r->source->ops = real_ops;
    ck_assert_int_eq(last, BACKLOG);
    ck_assert_int_eq(rig_position(r, 1, 0), 0);
}
END_TEST

static _Atomic int let_go;

static hv_rc
assign_first(hv_source *source, const hv_source_assignment *assignments, size_t count, hv_err *e)
{
    ck_assert_uint_eq(count, 1);
    return assignments->partition == 0 ? real_ops->assign(source, assignments, count, e) : HV_OK;
}

static hv_rc
note_unassign(hv_source *source, const char *hub, int32_t partition, hv_err *e)
{
    let_go += partition == 0;
    return partition == 0 ? real_ops->unassign(source, hub, partition, e) : HV_OK;
}

/* The second partition delivers nothing, so the run does not end, no cut is old, and there is room. */
START_TEST(once_lets_go_of_a_partition_that_is_through_and_seals_it_while_another_is_not)
{
    hv_archiver *archiver = NULL;

    fill(2, BACKLOG);
    real_ops = r->source->ops;
    stuck_ops = *real_ops;
    stuck_ops.assign = assign_first;
    stuck_ops.unassign = note_unassign;
    r->source->ops = &stuck_ops;
    r->config.once = true;
    r->config.max_age_ms = 60 * 60 * 1000;
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
    rig_wait_position(r, 1, 0, BACKLOG);
    ck_assert_int_eq(let_go, 1);
    rig_end(archiver);
    r->source->ops = real_ops;
    ck_assert_int_eq(rig_position(r, 1, 1), 0);
}
END_TEST

static _Atomic int questions;

static hv_rc
count_questions(hv_source *source, int timeout_ms, hv_source_hub **ret, size_t *count, hv_err *e)
{
    questions++;
    return real_ops->hubs(source, timeout_ms, ret, count, e);
}

/* Each question lists all partitions. Each partition ends at another moment; the first and the last questions come as they are needed. */
START_TEST(who_a_hub_is_is_asked_a_few_times_a_second_however_many_cuts_wait_for_it)
{
    enum { PARTITIONS = 450, QUESTIONS_PER_SECOND = 10, MORE = 5 };
    hv_archiver *archiver = NULL;
    hv_archiver_totals totals;

    hv_scripted_hub(r->source, RIG_HUB, PARTITIONS, "the only one");
    for (int32_t p = 0; p < PARTITIONS; p++)
        append(p, p + 1);
    real_ops = r->source->ops;
    stuck_ops = *real_ops;
    stuck_ops.hubs = count_questions;
    r->source->ops = &stuck_ops;
    r->config.once = true;
    r->config.discovery_ms = 60 * 60 * 1000;
    int64_t began_ms = hv_clock_boot_ms();
    ck_hv_ok(hv_archiver_start(&r->config, &archiver, &err));
    ck_hv_ok(hv_archiver_join(archiver, &totals, &err));
    int64_t took_ms = hv_clock_boot_ms() - began_ms;
    r->source->ops = real_ops;
    ck_assert_int_ge(totals.cuts, PARTITIONS);
    ck_assert_int_ge(questions, 2);
    ck_assert_int_le(questions, took_ms * QUESTIONS_PER_SECOND / 1000 + MORE);
}
END_TEST

/* One event makes a cut, and all of them are closed in the same moment. */
START_TEST(cuts_of_many_partitions_share_transactions_of_the_index)
{
    enum { PARTITIONS = 900, PATIENCE_MS = 60000, LINGER_MS = 3000 };
    hv_histogram_facts facts;
    int64_t recorded = 0;

    fill(PARTITIONS, 1);
    r->config.max_bytes = r->config.block_bytes = 1;
    hv_archiver *archiver = rig_begin(r, 20 * LINGER_MS);
    int64_t began_ms = hv_clock_boot_ms();
    for (int ms = 0; ms < PATIENCE_MS && recorded < PARTITIONS; ms += 10) {
        usleep(10000);
        recorded = 0;
        for (int32_t p = 0; p < PARTITIONS; p++)
            recorded += rig_position(r, 1, p) == 1;
    }
    int64_t took_ms = hv_clock_boot_ms() - began_ms;
    hv_histogram_read(hv_archiver_index_latency(archiver), &facts);
    rig_end(archiver);
    ck_assert_int_eq(recorded, PARTITIONS);
    ck_assert_int_le((int64_t)facts.cumulative[HV_HISTOGRAM_BOUNDS], took_ms / LINGER_MS + 2);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("capture turns");

    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_backlog_of_many_partitions_becomes_one_cut_each_although_all_at_once_would_not_fit);
    tcase_add_test(tests, many_partitions_with_a_little_each_stay_in_memory_compressed_and_become_one_cut_each);
    tcase_add_test(tests, a_partition_with_little_to_catch_up_with_does_not_wait);
    tcase_add_test(tests, nobody_waits_for_ever_for_those_that_do_not_get_on);
    tcase_add_test(tests, once_lets_go_of_a_partition_that_is_through_and_seals_it_while_another_is_not);
    tcase_add_test(tests, who_a_hub_is_is_asked_a_few_times_a_second_however_many_cuts_wait_for_it);
    tcase_add_test(tests, cuts_of_many_partitions_share_transactions_of_the_index);
    return ck_hv_run("capture turns", tests);
}
