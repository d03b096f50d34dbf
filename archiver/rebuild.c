/*
 * The walk hands out cuts and records (items) in the order of names; threads read them; they come back in the same order and are
 * recorded in batches, one transaction each.
 *
 * A problem of a partition is no failure: the cuts before it are recorded, those behind it are passed over, for what capture would
 * not walk on from must not look captured. A failure of the store or of the index ends everything, because then nobody knows what is
 * there. An incomplete cut waits until it is known whether it is the last one.
 *
 * Incarnations are recorded last, all at once: an index without any was never rebuilt to its end, whatever else is in it.
 */
#include "archiver/rebuild.h"

#include <inttypes.h>
#include <stdlib.h>

#include "archiver/incarnation.h"
#include "archiver/ordered_work.h"
#include "archiver/vault_walk.h"
#include "common/array.h"

enum {
    READERS = 8,                        /* threads, if not said: they wait for the store more than they compute */
    AHEAD = 1024,                       /* cuts ahead of the recording: half of them is a batch, so that reading goes on while one is written */
    BATCH_CUTS = 512,
    BATCH_BLOCKS = 1 << 16,             /* of all cuts of a batch: some ten megabytes */
};

typedef struct item {
    bool is_cut;                        /* else the record of an incarnation */
    hv_walked_cut walked;               /* of a record: hub and incarnation in `partition` */
    hv_chain_cut found;
    hv_index_incarnation record;
    hv_rc problem;                      /* not HV_OK: this cannot be recorded, and why */
    hv_err why;
} item;

typedef struct batch_entry {
    hv_partition partition;
    hv_index_cut cut;
} batch_entry;

typedef struct rebuild {
    const hv_rebuild_config *config;
    hv_chain chain;
    hv_ordered_work *readers;
    hv_rebuild_facts facts;

    hv_index_partition_facts *known;    /* what the index held before, ordered, and which of it was met in the store */
    bool *met;
    size_t known_count;

    char hub[HV_HUB_SIZE];              /* of the names that pass by now */
    hv_partition recorded;              /* hub and incarnation of the last record that passed by */
    hv_index_incarnation *incarnations; /* read so far; they go into the index at the very end */
    size_t incarnation_count, incarnation_room;
    bool in_partition;
    hv_partition partition;             /* where the cuts that come back now belong */
    int64_t end;                        /* of its chain */
    bool stopped;                       /* nothing more of it is recorded */
    bool incomplete;                    /* the cut at `end` lacks a sibling */

    batch_entry batch[BATCH_CUTS];
    size_t batch_count, batch_blocks;
} rebuild;

static void
item_free(void *arg)
{
    item *it = arg;

    if (it == NULL)
        return;
    hv_chain_names_clear(&it->walked.names);
    hv_chain_cut_clear(&it->found);
    free(it);
}

/* ---- reading: in any thread ---- */

/* Whether the code tells of what lies in the store, not of a store that fails. */
static bool
is_about_content(hv_rc rc)
{
    return rc == HV_CORRUPT || rc == HV_VERSION || rc == HV_NOT_FOUND;
}

static hv_rc
read_item(void *arg, void *tools, void *one, hv_err *err)
{
    const rebuild *r = arg;
    item *it = one;
    const hv_partition *partition = &it->walked.partition;
    hv_incarnation_record record;
    hv_rc rc;

    (void)tools;
    if (it->is_cut) {
        rc = hv_chain_read_cut(&r->chain, partition, it->walked.first, &it->walked.names, &it->found, err);
    } else {
        rc = hv_incarnation_read(&r->chain, partition->hub, partition->incarnation, &record, err);
        if (rc == HV_OK)
            it->record = hv_incarnation_entry(&record);
        else if (rc == HV_LIMIT)
            rc = hv_err_set(err, HV_CORRUPT, "the record of incarnation %" PRIu32 " of '%s' is longer than %d bytes",
                            partition->incarnation, partition->hub, HV_RECORD_MAX);
    }
    if (!is_about_content(rc))
        return rc;
    it->problem = rc;
    it->why = *err;
    return HV_OK;
}

/* ---- problems ---- */

static void
tell_problem(rebuild *r, const hv_partition *partition, const hv_err *why)
{
    r->facts.problems++;
    if (r->config->problem != NULL)
        r->config->problem(r->config->arg, partition, why);
}

static void
stop_partition(rebuild *r, const hv_err *why)
{
    tell_problem(r, &r->partition, why);
    r->stopped = true;
    r->facts.stopped++;
}

/* ---- recording ---- */

