/* Events are dealt to segments and gaps first, facts are then counted from them, so a sample is true by construction. */
#include "tests/index/index_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/harness/check_hv.h"

uint64_t
sample_random(sample_rng *rng)
{
    uint64_t mixed = rng->state += 0x9e3779b97f4a7c15u;         /* SplitMix64 */

    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return mixed ^ mixed >> 31;
}

int64_t
sample_below(sample_rng *rng, int64_t bound)
{
    return (int64_t)(sample_random(rng) % (uint64_t)bound);
}

hv_partition
sample_partition(const char *hub, uint32_t incarnation, int32_t number)
{
    hv_partition partition;
    hv_err err;

    ck_hv_ok(hv_partition_make(hub, incarnation, number, &partition, &err));
    return partition;
}

static void *
get_memory(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    ck_assert_ptr_nonnull(memory);
    return memory;
}

static void
fill_hash(sample_rng *rng, unsigned char *hash)
{
    for (size_t i = 0; i < HV_SHA256_SIZE; i++)
        hash[i] = (unsigned char)sample_random(rng);
}

static int64_t
sample_time(sample_rng *rng, const sample_shape *shape)
{
    static const int64_t strange[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, 253402300799000, INT64_MAX - 1, INT64_MAX};

    if (shape->outliers > 0 && sample_below(rng, shape->outliers) == 0)
        return strange[sample_below(rng, sizeof strange / sizeof strange[0])];
    return shape->time + sample_below(rng, shape->time_spread + 1);
}

/* One more block of `count` events from first on. */
static void
add_block(sample_rng *rng, hv_index_segment *segment, int64_t first, int32_t count, const sample_shape *shape)
{
    int64_t a = sample_time(rng, shape), b = sample_time(rng, shape);
    hv_index_block *block = &segment->blocks[segment->block_count++];

    *block = (hv_index_block){
        .position = segment->size, .length = (uint32_t)(1 + sample_below(rng, 300000)), .first_offset = first, .count = count,
        .min_timestamp_ms = a < b ? a : b, .max_timestamp_ms = a < b ? b : a,
    };
    fill_hash(rng, block->sha256);
    if (segment->count == 0 || block->min_timestamp_ms < segment->min_timestamp_ms)
        segment->min_timestamp_ms = block->min_timestamp_ms;
    if (segment->count == 0 || block->max_timestamp_ms > segment->max_timestamp_ms)
        segment->max_timestamp_ms = block->max_timestamp_ms;
    segment->count += count;
    segment->size += block->length;
}

static void
add_gap(hv_gap **gaps, size_t *count, int64_t first, int64_t end, hv_gap_cause cause)
{
    *gaps = realloc(*gaps, (*count + 1) * sizeof **gaps);
    ck_assert_ptr_nonnull(*gaps);
    (*gaps)[(*count)++] = (hv_gap){.range = {.first = first, .end = end}, .cause = cause};
}

static void
name_segments(sample_rng *rng, hv_index_cut *cut)
{
    for (size_t i = 0; i < cut->segment_count; i++) {
        hv_index_segment *segment = &cut->segments[i];
        (void)snprintf(segment->class_name, sizeof segment->class_name, i == 0 ? "default" : "class-%03zu", i);
        segment->is_lead = i == 0;
        segment->codec = (uint8_t)sample_below(rng, 3);
        segment->data_start = segment->size = (uint64_t)sample_below(rng, 5000);
        segment->created_ms = 1700000000000 + sample_below(rng, 1000000);
        segment->has_policy = sample_below(rng, 2) == 0;
        if (segment->has_policy)
            fill_hash(rng, segment->policy);
        fill_hash(rng, segment->sha256);
        fill_hash(rng, segment->merkle_root);
    }
}

/* Deal the offsets of the cut out in stretches: to a block of some segment, to a gap, to what a sibling misses. */
static void
deal(sample_rng *rng, hv_index_cut *cut, const sample_shape *shape)
{
    int64_t at = cut->range.first;

    while (at < cut->range.end) {
        int64_t end = at + 1 + sample_below(rng, cut->range.end - at);
        size_t i = (size_t)sample_below(rng, (int64_t)cut->segment_count);
        hv_index_segment *segment = &cut->segments[i];
        hv_gap_cause cause = (hv_gap_cause)sample_below(rng, HV_GAP_CAUSES);
        int fate = (int)sample_below(rng, 5);
        if ((fate > 1 || shape->no_gaps) && segment->block_count < (size_t)shape->max_blocks && end - at <= INT32_MAX)
            add_block(rng, segment, at, (int32_t)(end - at), shape);
        else if (fate == 1 && !segment->is_lead)
            add_gap(&segment->missing, &segment->missing_count, at, end, cause);
        else if (!shape->no_gaps)
            add_gap(&cut->gaps, &cut->gap_count, at, end, cause);
        else
            end = at;
        at = end;
    }
}

hv_index_cut
sample_cut(sample_rng *rng, int64_t first, const sample_shape *shape)
{
    hv_index_cut cut = {.range = {.first = first, .end = first + 1 + sample_below(rng, shape->max_length)}};

    cut.segment_count = (size_t)(1 + sample_below(rng, shape->max_segments));
    cut.segments = get_memory(cut.segment_count, sizeof *cut.segments);
    for (size_t i = 0; i < cut.segment_count; i++)
        cut.segments[i].blocks = get_memory((size_t)shape->max_blocks, sizeof *cut.segments[i].blocks);
    name_segments(rng, &cut);
    deal(rng, &cut, shape);
    return cut;
}

