/*
 * How many entries a lookup reads, counted between our code and LMDB: a lookup that is right but reads everything would pass every
 * other test. Numbers of calls do not depend on the machine.
 */
#include <lmdb.h>
#include <stdlib.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

static long calls;

int __real_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value);
int __wrap_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value);
int __real_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op);
int __wrap_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op);

int
__wrap_mdb_get(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value)
{
    calls++;
    return __real_mdb_get(txn, dbi, key, value);
}

int
__wrap_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
    calls++;
    return __real_mdb_cursor_get(cursor, key, value, op);
}

enum { CUTS = 8000, BATCH = 500, FAR = 200 };

/* From one event per cut to a million, and cuts of any length. */
static const int64_t lengths[] = {1, 100, 10000, 1000000, -1};

static scratch_dir dir;
static hv_index *ix;
static hv_partition orders;
static int64_t firsts[CUTS];

/* Cut i is about at time 1000 * i, up to 50 cuts early or late; one in a hundred ends in the year 9999. */
static void
fill(int64_t length)
{
    sample_rng rng = {.state = 3};
    int64_t at = 0;
    hv_err err;

    dir = scratch_dir_make();
    ix = sample_open(dir.path, 64 << 20);
    orders = sample_partition("orders", 1, 0);
    for (int64_t i = 0; i < CUTS; i += BATCH) {
        hv_index_cut cuts[BATCH];
        hv_index_addition additions[BATCH];
        for (int64_t j = 0; j < BATCH; j++) {
            int64_t count = length > 0 ? length : (int64_t)1 << sample_below(&rng, 22);
            firsts[i + j] = at;
            cuts[j] = sample_plain_cut(at, count, 1000 * (i + j + sample_below(&rng, 100) - 50));
            if ((i + j) % 100 == 99)
                cuts[j].segments[0].max_timestamp_ms = cuts[j].segments[0].blocks[0].max_timestamp_ms = 253402300799000;
            additions[j] = (hv_index_addition){.partition = &orders, .cut = &cuts[j]};
            at += count;
        }
        ck_hv_ok(hv_index_add(ix, additions, BATCH, &err));
        for (int64_t j = 0; j < BATCH; j++)
            hv_index_cut_clear(&cuts[j]);
    }
}

static void
empty(void)
{
    hv_index_close(ix);
    scratch_dir_remove(&dir);
}

START_TEST(a_lookup_by_offset_reads_a_handful_of_entries)
{
    sample_rng rng = {.state = 5};
    hv_err err;

    fill(lengths[_i]);
    for (int i = 0; i < 200; i++) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut got = {.segment_count = 0};
        int64_t wanted = sample_below(&rng, CUTS);
        calls = 0;
        ck_hv_ok(hv_index_find_offset(ix, &orders, firsts[wanted], &got, &err));
        ck_assert_int_eq(got.range.first, firsts[wanted]);
        ck_assert_int_le(calls, 8);
    }
    empty();
}
END_TEST

/* The window lies where no cut but outliers meets it, near the end of the partition and behind it: the way there is long. */
START_TEST(a_lookup_by_time_does_not_read_the_cuts_it_passes_by)
{
    hv_err err;
    long most = 0;

    fill(lengths[_i]);
    for (int64_t i = CUTS - FAR; i < CUTS; i++) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut got = {.segment_count = 0};
        int64_t from = firsts[(i * 100 + 0) % CUTS / 2];
        hv_rc rc;
        calls = 0;
        do {                            /* outliers meet the window too, each costs a way of its own */
            hv_index_cut_clear(&got);
            rc = hv_index_find_time(ix, &orders, from, 1000 * i, 1000 * i + 1, &got, &err);
            most = calls > most ? calls : most;
            calls = 0;
            from = rc == HV_OK ? got.range.end : from;
        } while (rc == HV_OK && got.segments[0].max_timestamp_ms > 1000 * CUTS);
    }
    ck_assert_int_gt(most, 10);
    ck_assert_int_le(most, 500);
    empty();
}
END_TEST

START_TEST(nothing_behind_the_last_time_is_found_out_without_reading_the_cuts)
{
    hv_index_cut got;
    hv_err err;

    fill(lengths[_i]);
    calls = 0;
    ck_hv_fails(HV_NOT_FOUND, hv_index_find_time(ix, &orders, 0, 253402300799001, INT64_MAX, &got, &err));
    ck_assert_int_le(calls, 30);
    calls = 0;
    ck_hv_fails(HV_NOT_FOUND, hv_index_find_time(ix, &orders, 0, INT64_MIN, -1000000, &got, &err));
    ck_assert_int_le(calls, 30);
    empty();
}
END_TEST

int
main(void)
{
    scratch_dir_use_memory();
    TCase *tests = tcase_create("index cost");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_lookup_by_offset_reads_a_handful_of_entries, 0, 5);
    tcase_add_loop_test(tests, a_lookup_by_time_does_not_read_the_cuts_it_passes_by, 0, 5);
    tcase_add_loop_test(tests, nothing_behind_the_last_time_is_found_out_without_reading_the_cuts, 0, 5);
    return ck_hv_run("index cost", tests);
}
