/*
 * Lookup by time
 *
 * Timestamps are chosen by producers: they come in any order, and one event of the year 9999 must not make the lookup slow or
 * wrong. Running bounds ("greatest timestamp so far") fail at exactly that: after the outlier they say nothing any more. So the
 * cuts of a partition are the leaves of a tree whose nodes hold the least and greatest timestamp of everything below them. The
 * lookup passes by each node that does not meet the window; an outlier spoils only the few nodes above its own cut.
 *
 * A node is (level, first offset of a cut >> shift of the level); it covers the cuts that begin there. Offsets, and not the ordinal
 * number of a cut, decide the shape, so the same cuts give the same tree whenever and in whatever order partitions were recorded.
 * Cuts are as different as one event per five minutes and ten thousand per second, hence many levels, each of 6 bits; and hence the
 * rule that keeps them cheap:
 *
 *     A node exists if and only if it has at least two children: cuts for the lowest level, else nodes or cuts of the range of the
 *     level below.
 *
 * That is a radix tree with paths compressed. A million cuts of ten thousand events have nodes on four levels, one for
 * about every 25 cuts.
 *
 * Appending cut C behind cut B, the last one so far: let L be the lowest level where both fall into one node.
 *   - Below L, C is alone in its range: no node.
 *   - At L, C is a new child, and B's branch is another one, so the node must exist. If it did not, all cuts of its range lie in
 *     B's branch, and the highest node of B's branch below L covers all of them; if there is none, B is the only one.
 *   - Above L, C lies in a child that is already there: no new node, but those that exist take its times in.
 *
 * Cuts without events have no times. They count as children (the shape does not depend on times) and add nothing to a node; a node
 * of such cuts only has min > max and meets no window.
 */
#include <assert.h>

#include "index/index_internal.h"

enum { LEVELS = HV_IX_TIME_LEVELS, BITS = 6 };          /* shifts 6, 12, ... 60 of 63-bit offsets */

unsigned
hv_ix_time_shift(unsigned level)
{
    assert(level < LEVELS);
    return BITS * (level + 1);
}

static hv_rc
get_node(hv_ix_txn *txn, const hv_ix_key *partition, unsigned level, uint64_t node, bool *found, hv_ix_times *ret, hv_err *err)
{
    hv_ix_key key = hv_ix_key_times(partition, level, node);
    hv_ix_reader value;
    hv_rc rc = hv_ix_get(txn, HV_IX_TIMES, &key, found, &value, err);

    if (rc != HV_OK || !*found)
        return rc;
    *ret = hv_ix_read_times(&value);
    return hv_ix_reader_end(&value, HV_IX_TIMES, err);
}

static hv_rc
put_node(hv_ix_txn *txn, const hv_ix_key *partition, unsigned level, uint64_t node, hv_ix_times times, hv_buf *scratch, hv_err *err)
{
    hv_ix_key key = hv_ix_key_times(partition, level, node);

    hv_buf_clear(scratch);
    hv_ix_write_times(scratch, times);
    hv_ix_seal(HV_IX_TIMES, hv_slice_of(key.bytes, key.len), scratch);
    hv_rc rc = hv_ix_put(txn, HV_IX_TIMES, &key, scratch, err);
    hv_buf_clear(scratch);
    return rc;
}

hv_rc
hv_ix_times_add(hv_ix_txn *txn, const hv_ix_key *partition, const hv_ix_cut *before, const hv_ix_cut *cut, hv_buf *scratch,
                hv_err *err)
{
    hv_ix_times branch = before != NULL ? before->times : HV_IX_NO_TIMES;       /* of the cut before, as high as we came */
    bool joined = false;                /* the lowest common level lies below */

    for (unsigned level = 0; before != NULL && level < LEVELS; level++) {
        unsigned shift = hv_ix_time_shift(level);
        uint64_t old_node = (uint64_t)before->range.first >> shift, node = (uint64_t)cut->range.first >> shift;
        hv_ix_times times;
        bool found;
        hv_rc rc = get_node(txn, partition, level, old_node, &found, &times, err);
        if (rc != HV_OK)
            return rc;
        if (found)
            branch = times;
        if (old_node != node || (joined && !found))
            continue;
        joined = true;
        hv_ix_times both = hv_ix_times_union(branch, cut->times);
        if (!found || both.min != times.min || both.max != times.max)
            rc = put_node(txn, partition, level, node, both, scratch, err);
        if (rc != HV_OK)
            return rc;
        branch = both;
    }
    return HV_OK;
}

