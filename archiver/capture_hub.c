/*
 * Hubs that appear, grow, vanish and come back as others.
 *
 * No cut mixes two incarnations as far as the source lets us tell them apart: when a hub vanishes, or turns out to be another one,
 * reading stops at once, what was read is sealed under the old incarnation, and only when all of that is in the index the next
 * incarnation is claimed and read from offset 0.
 */
#include <stdio.h>
#include <stdlib.h>

#include "archiver/capture.h"
#include "archiver/index_follower.h"
#include "archiver/insist.h"
#include "archiver/scout.h"
#include "common/array.h"
#include "common/clock.h"
#include "segment/vault_marker.h"

static void
captured_free(hv_captured *captured)
{
    if (captured == NULL)
        return;
    if (captured->open != NULL)
        hv_cut_wait(captured->open);
    hv_cut_free(captured->open);
    hv_seal_job_free(captured->sealing);
    hv_capture_fill_free(captured->fill);
    free(captured->pending);
    free(captured);
}

void
hv_capture_hub_free(hv_captured_hub *hub)
{
    for (int32_t p = 0; p < hub->partition_count; p++)
        captured_free(hub->partitions[p]);
    free(hub->partitions);
    free(hub);
}

hv_captured_hub *
hv_capture_add_hub(hv_capture *capture, const char *name)
{
    hv_captured_hub *hub = hv_capture_find_hub(capture, name);

    if (hub != NULL)
        return hub;
    while (!hv_array_room(&capture->hubs, capture->hub_count, &capture->hub_room, sizeof *capture->hubs))
        hv_insist_pause();
    hub = hv_insist(sizeof *hub);
    (void)snprintf(hub->name, sizeof hub->name, "%s", name);
    capture->hubs[capture->hub_count++] = hub;
    hv_engine_totals_of(capture->engine)->hubs++;
    return hub;
}

static bool
add_partition(hv_capture *capture, hv_captured_hub *hub)
{
    int32_t number = hub->partition_count;
    hv_captured **more = realloc(hub->partitions, ((size_t)number + 1) * sizeof *more);
    hv_captured *captured = calloc(1, sizeof *captured);

    if (more != NULL)
        hub->partitions = more;
    if (more == NULL || captured == NULL) {
        free(captured);
        return false;
    }
    captured->capture = capture;
    captured->hub = hub;
    captured->id.number = number;
    (void)snprintf(captured->id.hub, sizeof captured->id.hub, "%s", hub->name);
    captured->once_target = captured->low = captured->high = captured->oldest_unsealed_ms = captured->oldest_open_ms = -1;
    captured->owned = capture->membership == NULL;
    captured->state = captured->owned ? HV_CAPTURED_WAITING : HV_CAPTURED_FOREIGN;
    hub->partitions[hub->partition_count++] = captured;
    hv_engine_totals_of(capture->engine)->partitions++;
    hv_engine_totals_of(capture->engine)->assigned += captured->owned;
    return true;
}

hv_captured *
hv_capture_add_partition(hv_capture *capture, hv_captured_hub *hub, int32_t number)
{
    while (hub->partition_count <= number)
        if (!add_partition(capture, hub))
            hv_insist_pause();
    return hub->partitions[number];
}

/* Begin where the store says the chain ends. */
void
hv_captured_begin(hv_captured *captured, uint32_t incarnation, hv_admitted *admitted)
{
    hv_index_follower *follower = hv_engine_follower(captured->capture->engine);

    if (captured->id.incarnation != 0)
        hv_index_follower_own(follower, &captured->id, false);
    captured->id.incarnation = incarnation;
    captured->position = captured->next = admitted->position;
    captured->pending_count = 0;
    captured->low = admitted->low;
    captured->high = admitted->high;
    captured->last_look_boot_ms = hv_clock_boot_ms();
    captured->verified_end = admitted->position;
    hv_index_follower_own(follower, &captured->id, true);
    if (admitted->rc != HV_OK)
        hv_captured_fail(captured, admitted->rc, &admitted->err);
    else if (admitted->has_incomplete)
        hv_captured_fill_begin(captured, &admitted->incomplete, NULL);
    else
        hv_captured_start_reading(captured, captured->position);
}

