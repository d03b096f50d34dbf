/*
 * Whether a cut can be true at all. The index is the last one to see segments of a cut side by side before they count as captured,
 * so it insists that the cut is complete: events, gaps and missing offsets together are as many as its range is long, and no offset
 * is absent twice. What one segment header says about itself is checked where headers are parsed.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "index/index_internal.h"

static hv_rc
check_blocks(const hv_index_cut *cut, const hv_index_segment *segment, hv_err *err)
{
    int64_t behind = cut->range.first;

    for (size_t i = 0; i < segment->block_count; i++) {
        const hv_index_block *block = &segment->blocks[i];
        if (block->count < 1 || block->first_offset < behind || block->first_offset >= cut->range.end)
            return hv_err_set(err, HV_CORRUPT, "block %zu of class '%s' has %" PRId32 " events from offset %" PRId64
                              ", but blocks ascend and lie in the cut", i, segment->class_name, block->count, block->first_offset);
        if (block->min_timestamp_ms > block->max_timestamp_ms)
            return hv_err_set(err, HV_CORRUPT, "block %zu of class '%s' has a least timestamp behind its greatest", i,
                              segment->class_name);
        behind = block->first_offset + 1;
    }
    return HV_OK;
}

static hv_rc
check_segment(const hv_index_cut *cut, size_t at, hv_err *err)
{
    const hv_index_segment *segment = &cut->segments[at], *before = at > 0 ? segment - 1 : NULL;
    const hv_index_segment *lead = &cut->segments[0];

    assert(memchr(segment->class_name, '\0', sizeof segment->class_name) != NULL);
    if (segment->is_lead != (at == 0))
        return hv_err_set(err, HV_CORRUPT, "segment %zu of the cut %s the lead", at, segment->is_lead ? "is" : "is not");
    if (hv_class_name_check(segment->class_name, err) != HV_OK)
        return hv_err_set(err, HV_CORRUPT, "segment %zu has an impossible class '%s'", at, segment->class_name);
    if (at > 0 && strcmp(segment->class_name, lead->class_name) == 0)
        return hv_err_set(err, HV_CORRUPT, "class '%s' is there twice", segment->class_name);
    if (at > 1 && strcmp(before->class_name, segment->class_name) >= 0)
        return hv_err_set(err, HV_CORRUPT, "class '%s' does not sort behind '%s'", segment->class_name, before->class_name);
    if (segment->is_lead && segment->missing_count > 0)
        return hv_err_set(err, HV_CORRUPT, "a lead cannot miss offsets, its gaps are those of the cut");
    if (segment->count < 0 || segment->count > cut->range.end - cut->range.first)
        return hv_err_set(err, HV_CORRUPT, "class '%s' has %" PRId64 " events", segment->class_name, segment->count);
    if (segment->count > 0 && segment->min_timestamp_ms > segment->max_timestamp_ms)
        return hv_err_set(err, HV_CORRUPT, "class '%s' has a least timestamp behind its greatest", segment->class_name);
    if (segment->count == 0 && (segment->min_timestamp_ms != 0 || segment->max_timestamp_ms != 0))
        return hv_err_set(err, HV_CORRUPT, "class '%s' has timestamps, but no event", segment->class_name);
    return check_blocks(cut, segment, err);
}

/* Copy the gaps of one owner behind those that are there. */
static hv_rc
collect(const hv_index_cut *cut, const hv_gap *gaps, size_t count, uint32_t owner, hv_ix_gap *to, hv_err *err)
{
    int64_t end = cut->range.first;

    for (size_t i = 0; i < count; i++) {
        hv_range range = gaps[i].range;
        if (range.first < end || range.end <= range.first || range.end > cut->range.end || gaps[i].cause >= HV_GAP_CAUSES)
            return hv_err_set(err, HV_CORRUPT, "gap %" PRId64 "..%" PRId64 " does not lie in the cut behind offset %" PRId64,
                              range.first, range.end, end);
        to[i] = (hv_ix_gap){.gap = gaps[i], .owner = owner};
        end = range.end;
    }
    return HV_OK;
}

static int
by_offset(const void *a, const void *b)
{
    const hv_ix_gap *left = a, *right = b;

    return left->gap.range.first < right->gap.range.first ? -1 : left->gap.range.first > right->gap.range.first;
}

static hv_rc
collect_all(const hv_index_cut *cut, hv_ix_gap *all, size_t total, hv_err *err)
{
    size_t filled = cut->gap_count;
    hv_rc rc = collect(cut, cut->gaps, cut->gap_count, 0, all, err);

    for (size_t i = 0; rc == HV_OK && i < cut->segment_count; i++) {
        const hv_index_segment *segment = &cut->segments[i];
        if (segment->missing_count == 0)
            continue;                   /* without any gap there is no array to point into */
        rc = collect(cut, segment->missing, segment->missing_count, (uint32_t)i + 1, all + filled, err);
        filled += segment->missing_count;
    }
    if (rc != HV_OK)
        return rc;
    if (total > 1)
        qsort(all, total, sizeof *all, by_offset);
    for (size_t i = 1; i < total; i++)
        if (all[i].gap.range.first < all[i - 1].gap.range.end)
            return hv_err_set(err, HV_CORRUPT, "offset %" PRId64 " is declared absent twice", all[i].gap.range.first);
    return HV_OK;
}

static hv_rc
check_complete(const hv_index_cut *cut, const hv_ix_gap *gaps, size_t gap_count, hv_err *err)
{
    uint64_t held = 0, absent = 0, length = (uint64_t)(cut->range.end - cut->range.first);

    for (size_t i = 0; i < cut->segment_count; i++)
        held = held > length ? held : held + (uint64_t)cut->segments[i].count;          /* each is at most length: no overflow */
    for (size_t i = 0; i < gap_count; i++)
        absent += (uint64_t)(gaps[i].gap.range.end - gaps[i].gap.range.first);
    if (held > length || held + absent != length)
        return hv_err_set(err, HV_CORRUPT, "%" PRIu64 " events and %" PRIu64 " absent offsets do not make the %" PRIu64
                          " offsets of the cut", held, absent, length);
    return HV_OK;
}

hv_rc
hv_ix_cut_check(const hv_index_cut *cut, hv_ix_gap **ret, size_t *count, hv_err *err)
{
    size_t total = cut->gap_count;
    hv_rc rc = HV_OK;

    if (cut->range.first < 0 || cut->range.end <= cut->range.first)
        return hv_err_set(err, HV_CORRUPT, "its range is empty or negative");
    if (cut->segment_count == 0 || cut->segment_count > HV_IX_MAX_SEGMENTS)
        return hv_err_set(err, HV_CORRUPT, "it has %zu segments", cut->segment_count);
    for (size_t i = 0; rc == HV_OK && i < cut->segment_count; i++) {
        rc = check_segment(cut, i, err);
        total += cut->segments[i].missing_count;
    }
    if (rc != HV_OK)
        return rc;
    hv_ix_gap *all = NULL;
    if (total > 0 && (all = calloc(total, sizeof *all)) == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu gaps", total);
    rc = collect_all(cut, all, total, err);
    if (rc == HV_OK)
        rc = check_complete(cut, all, total, err);
    if (rc != HV_OK) {
        free(all);
        return rc;
    }
    *ret = all;
    *count = total;
    return HV_OK;
}