static void
count_recorded(rebuild *r, const hv_index_cut *cut)
{
    r->facts.cuts++;
    r->facts.segments += (int64_t)cut->segment_count;
    for (size_t s = 0; s < cut->segment_count; s++) {
        r->facts.events += cut->segments[s].count;
        r->facts.bytes += cut->segments[s].size;
    }
}

/* The index refuses one of the batch: which, only trying tells. */
static hv_rc
record_one_by_one(rebuild *r, const hv_index_addition *additions, hv_err *err)
{
    const hv_partition *refused = NULL;

    for (size_t i = 0; i < r->batch_count; i++) {
        const hv_partition *partition = &r->batch[i].partition;
        if (refused != NULL && hv_partition_compare(refused, partition) == 0)
            continue;
        hv_rc rc = hv_index_add(r->config->index, &additions[i], 1, err);
        if (rc != HV_OK && rc != HV_CORRUPT)
            return rc;
        if (rc == HV_OK) {
            count_recorded(r, &r->batch[i].cut);
            continue;
        }
        refused = partition;
        if (hv_partition_compare(partition, &r->partition) == 0 && !r->stopped) {
            stop_partition(r, err);
        } else {
            tell_problem(r, partition, err);
            r->facts.stopped++;
        }
    }
    return HV_OK;
}

static void
empty_batch(rebuild *r)
{
    for (size_t i = 0; i < r->batch_count; i++)
        hv_index_cut_clear(&r->batch[i].cut);
    r->batch_count = r->batch_blocks = 0;
}

static hv_rc
flush(rebuild *r, hv_err *err)
{
    hv_index_addition additions[BATCH_CUTS];

    for (size_t i = 0; i < r->batch_count; i++)
        additions[i] = (hv_index_addition){.partition = &r->batch[i].partition, .cut = &r->batch[i].cut};
    hv_rc rc = hv_index_add(r->config->index, additions, r->batch_count, err);
    if (rc == HV_CORRUPT)
        rc = record_one_by_one(r, additions, err);
    else if (rc == HV_OK)
        for (size_t i = 0; i < r->batch_count; i++)
            count_recorded(r, &r->batch[i].cut);
    empty_batch(r);
    if (rc == HV_OK && r->config->progress != NULL)
        r->config->progress(r->config->arg, &r->facts);
    return rc;
}

/* The cut goes on where the chain ends, and is complete: its facts go over to the batch. */
static hv_rc
record(rebuild *r, hv_chain_cut *found, hv_err *err)
{
    hv_index_cut *cut = &found->facts;

    r->facts.hashed += (int64_t)found->hashed;
    r->end = cut->range.end;
    for (size_t s = 0; s < cut->segment_count; s++)
        r->batch_blocks += cut->segments[s].block_count;
    r->batch[r->batch_count++] = (batch_entry){.partition = r->partition, .cut = *cut};
    *cut = (hv_index_cut){0};
    return r->batch_count == BATCH_CUTS || r->batch_blocks >= BATCH_BLOCKS ? flush(r, err) : HV_OK;
}

/* ---- the chain of one partition ---- */

static hv_rc
check_known_end(rebuild *r, hv_err *err)
{
    int64_t position;
    hv_err why;

    hv_rc rc = hv_index_position(r->config->index, &r->partition, &position, err);
    if (rc != HV_OK || position <= r->end)
        return rc;
    (void)hv_err_set(&why, HV_CORRUPT, "the index has recorded cuts up to offset %" PRId64 ", the store has them up to %" PRId64,
                     position, r->end);
    stop_partition(r, &why);
    return HV_OK;
}

static hv_rc
end_partition(rebuild *r, hv_err *err)
{
    if (!r->in_partition)
        return HV_OK;
    if (r->incomplete)
        r->facts.incomplete++;
    r->in_partition = r->incomplete = false;
    return r->stopped || r->known_count == 0 ? HV_OK : check_known_end(r, err);
}

static int
by_partition(const void *key, const void *element)
{
    const hv_index_partition_facts *facts = element;

    return hv_partition_compare(key, &facts->partition);
}

static hv_rc
begin_partition(rebuild *r, const hv_partition *partition, hv_err *err)
{
    if (r->in_partition && hv_partition_compare(&r->partition, partition) == 0)
        return HV_OK;
    hv_rc rc = end_partition(r, err);
    if (rc != HV_OK)
        return rc;
    r->in_partition = true;
    r->partition = *partition;
    r->end = 0;
    r->stopped = false;
    r->facts.partitions++;
    if (r->known_count > 0) {
        const hv_index_partition_facts *known = bsearch(partition, r->known, r->known_count, sizeof *r->known, by_partition);
        if (known != NULL)
            r->met[known - r->known] = true;
    }
    return HV_OK;
}

