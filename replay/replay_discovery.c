/*
 * Which partitions are followed, and as which incarnation.
 *
 * The index decides what an incarnation is: it learns that from the archiver, which claims a number for every life of a hub. A hub
 * is followed as incarnation n if n is the newest in the index and the identity recorded for it is the one that the source reports
 * now; where one of the two is unknown, they count as equal. If they differ, the hub was re-created and the archiver has not
 * noticed yet: we stop reading it at once, because its offsets would be taken for those of the old life, and wait for the claim.
 *
 * Between two looks a hub may be re-created and grow past our offset, without a word from a source that reads by name and offset.
 * So each partition remembers what it delivered since the identity was last confirmed. If the next look finds another identity,
 * those events may be of the wrong life: the replay ends with that message, and its cursor stands before them.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "common/glob.h"
#include "replay/follower.h"

enum {
    ASK_TIMEOUT_MS = 10000,
    ASK_AGAIN_MS = 1000,                /* after a failure, or while something is waited for */
};

static hv_live_hub *
find_hub(const hv_follower *follower, const char *name)
{
    for (size_t i = 0; i < follower->hub_count; i++)
        if (strcmp(follower->hubs[i].name, name) == 0)
            return &follower->hubs[i];
    return NULL;
}

static hv_rc
need_hub(hv_follower *follower, const char *name, hv_live_hub **ret, hv_err *err)
{
    *ret = find_hub(follower, name);
    if (*ret != NULL)
        return HV_OK;
    hv_live_hub *moved = reallocarray(follower->hubs, follower->hub_count + 1, sizeof *moved);
    if (moved == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %zu hubs", follower->hub_count + 1);
    follower->hubs = moved;
    *ret = &moved[follower->hub_count++];
    **ret = (hv_live_hub){.unclaimed_since_ms = -1};
    memcpy((*ret)->name, name, strlen(name));
    return HV_OK;
}

static bool
is_named_exactly(const hv_replay_selection *selection, const char *hub)
{
    for (size_t i = 0; i < selection->pattern_count; i++)
        if (strcmp(selection->patterns[i], hub) == 0)
            return true;
    return false;
}

/* The index does not know this life of the hub. */
static hv_rc
wait_for_claim(hv_follower *follower, hv_live_hub *hub, bool recreated, hv_err *err)
{
    int64_t now = follower->replay->config.now_ms();

    if (hub->unclaimed_since_ms < 0)
        hub->unclaimed_since_ms = now;
    follower->discover_at_ms = now + ASK_AGAIN_MS;
    if (now - hub->unclaimed_since_ms < follower->replay->config.patience_ms)
        return HV_OK;
    if (recreated)
        return hv_err_set(err, HV_GAP, "hub '%s' was deleted and created again, and no archiver has begun to capture it anew",
                          hub->name);
    if (is_named_exactly(&follower->replay->selection, hub->name))
        return hv_err_set(err, HV_NOT_FOUND, "hub '%s' exists, but no archiver captures it into this vault", hub->name);
    return HV_OK;                       /* fits a glob; not ours */
}

static hv_rc
check_unconfirmed(hv_follower *follower, hv_live *live, hv_err *err)
{
    hv_replay_part *part = hv_live_part(follower, live);

    if (live->unconfirmed < 0)
        return HV_OK;
    follower->replay->done_before += part->next - live->unconfirmed;
    part->next = live->unconfirmed;
    return hv_err_set(err, HV_GAP,
                      "hub '%s' was deleted and created again; what was delivered of its partition %" PRId32 " from offset %"
                      PRId64 " on may be of the new one: replay that again, the cursor stands before it", part->partition.hub,
                      part->partition.number, part->next);
}

/* Everything that is followed of an earlier life: finished from the archive, and over. */
static hv_rc
end_incarnation(hv_follower *follower, const hv_live_hub *hub, bool claimed, hv_err *err)
{
    for (size_t i = 0; i < follower->live_count; i++) {
        hv_live *live = follower->lives[i];
        const hv_partition *partition = &hv_live_part(follower, live)->partition;
        if (live->state == HV_LIVE_OVER || strcmp(partition->hub, hub->name) != 0 || partition->incarnation != hub->incarnation)
            continue;
        hv_rc rc = hv_follow_drop(follower, live, err);
        if (rc == HV_OK)
            rc = check_unconfirmed(follower, live, err);
        if (rc == HV_OK)
            rc = hv_follow_catch_up(follower, live, err);
        if (rc != HV_OK)
            return rc;
        /* Until the new life is claimed the archiver may still seal events of the old one: come back for them. */
        live->state = claimed ? HV_LIVE_OVER : HV_LIVE_WAITING;
    }
    return HV_OK;
}

/* It was stopped because its hub seemed to be re-created, and now the source says otherwise. */
static void
revive(hv_follower *follower, hv_live *live)
{
    if (live->state != HV_LIVE_WAITING || live->retry_at_ms != INT64_MAX)
        return;
    live->state = HV_LIVE_NEW;
    follower->serve_at_ms = 0;
}

static hv_rc
add_live(hv_follower *follower, hv_source *source, const hv_partition *partition, hv_err *err)
{
    size_t part;
    bool added;

    hv_rc rc = hv_replay_selection_need(&follower->replay->selection, partition, &part, &added, err);
    if (rc != HV_OK)
        return rc;
    for (size_t i = 0; added && i < follower->live_count; i++)
        follower->lives[i]->part += follower->lives[i]->part >= part ? 1 : 0;
    for (size_t i = 0; i < follower->live_count; i++)
        if (follower->lives[i]->part == part) {
            follower->lives[i]->unconfirmed = -1;
            revive(follower, follower->lives[i]);
            return HV_OK;
        }
    hv_live **moved = reallocarray(follower->lives, follower->live_count + 1, sizeof *moved);
    if (moved != NULL)
        follower->lives = moved;
    hv_live *live = moved != NULL ? calloc(1, sizeof *live) : NULL;
    if (live == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to follow %zu partitions", follower->live_count + 1);
    *live = (hv_live){.part = part, .source = source, .missing_since_ms = -1, .unconfirmed = -1};
    follower->lives[follower->live_count++] = live;
    follower->serve_at_ms = 0;
    return HV_OK;
}

static const hv_index_incarnation *
newest_of(const hv_index_incarnation *all, size_t count, const char *hub)
{
    const hv_index_incarnation *newest = NULL;

    for (size_t i = 0; i < count; i++)
        if (strcmp(all[i].hub, hub) == 0 && (newest == NULL || all[i].incarnation > newest->incarnation))
            newest = &all[i];
    return newest;
}

static hv_rc
take_up(hv_follower *follower, hv_source *source, const hv_source_hub *seen, const hv_index_incarnation *newest, hv_err *err)
{
    hv_live_hub *hub;

    hv_rc rc = need_hub(follower, seen->name, &hub, err);
    if (rc != HV_OK)
        return rc;
    if (newest == NULL)
        return wait_for_claim(follower, hub, false, err);
    if (newest->identity[0] != '\0' && seen->identity[0] != '\0' && strcmp(newest->identity, seen->identity) != 0) {
        rc = end_incarnation(follower, hub, false, err);
        return rc == HV_OK ? wait_for_claim(follower, hub, true, err) : rc;
    }
    hub->unclaimed_since_ms = -1;
    if (hub->incarnation != 0 && hub->incarnation != newest->incarnation)
        rc = end_incarnation(follower, hub, true, err);
    hub->incarnation = newest->incarnation;
    for (int32_t number = 0; rc == HV_OK && number < seen->partitions; number++) {
        hv_partition partition;
        if (!hv_replay_selects_number(&follower->replay->selection, number))
            continue;
        rc = hv_partition_make(seen->name, newest->incarnation, number, &partition, err);
        if (rc == HV_OK)
            rc = add_live(follower, source, &partition, err);
    }
    return rc;
}

static bool
belongs_to_another(const hv_follower *follower, const hv_source *source, const char *hub)
{
    for (size_t i = 0; i < follower->live_count; i++)
        if (follower->lives[i]->state != HV_LIVE_OVER && follower->lives[i]->source != source
            && strcmp(hv_live_part(follower, follower->lives[i])->partition.hub, hub) == 0)
            return true;
    return false;
}

static hv_rc
ask_source(hv_follower *follower, hv_source *source, const hv_index_incarnation *claims, size_t claim_count, hv_err *err)
{
    hv_source_hub *hubs = NULL;
    size_t count = 0;

    hv_rc rc = source->ops->hubs(source, ASK_TIMEOUT_MS, &hubs, &count, err);
    if (rc == HV_UNAVAILABLE) {
        follower->discover_at_ms = follower->replay->config.now_ms() + ASK_AGAIN_MS;
        return HV_OK;
    }
    for (size_t i = 0; rc == HV_OK && i < count; i++)
        if (hv_replay_selects_hub(&follower->replay->selection, hubs[i].name) && !belongs_to_another(follower, source,
                                                                                                     hubs[i].name))
            rc = take_up(follower, source, &hubs[i], newest_of(claims, claim_count, hubs[i].name), err);
    free(hubs);
    return rc;
}

hv_rc
hv_follow_discover(hv_follower *follower, hv_err *err)
{
    hv_index_incarnation *claims = NULL;
    size_t count = 0;

    follower->discover_at_ms = follower->replay->config.now_ms() + follower->replay->config.discovery_ms;
    hv_rc rc = hv_index_incarnations(follower->replay->config.index, &claims, &count, err);
    for (size_t i = 0; rc == HV_OK && i < follower->source_count; i++)
        rc = ask_source(follower, follower->sources[i], claims, count, err);
    free(claims);
    return rc;
}
