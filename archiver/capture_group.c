/*
 * Partitions that come and go with a group.
 *
 * Positions come from the vault and never from the group: whatever is assigned is first looked at in the store (rule 12), by the scout,
 * and read from where the chain ends. Each assignment has a number, so that an answer to an earlier one is never taken for the present.
 *
 * What is revoked is read no further. Its open cut is sealed, and the group hears of it when everything is sealed and indexed, or given
 * up: an incomplete cut of somebody else at once, the rest when the group does not wait any longer. What was lost is given up at once.
 * Giving up means: a put that has begun may land, none begins any more, and the memory is free when the job comes back. Until then
 * the same partition is not admitted again, so that never two cuts of it are under way in one process.
 *
 * Nothing here is needed for safety. An archiver that does not know yet what it lost goes on putting, and the create-only put of a
 * lead whose name is its position decides (sections 1 and 3).
 */
#include <stdlib.h>

#include "archiver/capture.h"
#include "archiver/index_follower.h"
#include "archiver/insist.h"
#include "archiver/scout.h"
#include "common/clock.h"
#include "segment/vault_marker.h"

enum { ADMIT_EVERY_MS = 100, ADMIT_AGAIN_MS = 500 };

/* Called by the thread of the membership. */
static void
changed(void *arg, const hv_membership_change *change)
{
    hv_tell *tell = hv_insist(sizeof *tell);            /* a change must arrive */

    tell->kind = HV_TELL_MEMBERSHIP;
    tell->change = *change;
    tell->change.partitions = NULL;
    tell->change.err = NULL;
    if (change->err != NULL)
        tell->err = *change->err;
    tell->members = hv_insist((change->count + 1) * sizeof *tell->members);
    if (change->count > 0)
        memcpy(tell->members, change->partitions, change->count * sizeof *tell->members);
    hv_capture_tell(arg, tell);
}

hv_rc
hv_capture_join_group(hv_capture *capture, hv_err *err)
{
    return capture->membership == NULL ? HV_OK : capture->membership->ops->start(capture->membership, changed, capture, err);
}

static void
report(hv_capture *capture, hv_archiver_event event, size_t count, const char *text)
{
    hv_engine_report(capture->engine, &(hv_archiver_report){.event = event, .count = (int64_t)count, .text = text});
}

/* ---- giving up ---- */

/* Not ours any more, and nothing of it is kept. Whether a cut was dropped for that. */
static bool
let_go(hv_captured *captured)
{
    hv_capture *capture = captured->capture;
    hv_seal_job *job = captured->sealing;
    bool dropped = (captured->open != NULL && captured->open->count > 0) || job != NULL;

    hv_captured_unassign(captured);
    hv_capture_fill_free(captured->fill);
    captured->fill = NULL;
    if (job != NULL && captured->sealing_in_engine) {
        atomic_store(&job->abandoned, true);
    } else if (job != NULL) {
        hv_seal_job_free(job);
        captured->sealing = NULL;
    }
    hv_captured_drop_memory(captured);
    captured->identity_wanted = 0;
    captured->ask_at_boot_ms = captured->failing_since_boot_ms = 0;
    captured->low = captured->high = captured->oldest_unsealed_ms = captured->oldest_open_ms = -1;
    captured->admission_asked = false;
    captured->state = HV_CAPTURED_FOREIGN;
    if (captured->id.incarnation != 0)
        hv_index_follower_own(hv_engine_follower(capture->engine), &captured->id, false);
    if (dropped)
        hv_engine_totals_of(capture->engine)->abandoned++;
    return dropped;
}

static hv_captured *
find_owned(hv_capture *capture, const hv_member_partition *member)
{
    hv_captured_hub *hub = hv_capture_find_hub(capture, member->hub);

    if (hub == NULL || member->number < 0 || member->number >= hub->partition_count || !hub->partitions[member->number]->owned)
        return NULL;
    return hub->partitions[member->number];
}

static void
disown(hv_captured *captured)
{
    captured->owned = false;
    hv_engine_totals_of(captured->capture->engine)->assigned--;
}

static void
release(hv_captured *captured)
{
    bool reads_fill = captured->state == HV_CAPTURED_FILL_WAIT || captured->state == HV_CAPTURED_FILLING;

    disown(captured);
    if (captured->state == HV_CAPTURED_STOPPED)
        return;
    if (reads_fill || (captured->sealing == NULL && captured->open == NULL)) {
        (void)let_go(captured);
        return;
    }
    hv_captured_unassign(captured);
    captured->ask_at_boot_ms = 0;
    captured->pending_count = 0;        /* behind the last event: the next owner sees for itself */
    captured->state = HV_CAPTURED_RELEASING;
    if (hv_captured_may_close(captured))
        hv_captured_close_cut(captured);
}