/* A cut behind an incomplete one: either the sibling came while we walked, or the rule is broken that leads wait for it. */
static hv_rc
complete_before(rebuild *r, hv_err *err)
{
    HV_AUTO(hv_chain_cut_clear) hv_chain_cut found = {0};

    if (!r->incomplete)
        return HV_OK;
    r->incomplete = false;
    hv_rc rc = hv_chain_look(&r->chain, &r->partition, r->end, &found, err);
    if (rc == HV_OK && found.complete)
        return record(r, &found, err);
    if (rc == HV_OK)
        rc = hv_err_set(err, HV_CORRUPT, "the cut at offset %" PRId64 " lacks a sibling, but another cut follows", r->end);
    if (!is_about_content(rc))
        return rc;
    stop_partition(r, err);
    return HV_OK;
}

static hv_rc
take_cut(rebuild *r, item *it, hv_err *err)
{
    const hv_walked_cut *walked = &it->walked;

    hv_rc rc = begin_partition(r, &walked->partition, err);
    if (rc == HV_OK)
        rc = complete_before(r, err);
    if (rc != HV_OK || r->stopped)
        return rc;
    if (it->problem != HV_OK) {
        stop_partition(r, &it->why);
        return HV_OK;
    }
    if (walked->first != r->end) {
        (void)hv_err_set(err, HV_CORRUPT, "the cut at offset %" PRId64 " %s: the cuts before it end at %" PRId64, walked->first,
                         walked->first < r->end ? "overlaps" : "leaves a hole", r->end);
        stop_partition(r, err);
        return HV_OK;
    }
    if (it->found.complete)
        return record(r, &it->found, err);
    r->incomplete = true;
    return HV_OK;
}

static hv_rc
take_record(rebuild *r, const item *it, hv_err *err)
{
    if (it->problem != HV_OK) {
        tell_problem(r, NULL, &it->why);
        return HV_OK;
    }
    if (!hv_array_room(&r->incarnations, r->incarnation_count, &r->incarnation_room, sizeof *r->incarnations))
        return hv_err_set(err, HV_NOMEM, "no memory for %zu incarnations", r->incarnation_count + 1);
    r->incarnations[r->incarnation_count++] = it->record;
    return HV_OK;
}

/* All in one transaction; if the index knows one of them otherwise, each in one of its own. */
static hv_rc
record_incarnations(rebuild *r, hv_err *err)
{
    hv_rc rc = hv_index_add_incarnations(r->config->index, r->incarnations, r->incarnation_count, err);

    if (rc == HV_OK)
        r->facts.incarnations = (int64_t)r->incarnation_count;
    if (rc != HV_CORRUPT)
        return rc;
    for (size_t i = 0; i < r->incarnation_count; i++) {
        rc = hv_index_add_incarnation(r->config->index, &r->incarnations[i], err);
        if (rc != HV_OK && rc != HV_CORRUPT)
            return rc;
        if (rc == HV_OK)
            r->facts.incarnations++;
        else
            tell_problem(r, NULL, err);
    }
    return HV_OK;
}

static bool
is_stopped(const rebuild *r)
{
    return r->config->stop != NULL && atomic_load(r->config->stop);
}

static hv_rc
take_item(void *arg, void *one, hv_err *err)
{
    rebuild *r = arg;
    item *it = one;

    if (is_stopped(r))
        return hv_err_set(err, HV_CLOSED, "rebuilding the index was stopped");
    return it->is_cut ? take_cut(r, it, err) : take_record(r, it, err);
}

/* ---- the walk ---- */

static void
meet_hub(rebuild *r, const char *hub)
{
    if (strcmp(r->hub, hub) == 0)
        return;
    memcpy(r->hub, hub, strlen(hub) + 1);
    r->facts.hubs++;
}

