/*
 * The walk hands out cuts and records in the order of names; threads read and check each for itself; they come back in the same order
 * and are compared with their neighbours and with the index. What is found of a name as such travels the same way, so that findings
 * come in the order of names, the same in every run.
 *
 * Memory: a few cuts per thread with their headers, the largest block of each thread, and a few hundred bytes per partition.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "archiver/verify_internal.h"
#include "common/array.h"

enum { WINDOW = 16 };                   /* cuts per thread on their way */

struct hv_verify_run {
    const hv_verify_config *config;
    hv_verify_facts facts;
    hv_ordered_work *workers;
    hv_verify_index *index;             /* these two: NULL without an index */
    hv_verify_incarnations *incarnations;
    hv_verify_chain chain;

    /* of the names that pass by now */
    char hub[HV_HUB_SIZE];              /* empty: none yet */
    uint32_t *records;                  /* numbers of its incarnations that have a record, in the order of names */
    size_t record_count, record_room;
    uint32_t highest;                   /* number of an incarnation that was met at all */
    hv_name_parts last_snapshot;
};

const hv_verify_config *
hv_verify_config_of(const hv_verify_run *run)
{
    return run->config;
}

hv_verify_facts *
hv_verify_facts_of(hv_verify_run *run)
{
    return &run->facts;
}

void
hv_verify_tell(hv_verify_run *run, const hv_finding *finding)
{
    run->facts.findings++;
    run->facts.by_kind[finding->kind]++;
    if (run->config->report != NULL)
        run->config->report(run->config->arg, finding);
}

void
hv_verify_tell_all(hv_verify_run *run, const hv_findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        hv_verify_tell(run, &findings->at[i]);
    for (unsigned kind = 0; kind < HV_FINDING_KINDS; kind++) {
        run->facts.findings += findings->more[kind];
        run->facts.by_kind[kind] += findings->more[kind];
        run->facts.unreported += findings->more[kind];
    }
}

void
hv_verify_tell_index_damaged(hv_verify_run *run, const hv_partition *partition, int64_t offset, const hv_err *why)
{
    hv_finding finding = hv_finding_make(HV_FINDING_INDEX_DAMAGED, partition != NULL ? hv_prefix_of_partition(partition).text : NULL,
                                         partition);

    finding.offset = offset;
    hv_finding_expect(&finding, "an entry that can be read");
    hv_finding_find(&finding, "%.250s", why->msg);
    hv_verify_tell(run, &finding);
}

/* ---- items come back ---- */

static hv_rc
end_partition(hv_verify_run *run, hv_err *err)
{
    bool recorded;

    if (!run->chain.open)
        return HV_OK;
    hv_rc rc = hv_verify_index_end_partition(run->index, &recorded, err);
    if (rc == HV_OK)
        hv_verify_chain_end(run, &run->chain, recorded);
    return rc;
}

static void
count(hv_verify_run *run, const hv_verify_item *item)
{
    run->facts.cuts++;
    run->facts.segments += item->counts.segments;
    run->facts.blocks += item->counts.blocks;
    run->facts.events += item->counts.events;
    run->facts.bytes += item->counts.bytes;
    run->facts.unhashed += item->counts.unhashed;
}

static hv_rc
take_cut(hv_verify_run *run, hv_verify_item *item, hv_err *err)
{
    bool fits;

    if (!item->is_there) {
        hv_verify_tell_all(run, &item->findings);
        return HV_OK;
    }
    if (!run->chain.open || hv_partition_compare(&run->chain.partition, &item->walked.partition) != 0) {
        hv_rc rc = end_partition(run, err);
        if (rc != HV_OK)
            return rc;
        hv_verify_chain_begin(&run->chain, &item->walked.partition);
        run->facts.partitions++;
    }
    count(run, item);
    hv_verify_chain_add(run, &run->chain, item, &fits);
    return hv_verify_index_cut(run->index, &run->chain, item, fits, err);
}

static bool
is_stopped(const hv_verify_run *run)
{
    return run->config->stop != NULL && atomic_load(run->config->stop);
}

