/*
 * What has to be known before a partition is read: which incarnation is current, how far the chain of cuts goes in the store, where the
 * watermarks are (capture protocol rule 12). Nothing is remembered of a hub that could not be admitted, so it is met again.
 */
#include <stdio.h>
#include <stdlib.h>

#include "archiver/incarnation.h"
#include "archiver/insist.h"
#include "archiver/scout_internal.h"
#include "common/array.h"
#include "common/clock.h"

enum { ASK_MS = 10000, ASK_POLICY_MS = 1500, POLICY_AGAIN_MS = 10 * 60 * 1000 };

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

bool
hv_scout_is_stopping(hv_scout *scout)
{
    pthread_mutex_lock(&scout->lock);
    bool stopping = scout->locked.stopping;
    pthread_mutex_unlock(&scout->lock);
    return stopping;
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
        rc = source->ops->watermarks(source, asked, tell->partition_count, ASK_MS, &err);
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

/* Walk the chain from our position, indexing what is complete, to its end (rule 12). */
static hv_rc
walk(hv_scout *scout, const hv_partition *partition, hv_admitted *ret, hv_err *err)
{
    hv_engine *engine = scout->capture->engine;
    int64_t later;

    hv_rc rc = hv_index_position(hv_engine_config(engine)->index, partition, &ret->position, err);
    while (rc == HV_OK) {
        HV_AUTO(hv_chain_cut_clear) hv_chain_cut cut = {0};
        hv_heart_beat(&scout->capture->scout_heart);
        rc = hv_chain_look(&scout->chain, partition, ret->position, &cut, err);
        if (rc == HV_NOT_FOUND)
            break;
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
    if (rc != HV_NOT_FOUND)
        return rc;
    rc = hv_chain_next_lead(&scout->chain, partition, ret->position, &later, err);
    if (rc == HV_OK)
        return hv_err_set(err, HV_CORRUPT,
                          "the chain of %s/%d ends at offset %lld, but the store has a cut at %lld: the index is an old copy, or segments "
                          "were taken away; run 'hubvault index rebuild' and 'hubvault verify'",
                          partition->hub, (int)partition->number, (long long)ret->position, (long long)later);
    return rc == HV_NOT_FOUND ? HV_OK : rc;
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

/* What the hub does with old events. Unknown is good enough to begin with: the next discoveries ask again. */
void
hv_scout_ask_policy(hv_scout *scout, hv_scout_hub *known, hv_source_hub_policy *ret)
{
    hv_source *source = scout->capture->source;
    hv_err err;

    *ret = (hv_source_hub_policy){.cleanup = HV_SOURCE_CLEANUP_UNKNOWN, .retention_ms = -1};
    if (hv_clock_boot_ms() < scout->ask_policy_boot_ms)
        return;
    known->policy_known = source->ops->hub_policy(source, known->name, ASK_POLICY_MS, ret, &err) == HV_OK;
    if (!known->policy_known)
        scout->ask_policy_boot_ms = hv_clock_boot_ms() + POLICY_AGAIN_MS;
}

static hv_rc
walk_all(hv_scout *scout, const char *hub, uint32_t incarnation, hv_tell *tell, hv_err *err)
{
    hv_rc rc = HV_OK;

    for (size_t p = 0; rc == HV_OK && p < tell->partition_count && !hv_scout_is_stopping(scout); p++) {
        hv_partition partition;
        hv_admitted *one = &tell->partitions[p];
        rc = hv_partition_make(hub, incarnation, one->number, &partition, err);
        if (rc == HV_OK && (hv_rc_retriable(one->rc) || one->rc == HV_NOMEM)) {         /* a leader that is not there yet: the whole hub is asked again */
            rc = one->rc;
            *err = one->err;
        }
        if (rc != HV_OK || one->rc != HV_OK)
            continue;
        rc = walk(scout, &partition, one, err);
        if (rc != HV_OK && !hv_engine_may_pass(rc)) {   /* that partition stops; the others go on */
            one->rc = rc;
            one->err = *err;
            rc = HV_OK;
        }
    }
    return rc;
}

hv_tell *
hv_scout_new_admitted(const char *hub, const hv_scout_admission *of)
{
    size_t count = of->places->count > 0 ? of->places->count : (size_t)(of->to - of->from);
    hv_tell *tell = hv_scout_new_tell(HV_TELL_ADMITTED, hub, count);

    for (size_t p = 0; p < count; p++) {
        tell->partitions[p].number = of->places->count > 0 ? of->places->numbers[p] : of->from + (int32_t)p;
        tell->partitions[p].ownership = of->places->count > 0 ? of->places->ownerships[p] : 0;
    }
    return tell;
}

/* Tell the capture everything it needs to read these partitions of the hub. */
hv_rc
hv_scout_admit_hub(hv_scout *scout, hv_scout_hub *known, const hv_scout_admission *of, hv_err *err)
{
    hv_incarnation_record record;

    hv_rc rc = settle_incarnation(scout, known->name, of->identity, known->incarnation, of->claim_cause, &record, err);
    if (rc == HV_OK)
        rc = record_incarnations(scout, known->name, record.incarnation, err);
    if (rc == HV_OK)
        rc = hv_past_note(&scout->past, known->name, record.incarnation, err);
    if (rc != HV_OK)
        return rc;
    hv_tell *tell = hv_scout_new_admitted(known->name, of);
    tell->incarnation = record.incarnation;
    tell->claimed = of->claimed;
    (void)snprintf(tell->identity, sizeof tell->identity, "%s", of->identity);
    hv_scout_ask_policy(scout, known, &tell->policy);
    hv_scout_fill_watermarks(scout, tell, hv_engine_config(scout->capture->engine)->once);
    rc = walk_all(scout, known->name, record.incarnation, tell, err);
    if (rc != HV_OK) {
        hv_tell_free(tell);
        return rc;
    }
    known->incarnation = record.incarnation;
    (void)snprintf(known->identity, sizeof known->identity, "%s", of->identity);
    known->admitted = of->to;
    known->expected = false;
    hv_capture_tell(scout->capture, tell);
    return HV_OK;
}

hv_scout_hub *
hv_scout_find_known(hv_scout *scout, const char *name)
{
    for (size_t h = 0; h < scout->hub_count; h++)
        if (strcmp(scout->hubs[h].name, name) == 0)
            return &scout->hubs[h];
    return NULL;
}

hv_scout_hub *
hv_scout_add_known(hv_scout *scout, const char *name)
{
    hv_scout_hub *known = hv_scout_find_known(scout, name);

    if (known != NULL)
        return known;
    if (!hv_array_room(&scout->hubs, scout->hub_count, &scout->hub_room, sizeof *scout->hubs))
        return NULL;
    known = &scout->hubs[scout->hub_count++];
    *known = (hv_scout_hub){0};
    (void)snprintf(known->name, sizeof known->name, "%s", name);
    return known;
}
