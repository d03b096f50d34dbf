/*
 * Recording cuts
 *
 * All entries of one cut come from one function, entries_of(), which hands them to a sink. The sink either stores an entry or
 * compares it with the one that is stored: so "equals what is recorded" cannot forget a fact that is recorded, and because equal
 * facts have equal bytes it need not take anything apart.
 *
 * The end of the chain is looked up in the transaction that appends to it, after each cut, so that the cuts of one call may follow
 * one another. LMDB has one writer at a time across processes: between looking and appending nobody else can append.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "index/index_internal.h"

typedef struct writer {
    hv_ix_txn *txn;
    hv_buf value;                       /* the entry being written */
    hv_buf table;                       /* of the segment being written */
} writer;

typedef hv_rc entry_sink(writer *to, hv_ix_db db, const hv_ix_key *key, hv_err *err);

static hv_rc
store(writer *to, hv_ix_db db, const hv_ix_key *key, hv_err *err)
{
    hv_ix_seal(db, hv_slice_of(key->bytes, key->len), &to->value);
    hv_rc rc = hv_ix_put(to->txn, db, key, &to->value, err);
    hv_buf_clear(&to->value);
    return rc;
}

static hv_rc
compare(writer *to, hv_ix_db db, const hv_ix_key *key, hv_err *err)
{
    hv_ix_reader undamaged;
    hv_slice stored;
    bool found;

    hv_ix_seal(db, hv_slice_of(key->bytes, key->len), &to->value);
    hv_rc rc = hv_buf_check(&to->value, err);
    if (rc == HV_OK)
        rc = hv_ix_get_raw(to->txn, db, key, &found, &stored, err);
    if (rc == HV_OK && !(found && hv_slice_equal(stored, hv_buf_slice(&to->value)))) {
        rc = found ? hv_ix_unseal(db, hv_slice_of(key->bytes, key->len), stored, &undamaged, err) : HV_OK;
        if (rc == HV_OK)
            rc = hv_err_set(err, HV_CORRUPT, "other facts are recorded in '%s'", hv_ix_db_name(db));
    }
    hv_buf_clear(&to->value);
    return rc;
}

/* ---- hubs and incarnations ---- */

static hv_rc
find_or_add_hub(writer *to, const char *hub, uint32_t *ret, hv_err *err)
{
    hv_ix_key key = hv_ix_key_text(hub);
    bool found;
    int64_t known = 0;

    hv_rc rc = hv_ix_hub_find(to->txn, hub, &found, ret, err);
    if (rc != HV_OK || found)
        return rc;
    rc = hv_ix_count(to->txn, HV_IX_HUBS, &known, err);
    if (rc != HV_OK)
        return rc;
    if (known >= UINT32_MAX)
        return hv_err_set(err, HV_LIMIT, "more than %" PRId64 " hubs", known);
    *ret = (uint32_t)known;             /* hubs are never forgotten, so the count is the next free number */
    hv_ix_write_number(&to->value, *ret, 4);
    return store(to, HV_IX_HUBS, &key, err);
}

static hv_rc
record_incarnation(writer *to, const hv_index_incarnation *incarnation, hv_err *err)
{
    hv_slice stored;
    bool found = false;
    uint32_t hub_id;

    hv_rc rc = find_or_add_hub(to, incarnation->hub, &hub_id, err);
    if (rc != HV_OK)
        return rc;
    hv_ix_key key = hv_ix_key_incarnation(hub_id, incarnation->incarnation);
    hv_ix_write_incarnation(&to->value, incarnation);
    rc = hv_ix_get_raw(to->txn, HV_IX_INCARNATIONS, &key, &found, &stored, err);
    return rc == HV_OK ? (found ? compare : store)(to, HV_IX_INCARNATIONS, &key, err) : rc;
}

typedef struct incarnation_list {
    const hv_index_incarnation *at;
    size_t count;
} incarnation_list;

