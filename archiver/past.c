/*
 * Safe whoever else does the same: segments are put by the sealer, create-only, and an index takes a cut only behind the one before.
 * The partitions are found in the store, because an index that was lost, or is an old copy, does not know them.
 */
#include "archiver/past.h"

#include <stdio.h>
#include <stdlib.h>

#include "archiver/sealer.h"
#include "common/array.h"
#include "common/clock.h"
#include "segment/names.h"
#include "storage/listing.h"

typedef struct past_run {
    hv_engine *engine;
    hv_chain chain;
    bool young;                         /* an incomplete cut was left to its maker */
} past_run;

void
hv_past_clear(hv_past *past)
{
    free(past->hubs);
    *past = (hv_past){0};
}

static bool
is_noted(const hv_past *past, const char *hub, uint32_t incarnation)
{
    for (size_t h = 0; h < past->count; h++)
        if (past->hubs[h].incarnation == incarnation && strcmp(past->hubs[h].hub, hub) == 0)
            return true;
    return false;
}

static hv_rc
note_one(hv_past *past, const char *hub, uint32_t incarnation, hv_err *err)
{
    if (is_noted(past, hub, incarnation))
        return HV_OK;
    if (!hv_array_room(&past->hubs, past->count, &past->room, sizeof *past->hubs))
        return hv_err_set(err, HV_NOMEM, "no memory for a past incarnation of hub '%s'", hub);
    hv_past_hub *one = &past->hubs[past->count++];
    one->incarnation = incarnation;
    (void)snprintf(one->hub, sizeof one->hub, "%s", hub);
    return HV_OK;
}

hv_rc
hv_past_note(hv_past *past, const char *hub, uint32_t current, hv_err *err)
{
    hv_rc rc = HV_OK;

    for (uint32_t incarnation = 1; rc == HV_OK && incarnation < current; incarnation++)
        rc = note_one(past, hub, incarnation, err);
    return rc;
}

hv_rc
hv_past_merge(hv_past *past, const hv_past *more, hv_err *err)
{
    hv_rc rc = HV_OK;

    for (size_t h = 0; rc == HV_OK && h < more->count; h++)
        rc = note_one(past, more->hubs[h].hub, more->hubs[h].incarnation, err);
    return rc;
}

static void
report_gaps(const past_run *run, const hv_partition *partition, const hv_index_cut *cut)
{
    for (size_t s = 0; s < cut->segment_count; s++)
        for (size_t g = 0; g < cut->segments[s].missing_count; g++) {
            const hv_gap *gap = &cut->segments[s].missing[g];
            hv_archiver_report report = {.event = HV_ARCHIVER_GAP, .partition = partition, .range = gap->range, .cause = gap->cause};
            hv_engine_report(run->engine, &report);
        }
}

