/*
 * What is known of the hubs, and the jobs that come of it: a discovery that meets them, partitions that a group gave us, incarnations to
 * be claimed. A hub is busy while there is a job about it; a question that wants another one is put off.
 *
 * Whatever fails is asked again: a hub that could not be admitted is met again by the next discovery, because only what was admitted is
 * remembered.
 */
#include <stdio.h>
#include <stdlib.h>

#include "archiver/index_follower.h"
#include "archiver/insist.h"
#include "archiver/scout_internal.h"
#include "common/array.h"
#include "common/clock.h"
#include "segment/vault_marker.h"

static void
tell_returned(hv_scout *scout, hv_scout_hub *known, const hv_source_hub *hub)
{
    hv_tell *tell = hv_scout_new_tell(HV_TELL_RETURNED, known->name, (size_t)hub->partitions);

    (void)snprintf(tell->identity, sizeof tell->identity, "%s", hub->identity);
    for (int32_t p = 0; p < hub->partitions; p++)
        tell->partitions[p].number = p;
    hv_scout_fill_watermarks(scout, tell, true);
    for (size_t p = 0; p < tell->partition_count; p++)
        if (tell->partitions[p].rc != HV_OK) {          /* not really back yet */
            hv_tell_free(tell);
            return;
        }
    known->expected = false;
    hv_capture_tell(scout->capture, tell);
}

static void
tell_other(hv_scout *scout, const hv_scout_hub *known, const hv_source_hub *hub)
{
    hv_tell *tell = hv_scout_new_tell(HV_TELL_OTHER, known->name, 0);

    (void)snprintf(tell->identity, sizeof tell->identity, "%s", hub->identity);
    hv_capture_tell(scout->capture, tell);
}

static void
tell_policy(hv_scout *scout, hv_scout_hub *known)
{
    hv_tell *tell = hv_scout_new_tell(HV_TELL_POLICY, known->name, 0);

    hv_scout_ask_policy(scout, known->name, &known->policy_known, &tell->policy);
    hv_capture_tell(scout->capture, tell);
}

static hv_scout_hub *
find_known(hv_scout *scout, const char *name)
{
    for (size_t h = 0; h < scout->hub_count; h++)
        if (strcmp(scout->hubs[h].name, name) == 0)
            return &scout->hubs[h];
    return NULL;
}

/* Or the one there is; NULL: no memory. */
static hv_scout_hub *
add_known(hv_scout *scout, const char *name)
{
    hv_scout_hub *known = find_known(scout, name);

    if (known != NULL)
        return known;
    if (!hv_array_room(&scout->hubs, scout->hub_count, &scout->hub_room, sizeof *scout->hubs))
        return NULL;
    known = &scout->hubs[scout->hub_count++];
    *known = (hv_scout_hub){0};
    (void)snprintf(known->name, sizeof known->name, "%s", name);
    return known;
}

/* A copy of what is asked for, whose places are taken over. */
static void
begin_job(hv_scout *scout, hv_scout_hub *known, const hv_source_hub *hub, const hv_scout_job *wanted)
{
    hv_scout_job *job = hv_insist(sizeof *job);

    *job = *wanted;
    (void)snprintf(job->hub, sizeof job->hub, "%s", known->name);
    (void)snprintf(job->identity, sizeof job->identity, "%s", hub->identity);
    job->to = hub->partitions;
    job->known = known->incarnation;
    job->expectations = known->expectations;
    job->policy_known = known->policy_known;
    known->busy = true;
    hv_scout_begin_job(scout, job);
}

static hv_rc
meet(hv_scout *scout, const hv_source_hub *hub, hv_err *err)
{
    hv_scout_hub *known = add_known(scout, hub->name);

    if (known == NULL)
        return hv_scout_no_memory(err);
    if (known->busy)
        return HV_OK;                   /* what is known of it is about to change */
    if (known->expected)
        tell_returned(scout, known, hub);
    else if (known->identity[0] != '\0' && strcmp(known->identity, hub->identity) != 0) {
        tell_other(scout, known, hub);
        return HV_OK;
    }
    if (known->incarnation != 0 && !known->policy_known)
        tell_policy(scout, known);
    if (hub->partitions <= known->admitted || scout->capture->membership != NULL)
        return HV_OK;                   /* with a group, what it gives us is admitted, and nothing else */
    begin_job(scout, known, hub, &(hv_scout_job){.kind = HV_JOB_MEET, .from = known->admitted, .claim_cause = HV_INCARNATION_FIRST});
    scout->discovery.jobs++;
    return HV_OK;
}

