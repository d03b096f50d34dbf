/*
 * Index against store, in both directions: the cuts of a partition come in order from the store, and beside them `at` moves through
 * those of the index. What the index has and the store passes by is extra; what the store has and the index lacks is missing.
 *
 * An archiver may be running. Order is store, then index: so a cut that only the index has is asked for in the store once more
 * before it is told (it came behind our listing), and cuts behind the end of the index are looked up again when everything else is
 * done (the archiver was about to record them).
 */
#include <inttypes.h>
#include <stdlib.h>

#include "archiver/verify_internal.h"
#include "common/array.h"

/* What the cuts of one partition in the store add up to, as far as the index has them. */
typedef struct sums {
    hv_index_partition_facts facts;
    bool comparable;                    /* every cut of the store is recorded and as recorded */
} sums;

/* Complete cuts of the store behind the end of the index. */
typedef struct late_cuts {
    hv_partition partition;
    hv_range range;
} late_cuts;

struct hv_verify_index {
    hv_verify_run *run;
    hv_index *index;

    /* the current partition */
    bool open, damaged;                 /* damaged: nothing more can be said of it */
    sums current;
    int64_t at;                         /* cuts of the index below are accounted for */
    bool has_next, ended;               /* `next` is the cut of the index at `at`; there is none */
    hv_index_cut next;
    bool last_recorded;                 /* the last cut of the store has its entry */
    bool gapless;                       /* no cut is gone from between others: what follows from the cuts of the index can be judged */
    hv_range late_range;                /* from the first complete cut behind the end of the index to the last; first -1: none */

    sums *done;                         /* of all partitions that went by */
    size_t done_count, done_room;
    late_cuts *late;
    size_t late_count, late_room;
    hv_err sums_damaged;                /* rc not HV_OK: sums of partitions cannot be read */
};

static hv_rc
expect_bytes(hv_verify_index *index, hv_err *err)
{
    hv_index_partition_facts *facts = NULL;
    size_t count = 0;

    hv_rc rc = hv_index_partitions(index->index, hv_verify_config_of(index->run)->hub, &facts, &count, err);
    if (rc == HV_CORRUPT) {             /* told at the end, if nothing narrower is told until then */
        index->sums_damaged = *err;
        return HV_OK;
    }
    if (rc != HV_OK)
        return rc;
    for (size_t i = 0; i < count; i++)
        hv_verify_facts_of(index->run)->bytes_expected += facts[i].bytes;
    free(facts);
    return HV_OK;
}

