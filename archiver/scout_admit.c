/*
 * What has to be known before a partition is read: which incarnation is current, how far the chain of cuts goes in the store, where the
 * watermarks are (capture protocol rule 12). The end of a chain is one listing, from its position on: nothing may begin there, nor behind.
 */
#include <stdio.h>
#include <stdlib.h>

#include "archiver/incarnation.h"
#include "archiver/insist.h"
#include "archiver/scout_internal.h"
#include "common/clock.h"

enum { ASK_POLICY_MS = 1500, POLICY_AGAIN_MS = 10 * 60 * 1000 };

hv_scout_places
hv_scout_places_make(size_t room)
{
    return (hv_scout_places){.numbers = hv_insist((room + 1) * sizeof(int32_t)), .ownerships = hv_insist((room + 1) * sizeof(uint64_t))};
}

void
hv_scout_places_clear(hv_scout_places *places)
{
    free(places->numbers);
    free(places->ownerships);
    *places = (hv_scout_places){0};
}

hv_tell *
hv_scout_new_tell(hv_tell_kind kind, const char *hub, size_t partitions)
{
    hv_tell *tell = hv_insist(sizeof *tell);

    tell->kind = kind;
    (void)snprintf(tell->hub, sizeof tell->hub, "%s", hub);
    tell->partitions = hv_insist((partitions + 1) * sizeof *tell->partitions);
    tell->partition_count = partitions;
    return tell;
}

hv_rc
hv_scout_no_memory(hv_err *err)
{
    return hv_err_set(err, HV_NOMEM, "no memory for what was found out about a hub");
}

/* Low and high of the partitions of a tell; what the source does not say stays -1. */
void
hv_scout_fill_watermarks(hv_scout *scout, hv_tell *tell, bool required)
{
    hv_source *source = scout->capture->source;
    hv_source_watermarks *asked = calloc(tell->partition_count + 1, sizeof *asked);
    hv_err err;

    hv_rc rc = asked == NULL ? hv_scout_no_memory(&err) : HV_OK;
    for (size_t p = 0; asked != NULL && p < tell->partition_count; p++)
        asked[p] = (hv_source_watermarks){.hub = tell->hub, .partition = tell->partitions[p].number};
    if (rc == HV_OK)
        rc = source->ops->watermarks(source, asked, tell->partition_count, HV_SCOUT_ASK_MS, &err);
    for (size_t p = 0; p < tell->partition_count; p++) {
        hv_admitted *partition = &tell->partitions[p];
        hv_rc one = rc != HV_OK ? rc : asked[p].rc;
        partition->low = one == HV_OK ? asked[p].low : -1;
        partition->high = one == HV_OK ? asked[p].high : -1;
        if (one != HV_OK && required) {
            partition->rc = one;
            if (rc != HV_OK)
                partition->err = err;
            else
                (void)hv_err_set(&partition->err, one, "the watermarks of %s/%d: %s", tell->hub, (int)partition->number, hv_rc_meaning(one));
        }
    }
    free(asked);
}

/* Where the chain seems to end, but a listing has shown a lead further on. There is one here, put meanwhile; or something is missing. */
static hv_rc
look_again(hv_scout *scout, const hv_partition *partition, int64_t position, int64_t later, hv_chain_cut *ret, hv_err *err)
{
    hv_rc rc = hv_chain_look(&scout->chain, partition, position, ret, err);

    if (rc != HV_NOT_FOUND)
        return rc;
    return hv_err_set(err, HV_CORRUPT,
                      "the chain of %s/%d ends at offset %lld, but the store has a cut at %lld: the index is an old copy, or segments "
                      "were taken away; run 'hubvault index rebuild' and 'hubvault verify'",
                      partition->hub, (int)partition->number, (long long)position, (long long)later);
}

/* Walk the chain from our position, indexing what is complete, to its end (rule 12). */
static hv_rc
walk(hv_scout *scout, const hv_partition *partition, hv_heart *heart, hv_admitted *ret, hv_err *err)
{
    hv_engine *engine = scout->capture->engine;

    hv_rc rc = hv_index_position(hv_engine_config(engine)->index, partition, &ret->position, err);
    while (rc == HV_OK) {
        HV_AUTO(hv_chain_cut_clear) hv_chain_cut cut = {0};
        int64_t later = -1;
        hv_heart_beat(heart);
        rc = hv_chain_look_on(&scout->chain, partition, ret->position, &cut, &later, err);
        if (rc == HV_NOT_FOUND && later < 0)
            return HV_OK;
        if (rc == HV_NOT_FOUND)
            rc = look_again(scout, partition, ret->position, later, &cut, err);
        if (rc == HV_OK && !cut.complete) {
            ret->incomplete = cut;
            ret->has_incomplete = true;
            cut = (hv_chain_cut){0};
            return HV_OK;
        }
        if (rc == HV_OK)
            rc = hv_engine_record(engine, partition, &cut.facts, 1, err);
        if (rc == HV_OK)
            ret->position = cut.facts.range.end;
    }
    return rc;
}

