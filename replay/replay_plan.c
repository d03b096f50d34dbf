/*
 * A block has its first offset in the index but not its last: it ends before the next block of its segment begins, or before its
 * cut ends. That bound is exact enough to decide what is needed, and where the offsets of a block have no holes it is exact.
 *
 * Only blocks that can hold something wanted are read. Wanted blocks that lie side by side in a segment become one ranged get.
 */
#include "replay/replay_plan.h"

#include <stdlib.h>

enum { GAP_PAGE = 4096 };

static int64_t
end_of_block(const hv_index_cut *cut, const hv_index_segment *segment, size_t i)
{
    return i + 1 < segment->block_count ? segment->blocks[i + 1].first_offset : cut->range.end;
}

bool
hv_replay_wants_block(const hv_replay_part *part, const hv_time_window *window, const hv_index_cut *cut,
                      const hv_index_segment *segment, size_t i)
{
    const hv_index_block *block = &segment->blocks[i];

    if (block->first_offset >= part->end || end_of_block(cut, segment, i) <= part->from)
        return false;
    return !window->limited || (block->max_timestamp_ms >= window->first && block->min_timestamp_ms <= window->last);
}

size_t
hv_replay_run_length(const hv_replay_part *part, const hv_time_window *window, const hv_index_cut *cut,
                     const hv_index_segment *segment, size_t first, size_t max_bytes)
{
    size_t count = 0, bytes = 0;

    while (first + count < segment->block_count && count < HV_REPLAY_RUN_BLOCKS
           && hv_replay_wants_block(part, window, cut, segment, first + count)) {
        bytes += segment->blocks[first + count].length;
        if (count > 0 && bytes > max_bytes)
            break;
        count++;
    }
    return count;
}

hv_rc
hv_replay_next_cut(hv_index *index, const hv_replay_part *part, const hv_time_window *window, int64_t at, hv_index_cut *ret,
                   hv_err *err)
{
    hv_index_cut cut;

    if (at >= part->end)
        return hv_err_set(err, HV_NOT_FOUND, "the end of the range is reached");
    /* INT64_MAX as the end of the times means: no end. */
    int64_t time_end = window->last == INT64_MAX ? INT64_MAX : window->last + 1;
    hv_rc rc = window->limited ? hv_index_find_time(index, &part->partition, at, window->first, time_end, &cut, err)
                               : hv_index_find_offset(index, &part->partition, at, &cut, err);
    if (rc != HV_OK)
        return rc;
    if (cut.range.first >= part->end) {
        hv_index_cut_clear(&cut);
        return hv_err_set(err, HV_NOT_FOUND, "the end of the range is reached");
    }
    *ret = cut;
    return HV_OK;
}

/* ---- gaps ---- */

/* Before the first gap of the cut that holds `offset`, so that a gap which reaches into the range is seen. */
static hv_rc
start_of_gaps(hv_index *index, const hv_partition *partition, int64_t offset, hv_index_gap *after, bool *has_after, hv_err *err)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = {.segment_count = 0};

    hv_rc rc = hv_index_find_offset(index, partition, offset, &cut, err);
    if (rc != HV_OK)
        return rc;
    *has_after = cut.range.first > 0;
    *after = (hv_index_gap){.partition = *partition, .gap = {.range = {.first = cut.range.first - 1}}};
    return HV_OK;
}

static void
add_overlap(hv_range gap, hv_range wanted, int64_t *gaps, int64_t *offsets)
{
    int64_t first = gap.first > wanted.first ? gap.first : wanted.first, end = gap.end < wanted.end ? gap.end : wanted.end;

    if (first < end) {
        *gaps += 1;
        *offsets += end - first;
    }
}