void
hv_capture_admitted(hv_capture *capture, hv_tell *tell)
{
    hv_captured_hub *hub = hv_capture_add_hub(capture, tell->hub);

    bool other = hub->incarnation != 0 && hub->incarnation != tell->incarnation;
    hub->incarnation = tell->incarnation;
    hub->policy = tell->policy;
    hub->gone = hub->leaving = hub->claim_asked = false;
    (void)snprintf(hub->identity, sizeof hub->identity, "%s", tell->identity);
    for (size_t p = 0; p < tell->partition_count; p++) {
        int32_t number = tell->partitions[p].number;
        hv_captured *captured = hv_capture_add_partition(capture, hub, number);
        if (captured->state == HV_CAPTURED_STOPPED)
            continue;
        hv_captured_begin(captured, tell->incarnation, &tell->partitions[p]);
    }
    for (int32_t p = (int32_t)tell->partition_count; other && p < hub->partition_count; p++) {
        hub->partitions[p]->state = HV_CAPTURED_GONE;           /* the new hub has fewer partitions */
        hub->partitions[p]->once_done = true;
    }
    hv_partition about = {.incarnation = tell->incarnation, .number = hub->partition_count};
    (void)snprintf(about.hub, sizeof about.hub, "%s", hub->name);
    hv_archiver_report report = {.event = other ? HV_ARCHIVER_INCARNATION : HV_ARCHIVER_HUB, .partition = &about,
        .count = hub->partition_count, .text = other ? hv_incarnation_cause_text((hv_incarnation_cause)hub->leaving_cause) : NULL};
    hv_engine_report(capture->engine, &report);
}

/* Stop reading a partition; what was read stays to be sealed. */
static void
stop_reading(hv_captured *captured, hv_captured_state state)
{
    if (captured->state == HV_CAPTURED_STOPPED || captured->state == HV_CAPTURED_FILL_SEALING || !captured->owned)
        return;                         /* not ours: not read, or not any more */
    hv_captured_unassign(captured);
    captured->ask_at_boot_ms = 0;
    if (captured->state == HV_CAPTURED_FILL_WAIT || captured->state == HV_CAPTURED_FILLING) {
        hv_captured_fill_abandon(captured);
        return;
    }
    captured->state = state;
    captured->once_done = true;
    if (hv_captured_may_close(captured))
        hv_captured_close_cut(captured);
}

void
hv_captured_gone(hv_captured *captured)
{
    hv_captured_hub *hub = captured->hub;

    if (hub->gone || hub->leaving)
        return;
    hub->gone = true;
    hv_captured_report(captured, HV_ARCHIVER_GONE, &(hv_archiver_report){.count = hub->partition_count});
    for (int32_t p = 0; p < hub->partition_count; p++)
        stop_reading(hub->partitions[p], HV_CAPTURED_GONE);
    hv_scout_expect(captured->capture->scout, hub->name);
}

void
hv_captured_other_hub(hv_captured *captured, int cause)
{
    hv_captured_hub *hub = captured->hub;
    bool concerned = false;

    for (int32_t p = 0; p < hub->partition_count; p++)
        concerned = concerned || hub->partitions[p]->state != HV_CAPTURED_FOREIGN;
    if (hub->leaving || !concerned)     /* whoever owns its partitions sees to it; when we do, admission will */
        return;
    hub->leaving = true;
    hub->leaving_cause = cause;
    for (int32_t p = 0; p < hub->partition_count; p++) {
        if (hub->identity[0] != '\0' && hub->partitions[p]->state != HV_CAPTURED_STOPPED)
            hv_captured_drop_unverified(hub->partitions[p]);
        stop_reading(hub->partitions[p], HV_CAPTURED_WAITING);
        hub->partitions[p]->once_done = false;          /* the new hub has to be read yet */
        hub->partitions[p]->once_target = -1;
    }
    hv_capture_claim_if_clean(hub);
}