static void
end_release(hv_capture *capture)
{
    capture->release.active = false;
    hv_engine_take_time(capture->engine);
    capture->membership->ops->released(capture->membership, capture->release.revocation);
    report(capture, HV_ARCHIVER_REVOKED, capture->release.count, capture->release.abandoned == 0 ? NULL : "cuts were abandoned, they will be read again");
}

/* One step of each partition that is being given up; how many are left. */
static size_t
serve_release(hv_capture *capture, bool late)
{
    size_t left = 0;

    for (size_t h = 0; h < capture->hub_count; h++)
        for (int32_t p = 0; p < capture->hubs[h]->partition_count; p++) {
            hv_captured *captured = capture->hubs[h]->partitions[p];
            if (captured->state != HV_CAPTURED_RELEASING)
                continue;
            bool empty = captured->sealing == NULL && (captured->open == NULL || captured->open->count == 0);
            if (empty || late) {
                capture->release.abandoned += let_go(captured);
                continue;
            }
            left++;
            if (hv_captured_may_close(captured))
                hv_captured_close_cut(captured);
        }
    return left;
}

static void
revoked(hv_capture *capture, const hv_tell *tell)
{
    if (capture->release.active) {      /* the group has stopped waiting for that */
        (void)serve_release(capture, true);
        end_release(capture);
    }
    capture->release.active = true;
    hv_engine_hurry(capture->engine);
    capture->release.revocation = tell->change.revocation;
    capture->release.by_boot_ms = tell->change.release_by_boot_ms;
    capture->release.count = tell->change.count;
    capture->release.abandoned = 0;
    for (size_t m = 0; m < tell->change.count; m++) {
        hv_captured *captured = find_owned(capture, &tell->members[m]);
        if (captured != NULL)
            release(captured);
    }
}

static void
lost(hv_capture *capture, const hv_tell *tell)
{
    for (size_t m = 0; m < tell->change.count; m++) {
        hv_captured *captured = find_owned(capture, &tell->members[m]);
        if (captured == NULL)
            continue;
        disown(captured);
        hv_engine_totals_of(capture->engine)->lost++;
        if (captured->state != HV_CAPTURED_STOPPED)
            (void)let_go(captured);
    }
    report(capture, HV_ARCHIVER_LOST, tell->change.count, NULL);
}

static void
lose_if_owned(hv_captured *captured, void *arg)
{
    (void)arg;
    if (captured->owned)
        disown(captured);
    if (captured->state != HV_CAPTURED_STOPPED && captured->state != HV_CAPTURED_FOREIGN)
        (void)let_go(captured);
}

/* This member will never own anything again: a second one runs under its name, say. */
static void
failed(hv_capture *capture, const hv_tell *tell)
{
    hv_capture_trouble(capture, NULL, &tell->err);
    hv_capture_for_each(capture, lose_if_owned, NULL);
    capture->stopping = true;
    if (capture->rc == HV_OK) {
        capture->rc = tell->err.rc;
        capture->err = tell->err;
    }
}

/* ---- taking ---- */

static void
take(hv_captured *captured)
{
    if (captured->owned)
        return;
    captured->owned = true;
    captured->ownership++;
    captured->admission_asked = false;
    hv_engine_totals_of(captured->capture->engine)->assigned++;
    if (captured->state == HV_CAPTURED_STOPPED)         /* the reason has not gone away by a rebalance */
        return;
    if (captured->state == HV_CAPTURED_RELEASING)       /* so late that it is ours again */
        captured->capture->release.abandoned += let_go(captured);
    captured->state = HV_CAPTURED_WAITING;
}

static void
assigned(hv_capture *capture, const hv_tell *tell)
{
    for (size_t m = 0; m < tell->change.count && !capture->stopping; m++) {
        hv_captured_hub *hub = hv_capture_add_hub(capture, tell->members[m].hub);
        take(hv_capture_add_partition(capture, hub, tell->members[m].number));
    }
    capture->admit_boot_ms = 0;
    hv_engine_totals_of(capture->engine)->rebalances++;
    report(capture, HV_ARCHIVER_ASSIGNED, tell->change.count, NULL);
}

void
hv_capture_membership(hv_capture *capture, hv_tell *tell)
{
    switch (tell->change.kind) {
    case HV_MEMBERSHIP_ASSIGNED:
        assigned(capture, tell);
        break;
    case HV_MEMBERSHIP_REVOKED:
        revoked(capture, tell);
        break;
    case HV_MEMBERSHIP_LOST:
        lost(capture, tell);
        break;
    case HV_MEMBERSHIP_TROUBLE:
        hv_capture_trouble(capture, NULL, &tell->err);
        break;
    case HV_MEMBERSHIP_FAILED:
        failed(capture, tell);
        break;
    }
}

/* ---- admission ---- */

static bool
wants_admission(const hv_captured *captured)
{
    return captured->owned && captured->state == HV_CAPTURED_WAITING && !captured->admission_asked && captured->sealing == NULL &&
           captured->open == NULL && captured->fill == NULL;
}