/* Takes the cut. *position is where the chain goes on. */
static hv_rc
complete(past_run *run, const hv_partition *partition, hv_chain_cut *cut, int64_t *position, hv_err *err)
{
    HV_AUTO(hv_block_coder_free) hv_block_coder *coder = NULL;
    HV_AUTO(hv_seal_job_free) hv_seal_job *job = calloc(1, sizeof *job);
    int64_t last_look_boot_ms = hv_clock_boot_ms();

    if (job == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to complete a cut");
    job->partition = *partition;
    job->fill = *cut;
    *cut = (hv_chain_cut){0};
    job->missing_cause = HV_GAP_RECREATED;
    job->last_look_boot_ms = &last_look_boot_ms;
    hv_rc rc = hv_cut_new(hv_engine_cut_config(run->engine), partition, job->fill.lead->cut.first, last_look_boot_ms, &job->cut, err);
    if (rc == HV_OK)
        rc = hv_block_coder_new(&coder, err);
    hv_sealer sealer = {.chain = run->chain, .coder = coder, .boot_ms = hv_clock_boot_ms};
    if (rc == HV_OK)
        rc = hv_sealer_run(&sealer, job, err);
    if (rc == HV_OK)
        rc = hv_engine_record(run->engine, partition, job->found, job->found_count, err);
    if (rc != HV_OK)
        return rc;
    for (size_t f = 0; f < job->found_count; f++)
        report_gaps(run, partition, &job->found[f]);
    *position = job->position;
    return HV_OK;
}

static bool
is_young(const past_run *run, const hv_chain_cut *cut)
{
    int64_t age_ms = hv_clock_wall_ms() - cut->lead->created_ms;

    return age_ms >= 0 && age_ms < hv_engine_config(run->engine)->foreign_wait_ms;
}

/* From the position in the index to the end of the chain. */
static hv_rc
settle_partition(past_run *run, const hv_partition *partition, hv_err *err)
{
    int64_t position;

    hv_rc rc = hv_index_position(hv_engine_config(run->engine)->index, partition, &position, err);
    while (rc == HV_OK) {
        HV_AUTO(hv_chain_cut_clear) hv_chain_cut cut = {0};
        rc = hv_chain_look(&run->chain, partition, position, &cut, err);
        if (rc == HV_NOT_FOUND)
            return HV_OK;
        if (rc == HV_OK && cut.complete) {
            rc = hv_engine_record(run->engine, partition, &cut.facts, 1, err);
            if (rc == HV_OK)
                position = cut.facts.range.end;
        } else if (rc == HV_OK && is_young(run, &cut)) {
            run->young = true;
            return HV_OK;
        } else if (rc == HV_OK) {
            rc = complete(run, partition, &cut, &position, err);
        }
    }
    return rc;
}

/* Behind every name of this partition: its prefix ends with '/', and '0' comes next. */
static hv_blob_name
behind(const hv_partition *partition)
{
    hv_blob_name name = hv_prefix_of_partition(partition);

    name.text[strlen(name.text) - 1] = '0';
    return name;
}

/* Every partition that the store knows of the incarnation. */
static hv_rc
settle_incarnation(past_run *run, const hv_past_hub *past, hv_err *err)
{
    hv_blob_name prefix = hv_name_of_incarnation(past->hub, past->incarnation), from;

    (void)snprintf(strrchr(prefix.text, '/') + 1, sizeof "partition=", "partition=");
    from = prefix;
    for (;;) {
        hv_list_request request = {.prefix = prefix.text, .from = from.text};
        hv_blob_name name;
        hv_rc rc = hv_chain_may_ask(&run->chain, err);
        if (rc == HV_OK)
            rc = hv_listing_first(run->chain.storage, &request, name.text, err);
        if (rc != HV_OK)
            return rc == HV_NOT_FOUND ? HV_OK : rc;
        hv_name_parts parts = hv_name_parse(name.text);
        if (parts.kind != HV_NAME_LEAD && parts.kind != HV_NAME_SIBLING)
            return hv_err_set(err, HV_CORRUPT, "blob '%s' lies where only segments have their place", name.text);
        rc = settle_partition(run, &parts.partition, err);
        if (rc != HV_OK)
            return rc;
        from = behind(&parts.partition);
    }
}

/* Whether it need not be looked at again. */
static bool
settle(hv_engine *engine, const hv_chain *chain, const hv_past_hub *past)
{
    past_run run = {.engine = engine, .chain = *chain};
    hv_err err;

    hv_rc rc = settle_incarnation(&run, past, &err);
    if (rc == HV_OK)
        return !run.young;
    if (rc == HV_CLOSED)
        return false;
    (void)hv_err_prefix(&err, "incarnation %u of hub '%s', which is gone", past->incarnation, past->hub);
    hv_engine_report(engine, &(hv_archiver_report){.event = HV_ARCHIVER_TROUBLE, .err = &err, .operation = HV_ARCHIVER_SETTLE});
    return !hv_rc_retriable(rc) && rc != HV_NOMEM && rc != HV_AUTH && rc != HV_LIMIT;
}

void
hv_past_settle(hv_past *past, hv_engine *engine, const hv_chain *chain)
{
    size_t kept = 0;

    for (size_t h = 0; h < past->count; h++) {
        hv_past_hub one = past->hubs[h];
        if (!settle(engine, chain, &one))
            past->hubs[kept++] = one;
    }
    past->count = kept;
}
