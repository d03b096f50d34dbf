/*
 * The tree of index_time.c made once more from the cuts, in their order, and compared with what is stored.
 *
 * Of each level one node is open at a time: the one that holds the cut we are at. When the cuts leave it, everything that lies below
 * is known, and it is compared. So memory does not depend on the number of cuts.
 */
#include "index/index_internal.h"

typedef struct open_node {
    bool open;
    uint64_t node;
    int64_t children;                   /* cuts for the lowest level, else ranges of the level below that have cuts */
    hv_ix_times times;
} open_node;

typedef struct times_check {
    hv_ix_txn *txn;
    const hv_ix_key *partition;
    open_node levels[HV_IX_TIME_LEVELS];
    int64_t expected;                   /* nodes that there have to be, so far */
    hv_index_times_fault *fault;
} times_check;

static void
note_fault(times_check *check, unsigned level, const open_node *node, bool expected, bool there, hv_ix_times stored)
{
    unsigned shift = hv_ix_time_shift(level);

    *check->fault = (hv_index_times_fault){
        .found = true, .expected = expected, .there = there,
        .range = {.first = (int64_t)(node->node << shift), .end = (int64_t)((node->node << shift) + (((uint64_t)1 << shift) - 1))},
        .min_ms = node->times.min, .max_ms = node->times.max, .stored_min_ms = stored.min, .stored_max_ms = stored.max,
    };
}

static hv_rc
close_node(times_check *check, unsigned level, hv_err *err)
{
    open_node *node = &check->levels[level];
    hv_ix_key key = hv_ix_key_times(check->partition, level, node->node);
    hv_ix_times stored = HV_IX_NO_TIMES;
    bool expected = node->open && node->children > 1, there = false;
    hv_ix_reader value;

    if (!node->open)
        return HV_OK;
    node->open = false;
    hv_rc rc = hv_ix_get(check->txn, HV_IX_TIMES, &key, &there, &value, err);
    if (rc == HV_OK && there) {
        stored = hv_ix_read_times(&value);
        rc = hv_ix_reader_end(&value, HV_IX_TIMES, err);
    }
    if (rc != HV_OK)
        return rc;
    check->expected += expected ? 1 : 0;
    bool right = expected == there && (!there || (stored.min == node->times.min && stored.max == node->times.max));
    if (!right && !check->fault->found)
        note_fault(check, level, node, expected, there, stored);
    return HV_OK;
}

static hv_rc
add_cut(times_check *check, const hv_ix_cut *cut, hv_err *err)
{
    bool new_child = true;

    for (unsigned level = 0; level < HV_IX_TIME_LEVELS; level++) {
        open_node *node = &check->levels[level];
        uint64_t number = (uint64_t)cut->range.first >> hv_ix_time_shift(level);
        bool opens = !node->open || node->node != number;
        hv_rc rc = opens ? close_node(check, level, err) : HV_OK;
        if (rc != HV_OK)
            return rc;
        if (opens)
            *node = (open_node){.open = true, .node = number, .times = HV_IX_NO_TIMES};
        node->children += new_child ? 1 : 0;
        node->times = hv_ix_times_union(node->times, cut->times);
        new_child = opens;
    }
    return HV_OK;
}

/* Nodes that are there; none may be left over. */
static hv_rc
count_nodes(times_check *check, int64_t *ret, hv_err *err)
{
    HV_AUTO(hv_ix_cursor_close) hv_ix_cursor nodes = {.mdb = NULL};
    bool found = false;

    hv_rc rc = hv_ix_cursor_open(check->txn, HV_IX_TIMES, &nodes, err);
    if (rc == HV_OK)
        rc = hv_ix_cursor_seek(&nodes, check->partition, check->partition, &found, err);
    for (*ret = 0; rc == HV_OK && found; ++*ret)
        rc = hv_ix_cursor_next(&nodes, check->partition, &found, err);
    return rc;
}

hv_rc
hv_ix_times_check(hv_ix_txn *txn, const hv_ix_key *partition, hv_index_times_fault *ret, hv_err *err)
{
    HV_AUTO(hv_ix_cursor_close) hv_ix_cursor cuts = {.mdb = NULL};
    hv_index_times_fault fault = {.found = false};
    times_check check = {.txn = txn, .partition = partition, .fault = &fault};
    int64_t nodes = 0;
    bool found = false;
    hv_ix_cut cut;

    hv_rc rc = hv_ix_cursor_open(txn, HV_IX_CUTS, &cuts, err);
    if (rc == HV_OK)
        rc = hv_ix_cursor_seek(&cuts, partition, partition, &found, err);
    while (rc == HV_OK && found) {
        rc = hv_ix_cut_here(&cuts, &cut, err);
        if (rc == HV_OK)
            rc = add_cut(&check, &cut, err);
        if (rc == HV_OK)
            rc = hv_ix_cursor_next(&cuts, partition, &found, err);
    }
    for (unsigned level = 0; rc == HV_OK && level < HV_IX_TIME_LEVELS; level++)
        rc = close_node(&check, level, err);
    if (rc == HV_OK)
        rc = count_nodes(&check, &nodes, err);
    if (rc != HV_OK)
        return rc;
    if (!fault.found && nodes != check.expected)
        fault = (hv_index_times_fault){.found = true, .range = {.first = 0, .end = INT64_MAX}};
    *ret = fault;
    return HV_OK;
}