static void
ask_admission(hv_capture *capture, hv_captured_hub *hub, int64_t now)
{
    size_t wanted = 0;

    for (int32_t p = 0; p < hub->partition_count; p++)
        wanted += wants_admission(hub->partitions[p]);
    if (wanted == 0 || hub->leaving || now < hub->admit_again_boot_ms)
        return;
    hv_scout_places places = hv_scout_places_make(wanted);
    for (int32_t p = 0; p < hub->partition_count; p++)
        if (wants_admission(hub->partitions[p])) {
            places.numbers[places.count] = p;
            places.ownerships[places.count++] = hub->partitions[p]->ownership;
            hub->partitions[p]->admission_asked = true;
        }
    hv_scout_admit(capture->scout, hub->name, &places);
}

void
hv_capture_check_group(hv_capture *capture)
{
    int64_t now = hv_clock_boot_ms();

    if (capture->membership == NULL)
        return;
    if (capture->release.active && serve_release(capture, now >= capture->release.by_boot_ms) == 0)
        end_release(capture);
    if (capture->stopping || now < capture->admit_boot_ms)
        return;
    capture->admit_boot_ms = now + ADMIT_EVERY_MS;
    for (size_t h = 0; h < capture->hub_count; h++)
        ask_admission(capture, capture->hubs[h], now);
}

/* The partition that an answer is about, if it is still the same ownership that asked. */
static hv_captured *
find_asked(hv_captured_hub *hub, const hv_admitted *answer)
{
    hv_captured *captured = answer->number < hub->partition_count ? hub->partitions[answer->number] : NULL;

    if (captured == NULL || !captured->owned || captured->ownership != answer->ownership || captured->state != HV_CAPTURED_WAITING)
        return NULL;
    return captured;
}

/* Whether something of this hub is being read or sealed by us, under the incarnation that was current. */
static bool
is_captured(const hv_captured_hub *hub)
{
    for (int32_t p = 0; p < hub->partition_count; p++) {
        const hv_captured *captured = hub->partitions[p];
        bool idle = captured->state == HV_CAPTURED_FOREIGN || captured->state == HV_CAPTURED_STOPPED ||
                    (captured->state == HV_CAPTURED_WAITING && captured->open == NULL && captured->sealing == NULL);
        if (!idle)
            return true;
    }
    return false;
}

static void
begin_all(hv_captured_hub *hub, hv_tell *tell)
{
    hub->incarnation = tell->incarnation;
    hub->policy = tell->policy;
    hub->gone = hub->leaving = hub->claim_asked = false;
    memcpy(hub->identity, tell->identity, sizeof hub->identity);
    for (size_t p = 0; p < tell->partition_count; p++) {
        hv_captured *captured = find_asked(hub, &tell->partitions[p]);
        if (captured != NULL)
            hv_captured_begin(captured, tell->incarnation, &tell->partitions[p]);
    }
}

static void
ask_again(hv_captured_hub *hub, const hv_tell *tell, int64_t pause_ms)
{
    for (size_t p = 0; p < tell->partition_count; p++) {
        hv_captured *captured = find_asked(hub, &tell->partitions[p]);
        if (captured != NULL)
            captured->admission_asked = false;
    }
    hub->admit_again_boot_ms = hv_clock_boot_ms() + pause_ms;
}

void
hv_capture_group_admitted(hv_capture *capture, hv_tell *tell)
{
    hv_captured_hub *hub = hv_capture_find_hub(capture, tell->hub);

    if (hub == NULL || capture->stopping)
        return;
    bool other = hub->incarnation != 0 && hub->incarnation != tell->incarnation;
    if (tell->rc != HV_OK) {
        hv_capture_trouble(capture, NULL, &tell->err);
        ask_again(hub, tell, ADMIT_AGAIN_MS);
    } else if (hub->leaving && !tell->claimed) {        /* asked before we knew: the claim comes first */
        ask_again(hub, tell, 0);
    } else if (other && !tell->claimed && is_captured(hub)) {
        ask_again(hub, tell, 0);        /* it was created anew, and the scout has seen it first: what is old is sealed first */
        hv_captured_other_hub(hub->partitions[0], HV_INCARNATION_IDENTITY);
    } else {
        begin_all(hub, tell);
        if (other) {
            hv_partition about = {.incarnation = tell->incarnation};
            memcpy(about.hub, hub->name, sizeof about.hub);
            hv_archiver_report made = {.event = HV_ARCHIVER_INCARNATION, .partition = &about, .count = hub->partition_count,
                .text = hv_incarnation_cause_text(tell->claimed ? (hv_incarnation_cause)hub->leaving_cause : HV_INCARNATION_IDENTITY)};
            hv_engine_report(capture->engine, &made);
        }
    }
}
