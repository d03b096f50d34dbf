/*
 * The index against a model that keeps everything in arrays and searches them from the front: random partitions, cuts, classes,
 * gaps and timestamps, every question asked of both. HV_SEED=<n> repeats or varies the run.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

enum { PARTITIONS = 6, CUTS = 150, QUESTIONS = 2000, MAX_GAPS = 1 << 16 };

typedef struct model_partition {
    hv_partition name;
    hv_index_cut cuts[CUTS];
    size_t count;
} model_partition;

static model_partition model[PARTITIONS];
static sample_rng rng;

/* In the order of names, which is not the order in which they are recorded. */
static void
make_model(void)
{
    static const char *const hubs[PARTITIONS] = {"a.first", "a.first", "a.first", "b", "zz-last", "zz-last"};
    static const uint32_t incarnations[PARTITIONS] = {1, 1, 2, 70000, 1, 1};
    static const int32_t numbers[PARTITIONS] = {0, 300, 0, 7, 1, 2};
    static const int64_t lengths[PARTITIONS] = {1, 5, 300, 20000, 3000000, 0};      /* 0: from one event to 2^45 */

    for (size_t p = 0; p < PARTITIONS; p++) {
        model[p].name = sample_partition(hubs[p], incarnations[p], numbers[p]);
        model[p].count = (size_t)(1 + sample_below(&rng, CUTS));
        int64_t at = 0;
        for (size_t i = 0; i < model[p].count; i++) {
            sample_shape shape = {
                .max_segments = 1 + (int)sample_below(&rng, 4), .max_blocks = 6,
                .max_length = lengths[p] > 0 ? lengths[p] : INT64_C(1) << sample_below(&rng, 46),
                .time = 1700000000000 + (int64_t)i * 60000 - sample_below(&rng, 600000), .time_spread = 90000,
                .outliers = p % 2 == 0 ? 0 : 40, .no_gaps = p < 2 && sample_below(&rng, 3) > 0,
            };
            shape.max_blocks = shape.no_gaps ? 1000 : shape.max_blocks;
            model[p].cuts[i] = sample_cut(&rng, at, &shape);
            at = model[p].cuts[i].range.end;
        }
    }
}

static void
clear_model(void)
{
    for (size_t p = 0; p < PARTITIONS; p++) {
        for (size_t i = 0; i < model[p].count; i++)
            hv_index_cut_clear(&model[p].cuts[i]);
        model[p].count = 0;
    }
}

/* Record everything: a random partition goes on with its next cut, up to max_batch cuts in a call. */
static void
record_all(hv_index *index, sample_rng *order, size_t max_batch)
{
    size_t next[PARTITIONS] = {0}, left = 0;
    hv_err err;

    for (size_t p = 0; p < PARTITIONS; p++)
        left += model[p].count;
    while (left > 0) {
        hv_index_addition batch[64];
        size_t wanted = (size_t)(1 + sample_below(order, (int64_t)max_batch)), count = 0;
        while (count < wanted && count < left) {
            size_t p = (size_t)sample_below(order, PARTITIONS);
            if (next[p] < model[p].count)
                batch[count++] = (hv_index_addition){.partition = &model[p].name, .cut = &model[p].cuts[next[p]++]};
        }
        ck_hv_ok(hv_index_add(index, batch, count, &err));
        left -= count;
    }
}

static const hv_index_cut *
model_find(const model_partition *partition, int64_t offset)
{
    for (size_t i = 0; i < partition->count; i++)
        if (partition->cuts[i].range.end > offset)
            return &partition->cuts[i];
    return NULL;
}

static bool
model_meets(const hv_index_cut *cut, int64_t from, int64_t to)
{
    for (size_t i = 0; i < cut->segment_count; i++) {
        const hv_index_segment *segment = &cut->segments[i];
        bool before_end = segment->min_timestamp_ms < to || to == INT64_MAX;
        if (segment->count > 0 && segment->max_timestamp_ms >= from && before_end && (from < to || to == INT64_MAX))
            return true;
    }
    return false;
}