static bool
meets(hv_ix_times times, hv_ix_window window)
{
    bool some = times.min <= times.max && (window.from < window.to || window.to == INT64_MAX);

    return some && times.max >= window.from && (times.min < window.to || window.to == INT64_MAX);
}

/* The summary of a cut covers all its segments: with several of them the window may fall in between. */
static hv_rc
cut_meets(hv_ix_txn *txn, const hv_ix_key *partition, const hv_ix_cut *cut, hv_ix_window window, bool *ret, hv_err *err)
{
    HV_AUTO(hv_ix_cursor_close) hv_ix_cursor segments = {.mdb = NULL};
    hv_ix_key key = hv_ix_key_cut(partition, (uint64_t)cut->range.first);
    hv_index_segment segment;
    bool found;

    *ret = meets(cut->times, window);
    if (!*ret || cut->segment_count == 1)
        return HV_OK;
    *ret = false;
    hv_rc rc = hv_ix_cursor_open(txn, HV_IX_SEGMENTS, &segments, err);
    if (rc == HV_OK)
        rc = hv_ix_cursor_seek(&segments, &key, &key, &found, err);
    for (uint32_t i = 0; rc == HV_OK && found && i < cut->segment_count; i++) {
        rc = hv_ix_read_segment(&segments.value, &segment, err);
        if (rc != HV_OK)
            return rc;
        hv_ix_times times = {.min = segment.min_timestamp_ms, .max = segment.max_timestamp_ms};
        if (segment.count > 0 && meets(times, window)) {
            *ret = true;
            return HV_OK;
        }
        rc = hv_ix_cursor_next(&segments, &key, &found, err);
    }
    return rc;
}

typedef struct time_search {
    hv_ix_txn *txn;
    const hv_ix_key *partition;
    hv_ix_window window;
    uint64_t at;                        /* cuts that begin below are done with */
    uint64_t entered[LEVELS];           /* node of each level that need not be asked: it meets the window or does not exist */
} time_search;

/* Step over the largest node around search->at that does not meet the window. False if there is none. */
static hv_rc
step_over_node(time_search *search, bool *stepped, hv_err *err)
{
    *stepped = false;
    for (unsigned level = LEVELS; level-- > 0;) {
        uint64_t node = search->at >> hv_ix_time_shift(level);
        hv_ix_times times;
        bool found;
        if (search->entered[level] == node)
            continue;
        hv_rc rc = get_node(search->txn, search->partition, level, node, &found, &times, err);
        if (rc != HV_OK)
            return rc;
        if (found && !meets(times, search->window)) {
            search->at = (node + 1) << hv_ix_time_shift(level);
            *stepped = true;
            return HV_OK;
        }
        search->entered[level] = node;
    }
    return HV_OK;
}

hv_rc
hv_ix_times_find(hv_ix_txn *txn, const hv_ix_key *partition, int64_t from, hv_ix_window window, bool *found, hv_ix_cut *ret,
                 hv_err *err)
{
    HV_AUTO(hv_ix_cursor_close) hv_ix_cursor cuts = {.mdb = NULL};
    time_search search = {.txn = txn, .partition = partition, .window = window};
    bool stepped, matches;
    hv_ix_cut cut;

    for (unsigned level = 0; level < LEVELS; level++)
        search.entered[level] = UINT64_MAX;
    hv_rc rc = hv_ix_cursor_open(txn, HV_IX_CUTS, &cuts, err);
    if (rc == HV_OK)
        rc = hv_ix_cut_at(&cuts, partition, from, found, &cut, err);
    if (rc != HV_OK || !*found)
        return rc;
    search.at = (uint64_t)cut.range.first;
    for (;;) {
        rc = step_over_node(&search, &stepped, err);
        if (rc != HV_OK)
            return rc;
        if (stepped)
            continue;
        hv_ix_key key = hv_ix_key_cut(partition, search.at);
        rc = hv_ix_cursor_seek(&cuts, &key, partition, found, err);
        if (rc == HV_OK && *found)
            rc = hv_ix_cut_here(&cuts, &cut, err);
        if (rc != HV_OK || !*found)
            return rc;
        if ((uint64_t)cut.range.first > search.at) {    /* nothing begins in between; its nodes have not been asked yet */
            search.at = (uint64_t)cut.range.first;
            continue;
        }
        rc = cut_meets(txn, partition, &cut, window, &matches, err);
        if (rc != HV_OK)
            return rc;
        if (matches) {
            *ret = cut;
            return HV_OK;
        }
        search.at = (uint64_t)cut.range.end;
    }
}