static hv_rc
take_item(void *arg, void *one, hv_err *err)
{
    hv_verify_run *run = arg;
    hv_verify_item *item = one;
    hv_rc rc = HV_OK;

    if (is_stopped(run))
        return hv_err_set(err, HV_CLOSED, "verification was stopped");
    switch (item->kind) {
    case HV_VERIFY_CUT:
        rc = take_cut(run, item, err);
        break;
    case HV_VERIFY_INCARNATION:
        run->facts.incarnations++;
        hv_verify_tell_all(run, &item->findings);
        rc = hv_verify_incarnations_add(run->incarnations, item, err);
        break;
    case HV_VERIFY_SNAPSHOT:
        run->facts.snapshots++;
        hv_verify_tell_all(run, &item->findings);
        break;
    default:
        hv_verify_tell_all(run, &item->findings);
    }
    if (rc == HV_OK && run->config->progress != NULL)
        run->config->progress(run->config->arg, &run->facts);
    return rc;
}

static hv_rc
work_on(void *arg, void *tools, void *one, hv_err *err)
{
    hv_verify_item *item = one;

    (void)arg;
    switch (item->kind) {
    case HV_VERIFY_CUT:
        return hv_verify_cut(tools, item, err);
    case HV_VERIFY_INCARNATION:
        return hv_verify_incarnation(tools, item, err);
    case HV_VERIFY_SNAPSHOT:
        return hv_verify_snapshot(tools, item, err);
    default:
        return HV_OK;
    }
}

static hv_rc
new_tools(void *arg, void **ret, hv_err *err)
{
    const hv_verify_run *run = arg;

    return hv_verify_tools_new(run->config, ret, err);
}

/* ---- the walk ---- */

static hv_rc
new_item(const hv_verify_run *run, hv_verify_item **ret, hv_err *err)
{
    if (is_stopped(run))
        return hv_err_set(err, HV_CLOSED, "verification was stopped");
    *ret = calloc(1, sizeof **ret);
    return *ret != NULL ? HV_OK : hv_err_set(err, HV_NOMEM, "no memory to walk through the vault");
}

/* A finding takes its place in the order of names. */
static hv_rc
hand_out_finding(hv_verify_run *run, const hv_finding *finding, hv_err *err)
{
    hv_verify_item *item = NULL;

    hv_rc rc = new_item(run, &item, err);
    if (rc != HV_OK)
        return rc;
    item->kind = HV_VERIFY_TOLD;
    rc = hv_findings_add(&item->findings, finding, err);
    if (rc != HV_OK) {
        hv_verify_item_free(item);
        return rc;
    }
    return hv_ordered_work_push(run->workers, item, err);
}

static hv_rc
lacks_records(hv_verify_run *run, uint32_t from, uint32_t to, hv_err *err)
{
    hv_finding finding = hv_finding_make(HV_FINDING_MISSING_INCARNATION, hv_name_of_incarnation(run->hub, from).text, NULL);

    memcpy(finding.partition.hub, run->hub, sizeof finding.partition.hub);
    finding.partition.incarnation = from;
    hv_finding_expect(&finding, "records of incarnations 1 to %" PRIu32, run->highest);
    if (from == to)
        hv_finding_find(&finding, "none of %" PRIu32, from);
    else
        hv_finding_find(&finding, "none of %" PRIu32 " to %" PRIu32, from, to);
    hv_rc rc = hv_verify_incarnations_missing(run->incarnations, run->hub, from, to, err);
    return rc == HV_OK ? hand_out_finding(run, &finding, err) : rc;
}

static int
by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Incarnations count from 1, each has a record, and records sort as text ("10" before "2"): so this has to wait for the last one. */
static hv_rc
end_hub(hv_verify_run *run, hv_err *err)
{
    uint32_t expected = 1;
    hv_rc rc = HV_OK;

    if (run->record_count > 0)
        qsort(run->records, run->record_count, sizeof *run->records, by_number);
    for (size_t i = 0; rc == HV_OK && i < run->record_count; i++) {
        if (run->records[i] > expected)
            rc = lacks_records(run, expected, run->records[i] - 1, err);
        expected = run->records[i] + 1;
    }
    if (rc == HV_OK && run->highest > 0 && expected != 0 && expected <= run->highest)
        rc = lacks_records(run, expected, run->highest, err);
    run->record_count = 0;
    run->highest = 0;
    return rc;
}