static hv_rc
new_item(rebuild *r, bool is_cut, item **ret, hv_err *err)
{
    if (is_stopped(r))
        return hv_err_set(err, HV_CLOSED, "rebuilding the index was stopped");
    *ret = calloc(1, sizeof **ret);
    if (*ret == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to walk through the vault");
    (*ret)->is_cut = is_cut;
    return HV_OK;
}

static void
check_has_record(rebuild *r, const hv_partition *partition)
{
    hv_err why;

    if (strcmp(r->recorded.hub, partition->hub) == 0 && r->recorded.incarnation == partition->incarnation)
        return;
    r->recorded = *partition;           /* tell it once */
    (void)hv_err_set(&why, HV_CORRUPT, "there is no '%s', but there are segments beside it",
                     hv_name_of_incarnation(partition->hub, partition->incarnation).text);
    tell_problem(r, NULL, &why);
}

static hv_rc
walk_cut(void *arg, hv_walked_cut *cut, hv_err *err)
{
    rebuild *r = arg;
    item *it = NULL;

    meet_hub(r, cut->partition.hub);
    check_has_record(r, &cut->partition);
    if (r->in_partition && r->stopped && hv_partition_compare(&r->partition, &cut->partition) == 0)
        return HV_OK;
    hv_rc rc = new_item(r, true, &it, err);
    if (rc != HV_OK)
        return rc;
    it->walked = *cut;
    cut->names = (hv_chain_names){.has_lead = false};
    return hv_ordered_work_push(r->readers, it, err);
}

static hv_rc
walk_incarnation(void *arg, const char *hub, uint32_t incarnation, hv_err *err)
{
    rebuild *r = arg;
    item *it = NULL;

    meet_hub(r, hub);
    hv_rc rc = new_item(r, false, &it, err);
    if (rc != HV_OK)
        return rc;
    memcpy(it->walked.partition.hub, hub, strlen(hub) + 1);
    it->walked.partition.incarnation = incarnation;
    r->recorded = it->walked.partition;
    return hv_ordered_work_push(r->readers, it, err);
}

static hv_rc
walk_foreign(void *arg, const char *name, hv_err *err)
{
    (void)hv_err_set(err, HV_CORRUPT, "blob '%s' has a name that hubvault does not give", name);
    tell_problem(arg, NULL, err);
    return HV_OK;
}

/* ---- the whole ---- */

static hv_rc
note_known(rebuild *r, hv_err *err)
{
    hv_rc rc = hv_index_partitions(r->config->index, NULL, &r->known, &r->known_count, err);

    if (rc != HV_OK)
        return rc;
    r->met = calloc(r->known_count + 1, sizeof *r->met);
    return r->met != NULL ? HV_OK : hv_err_set(err, HV_NOMEM, "no memory for %zu partitions", r->known_count);
}

static void
tell_unmet(rebuild *r)
{
    hv_err why;

    for (size_t i = 0; i < r->known_count; i++)
        if (!r->met[i]) {
            (void)hv_err_set(&why, HV_CORRUPT, "the index has recorded cuts up to offset %" PRId64 ", the store has none",
                             r->known[i].range.end);
            tell_problem(r, &r->known[i].partition, &why);
        }
}

static hv_rc
rebuild_all(rebuild *r, hv_err *err)
{
    hv_vault_visitor visitor = {.arg = r, .cut = walk_cut, .incarnation = walk_incarnation, .foreign = walk_foreign};
    unsigned threads = r->config->threads != 0 ? r->config->threads : READERS;
    hv_ordered_work_config readers = {.threads = threads, .window_per_thread = AHEAD / threads + 1, .work = read_item,
        .take = take_item, .drop = item_free, .arg = r};

    hv_rc rc = note_known(r, err);
    if (rc == HV_OK)
        rc = hv_ordered_work_new(&readers, &r->readers, err);
    if (rc == HV_OK)
        rc = hv_vault_walk(r->config->storage, HV_SEGMENTS_PREFIX, &visitor, err);
    if (rc == HV_OK)
        rc = hv_ordered_work_finish(r->readers, err);
    if (rc == HV_OK)
        rc = end_partition(r, err);
    if (rc == HV_OK)
        rc = flush(r, err);
    if (rc == HV_OK)
        rc = record_incarnations(r, err);
    if (rc == HV_OK)
        tell_unmet(r);
    return rc;
}

hv_rc
hv_rebuild(const hv_rebuild_config *config, hv_rebuild_facts *ret, hv_err *err)
{
    rebuild *r = calloc(1, sizeof *r);

    if (r == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to rebuild an index");
    r->config = config;
    r->chain = (hv_chain){.storage = config->storage, .vault = config->vault};
    hv_rc rc = rebuild_all(r, err);
    if (rc == HV_OK)
        *ret = r->facts;
    if (rc == HV_OK && r->facts.problems > 0)
        rc = hv_err_set(err, HV_GAP, "the index lacks what has %" PRId64 " problem%s in the store", r->facts.problems,
                        r->facts.problems == 1 ? "" : "s");
    hv_ordered_work_free(r->readers);
    empty_batch(r);
    free(r->incarnations);
    free(r->known);
    free(r->met);
    free(r);
    return rc;
}