static hv_rc
add_incarnations(hv_ix_txn *txn, void *arg, hv_err *err)
{
    const incarnation_list *list = arg;
    writer to = {.txn = txn, .value = HV_BUF_INIT(HV_IX_MAX_VALUE), .table = HV_BUF_INIT(HV_IX_MAX_VALUE)};
    hv_rc rc = HV_OK;

    for (size_t i = 0; rc == HV_OK && i < list->count; i++) {
        rc = record_incarnation(&to, &list->at[i], err);
        if (rc != HV_OK && list->count > 1)
            rc = hv_err_prefix(err, "incarnation %" PRIu32 " of '%s'", list->at[i].incarnation, list->at[i].hub);
    }
    hv_buf_free(&to.value);
    hv_buf_free(&to.table);
    return rc;
}

hv_rc
hv_index_add_incarnations(hv_index *index, const hv_index_incarnation *incarnations, size_t count, hv_err *err)
{
    incarnation_list list = {.at = incarnations, .count = count};

    for (size_t i = 0; i < count; i++) {
        const hv_index_incarnation *incarnation = &incarnations[i];
        assert(incarnation->hub[0] != '\0' && memchr(incarnation->hub, '\0', sizeof incarnation->hub) != NULL);
        assert(incarnation->incarnation > 0);
        assert(memchr(incarnation->cause, '\0', sizeof incarnation->cause) != NULL);
        assert(memchr(incarnation->identity, '\0', sizeof incarnation->identity) != NULL);
    }
    return count == 0 ? HV_OK : hv_ix_write(index, add_incarnations, &list, err);
}

hv_rc
hv_index_add_incarnation(hv_index *index, const hv_index_incarnation *incarnation, hv_err *err)
{
    hv_rc rc = hv_index_add_incarnations(index, incarnation, 1, err);

    if (rc != HV_OK)
        return hv_err_prefix(err, "record incarnation %" PRIu32 " of '%s'", incarnation->incarnation, incarnation->hub);
    return HV_OK;
}

/* ---- cuts ---- */

static hv_rc
entries_of_segment(writer *to, const hv_ix_key *partition, int64_t first, const hv_index_segment *segment, entry_sink *sink,
                   hv_err *err)
{
    hv_ix_key key = hv_ix_key_segment(partition, first, segment);

    hv_ix_write_segment(&to->value, segment);
    hv_rc rc = sink(to, HV_IX_SEGMENTS, &key, err);
    if (rc != HV_OK)
        return rc;
    hv_buf_clear(&to->table);
    hv_ix_write_blocks(&to->table, segment);
    rc = hv_buf_check(&to->table, err);
    hv_slice table = hv_buf_slice(&to->table);
    for (size_t i = 0; rc == HV_OK && i < hv_ix_piece_count(table.len); i++) {
        hv_ix_key piece = hv_ix_key_piece(&key, i);
        hv_ix_write_piece(&to->value, table, i);
        rc = sink(to, HV_IX_BLOCKS, &piece, err);
    }
    return rc;
}

static hv_rc
entries_of(writer *to, const hv_ix_key *partition, const hv_index_cut *cut, const hv_ix_cut *summary, const hv_ix_gap *gaps,
           size_t gap_count, entry_sink *sink, hv_err *err)
{
    hv_ix_key key = hv_ix_key_cut(partition, (uint64_t)cut->range.first);

    hv_ix_write_cut(&to->value, summary);
    hv_rc rc = sink(to, HV_IX_CUTS, &key, err);
    for (size_t i = 0; rc == HV_OK && i < cut->segment_count; i++)
        rc = entries_of_segment(to, partition, cut->range.first, &cut->segments[i], sink, err);
    if (rc == HV_OK && gap_count > 0) {
        hv_ix_write_gaps(&to->value, cut->range.first, gaps, gap_count);
        rc = sink(to, HV_IX_GAPS, &key, err);
    }
    return rc;
}