static hv_rc
meet(hv_verify_run *run, const char *hub, uint32_t incarnation, hv_err *err)
{
    hv_rc rc = HV_OK;

    if (strcmp(run->hub, hub) != 0) {
        rc = end_hub(run, err);
        memcpy(run->hub, hub, strlen(hub) + 1);
        run->facts.hubs++;
    }
    if (incarnation > run->highest)
        run->highest = incarnation;
    return rc;
}

static hv_rc
walk_cut(void *arg, hv_walked_cut *cut, hv_err *err)
{
    hv_verify_run *run = arg;
    hv_verify_item *item = NULL;

    hv_rc rc = meet(run, cut->partition.hub, cut->partition.incarnation, err);
    if (rc == HV_OK)
        rc = new_item(run, &item, err);
    if (rc != HV_OK)
        return rc;
    item->kind = HV_VERIFY_CUT;
    item->walked = *cut;
    cut->names = (hv_chain_names){.has_lead = false};
    return hv_ordered_work_push(run->workers, item, err);
}

static hv_rc
walk_incarnation(void *arg, const char *hub, uint32_t incarnation, hv_err *err)
{
    hv_verify_run *run = arg;
    hv_verify_item *item = NULL;

    hv_rc rc = meet(run, hub, incarnation, err);
    if (rc == HV_OK && !hv_array_room(&run->records, run->record_count, &run->record_room, sizeof *run->records))
        rc = hv_err_set(err, HV_NOMEM, "no memory for %zu incarnations", run->record_count + 1);
    if (rc == HV_OK)
        rc = new_item(run, &item, err);
    if (rc != HV_OK)
        return rc;
    run->records[run->record_count++] = incarnation;
    item->kind = HV_VERIFY_INCARNATION;
    memcpy(item->walked.partition.hub, hub, strlen(hub) + 1);
    item->walked.partition.incarnation = incarnation;
    item->walked.partition.number = -1;
    return hv_ordered_work_push(run->workers, item, err);
}

static hv_rc
walk_snapshot(void *arg, const hv_name_parts *name, hv_err *err)
{
    hv_verify_run *run = arg;
    hv_verify_item *item = NULL;
    hv_finding finding;
    bool missing;

    hv_verify_snapshot_order(&run->last_snapshot, name, &finding, &missing);
    run->last_snapshot = *name;
    hv_rc rc = missing ? hand_out_finding(run, &finding, err) : HV_OK;
    if (rc == HV_OK)
        rc = new_item(run, &item, err);
    if (rc != HV_OK)
        return rc;
    item->kind = HV_VERIFY_SNAPSHOT;
    item->snapshot = *name;
    return hv_ordered_work_push(run->workers, item, err);
}

/* docs/FORMAT.md section 1: these areas have pages of their own. */
static bool
is_of_other_area(const char *name)
{
    static const char *const areas[] = {"ledger/", "policies/", "schemas/", "keys/"};

    for (size_t i = 0; i < sizeof areas / sizeof areas[0]; i++)
        if (strncmp(name, areas[i], strlen(areas[i])) == 0)
            return true;
    return false;
}

static hv_rc
walk_foreign(void *arg, const char *name, hv_err *err)
{
    hv_verify_run *run = arg;

    if (is_of_other_area(name)) {
        run->facts.unchecked++;
        return HV_OK;
    }
    hv_finding finding = hv_finding_make(HV_FINDING_FOREIGN_NAME, name, NULL);

    hv_finding_expect(&finding, "a segment, a record or the marker");
    hv_finding_find(&finding, "another name");
    return hand_out_finding(run, &finding, err);
}

/* ---- the whole ---- */