hv_index_cut
sample_plain_cut(int64_t first, int64_t count, int64_t time)
{
    sample_rng rng = {.state = (uint64_t)first * 7 + (uint64_t)time};
    sample_shape shape = {.time = time};
    hv_index_cut cut = {.range = {.first = first, .end = first + count}, .segment_count = 1};

    cut.segments = get_memory(1, sizeof *cut.segments);
    cut.segments[0].blocks = get_memory(1, sizeof *cut.segments[0].blocks);
    name_segments(&rng, &cut);
    add_block(&rng, &cut.segments[0], first, (int32_t)count, &shape);
    return cut;
}

hv_index_cut
sample_full_cut(int64_t first, int64_t time)
{
    sample_rng rng = {.state = (uint64_t)first};
    sample_shape shape = {.time = time, .time_spread = 1000};
    hv_index_cut cut = {.range = {.first = first, .end = first + 10}, .segment_count = 2};

    cut.segments = get_memory(2, sizeof *cut.segments);
    cut.segments[0].blocks = get_memory(2, sizeof *cut.segments[0].blocks);
    cut.segments[1].blocks = get_memory(1, sizeof *cut.segments[1].blocks);
    name_segments(&rng, &cut);
    add_gap(&cut.gaps, &cut.gap_count, first, first + 2, HV_GAP_RETENTION);
    add_block(&rng, &cut.segments[0], first + 2, 3, &shape);
    add_block(&rng, &cut.segments[1], first + 5, 2, &shape);
    add_gap(&cut.segments[1].missing, &cut.segments[1].missing_count, first + 7, first + 8, HV_GAP_COMPACTION);
    add_block(&rng, &cut.segments[0], first + 8, 2, &shape);
    return cut;
}

static bool
gaps_equal(const hv_gap *a, const hv_gap *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (a[i].range.first != b[i].range.first || a[i].range.end != b[i].range.end || a[i].cause != b[i].cause)
            return false;
    return true;
}

static bool
blocks_equal(const hv_index_block *a, const hv_index_block *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (a[i].position != b[i].position || a[i].length != b[i].length || a[i].first_offset != b[i].first_offset ||
            a[i].count != b[i].count || a[i].min_timestamp_ms != b[i].min_timestamp_ms ||
            a[i].max_timestamp_ms != b[i].max_timestamp_ms || memcmp(a[i].sha256, b[i].sha256, HV_SHA256_SIZE) != 0)
            return false;
    return true;
}

static bool
segments_equal(const hv_index_segment *a, const hv_index_segment *b)
{
    return strcmp(a->class_name, b->class_name) == 0 && a->is_lead == b->is_lead && a->codec == b->codec && a->size == b->size &&
           a->data_start == b->data_start && memcmp(a->sha256, b->sha256, HV_SHA256_SIZE) == 0 &&
           memcmp(a->merkle_root, b->merkle_root, HV_SHA256_SIZE) == 0 && a->has_policy == b->has_policy &&
           memcmp(a->policy, b->policy, HV_SHA256_SIZE) == 0 && a->created_ms == b->created_ms && a->count == b->count &&
           a->min_timestamp_ms == b->min_timestamp_ms && a->max_timestamp_ms == b->max_timestamp_ms &&
           a->missing_count == b->missing_count && gaps_equal(a->missing, b->missing, a->missing_count) &&
           a->block_count == b->block_count && blocks_equal(a->blocks, b->blocks, a->block_count);
}

bool
sample_cuts_equal(const hv_index_cut *a, const hv_index_cut *b)
{
    if (a->range.first != b->range.first || a->range.end != b->range.end || a->segment_count != b->segment_count ||
        a->gap_count != b->gap_count || !gaps_equal(a->gaps, b->gaps, a->gap_count))
        return false;
    for (size_t i = 0; i < a->segment_count; i++)
        if (!segments_equal(&a->segments[i], &b->segments[i]))
            return false;
    return true;
}

static void
append_line(void *arg, const char *line)
{
    hv_buf_put_text(arg, line);
    hv_buf_put_byte(arg, '\n');
}

void
sample_dump(hv_index *index, hv_buf *to)
{
    hv_err err;

    hv_buf_clear(to);
    ck_hv_ok(hv_index_dump(index, append_line, to, &err));
    ck_hv_ok(hv_buf_check(to, &err));
}

hv_index *
sample_open(const char *dir, uint64_t map_bytes)
{
    hv_index_config config = {.dir = dir, .map_bytes = map_bytes, .vault = SAMPLE_VAULT};
    hv_index *index;
    hv_err err;

    ck_hv_ok(hv_index_open(&config, &index, &err));
    return index;
}

void
sample_add(hv_index *index, const hv_partition *partition, const hv_index_cut *cut)
{
    hv_index_addition addition = {.partition = partition, .cut = cut};
    hv_err err;

    ck_hv_ok(hv_index_add(index, &addition, 1, &err));
}
