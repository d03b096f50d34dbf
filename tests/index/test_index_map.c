/* The map that LMDB reads its file through: it grows by itself, under readers, and losing it is not the end. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

enum { TINY_MAP = 64 << 10, CUTS = 400, READERS = 3 };

typedef struct reader_thread {
    hv_index *index;
    const hv_partition *partition;
    atomic_long *recorded;              /* offsets that are acknowledged */
    atomic_bool *stop;
    long lookups;
    int64_t greatest;
} reader_thread;

static hv_index_cut
cut_number(int64_t i)
{
    sample_rng rng = {.state = (uint64_t)i};
    sample_shape shape = {.max_segments = 2, .max_blocks = 40, .max_length = 1, .time = 1000 * i, .no_gaps = true};

    return sample_cut(&rng, i, &shape);
}

/* Whatever was acknowledged before the question must be in the answer. */
static void *
look_up(void *arg)
{
    reader_thread *reader = arg;
    hv_err err;

    while (!atomic_load(reader->stop)) {
        int64_t recorded = atomic_load(reader->recorded), position;
        ck_hv_ok(hv_index_position(reader->index, reader->partition, &position, &err));
        ck_assert_int_ge(position, recorded);
        ck_assert_int_ge(position, reader->greatest);
        reader->greatest = position;
        if (recorded > 0) {
            HV_AUTO(hv_index_cut_clear) hv_index_cut want = cut_number(recorded - 1), got = {.segment_count = 0};
            ck_hv_ok(hv_index_find_time(reader->index, reader->partition, 0, 1000 * (recorded - 1), 1000 * recorded, &got, &err));
            ck_assert(sample_cuts_equal(&want, &got));
            reader->lookups++;
        }
    }
    return NULL;
}

START_TEST(a_tiny_map_grows_under_readers_that_never_see_half_a_cut_or_lose_one)
{
    scratch_dir dir = scratch_dir_make();
    hv_index *index = sample_open(dir.path, TINY_MAP);
    hv_partition partition = sample_partition("orders", 1, 0);
    atomic_long recorded = 0;
    atomic_bool stop = false;
    pthread_t threads[READERS];
    reader_thread readers[READERS];
    hv_index_stats stats;
    hv_err err;

    ck_hv_ok(hv_index_stats_read(index, &stats, &err));
    uint64_t map_before = stats.map_bytes;
    for (int i = 0; i < READERS; i++) {
        readers[i] = (reader_thread){.index = index, .partition = &partition, .recorded = &recorded, .stop = &stop};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, look_up, &readers[i]), 0);
    }
    for (int64_t i = 0; i < CUTS; i++) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut cut = cut_number(i);
        sample_add(index, &partition, &cut);
        atomic_store(&recorded, i + 1);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_int_gt(readers[i].lookups, 0);
    }
    ck_hv_ok(hv_index_stats_read(index, &stats, &err));
    ck_assert_uint_ge(stats.map_bytes, 4 * map_before);         /* or nothing had to grow, and nothing was tested */
    hv_index_close(index);
    scratch_dir_remove(&dir);
}
END_TEST

START_TEST(one_call_that_needs_many_times_the_map_is_recorded_whole)
{
    enum { MANY = 300 };
    scratch_dir dir = scratch_dir_make();
    hv_index *index = sample_open(dir.path, TINY_MAP);
    hv_partition partition = sample_partition("orders", 1, 0);
    hv_index_cut cuts[MANY];
    hv_index_addition additions[MANY];
    int64_t position;
    hv_err err;

    for (int64_t i = 0; i < MANY; i++) {
        cuts[i] = cut_number(i);
        additions[i] = (hv_index_addition){.partition = &partition, .cut = &cuts[i]};
    }
    ck_hv_ok(hv_index_add(index, additions, MANY, &err));
    ck_hv_ok(hv_index_position(index, &partition, &position, &err));
    ck_assert_int_eq(position, MANY);
    for (size_t i = 0; i < MANY; i++)
        hv_index_cut_clear(&cuts[i]);
    hv_index_close(index);
    scratch_dir_remove(&dir);
}
END_TEST

START_TEST(an_index_larger_than_the_map_asked_for_opens_all_the_same)
{
    scratch_dir dir = scratch_dir_make();
    hv_index *index = sample_open(dir.path, 16 << 20);
    hv_partition partition = sample_partition("orders", 1, 0);
    int64_t position;
    hv_err err;

    for (int64_t i = 0; i < 200; i++) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut cut = cut_number(i);
        sample_add(index, &partition, &cut);
    }
    hv_index_close(index);
    for (uint64_t map = 4096; map <= 1 << 20; map *= 2) {
        index = sample_open(dir.path, map);
        ck_hv_ok(hv_index_position(index, &partition, &position, &err));
        for (int64_t i = 0; i < position; i++) {
            HV_AUTO(hv_index_cut_clear) hv_index_cut want = cut_number(i), got = {.segment_count = 0};
            ck_hv_ok(hv_index_find_offset(index, &partition, i, &got, &err));
            ck_assert(sample_cuts_equal(&want, &got));
        }
        HV_AUTO(hv_index_cut_clear) hv_index_cut cut = cut_number(position);
        sample_add(index, &partition, &cut);
        hv_index_close(index);
    }
    ck_assert_int_eq(position, 208);
    scratch_dir_remove(&dir);
}
END_TEST

START_TEST(a_map_that_does_not_even_hold_an_empty_index_grows_while_it_is_made)
{
    for (uint64_t map = 4096; map <= 64 << 10; map += 4096) {
        scratch_dir dir = scratch_dir_make();
        hv_index *index = sample_open(dir.path, map);
        hv_partition partition = sample_partition("orders", 1, 0);
        HV_AUTO(hv_index_cut_clear) hv_index_cut cut = cut_number(0);
        sample_add(index, &partition, &cut);
        hv_index_close(index);
        scratch_dir_remove(&dir);
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("index map");
    tcase_add_test(tests, a_tiny_map_grows_under_readers_that_never_see_half_a_cut_or_lose_one);
    tcase_add_test(tests, one_call_that_needs_many_times_the_map_is_recorded_whole);
    tcase_add_test(tests, an_index_larger_than_the_map_asked_for_opens_all_the_same);
    tcase_add_test(tests, a_map_that_does_not_even_hold_an_empty_index_grows_while_it_is_made);
    return ck_hv_run("index map", tests);
}