static const hv_index_cut *
model_find_time(const model_partition *partition, int64_t offset, int64_t from, int64_t to)
{
    for (size_t i = 0; i < partition->count; i++)
        if (partition->cuts[i].range.end > offset && model_meets(&partition->cuts[i], from, to))
            return &partition->cuts[i];
    return NULL;
}

static void
expect(hv_rc rc, const hv_index_cut *wanted, hv_index_cut *got, const hv_err *err)
{
    if (wanted == NULL) {
        ck_assert_msg(rc == HV_NOT_FOUND, "wanted nothing, got %s", hv_rc_name(rc));
        return;
    }
    ck_assert_msg(rc == HV_OK, "%s: %s", hv_rc_name(rc), err->msg);
    ck_assert_msg(sample_cuts_equal(wanted, got), "wanted %" PRId64 "..%" PRId64 ", got %" PRId64 "..%" PRId64, wanted->range.first,
                  wanted->range.end, got->range.first, got->range.end);
    hv_index_cut_clear(got);
}

/* Mostly near the edges of cuts. */
static int64_t
any_offset(const model_partition *partition)
{
    const hv_range *range = &partition->cuts[sample_below(&rng, (int64_t)partition->count)].range;

    switch (sample_below(&rng, 8)) {
    case 0:
        return partition->cuts[partition->count - 1].range.end + sample_below(&rng, 3) - 1;
    case 1:
        return INT64_MAX;
    case 2:
        return 0;
    case 3:
        return range->first + sample_below(&rng, range->end - range->first);
    default:
        return range->first + sample_below(&rng, 3) - (range->first > 0 ? 1 : 0);
    }
}

static int64_t
any_time(void)
{
    switch (sample_below(&rng, 12)) {
    case 0:
        return INT64_MAX - sample_below(&rng, 2);
    case 1:
        return INT64_MIN + sample_below(&rng, 3);
    case 2:
        return sample_below(&rng, 3) - 1;
    default:
        return 1700000000000 + sample_below(&rng, CUTS * 60000 + 1200000) - 600000;
    }
}

static void
ask_cuts(hv_index *index)
{
    for (int i = 0; i < QUESTIONS; i++) {
        const model_partition *partition = &model[sample_below(&rng, PARTITIONS)];
        int64_t offset = any_offset(partition), from = any_time();
        int64_t width = sample_below(&rng, 2) == 0 ? 600000 : 1000;
        int64_t to = sample_below(&rng, 3) == 0 ? any_time() : from < INT64_MAX - width ? from + sample_below(&rng, width) : from;
        hv_index_cut cut;
        hv_err err;
        hv_rc rc = hv_index_find_offset(index, &partition->name, offset, &cut, &err);
        expect(rc, model_find(partition, offset), &cut, &err);
        rc = hv_index_find_time(index, &partition->name, offset, from, to, &cut, &err);
        expect(rc, model_find_time(partition, offset, from, to), &cut, &err);
    }
}