hv_rc
hv_replay_count_gaps(hv_index *index, const hv_partition *partition, hv_range range, int64_t *gaps, int64_t *offsets, hv_err *err)
{
    hv_index_gap after = {.gap = {.range = {.first = 0}}};
    bool has_after = false;
    size_t count = GAP_PAGE;

    if (range.first >= range.end)
        return HV_OK;
    hv_rc rc = start_of_gaps(index, partition, range.first, &after, &has_after, err);
    if (rc != HV_OK)
        return rc == HV_NOT_FOUND ? HV_OK : rc;
    while (count == GAP_PAGE && (!has_after || after.gap.range.first < range.end)) {
        hv_index_gap *page = NULL;
        rc = hv_index_gaps(index, partition, has_after ? &after : NULL, GAP_PAGE, &page, &count, err);
        if (rc != HV_OK)
            return rc;
        for (size_t i = 0; i < count; i++)
            add_overlap(page[i].gap.range, range, gaps, offsets);
        has_after = count > 0;
        after = has_after ? page[count - 1] : after;
        free(page);
    }
    return HV_OK;
}

/* ---- forecast ---- */

/* How many wanted events a wanted block holds: at least, at most. */
static void
count_events(const hv_replay_part *part, const hv_time_window *window, const hv_index_cut *cut, const hv_index_segment *segment,
             size_t i, int64_t *min, int64_t *max)
{
    const hv_index_block *block = &segment->blocks[i];
    int64_t end = end_of_block(cut, segment, i);
    int64_t first_wanted = block->first_offset > part->from ? block->first_offset : part->from;
    int64_t end_wanted = end < part->end ? end : part->end;
    bool dense = block->count == end - block->first_offset;
    bool whole = first_wanted == block->first_offset && end_wanted == end;
    bool all_times = hv_time_window_has(window, block->min_timestamp_ms) && hv_time_window_has(window, block->max_timestamp_ms);
    int64_t offsets = end_wanted - first_wanted;

    *max = offsets < block->count ? offsets : block->count;
    *min = all_times && (dense || whole) ? *max : 0;
}

static void
forecast_segment(const hv_replay_part *part, const hv_time_window *window, const hv_index_cut *cut, const hv_index_segment *segment,
                 size_t run_bytes, bool filtered, hv_replay_forecast *sum)
{
    bool used = false;

    for (size_t i = 0; i < segment->block_count;) {
        size_t run = hv_replay_run_length(part, window, cut, segment, i, run_bytes);
        if (run == 0) {
            i++;
            continue;
        }
        used = true;
        sum->gets++;
        for (; run > 0; run--, i++) {
            int64_t min, max;
            count_events(part, window, cut, segment, i, &min, &max);
            sum->blocks++;
            sum->bytes += segment->blocks[i].length;
            sum->events_max += max;
            sum->events_min += filtered ? 0 : min;
        }
    }
    sum->segments += used ? 1 : 0;
}

hv_rc
hv_replay_forecast_part(hv_index *index, const hv_replay_part *part, const hv_time_window *window, size_t run_bytes, bool filtered,
                        hv_replay_forecast *sum, hv_err *err)
{
    hv_range seen = {.first = part->from, .end = part->from};
    int64_t at = part->from;

    for (bool any = false;; any = true) {
        HV_AUTO(hv_index_cut_clear) hv_index_cut cut = {.segment_count = 0};
        hv_rc rc = hv_replay_next_cut(index, part, window, at, &cut, err);
        if (rc == HV_NOT_FOUND)
            break;
        if (rc != HV_OK)
            return rc;
        for (size_t i = 0; i < cut.segment_count; i++)
            forecast_segment(part, window, &cut, &cut.segments[i], run_bytes, filtered, sum);
        if (!any && cut.range.first > seen.first)
            seen.first = cut.range.first;
        at = cut.range.end;
        seen.end = at < part->end ? at : part->end;
    }
    sum->partitions++;
    return hv_replay_count_gaps(index, &part->partition, window->limited ? seen : (hv_range){.first = part->from, .end = part->end},
                                &sum->gaps, &sum->gap_offsets, err);
}
