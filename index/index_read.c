/*
 * Reading: each function is one short read transaction, so what it returns is true at one moment, and everything is copied before
 * the transaction ends. Structures that own memory are built locally and handed over in one piece.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "index/index_internal.h"

/* ---- cuts ---- */

hv_rc
hv_ix_cut_here(hv_ix_cursor *cursor, hv_ix_cut *ret, hv_err *err)
{
    const unsigned char *key = cursor->key.data;

    if (cursor->key.len != HV_IX_CUT_BYTES)
        return hv_err_set(err, HV_CORRUPT, "a key in '%s' has %zu bytes: rebuild the index", hv_ix_db_name(cursor->db),
                          cursor->key.len);
    return hv_ix_read_cut(&cursor->value, (int64_t)hv_ix_number(key + HV_IX_PARTITION_BYTES, 8), ret, err);
}

hv_rc
hv_ix_cut_before(hv_ix_cursor *cuts, const hv_ix_key *partition, uint64_t before, bool *found, hv_ix_cut *ret, hv_err *err)
{
    hv_ix_key key = hv_ix_key_cut(partition, before);
    hv_rc rc = hv_ix_cursor_seek_before(cuts, &key, partition, found, err);

    return rc == HV_OK && *found ? hv_ix_cut_here(cuts, ret, err) : rc;
}

hv_rc
hv_ix_last_cut(hv_ix_cursor *cuts, const hv_ix_key *partition, bool *found, hv_ix_cut *ret, hv_err *err)
{
    hv_index_partition_facts facts = {.range = {.end = 0}};
    hv_ix_cut last = {.range = {.end = 0}};
    hv_ix_reader value;
    bool known;

    hv_rc rc = hv_ix_get(cuts->txn, HV_IX_PARTITIONS, partition, &known, &value, err);
    if (rc == HV_OK && known)
        rc = hv_ix_read_facts(&value, &facts, err);
    if (rc == HV_OK)
        rc = hv_ix_cut_before(cuts, partition, UINT64_MAX, found, &last, err);
    if (rc != HV_OK)
        return rc;
    if (known != *found || facts.range.end != last.range.end)
        return hv_err_set(err, HV_CORRUPT, "the last cut ends at offset %" PRId64 ", but the facts of the partition at %" PRId64
                          ": rebuild the index", last.range.end, facts.range.end);
    *ret = last;
    return HV_OK;
}

hv_rc
hv_ix_cut_at(hv_ix_cursor *cuts, const hv_ix_key *partition, int64_t offset, bool *found, hv_ix_cut *ret, hv_err *err)
{
    uint64_t behind = offset < 0 ? 0 : (uint64_t)offset + 1;
    hv_ix_key key = hv_ix_key_cut(partition, behind);
    hv_ix_cut cut;

    hv_rc rc = hv_ix_cut_before(cuts, partition, behind, found, &cut, err);
    if (rc != HV_OK)
        return rc;
    if (*found && cut.range.end > offset) {
        *ret = cut;
        return HV_OK;
    }
    rc = hv_ix_cursor_seek(cuts, &key, partition, found, err);
    return rc == HV_OK && *found ? hv_ix_cut_here(cuts, ret, err) : rc;
}

void
hv_index_cut_clear(hv_index_cut *cut)
{
    for (size_t i = 0; i < cut->segment_count; i++) {
        free(cut->segments[i].missing);
        free(cut->segments[i].blocks);
    }
    free(cut->segments);
    free(cut->gaps);
    *cut = (hv_index_cut){.segment_count = 0};
}

/* From the first piece on, behind the last one. */
static hv_rc
load_blocks(hv_ix_cursor *pieces, const hv_ix_key *key, bool *found, hv_ix_table *table, hv_index_segment *ret, hv_err *err)
{
    hv_rc rc = HV_OK;

    do {
        if (!*found)
            return hv_err_set(err, HV_CORRUPT, "its block table is not there: rebuild the index");
        rc = hv_ix_table_add(table, pieces, err);
        if (rc == HV_OK)
            rc = hv_ix_cursor_next(pieces, key, found, err);
    } while (rc == HV_OK && table->left > 0);
    return rc == HV_OK ? hv_ix_table_end(table, ret, err) : rc;
}