static hv_ix_cut
summarise(const hv_index_cut *cut, size_t gap_count)
{
    hv_ix_cut summary = {.range = cut->range, .segment_count = (uint32_t)cut->segment_count, .has_gaps = gap_count > 0,
                         .times = HV_IX_NO_TIMES};

    for (size_t i = 0; i < cut->segment_count; i++) {
        const hv_index_segment *segment = &cut->segments[i];
        if (segment->count > 0)
            summary.times = hv_ix_times_union(summary.times, (hv_ix_times){.min = segment->min_timestamp_ms,
                                                                           .max = segment->max_timestamp_ms});
    }
    return summary;
}

/* Fold one cut into the facts of its partition. HV_CORRUPT if their sum is impossible. */
static hv_rc
add_facts(hv_index_partition_facts *facts, const hv_index_cut *cut, const hv_ix_cut *summary, hv_err *err)
{
    int64_t count = 0, newest = facts->cuts > 0 ? facts->last_created_ms : INT64_MIN;

    for (size_t i = 0; i < cut->segment_count; i++) {
        const hv_index_segment *segment = &cut->segments[i];
        count += segment->count;
        newest = segment->created_ms > newest ? segment->created_ms : newest;
        if (__builtin_add_overflow(facts->bytes, segment->size, &facts->bytes))
            return hv_err_set(err, HV_CORRUPT, "class '%s' has an impossible size of %" PRIu64 " bytes", segment->class_name,
                              segment->size);
    }
    hv_ix_times times = summary->times;
    if (facts->count > 0)
        times = hv_ix_times_union(times, (hv_ix_times){.min = facts->min_timestamp_ms, .max = facts->max_timestamp_ms});
    facts->count += count;
    if (facts->count > 0) {
        facts->min_timestamp_ms = times.min;
        facts->max_timestamp_ms = times.max;
    }
    facts->range.first = facts->cuts > 0 ? facts->range.first : cut->range.first;
    facts->range.end = cut->range.end;
    facts->cuts++;
    facts->segments += (int64_t)cut->segment_count;
    facts->gap_offsets += cut->range.end - cut->range.first - count;    /* as index_check.c made sure */
    facts->last_created_ms = newest;
    return HV_OK;
}

static hv_rc
update_facts(writer *to, const hv_ix_key *partition, const hv_index_cut *cut, const hv_ix_cut *summary, hv_err *err)
{
    hv_index_partition_facts facts = {.cuts = 0};
    hv_ix_reader value;
    bool found;

    hv_rc rc = hv_ix_get(to->txn, HV_IX_PARTITIONS, partition, &found, &value, err);
    if (rc == HV_OK && found)
        rc = hv_ix_read_facts(&value, &facts, err);
    if (rc == HV_OK)
        rc = add_facts(&facts, cut, summary, err);
    if (rc != HV_OK)
        return rc;
    hv_ix_write_facts(&to->value, &facts);
    return store(to, HV_IX_PARTITIONS, partition, err);
}

static hv_rc
append(writer *to, const hv_ix_key *partition, const hv_ix_cut *before, const hv_index_cut *cut, const hv_ix_gap *gaps,
       size_t gap_count, hv_err *err)
{
    hv_ix_cut summary = summarise(cut, gap_count);
    hv_rc rc = entries_of(to, partition, cut, &summary, gaps, gap_count, store, err);

    if (rc == HV_OK)
        rc = hv_ix_times_add(to->txn, partition, before, &summary, &to->value, err);
    if (rc == HV_OK)
        rc = update_facts(to, partition, cut, &summary, err);
    return rc;
}