/* Without an index, and with one of another vault, the index objects stay NULL. */
static hv_rc
open_index(hv_verify_run *run, hv_err *err)
{
    const hv_verify_config *config = run->config;

    if (config->index == NULL)
        return HV_OK;
    if (strcmp(hv_index_vault(config->index), config->vault) != 0) {
        hv_finding finding = hv_finding_make(HV_FINDING_INDEX_OTHER_VAULT, NULL, NULL);
        hv_finding_expect(&finding, "vault %s", config->vault);
        hv_finding_find(&finding, "%s", hv_index_vault(config->index));
        hv_verify_tell(run, &finding);
        return HV_OK;
    }
    hv_rc rc = hv_verify_index_new(run, &run->index, err);
    return rc == HV_OK ? hv_verify_incarnations_new(run, &run->incarnations, err) : rc;
}

static hv_rc
check_marker(hv_verify_run *run, hv_err *err)
{
    hv_findings findings = {.count = 0};
    hv_rc rc = hv_verify_marker(run->config, &findings, err);

    if (rc == HV_OK)
        hv_verify_tell_all(run, &findings);
    hv_findings_clear(&findings);
    return rc;
}

/* All that a vault holds of one hub, in the order of names. */
static hv_rc
walk_hub(const hv_verify_config *config, const hv_vault_visitor *visitor, hv_err *err)
{
    hv_blob_name prefixes[] = {hv_prefix_of_hub(config->hub), hv_prefix_of_group_snapshots(config->hub),
                               hv_prefix_of_snapshots(config->hub, NULL)};
    hv_rc rc = HV_OK;

    for (size_t i = 0; rc == HV_OK && i < sizeof prefixes / sizeof *prefixes; i++)
        rc = hv_vault_walk(config->storage, prefixes[i].text, visitor, err);
    return rc;
}

static hv_rc
walk(hv_verify_run *run, hv_err *err)
{
    hv_vault_visitor visitor = {.arg = run, .cut = walk_cut, .incarnation = walk_incarnation, .foreign = walk_foreign,
                                .snapshot = walk_snapshot};
    hv_ordered_work_config workers = {.threads = run->config->threads, .window_per_thread = WINDOW, .tools_new = new_tools,
        .tools_free = hv_verify_tools_free, .work = work_on, .take = take_item, .drop = hv_verify_item_free, .arg = run};

    hv_rc rc = hv_ordered_work_new(&workers, &run->workers, err);
    if (rc == HV_OK && run->config->hub == NULL)
        rc = hv_vault_walk(run->config->storage, "", &visitor, err);
    else if (rc == HV_OK)
        rc = walk_hub(run->config, &visitor, err);
    if (rc == HV_OK)
        rc = end_hub(run, err);
    if (rc == HV_OK)
        rc = hv_ordered_work_finish(run->workers, err);
    return rc == HV_OK ? end_partition(run, err) : rc;
}

static hv_rc
verify(hv_verify_run *run, hv_err *err)
{
    const hv_verify_config *config = run->config;

    hv_rc rc = check_marker(run, err);
    if (rc == HV_OK)
        rc = open_index(run, err);
    if (rc == HV_OK)
        rc = walk(run, err);
    if (rc == HV_OK)
        rc = hv_verify_incarnations_end(run->incarnations, err);
    if (rc == HV_OK)
        rc = hv_verify_index_end(run->index, err);
    if (rc != HV_OK)
        return rc;
    if (config->hub != NULL && run->facts.hubs == 0 && run->facts.findings == 0)
        return hv_err_set(err, HV_NOT_FOUND, "there is no hub '%s' in the vault", config->hub);
    if (run->facts.findings > 0)
        return hv_err_set(err, HV_GAP, "verification found %" PRId64 " fault%s", run->facts.findings,
                          run->facts.findings == 1 ? "" : "s");
    return HV_OK;
}

hv_rc
hv_verify(const hv_verify_config *config, hv_verify_facts *ret, hv_err *err)
{
    hv_verify_run *run = calloc(1, sizeof *run);

    if (run == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to verify a vault");
    run->config = config;
    hv_rc rc = verify(run, err);
    if (rc == HV_OK || rc == HV_GAP)
        *ret = run->facts;
    hv_ordered_work_free(run->workers);
    hv_verify_index_free(run->index);
    hv_verify_incarnations_free(run->incarnations);
    hv_findings_clear(&run->chain.lacking);
    free(run->records);
    free(run);
    return rc;
}