static bool
is_clean(hv_captured *captured)
{
    if (captured->state == HV_CAPTURED_STOPPED || captured->state == HV_CAPTURED_FOREIGN)
        return true;
    if (hv_captured_may_close(captured))
        hv_captured_close_cut(captured);
    return captured->sealing == NULL && captured->open == NULL && captured->fill == NULL;
}

/* Those that the claim of a group's member is made for. */
static void
collect_owned(hv_captured_hub *hub, hv_scout_places *places)
{
    *places = hv_scout_places_make((size_t)hub->partition_count);
    for (int32_t p = 0; p < hub->partition_count; p++)
        if (hub->partitions[p]->owned && hub->partitions[p]->state != HV_CAPTURED_STOPPED) {
            places->numbers[places->count] = p;
            places->ownerships[places->count++] = hub->partitions[p]->ownership;
        }
}

void
hv_capture_claim_if_clean(hv_captured_hub *hub)
{
    bool clean = hub->leaving && !hub->claim_asked;

    for (int32_t p = 0; clean && p < hub->partition_count; p++)
        clean = is_clean(hub->partitions[p]);
    if (!clean)
        return;
    hv_scout_places places = {0};
    if (hub->partitions[0]->capture->membership != NULL)
        collect_owned(hub, &places);
    hub->claim_asked = true;
    if (hub->partitions[0]->capture->membership != NULL && places.count == 0) {
        hub->leaving = hub->claim_asked = false;        /* the others go on */
        hv_scout_places_clear(&places);
    } else
        hv_scout_claim(hub->partitions[0]->capture->scout, hub->name, hub->incarnation, hub->leaving_cause, &places);
}

void
hv_capture_hub_is_other(hv_captured_hub *hub)
{
    hv_captured_other_hub(hub->partitions[0], HV_INCARNATION_IDENTITY);
}

/* The source says that this is another hub now. */
void
hv_capture_other(hv_capture *capture, const hv_tell *tell)
{
    hv_captured_hub *hub = hv_capture_find_hub(capture, tell->hub);

    if (hub != NULL && hub->partition_count > 0 && strcmp(hub->identity, tell->identity) != 0)
        hv_capture_hub_is_other(hub);
}

/* A hub is listed again. If its log is shorter than what we hold it is another one; else the probe will tell. */
void
hv_capture_returned(hv_capture *capture, hv_tell *tell)
{
    hv_captured_hub *hub = hv_capture_find_hub(capture, tell->hub);

    if (hub == NULL || !hub->gone)
        return;
    bool unclean = false;
    for (int32_t p = 0; p < hub->partition_count; p++)
        unclean = !is_clean(hub->partitions[p]) || unclean;
    if (unclean) {                      /* still sealing what was read before it vanished */
        hv_scout_expect(capture->scout, hub->name);
        return;
    }
    hub->gone = false;
    bool other = tell->identity[0] != '\0' && hub->identity[0] != '\0' && strcmp(tell->identity, hub->identity) != 0;
    int cause = other ? HV_INCARNATION_IDENTITY : HV_INCARNATION_SHORTER;
    for (size_t p = 0; p < tell->partition_count; p++) {
        const hv_admitted *answer = &tell->partitions[p];
        if (answer->number < hub->partition_count && answer->rc == HV_OK &&
            answer->high < hub->partitions[answer->number]->position)
            other = true;
    }
    if (other) {
        hv_captured_other_hub(hub->partitions[0], cause);
        return;
    }
    for (int32_t p = 0; p < hub->partition_count; p++)
        if (hub->partitions[p]->state == HV_CAPTURED_GONE)
            hv_captured_start_reading(hub->partitions[p], hub->partitions[p]->position);
}