static void
check_facts(const model_partition *partition, const hv_index_partition_facts *facts)
{
    hv_index_partition_facts wanted = {.cuts = (int64_t)partition->count, .min_timestamp_ms = INT64_MAX,
                                       .max_timestamp_ms = INT64_MIN, .last_created_ms = INT64_MIN};

    for (size_t i = 0; i < partition->count; i++) {
        const hv_index_cut *cut = &partition->cuts[i];
        wanted.gap_offsets += cut->range.end - cut->range.first;
        for (size_t s = 0; s < cut->segment_count; s++) {
            const hv_index_segment *segment = &cut->segments[s];
            wanted.segments++;
            wanted.count += segment->count;
            wanted.gap_offsets -= segment->count;
            wanted.bytes += segment->size;
            if (segment->created_ms > wanted.last_created_ms)
                wanted.last_created_ms = segment->created_ms;
            if (segment->count > 0 && segment->min_timestamp_ms < wanted.min_timestamp_ms)
                wanted.min_timestamp_ms = segment->min_timestamp_ms;
            if (segment->count > 0 && segment->max_timestamp_ms > wanted.max_timestamp_ms)
                wanted.max_timestamp_ms = segment->max_timestamp_ms;
        }
    }
    if (wanted.count == 0)
        wanted.min_timestamp_ms = wanted.max_timestamp_ms = 0;
    ck_assert_int_eq(hv_partition_compare(&facts->partition, &partition->name), 0);
    ck_assert_int_eq(facts->range.first, 0);
    ck_assert_int_eq(facts->range.end, partition->cuts[partition->count - 1].range.end);
    ck_assert_int_eq(facts->cuts, wanted.cuts);
    ck_assert_int_eq(facts->segments, wanted.segments);
    ck_assert_int_eq(facts->count, wanted.count);
    ck_assert_uint_eq(facts->bytes, wanted.bytes);
    ck_assert_int_eq(facts->gap_offsets, wanted.gap_offsets);
    ck_assert_int_eq(facts->min_timestamp_ms, wanted.min_timestamp_ms);
    ck_assert_int_eq(facts->max_timestamp_ms, wanted.max_timestamp_ms);
    ck_assert_int_eq(facts->last_created_ms, wanted.last_created_ms);
}

static void
ask_partitions(hv_index *index)
{
    hv_index_partition_facts *facts;
    size_t count;
    hv_err err;

    ck_hv_ok(hv_index_partitions(index, NULL, &facts, &count, &err));
    ck_assert_uint_eq(count, PARTITIONS);
    for (size_t p = 0; p < PARTITIONS; p++) {
        int64_t position;
        check_facts(&model[p], &facts[p]);
        ck_hv_ok(hv_index_position(index, &model[p].name, &position, &err));
        ck_assert_int_eq(position, facts[p].range.end);
    }
    free(facts);
    ck_hv_ok(hv_index_partitions(index, "zz-last", &facts, &count, &err));
    ck_assert_uint_eq(count, 2);
    check_facts(&model[4], &facts[0]);
    check_facts(&model[5], &facts[1]);
    free(facts);
}

static int
by_offset(const void *a, const void *b)
{
    const hv_index_gap *left = a, *right = b;

    return left->gap.range.first < right->gap.range.first ? -1 : left->gap.range.first > right->gap.range.first;
}

static void
add_gaps(const model_partition *partition, const hv_gap *gaps, size_t count, hv_index_gap *to, size_t *filled)
{
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_lt(*filled, MAX_GAPS);
        to[(*filled)++] = (hv_index_gap){.partition = partition->name, .gap = gaps[i]};
    }
}

static size_t
model_gaps(const model_partition *partition, hv_index_gap *to)
{
    size_t filled = 0;

    for (size_t i = 0; i < partition->count; i++) {
        const hv_index_cut *cut = &partition->cuts[i];
        add_gaps(partition, cut->gaps, cut->gap_count, to, &filled);
        for (size_t s = 0; s < cut->segment_count; s++)
            add_gaps(partition, cut->segments[s].missing, cut->segments[s].missing_count, to, &filled);
    }
    qsort(to, filled, sizeof *to, by_offset);
    return filled;
}

/* Page through with pages of random size, beginning anywhere. */
static void
page_gaps(hv_index *index, const hv_partition *only, const hv_index_gap *wanted, size_t count)
{
    size_t at = sample_below(&rng, 2) == 0 ? 0 : (size_t)sample_below(&rng, (int64_t)count + 1);

    for (;;) {
        size_t max = (size_t)(1 + sample_below(&rng, 50)), len;
        hv_index_gap *page;
        hv_err err;
        ck_hv_ok(hv_index_gaps(index, only, at == 0 ? NULL : &wanted[at - 1], max, &page, &len, &err));
        ck_assert_uint_eq(len, count - at < max ? count - at : max);
        for (size_t i = 0; i < len; i++) {
            const hv_index_gap *want = &wanted[at + i];
            ck_assert_int_eq(hv_partition_compare(&page[i].partition, &want->partition), 0);
            ck_assert_int_eq(page[i].gap.range.first, want->gap.range.first);
            ck_assert_int_eq(page[i].gap.range.end, want->gap.range.end);
            ck_assert_int_eq(page[i].gap.cause, want->gap.cause);
        }
        free(page);
        at += len;
        if (at == count && len < max)
            return;
    }
}