/* The group shares out exactly the hubs that we would capture if we were alone. */
static hv_rc
subscribe(hv_scout *scout, const hv_source_hub *hubs, size_t count, hv_err *err)
{
    hv_membership *membership = scout->capture->membership;
    size_t wanted = 0;

    if (membership == NULL)
        return HV_OK;
    const char **names = calloc(count + 1, sizeof *names);
    if (names == NULL)
        return hv_scout_no_memory(err);
    for (size_t h = 0; h < count; h++)
        if (hubs[h].partitions > 0)
            names[wanted++] = hubs[h].name;
    hv_rc rc = membership->ops->subscribe(membership, names, wanted, err);
    free(names);
    return rc;
}

static void
note_failure(hv_tell *tell, hv_rc rc, const hv_err *err, const char *hub)
{
    tell->rc = rc;
    tell->err = *err;
    (void)hv_err_prefix(&tell->err, "hub '%s'", hub);
}

static void
end_discovery(hv_scout *scout)
{
    hv_tell *tell = HV_TAKE(scout->discovery.tell);
    bool soon = tell->rc != HV_OK;

    for (size_t h = 0; h < scout->hub_count; h++)
        soon = soon || scout->hubs[h].expected;
    int64_t pause_ms = hv_engine_tuned_of(scout->capture->engine)->discovery_ms;
    scout->next_discovery_boot_ms = hv_clock_boot_ms() + (soon && pause_ms > HV_SCOUT_AGAIN_MS ? HV_SCOUT_AGAIN_MS : pause_ms);
    if (atomic_load(&scout->cancelled))
        hv_tell_free(tell);             /* not everything was looked at */
    else
        hv_capture_tell(scout->capture, tell);
}

/* When all hubs that it found are admitted, or could not be: what is left of those that are gone, and then it is over. */
static void
go_on_discovering(hv_scout *scout)
{
    if (scout->discovery.tell == NULL || scout->discovery.jobs > 0)
        return;
    if (scout->discovery.settling || scout->past.count == 0 || atomic_load(&scout->cancelled)) {
        scout->discovery.settling = false;
        end_discovery(scout);
        return;
    }
    hv_scout_job *job = hv_insist(sizeof *job);
    job->kind = HV_JOB_SETTLE;
    job->past = scout->past;
    scout->past = (hv_past){0};
    scout->discovery.settling = true;
    scout->discovery.jobs = 1;
    hv_scout_begin_job(scout, job);
}

void
hv_scout_look_for_hubs(hv_scout *scout)
{
    hv_source *source = scout->capture->source;
    hv_source_hub *hubs = NULL;
    size_t count = 0;
    hv_tell *tell = hv_scout_new_tell(HV_TELL_DISCOVERED, "", 0);
    hv_err err;

    scout->discovery.tell = tell;
    tell->rc = source->ops->hubs(source, HV_SCOUT_ASK_MS, &hubs, &count, &tell->err);
    if (tell->rc == HV_OK)
        hv_index_follower_hubs(hv_engine_follower(scout->capture->engine), hubs, count);
    if (tell->rc == HV_OK)
        tell->rc = subscribe(scout, hubs, count, &tell->err);
    bool listed = tell->rc == HV_OK;
    for (size_t h = 0; listed && h < count && !atomic_load(&scout->cancelled); h++) {
        hv_heart_beat(&scout->capture->scout_heart);
        hv_rc rc = meet(scout, &hubs[h], &err);
        if (rc != HV_OK)
            note_failure(tell, rc, &err, hubs[h].name);
    }
    free(hubs);
    go_on_discovering(scout);
}

static const hv_source_hub *
find_listed(const hv_source_hub *hubs, size_t count, const char *name)
{
    for (size_t h = 0; h < count; h++)
        if (strcmp(hubs[h].name, name) == 0 && hubs[h].partitions > 0)
            return &hubs[h];
    return NULL;
}

static void
claim_again(hv_scout *scout, const char *hub, uint32_t after, int cause, hv_scout_places *places, hv_err *err)
{
    hv_scout_question *what = hv_insist(sizeof *what);

    *what = (hv_scout_question){.kind = HV_ASK_CLAIM, .after = after, .cause = cause, .places = *places};
    *places = (hv_scout_places){0};
    (void)snprintf(what->hub, sizeof what->hub, "%s", hub);
    hv_scout_put_off(scout, what, hv_clock_boot_ms() + HV_SCOUT_AGAIN_MS);
    (void)hv_err_prefix(err, "next incarnation of hub '%s'", hub);
    hv_capture_trouble(scout->capture, NULL, err);
}

bool
hv_scout_is_busy(hv_scout *scout, const char *hub)
{
    const hv_scout_hub *known = find_known(scout, hub);

    return known != NULL && known->busy;
}

void
hv_scout_expect_hub(hv_scout *scout, const char *hub)
{
    hv_scout_hub *known = find_known(scout, hub);

    if (known != NULL) {
        known->expected = true;
        known->expectations++;
    }
    scout->next_discovery_boot_ms = hv_clock_boot_ms() + HV_SCOUT_AGAIN_MS;
}