hv_rc
hv_verify_index_new(hv_verify_run *run, hv_verify_index **ret, hv_err *err)
{
    HV_AUTO(hv_verify_index_free) hv_verify_index *index = calloc(1, sizeof *index);

    if (index == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to verify an index");
    index->run = run;
    index->index = hv_verify_config_of(run)->index;
    hv_rc rc = expect_bytes(index, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(index);
    return rc;
}

void
hv_verify_index_free(hv_verify_index *index)
{
    if (index == NULL)
        return;
    hv_index_cut_clear(&index->next);
    free(index->done);
    free(index->late);
    free(index);
}

/* ---- findings ---- */

static hv_finding
about_cut(hv_finding_kind kind, const hv_partition *partition, int64_t first)
{
    hv_finding finding = hv_finding_make(kind, hv_name_of_lead(partition, first).text, partition);

    finding.offset = first;
    return finding;
}

static void
tell_missing(hv_verify_index *index, const hv_partition *partition, hv_range range, int64_t position)
{
    hv_finding finding = about_cut(HV_FINDING_INDEX_MISSING_CUT, partition, range.first);

    hv_finding_expect(&finding, "offsets %" PRId64 " to %" PRId64 " in the index", range.first, range.end);
    if (position >= 0)
        hv_finding_find(&finding, "its last cut ends at %" PRId64, position);
    else
        hv_finding_find(&finding, "none of them");
    hv_verify_tell(index->run, &finding);
}

static void
tell_other_facts(hv_verify_index *index, const hv_partition *partition, const hv_index_cut *stored, const bool *hash_known,
                 const hv_index_cut *indexed)
{
    hv_finding finding = about_cut(HV_FINDING_INDEX_OTHER_FACTS, partition, stored->range.first);

    if (!hv_verify_facts_differ(stored, hash_known, indexed, &finding))
        return;
    hv_verify_tell(index->run, &finding);
    index->current.comparable = false;
}

/* ---- the current partition ---- */

static void
begin_partition(hv_verify_index *index, const hv_partition *partition)
{
    hv_index_cut_clear(&index->next);
    index->open = true;
    index->damaged = index->has_next = index->ended = index->last_recorded = false;
    index->gapless = true;
    index->current = (sums){.facts = {.partition = *partition}, .comparable = true};
    index->at = 0;
    index->late_range = (hv_range){.first = -1, .end = -1};
}

/* Make sure that the next cut of the index is at hand, if there is one. */
static hv_rc
peek(hv_verify_index *index, hv_err *err)
{
    const hv_partition *partition = &index->current.facts.partition;

    if (index->has_next || index->ended || index->damaged)
        return HV_OK;
    hv_rc rc = hv_index_find_offset(index->index, partition, index->at, &index->next, err);
    index->has_next = rc == HV_OK;
    index->ended = rc == HV_NOT_FOUND;
    if (rc == HV_NOT_FOUND)
        return HV_OK;
    if (rc == HV_OK && index->next.range.end <= index->at)
        rc = hv_err_set(err, HV_CORRUPT, "a cut of the index ends at %" PRId64 ", before it begins", index->next.range.end);
    if (rc != HV_CORRUPT)
        return rc;
    hv_verify_tell_index_damaged(index->run, partition, index->at, err);
    index->damaged = true;
    index->current.comparable = index->has_next = false;
    return HV_OK;
}

static void
pass_next(hv_verify_index *index)
{
    index->at = index->next.range.end;
    hv_index_cut_clear(&index->next);
    index->has_next = false;
}

/* The store does not have it, or did not when the listing came by. */
static hv_rc
check_extra(hv_verify_index *index, hv_err *err)
{
    const hv_partition *partition = &index->current.facts.partition;
    hv_storage *storage = hv_verify_config_of(index->run)->storage;
    hv_finding finding = about_cut(HV_FINDING_INDEX_EXTRA_CUT, partition, index->next.range.first);
    hv_blob_properties properties;

    hv_rc rc = storage->ops->properties(storage, finding.blob, &properties, err);
    if (rc == HV_OK) {
        hv_verify_facts_of(index->run)->newer++;
        return HV_OK;
    }
    if (rc != HV_NOT_FOUND)
        return rc;
    hv_finding_expect(&finding, "a lead in the store");
    hv_finding_find(&finding, "only the index has the cut, up to offset %" PRId64, index->next.range.end);
    hv_verify_tell(index->run, &finding);
    return HV_OK;
}

/* Cuts of the index that begin before `first`. Those in a hole that was told are told thereby. */
static hv_rc
pass_extra(hv_verify_index *index, int64_t first, hv_range hole, hv_err *err)
{
    hv_rc rc = peek(index, err);

    while (rc == HV_OK && index->has_next && index->next.range.first < first) {
        bool in_hole = index->next.range.first >= hole.first && index->next.range.end <= hole.end;
        rc = in_hole ? HV_OK : check_extra(index, err);
        index->current.comparable = false;
        pass_next(index);
        if (rc == HV_OK)
            rc = peek(index, err);
    }
    return rc;
}

static void
add_sums(sums *to, const hv_index_cut *cut)
{
    hv_index_partition_facts *facts = &to->facts;
    int64_t count = 0;

    if (facts->cuts == 0) {
        facts->range.first = cut->range.first;
        facts->last_created_ms = INT64_MIN;
    }
    for (size_t s = 0; s < cut->segment_count; s++) {
        const hv_index_segment *segment = &cut->segments[s];
        bool first = facts->count + count == 0;
        if (segment->count > 0 && (first || segment->min_timestamp_ms < facts->min_timestamp_ms))
            facts->min_timestamp_ms = segment->min_timestamp_ms;
        if (segment->count > 0 && (first || segment->max_timestamp_ms > facts->max_timestamp_ms))
            facts->max_timestamp_ms = segment->max_timestamp_ms;
        if (segment->created_ms > facts->last_created_ms)
            facts->last_created_ms = segment->created_ms;
        facts->bytes += segment->size;
        count += segment->count;
    }
    facts->range.end = cut->range.end;
    facts->cuts++;
    facts->segments += (int64_t)cut->segment_count;
    facts->count += count;
    facts->gap_offsets += cut->range.end - cut->range.first - count;
}

/* The index has an entry at the first offset of this cut. */
static void
match(hv_verify_index *index, const hv_verify_item *item)
{
    index->last_recorded = true;
    if (item->whole) {
        tell_other_facts(index, &item->walked.partition, &item->facts, item->hash_known, &index->next);
        add_sums(&index->current, &item->facts);
    } else {
        index->current.comparable = false;
    }
    pass_next(index);
}

static void
miss(hv_verify_index *index, const hv_verify_item *item)
{
    index->last_recorded = false;
    if (!item->whole)                   /* not complete, or a fault of its own */
        return;
    index->current.comparable = false;
    if (!index->ended) {
        index->gapless = false;
        tell_missing(index, &item->walked.partition, item->range, -1);
        return;
    }
    if (index->late_range.first < 0)
        index->late_range.first = item->range.first;
    index->late_range.end = item->range.end;
}

hv_rc
hv_verify_index_cut(hv_verify_index *index, const hv_verify_chain *chain, const hv_verify_item *item, bool fits, hv_err *err)
{
    if (index == NULL)
        return HV_OK;
    if (!index->open)
        begin_partition(index, &chain->partition);
    index->last_recorded = false;
    if (!fits) {
        index->current.comparable = false;
        return HV_OK;
    }
    hv_rc rc = pass_extra(index, item->walked.first, chain->hole, err);
    if (rc != HV_OK || index->damaged)
        return rc;
    if (index->has_next && index->next.range.first == item->walked.first)
        match(index, item);
    else
        miss(index, item);
    return HV_OK;
}

static hv_rc
keep_sums(hv_verify_index *index, hv_err *err)
{
    if (!hv_array_room(&index->done, index->done_count, &index->done_room, sizeof *index->done))
        return hv_err_set(err, HV_NOMEM, "no memory for the sums of %zu partitions", index->done_count + 1);
    index->done[index->done_count++] = index->current;
    return HV_OK;
}

static hv_rc
keep_late(hv_verify_index *index, hv_err *err)
{
    if (index->late_range.first < 0)
        return HV_OK;
    if (!hv_array_room(&index->late, index->late_count, &index->late_room, sizeof *index->late))
        return hv_err_set(err, HV_NOMEM, "no memory for %zu partitions behind which the index is", index->late_count + 1);
    index->late[index->late_count++] = (late_cuts){.partition = index->current.facts.partition, .range = index->late_range};
    return HV_OK;
}

static const hv_range no_hole = {.first = 0, .end = 0};

static void
describe_times(char to[HV_FINDING_TEXT], bool there, int64_t min_ms, int64_t max_ms)
{
    hv_finding scratch;

    if (!there)
        hv_finding_find(&scratch, "no entry");
    else if (min_ms > max_ms)
        hv_finding_find(&scratch, "no times");
    else
        hv_finding_find(&scratch, "%" PRId64 " to %" PRId64 " ms", min_ms, max_ms);
    memcpy(to, scratch.found, HV_FINDING_TEXT);
}

/* What lookups by time go through, for which nothing else in here has a use. */
static hv_rc
check_times(hv_verify_index *index, hv_err *err)
{
    const hv_partition *partition = &index->current.facts.partition;
    hv_index_times_fault fault = {.found = false};

    if (index->damaged || !index->gapless)
        return HV_OK;
    hv_rc rc = hv_index_check_times(index->index, partition, &fault, err);
    if (rc == HV_CORRUPT) {
        hv_verify_tell_index_damaged(index->run, partition, -1, err);
        return HV_OK;
    }
    if (rc != HV_OK || !fault.found)
        return rc;
    hv_finding finding = hv_finding_make(HV_FINDING_INDEX_OTHER_TIMES, hv_prefix_of_partition(partition).text, partition);
    describe_times(finding.expected, fault.expected, fault.min_ms, fault.max_ms);
    describe_times(finding.found, fault.there, fault.stored_min_ms, fault.stored_max_ms);
    finding.offset = fault.range.first;
    hv_verify_tell(index->run, &finding);
    return HV_OK;
}

hv_rc
hv_verify_index_end_partition(hv_verify_index *index, bool *recorded, hv_err *err)
{
    *recorded = false;
    if (index == NULL || !index->open)
        return HV_OK;
    index->open = false;
    *recorded = index->last_recorded;
    hv_rc rc = pass_extra(index, INT64_MAX, no_hole, err);
    if (rc == HV_OK)
        rc = check_times(index, err);
    if (rc == HV_OK)
        rc = keep_late(index, err);
    return rc == HV_OK ? keep_sums(index, err) : rc;
}

/* ---- the end of the walk ---- */

static int
by_partition(const void *a, const void *b)
{
    return hv_partition_compare(&((const sums *)a)->facts.partition, &((const sums *)b)->facts.partition);
}

/* A partition that the store did not show. */
static hv_rc
check_only_indexed(hv_verify_index *index, const hv_partition *partition, hv_err *err)
{
    begin_partition(index, partition);
    index->open = false;
    return pass_extra(index, INT64_MAX, no_hole, err);
}

static hv_rc
check_sums(hv_verify_index *index, const sums *stored, const hv_index_partition_facts *indexed, hv_err *err)
{
    hv_finding finding = hv_finding_make(HV_FINDING_INDEX_OTHER_TOTALS, hv_prefix_of_partition(&indexed->partition).text,
                                         &indexed->partition);
    int64_t position;

    if (!stored->comparable)
        return HV_OK;
    if (indexed->range.end > stored->facts.range.end) {
        hv_rc rc = hv_index_position(index->index, &indexed->partition, &position, err);
        if (rc == HV_CORRUPT)
            hv_verify_tell_index_damaged(index->run, &indexed->partition, indexed->range.end, err);
        if (rc != HV_OK)
            return rc == HV_CORRUPT ? HV_OK : rc;
        if (position >= indexed->range.end)
            return HV_OK;               /* there are more cuts now than when they were compared */
    }
    if (hv_verify_sums_differ(&stored->facts, indexed, &finding))
        hv_verify_tell(index->run, &finding);
    return HV_OK;
}

static bool
told_damage(const hv_verify_index *index)
{
    return hv_verify_facts_of(index->run)->by_kind[HV_FINDING_INDEX_DAMAGED] > 0;
}

/* Looking for the end of the chain of a partition meets the same damage, and says where it is. */
static void
tell_damaged_sums(hv_verify_index *index, const hv_err *why)
{
    if (!told_damage(index))
        hv_verify_tell_index_damaged(index->run, NULL, -1, why);
}

static hv_rc
check_partitions(hv_verify_index *index, hv_err *err)
{
    hv_index_partition_facts *indexed = NULL;
    size_t count = 0, matched = 0, expected = 0;

    if (index->sums_damaged.rc != HV_OK) {
        tell_damaged_sums(index, &index->sums_damaged);
        return HV_OK;
    }
    hv_rc rc = hv_index_partitions(index->index, hv_verify_config_of(index->run)->hub, &indexed, &count, err);
    if (rc == HV_CORRUPT)
        tell_damaged_sums(index, err);
    if (rc != HV_OK)
        return rc == HV_CORRUPT ? HV_OK : rc;
    if (index->done_count > 0)
        qsort(index->done, index->done_count, sizeof *index->done, by_partition);
    for (size_t i = 0; i < index->done_count; i++)
        expected += index->done[i].facts.cuts > 0 ? 1 : 0;
    for (size_t i = 0; rc == HV_OK && i < count; i++) {
        sums key = {.facts = indexed[i]};
        const sums *stored = index->done_count == 0 ? NULL
                             : bsearch(&key, index->done, index->done_count, sizeof *index->done, by_partition);
        rc = stored == NULL ? check_only_indexed(index, &indexed[i].partition, err) : check_sums(index, stored, &indexed[i], err);
        matched += stored != NULL && stored->facts.cuts > 0 ? 1 : 0;
    }
    free(indexed);
    if (rc == HV_OK && matched < expected && !told_damage(index)) {
        hv_finding finding = hv_finding_make(HV_FINDING_INDEX_OTHER_TOTALS, NULL, NULL);
        hv_finding_expect(&finding, "sums of %zu partitions that have cuts", expected);
        hv_finding_find(&finding, "of %zu", matched);
        hv_verify_tell(index->run, &finding);
    }
    return rc;
}

/* Step by step behind where the index ended before: has it got further meanwhile, and right? */
static hv_rc
check_late(hv_verify_index *index, const late_cuts *late, hv_err *err)
{
    const hv_verify_config *config = hv_verify_config_of(index->run);
    hv_chain chain = {.storage = config->storage, .vault = config->vault};
    int64_t at = late->range.first;

    while (at < late->range.end) {
        HV_AUTO(hv_chain_cut_clear) hv_chain_cut stored = {0};
        HV_AUTO(hv_index_cut_clear) hv_index_cut indexed = {0};
        hv_rc rc = hv_index_find_offset(index->index, &late->partition, at, &indexed, err);
        if (rc == HV_NOT_FOUND) {
            tell_missing(index, &late->partition, (hv_range){.first = at, .end = late->range.end}, at);
            return HV_OK;
        }
        if (rc == HV_CORRUPT) {
            hv_verify_tell_index_damaged(index->run, &late->partition, at, err);
            return HV_OK;
        }
        if (rc == HV_OK)
            rc = hv_chain_look(&chain, &late->partition, at, &stored, err);
        if (rc == HV_CORRUPT || rc == HV_NOT_FOUND)
            return HV_OK;               /* a fault of the store, told when the walk came by */
        if (rc != HV_OK)
            return rc;
        tell_other_facts(index, &late->partition, &stored.facts, NULL, &indexed);
        hv_verify_facts_of(index->run)->newer++;
        at = stored.facts.range.end;
    }
    return HV_OK;
}

static void
ignore_line(void *arg, const char *line)
{
    (void)arg, (void)line;
}

/* Whatever no comparison above has read: every entry has a checksum, and this reads them all. */
static hv_rc
check_readable(hv_verify_index *index, hv_err *err)
{
    const hv_verify_config *config = hv_verify_config_of(index->run);

    if (config->quick || config->hub != NULL || told_damage(index))
        return HV_OK;
    hv_rc rc = hv_index_dump(index->index, ignore_line, NULL, err);
    if (rc == HV_CORRUPT)
        hv_verify_tell_index_damaged(index->run, NULL, -1, err);
    return rc == HV_CORRUPT ? HV_OK : rc;
}

hv_rc
hv_verify_index_end(hv_verify_index *index, hv_err *err)
{
    if (index == NULL)
        return HV_OK;
    hv_rc rc = check_partitions(index, err);
    for (size_t i = 0; rc == HV_OK && i < index->late_count; i++)
        rc = check_late(index, &index->late[i], err);
    return rc == HV_OK ? check_readable(index, err) : rc;
}