static void
ask_gaps(hv_index *index)
{
    hv_index_gap *wanted = calloc(MAX_GAPS, sizeof *wanted);
    size_t all = 0;

    ck_assert_ptr_nonnull(wanted);
    for (size_t p = 0; p < PARTITIONS; p++) {
        size_t count = model_gaps(&model[p], wanted + all);
        page_gaps(index, &model[p].name, wanted + all, count);
        all += count;
    }
    ck_assert_uint_gt(all, 0);
    page_gaps(index, NULL, wanted, all);
    free(wanted);
}

static void
seed(int variant)
{
    const char *text = getenv("HV_SEED");

    rng.state = (text != NULL ? (uint64_t)strtoull(text, NULL, 10) : 1) * 1000 + (uint64_t)variant;
}

START_TEST(every_answer_equals_that_of_a_model_which_searches_arrays)
{
    scratch_dir dir = scratch_dir_make();

    seed(_i);
    make_model();
    hv_index *index = sample_open(dir.path, 1 << 20);
    record_all(index, &rng, 20);
    ask_cuts(index);
    ask_partitions(index);
    ask_gaps(index);
    hv_index_close(index);
    clear_model();
    scratch_dir_remove(&dir);
}
END_TEST

START_TEST(following_find_time_by_its_ends_finds_every_cut_of_a_window_once)
{
    scratch_dir dir = scratch_dir_make();

    seed(100 + _i);
    make_model();
    hv_index *index = sample_open(dir.path, 1 << 20);
    record_all(index, &rng, 20);
    for (int i = 0; i < 20; i++) {
        const model_partition *partition = &model[sample_below(&rng, PARTITIONS)];
        int64_t from = any_time(), to = any_time(), offset = 0;
        hv_index_cut cut;
        hv_err err;
        const hv_index_cut *wanted;
        do {
            wanted = model_find_time(partition, offset, from, to);
            expect(hv_index_find_time(index, &partition->name, offset, from, to, &cut, &err), wanted, &cut, &err);
            offset = wanted != NULL ? wanted->range.end : offset;
        } while (wanted != NULL);
    }
    hv_index_close(index);
    clear_model();
    scratch_dir_remove(&dir);
}
END_TEST

START_TEST(an_index_rebuilt_in_another_order_and_other_batches_prints_the_same_text)
{
    scratch_dir first_dir = scratch_dir_make(), second_dir = scratch_dir_make();
    HV_AUTO(hv_buf_free) hv_buf first_text = HV_BUF_INIT(64 << 20), second_text = HV_BUF_INIT(64 << 20);

    seed(200 + _i);
    make_model();
    hv_index *first = sample_open(first_dir.path, 1 << 20), *second = sample_open(second_dir.path, 8 << 20);
    record_all(first, &rng, 1);
    record_all(second, &rng, 64);
    sample_dump(first, &first_text);
    sample_dump(second, &second_text);
    ck_assert_uint_gt(first_text.len, 10000);
    ck_assert_msg(hv_slice_equal(hv_buf_slice(&first_text), hv_buf_slice(&second_text)), "the texts differ");
    hv_index_close(first);
    hv_index_close(second);
    clear_model();
    scratch_dir_remove(&first_dir);
    scratch_dir_remove(&second_dir);
}
END_TEST

int
main(void)
{
    scratch_dir_use_memory();
    TCase *tests = tcase_create("index model");
    tcase_add_loop_test(tests, every_answer_equals_that_of_a_model_which_searches_arrays, 0, 8);
    tcase_add_loop_test(tests, following_find_time_by_its_ends_finds_every_cut_of_a_window_once, 0, 4);
    tcase_add_loop_test(tests, an_index_rebuilt_in_another_order_and_other_batches_prints_the_same_text, 0, 3);
    return ck_hv_run("index model", tests);
}