void
hv_scout_claim_next(hv_scout *scout, hv_scout_question *what)
{
    hv_scout_hub *known = add_known(scout, what->hub);
    hv_source *source = scout->capture->source;
    hv_source_hub *hubs = NULL;
    size_t count = 0;
    hv_err err;

    hv_rc rc = known == NULL ? hv_scout_no_memory(&err) : source->ops->hubs(source, HV_SCOUT_ASK_MS, &hubs, &count, &err);
    const hv_source_hub *hub = rc == HV_OK ? find_listed(hubs, count, what->hub) : NULL;
    if (rc == HV_OK && hub == NULL)
        rc = hv_err_set(&err, HV_UNAVAILABLE, "the hub is not listed now");
    if (rc == HV_OK) {
        bool moved = known->incarnation > what->after;  /* an admission has come upon the next incarnation, or made it */
        begin_job(scout, known, hub, &(hv_scout_job){.kind = HV_JOB_CLAIM, .places = what->places, .after = what->after,
            .cause = what->cause, .claim_cause = moved ? HV_INCARNATION_FIRST : what->cause});
        what->places = (hv_scout_places){0};
    } else
        claim_again(scout, what->hub, what->after, what->cause, &what->places, &err);
    free(hubs);
}

static void
tell_not_admitted(hv_scout *scout, const char *hub, const hv_scout_places *places, hv_rc rc, const hv_err *err)
{
    hv_tell *tell = hv_scout_new_tell(HV_TELL_ADMITTED, hub, places->count);

    for (size_t p = 0; p < places->count; p++) {
        tell->partitions[p].number = places->numbers[p];
        tell->partitions[p].ownership = places->ownerships[p];
    }
    note_failure(tell, rc, err, hub);
    hv_capture_tell(scout->capture, tell);
}

void
hv_scout_admit_places(hv_scout *scout, hv_scout_question *what, const hv_source_hub *hubs, size_t count)
{
    hv_scout_hub *known = add_known(scout, what->hub);
    const hv_source_hub *hub = find_listed(hubs, count, what->hub);
    hv_err err;

    if (known != NULL && hub != NULL) {
        begin_job(scout, known, hub, &(hv_scout_job){.kind = HV_JOB_ADMIT, .places = what->places, .claim_cause = HV_INCARNATION_FIRST});
        what->places = (hv_scout_places){0};
        return;
    }
    hv_rc rc = known == NULL ? hv_scout_no_memory(&err) : hv_err_set(&err, HV_UNAVAILABLE, "the hub is not listed now");
    tell_not_admitted(scout, what->hub, &what->places, rc, &err);
}

void
hv_scout_refuse_places(hv_scout *scout, const hv_scout_question *what, hv_rc rc, const hv_err *err)
{
    tell_not_admitted(scout, what->hub, &what->places, rc, err);
}

/* ---- what became of a job ---- */

static void
accept(hv_scout *scout, hv_scout_hub *known, hv_scout_job *job)
{
    known->incarnation = job->tell->incarnation;
    (void)snprintf(known->identity, sizeof known->identity, "%s", job->identity);
    known->admitted = job->to;
    if (known->expectations == job->expectations)
        known->expected = false;
    hv_capture_tell(scout->capture, HV_TAKE(job->tell));
}

static void
refuse(hv_scout *scout, hv_scout_job *job, hv_rc rc, hv_err *err)
{
    switch (job->kind) {
    case HV_JOB_MEET:
        note_failure(scout->discovery.tell, rc, err, job->hub);
        break;
    case HV_JOB_ADMIT:
        tell_not_admitted(scout, job->hub, &job->places, rc, err);
        break;
    case HV_JOB_CLAIM:
        claim_again(scout, job->hub, job->after, job->cause, &job->places, err);
        break;
    case HV_JOB_SETTLE:
        break;
    }
}

void
hv_scout_job_done(hv_scout *scout, hv_scout_job *job)
{
    hv_scout_hub *known = find_known(scout, job->hub);
    hv_rc rc = job->rc;
    hv_err err = job->err;

    while (job->kind == HV_JOB_SETTLE && hv_past_merge(&scout->past, &job->past, &err) != HV_OK)
        hv_insist_pause();
    if (known != NULL) {
        known->busy = false;
        known->policy_known = job->policy_known;
        if (rc == HV_OK)
            rc = hv_past_note(&scout->past, job->hub, job->tell->incarnation, &err);
        if (!atomic_load(&scout->cancelled) && rc == HV_OK)
            accept(scout, known, job);
        else if (!atomic_load(&scout->cancelled))
            refuse(scout, job, rc, &err);
    }
    if (job->kind == HV_JOB_MEET || job->kind == HV_JOB_SETTLE) {
        scout->discovery.jobs--;
        go_on_discovering(scout);
    }
    hv_scout_job_free(job);
}