/* The incarnation that is captured now: as claimed in the store, else a new claim. */
static hv_rc
settle_incarnation(hv_scout *scout, const char *hub, const char *identity, uint32_t known, int claim_cause, hv_incarnation_record *ret,
                   hv_err *err)
{
    bool claim_next = claim_cause != HV_INCARNATION_FIRST;
    uint32_t number = known + 1;

    hv_rc rc = hv_incarnation_newest(&scout->chain, hub, known == 0 ? 1 : known, ret, err);
    if (rc == HV_OK && ret->incarnation > known && known != 0)
        claim_next = false;             /* another archiver was faster */
    if (rc == HV_OK && !claim_next) {
        bool other = identity[0] != '\0' && ret->identity[0] != '\0' && strcmp(identity, ret->identity) != 0;
        if (!other)
            return HV_OK;
        number = ret->incarnation + 1;
        claim_cause = HV_INCARNATION_IDENTITY;
    }
    if (rc != HV_OK && rc != HV_NOT_FOUND)
        return rc;
    hv_incarnation_record record = {.incarnation = number, .cause = (hv_incarnation_cause)claim_cause, .created_ms = hv_clock_wall_ms()};
    (void)snprintf(record.vault, sizeof record.vault, "%s", scout->chain.vault);
    (void)snprintf(record.hub, sizeof record.hub, "%s", hub);
    (void)snprintf(record.identity, sizeof record.identity, "%s", identity);
    rc = hv_incarnation_claim(&scout->chain, &record, err);
    if (rc == HV_OK)
        *ret = record;
    return rc;
}

/* Every incarnation of the hub that the store knows gets into the index, oldest first. */
static hv_rc
record_incarnations(hv_scout *scout, const char *hub, uint32_t newest, hv_err *err)
{
    hv_rc rc = HV_OK;

    for (uint32_t number = 1; rc == HV_OK && number <= newest; number++) {
        hv_incarnation_record record;
        rc = hv_incarnation_read(&scout->chain, hub, number, &record, err);
        hv_index_incarnation entry = rc == HV_OK ? hv_incarnation_entry(&record) : (hv_index_incarnation){0};
        if (rc == HV_OK)
            rc = hv_engine_record_incarnation(scout->capture->engine, &entry, err);
    }
    return rc;
}

void
hv_scout_ask_policy(hv_scout *scout, const char *hub, bool *known, hv_source_hub_policy *ret)
{
    hv_source *source = scout->capture->source;
    hv_err err;

    *ret = (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_UNKNOWN, .retention_ms = -1};
    if (hv_clock_boot_ms() < atomic_load(&scout->ask_policy_boot_ms))
        return;
    *known = source->ops->hub_policy(source, hub, ASK_POLICY_MS, ret, &err) == HV_OK;
    if (!*known)
        atomic_store(&scout->ask_policy_boot_ms, hv_clock_boot_ms() + POLICY_AGAIN_MS);
}

hv_tell *
hv_scout_new_admitted(const hv_scout_job *job)
{
    size_t count = job->places.count > 0 ? job->places.count : (size_t)(job->to - job->from);
    hv_tell *tell = hv_scout_new_tell(HV_TELL_ADMITTED, job->hub, count);

    for (size_t p = 0; p < count; p++) {
        tell->partitions[p].number = job->places.count > 0 ? job->places.numbers[p] : job->from + (int32_t)p;
        tell->partitions[p].ownership = job->places.count > 0 ? job->places.ownerships[p] : 0;
    }
    return tell;
}

/* A leader that is not there yet, say: then the whole hub is asked again. */
static hv_rc
check_passing(const hv_tell *tell, hv_err *err)
{
    for (size_t p = 0; p < tell->partition_count; p++) {
        hv_rc rc = tell->partitions[p].rc;
        if (hv_rc_retriable(rc) || rc == HV_NOMEM) {
            *err = tell->partitions[p].err;
            return rc;
        }
    }
    return HV_OK;
}

hv_rc
hv_scout_ask_hub(hv_scout *scout, hv_scout_job *job, hv_err *err)
{
    hv_incarnation_record record;

    if (job->kind == HV_JOB_SETTLE) {
        hv_past_settle(&job->past, scout->capture->engine, &scout->chain);
        return HV_OK;
    }
    hv_rc rc = settle_incarnation(scout, job->hub, job->identity, job->known, job->claim_cause, &record, err);
    if (rc == HV_OK)
        rc = record_incarnations(scout, job->hub, record.incarnation, err);
    if (rc == HV_OK)
        rc = hv_chain_may_ask(&scout->chain, err);
    if (rc != HV_OK)
        return rc;
    job->tell = hv_scout_new_admitted(job);
    job->tell->incarnation = record.incarnation;
    job->tell->claimed = job->kind == HV_JOB_CLAIM;
    (void)snprintf(job->tell->identity, sizeof job->tell->identity, "%s", job->identity);
    hv_scout_ask_policy(scout, job->hub, &job->policy_known, &job->tell->policy);
    hv_scout_fill_watermarks(scout, job->tell, hv_engine_config(scout->capture->engine)->once);
    return check_passing(job->tell, err);
}

hv_rc
hv_scout_ask_partition(hv_scout *scout, hv_scout_job *job, size_t number, hv_heart *heart, hv_err *err)
{
    hv_partition partition;
    hv_admitted *one = &job->tell->partitions[number];

    hv_rc rc = hv_partition_make(job->hub, job->tell->incarnation, one->number, &partition, err);
    if (rc != HV_OK || one->rc != HV_OK)
        return rc;
    rc = walk(scout, &partition, heart, one, err);
    if (rc == HV_OK || hv_engine_may_pass(rc))
        return rc;
    one->rc = rc;                       /* that partition stops; the others go on */
    one->err = *err;
    return HV_OK;
}