static hv_rc
load_each_segment(hv_ix_cursor *segments, hv_ix_cursor *pieces, const hv_ix_key *key, hv_ix_table *table, hv_index_cut *ret,
                  hv_err *err)
{
    bool found = false, found_pieces = false;

    hv_rc rc = hv_ix_cursor_seek(segments, key, key, &found, err);
    if (rc == HV_OK)
        rc = hv_ix_cursor_seek(pieces, key, key, &found_pieces, err);
    for (size_t i = 0; rc == HV_OK && i < ret->segment_count; i++) {
        if (!found)
            return hv_err_set(err, HV_CORRUPT, "segment %zu of %zu is not there: rebuild the index", i, ret->segment_count);
        rc = hv_ix_read_segment(&segments->value, &ret->segments[i], err);
        if (rc == HV_OK)
            rc = load_blocks(pieces, key, &found_pieces, table, &ret->segments[i], err);
        if (rc == HV_OK && !(hv_ix_begins_with(segments->key, &table->segment) && segments->key.len == table->segment.len))
            rc = hv_err_set(err, HV_CORRUPT, "the block table of segment %zu is not there: rebuild the index", i);
        if (rc == HV_OK)
            rc = hv_ix_cursor_next(segments, key, &found, err);
    }
    return rc;
}

static hv_rc
load_segments(hv_ix_txn *txn, const hv_ix_key *key, hv_index_cut *ret, hv_err *err)
{
    HV_AUTO(hv_ix_cursor_close) hv_ix_cursor segments = {.mdb = NULL}, pieces = {.mdb = NULL};
    hv_ix_table table = HV_IX_TABLE_INIT;

    hv_rc rc = hv_ix_cursor_open(txn, HV_IX_SEGMENTS, &segments, err);
    if (rc == HV_OK)
        rc = hv_ix_cursor_open(txn, HV_IX_BLOCKS, &pieces, err);
    if (rc == HV_OK)
        rc = load_each_segment(&segments, &pieces, key, &table, ret, err);
    hv_buf_free(&table.bytes);
    return rc;
}