/* A cut below the position must be one that is recorded, and equal it. */
static hv_rc
check_recorded(writer *to, hv_ix_cursor *cuts, const hv_ix_key *partition, const hv_index_cut *cut, const hv_ix_gap *gaps,
               size_t gap_count, hv_err *err)
{
    hv_ix_cut recorded, summary = summarise(cut, gap_count);
    bool found;

    hv_rc rc = hv_ix_cut_before(cuts, partition, (uint64_t)cut->range.first + 1, &found, &recorded, err);
    if (rc != HV_OK)
        return rc;
    if (!found)
        return hv_err_set(err, HV_CORRUPT, "no cut is recorded there any more");
    if (recorded.range.first != cut->range.first || recorded.range.end != cut->range.end)
        return hv_err_set(err, HV_CORRUPT, "recorded is the cut %" PRId64 "..%" PRId64, recorded.range.first, recorded.range.end);
    return entries_of(to, partition, cut, &summary, gaps, gap_count, compare, err);
}

/* A checked cut. */
static hv_rc
record(writer *to, const hv_partition *name, const hv_index_cut *cut, const hv_ix_gap *gaps, size_t gap_count, hv_err *err)
{
    HV_AUTO(hv_ix_cursor_close) hv_ix_cursor cuts = {.mdb = NULL};
    hv_ix_cut last = {.range = {.first = 0, .end = 0}};
    uint32_t hub_id;
    bool found;

    hv_rc rc = find_or_add_hub(to, name->hub, &hub_id, err);
    if (rc == HV_OK)
        rc = hv_ix_cursor_open(to->txn, HV_IX_CUTS, &cuts, err);
    if (rc != HV_OK)
        return rc;
    hv_ix_key partition = hv_ix_key_partition(hub_id, name);
    rc = hv_ix_last_cut(&cuts, &partition, &found, &last, err);
    if (rc != HV_OK)
        return rc;
    if (cut->range.first == last.range.end)
        return append(to, &partition, found ? &last : NULL, cut, gaps, gap_count, err);
    if (cut->range.end <= last.range.end)
        return check_recorded(to, &cuts, &partition, cut, gaps, gap_count, err);
    return hv_err_set(err, HV_CORRUPT, "it %s: the last cut that is recorded is %" PRId64 "..%" PRId64,
                      cut->range.first < last.range.end ? "overlaps" : "leaves a hole", last.range.first, last.range.end);
}

typedef struct addition_list {
    const hv_index_addition *at;
    size_t count;
} addition_list;

static hv_rc
add_all(hv_ix_txn *txn, void *arg, hv_err *err)
{
    const addition_list *list = arg;
    writer to = {.txn = txn, .value = HV_BUF_INIT(HV_IX_MAX_VALUE), .table = HV_BUF_INIT(HV_IX_MAX_VALUE)};
    hv_rc rc = HV_OK;

    for (size_t i = 0; rc == HV_OK && i < list->count; i++) {
        const hv_index_addition *addition = &list->at[i];
        const hv_partition *partition = addition->partition;
        hv_ix_gap *gaps = NULL;
        size_t gap_count = 0;
        rc = hv_ix_cut_check(addition->cut, &gaps, &gap_count, err);
        if (rc == HV_OK)
            rc = record(&to, partition, addition->cut, gaps, gap_count, err);
        free(gaps);
        if (rc != HV_OK)
            rc = hv_err_prefix(err, "cut %" PRId64 "..%" PRId64 " of %s, incarnation %" PRIu32 ", partition %" PRId32,
                               addition->cut->range.first, addition->cut->range.end, partition->hub, partition->incarnation,
                               partition->number);
    }
    hv_buf_free(&to.value);
    hv_buf_free(&to.table);
    return rc;
}

hv_rc
hv_index_add(hv_index *index, const hv_index_addition *additions, size_t count, hv_err *err)
{
    addition_list list = {.at = additions, .count = count};

    for (size_t i = 0; i < count; i++) {
        const hv_partition *partition = additions[i].partition;
        assert(partition->hub[0] != '\0' && memchr(partition->hub, '\0', sizeof partition->hub) != NULL);
        assert(partition->incarnation > 0 && partition->number >= 0);
    }
    return count == 0 ? HV_OK : hv_ix_write(index, add_all, &list, err);
}