/* Those of one owner out of all gaps of the cut. */
static hv_rc
pick_gaps(const hv_ix_gap *all, size_t total, uint32_t owner, hv_gap **ret, size_t *count, hv_err *err)
{
    size_t len = 0;

    for (size_t i = 0; i < total; i++)
        len += all[i].owner == owner ? 1 : 0;
    if (len == 0)
        return HV_OK;
    hv_gap *gaps = calloc(len, sizeof *gaps);
    if (gaps == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu gaps", len);
    size_t filled = 0;
    for (size_t i = 0; i < total; i++)
        if (all[i].owner == owner)
            gaps[filled++] = all[i].gap;
    *ret = gaps;
    *count = len;
    return HV_OK;
}

static hv_rc
load_gaps(hv_ix_txn *txn, const hv_ix_key *key, hv_index_cut *ret, hv_err *err)
{
    hv_ix_reader value;
    hv_ix_gap *all = NULL;
    size_t total = 0;
    bool found;

    hv_rc rc = hv_ix_get(txn, HV_IX_GAPS, key, &found, &value, err);
    if (rc == HV_OK && !found)
        rc = hv_err_set(err, HV_CORRUPT, "its gaps are not there: rebuild the index");
    if (rc == HV_OK)
        rc = hv_ix_read_gaps(&value, ret->range.first, &all, &total, err);
    if (rc == HV_OK)
        rc = pick_gaps(all, total, 0, &ret->gaps, &ret->gap_count, err);
    for (size_t i = 0; rc == HV_OK && i < ret->segment_count; i++)
        rc = pick_gaps(all, total, (uint32_t)i + 1, &ret->segments[i].missing, &ret->segments[i].missing_count, err);
    free(all);
    return rc;
}

hv_rc
hv_ix_cut_load(hv_ix_txn *txn, const hv_ix_key *partition, const hv_ix_cut *cut, hv_index_cut *ret, hv_err *err)
{
    hv_ix_key key = hv_ix_key_cut(partition, (uint64_t)cut->range.first);
    hv_index_cut loaded = {.range = cut->range};

    loaded.segments = calloc(cut->segment_count, sizeof *loaded.segments);
    if (loaded.segments == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %" PRIu32 " segments", cut->segment_count);
    loaded.segment_count = cut->segment_count;
    hv_rc rc = load_segments(txn, &key, &loaded, err);
    if (rc == HV_OK && cut->has_gaps)
        rc = load_gaps(txn, &key, &loaded, err);
    if (rc != HV_OK) {
        hv_index_cut_clear(&loaded);
        return hv_err_prefix(err, "cut %" PRId64 "..%" PRId64, cut->range.first, cut->range.end);
    }
    *ret = loaded;
    return HV_OK;
}

/* Before "not found" is said: that the cuts which can be found are all that there are. */
static hv_rc
confirm_end(hv_ix_txn *txn, const hv_ix_key *partition, hv_err *err)
{
    HV_AUTO(hv_ix_cursor_close) hv_ix_cursor cuts = {.mdb = NULL};
    hv_ix_cut last;
    bool found;
    hv_rc rc = hv_ix_cursor_open(txn, HV_IX_CUTS, &cuts, err);

    return rc == HV_OK ? hv_ix_last_cut(&cuts, partition, &found, &last, err) : rc;
}

static hv_rc
in_partition(hv_err *err, const hv_partition *partition)
{
    return hv_err_prefix(err, "%s, incarnation %" PRIu32 ", partition %" PRId32, partition->hub, partition->incarnation,
                         partition->number);
}

hv_rc
hv_index_position(hv_index *index, const hv_partition *partition, int64_t *ret, hv_err *err)
{
    HV_AUTO(hv_ix_end) hv_ix_txn txn = {.index = NULL};
    HV_AUTO(hv_ix_cursor_close) hv_ix_cursor cuts = {.mdb = NULL};
    hv_ix_key key;
    hv_ix_cut last = {.range = {.end = 0}};
    bool found = false;

    hv_rc rc = hv_ix_read(index, &txn, err);
    if (rc == HV_OK)
        rc = hv_ix_partition_find(&txn, partition, &found, &key, err);
    if (rc == HV_OK && found) {
        rc = hv_ix_cursor_open(&txn, HV_IX_CUTS, &cuts, err);
        if (rc == HV_OK)
            rc = hv_ix_last_cut(&cuts, &key, &found, &last, err);
    }
    if (rc != HV_OK)
        return in_partition(err, partition);
    *ret = last.range.end;
    return HV_OK;
}

static hv_rc
find_offset(hv_ix_txn *txn, const hv_partition *partition, int64_t offset, hv_index_cut *ret, hv_err *err)
{
    HV_AUTO(hv_ix_cursor_close) hv_ix_cursor cuts = {.mdb = NULL};
    hv_ix_key key;
    hv_ix_cut cut;
    bool found = false;

    hv_rc rc = hv_ix_partition_find(txn, partition, &found, &key, err);
    if (rc == HV_OK && found) {
        rc = hv_ix_cursor_open(txn, HV_IX_CUTS, &cuts, err);
        if (rc == HV_OK)
            rc = hv_ix_cut_at(&cuts, &key, offset, &found, &cut, err);
        if (rc == HV_OK && !found)
            rc = confirm_end(txn, &key, err);
    }
    if (rc == HV_OK && !found)
        rc = hv_err_set(err, HV_NOT_FOUND, "offset %" PRId64 " is not captured yet", offset);
    return rc == HV_OK ? hv_ix_cut_load(txn, &key, &cut, ret, err) : rc;
}

hv_rc
hv_index_find_offset(hv_index *index, const hv_partition *partition, int64_t offset, hv_index_cut *ret, hv_err *err)
{
    HV_AUTO(hv_ix_end) hv_ix_txn txn = {.index = NULL};
    hv_rc rc = hv_ix_read(index, &txn, err);

    if (rc == HV_OK)
        rc = find_offset(&txn, partition, offset, ret, err);
    return rc == HV_OK ? HV_OK : in_partition(err, partition);
}

hv_rc
hv_index_find_time(hv_index *index, const hv_partition *partition, int64_t from, int64_t time_from, int64_t time_to,
                   hv_index_cut *ret, hv_err *err)
{
    HV_AUTO(hv_ix_end) hv_ix_txn txn = {.index = NULL};
    hv_ix_window window = {.from = time_from, .to = time_to};
    hv_ix_key key;
    hv_ix_cut cut;
    bool found = false;

    hv_rc rc = hv_ix_read(index, &txn, err);
    if (rc == HV_OK)
        rc = hv_ix_partition_find(&txn, partition, &found, &key, err);
    if (rc == HV_OK && found) {
        rc = hv_ix_times_find(&txn, &key, from, window, &found, &cut, err);
        if (rc == HV_OK && !found)
            rc = confirm_end(&txn, &key, err);
    }
    if (rc == HV_OK && !found)
        rc = hv_err_set(err, HV_NOT_FOUND, "nothing of the times %" PRId64 "..%" PRId64 " behind offset %" PRId64, time_from,
                        time_to, from);
    if (rc == HV_OK)
        rc = hv_ix_cut_load(&txn, &key, &cut, ret, err);
    return rc == HV_OK ? HV_OK : in_partition(err, partition);
}

hv_rc
hv_index_check_times(hv_index *index, const hv_partition *partition, hv_index_times_fault *ret, hv_err *err)
{
    HV_AUTO(hv_ix_end) hv_ix_txn txn = {.index = NULL};
    hv_index_times_fault fault = {.found = false};
    hv_ix_key key;
    bool found = false;

    hv_rc rc = hv_ix_read(index, &txn, err);
    if (rc == HV_OK)
        rc = hv_ix_partition_find(&txn, partition, &found, &key, err);
    if (rc == HV_OK && found)
        rc = hv_ix_times_check(&txn, &key, &fault, err);
    if (rc != HV_OK)
        return in_partition(err, partition);
    *ret = fault;
    return HV_OK;
}
