/*
 * From the archive onto the live hub, without gap or duplicate.
 *
 * `next` of a part is the one number that decides: everything below was delivered, does not match, or is proven absent. Archive and
 * hub have the same offsets, so the seam is no special case: whoever has `next` delivers it. A partition is caught up with the
 * archive as long as that has more, then it is assigned at `next`. What the hub expired in between is in the archive or will be
 * soon: the archiver reads the same hub and seals within its maximum age. So when the hub says that `next` lies below its log, the
 * archive is asked again and again, for as long as the patience lasts, and only then the offsets up to the start of the log count
 * as lost.
 *
 * An item of an earlier assignment is told by its generation and ignored: it may lie behind events that are still to come from the
 * archive.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "replay/follower.h"

enum {
    POLL_MS = 100,
    IDLE_POLL_MS = 20,                  /* with several sources, each in turn */
    FLUSH_MS = 1000,
    RETRY_MS = 500,
    ASK_TIMEOUT_MS = 10000,
};

static int64_t
now_of(const hv_follower *follower)
{
    return follower->replay->config.now_ms();
}

hv_rc
hv_follow_drop(hv_follower *follower, hv_live *live, hv_err *err)
{
    const hv_partition *partition = &hv_live_part(follower, live)->partition;

    if (live->state != HV_LIVE_RUNNING)
        return HV_OK;
    live->generation++;
    live->state = HV_LIVE_WAITING;
    live->retry_at_ms = INT64_MAX;
    return live->source->ops->unassign(live->source, partition->hub, partition->number, err);
}

hv_rc
hv_follow_catch_up(hv_follower *follower, hv_live *live, hv_err *err)
{
    hv_replay *replay = follower->replay;

    for (;;) {
        hv_replay_part *part = hv_live_part(follower, live);
        int64_t position;
        hv_rc rc = hv_index_position(replay->config.index, &part->partition, &position, err);
        if (rc != HV_OK || position <= part->next)
            return rc;
        replay->done_before += part->next - part->from;
        replay->facts.total += position - part->next;
        part->from = part->next;
        part->end = part->position = position;
        part->seen = (hv_range){.first = 0, .end = 0};
        live->missing_since_ms = -1;
        follower->unflushed = true;
        rc = hv_replay_run_parts(replay, part, 1, follower->sink, err);
        if (rc != HV_OK || part->next < position)
            return rc;                  /* part->next < position: stopped */
    }
}

static hv_rc
start_live(hv_follower *follower, hv_live *live, hv_err *err)
{
    hv_rc rc = hv_follow_catch_up(follower, live, err);
    const hv_replay_part *part = hv_live_part(follower, live);

    if (rc != HV_OK || hv_replay_must_stop(follower->replay))
        return rc;
    hv_source_assignment wanted = {.hub = part->partition.hub, .partition = part->partition.number, .offset = part->next,
                                   .tag = live,
                                   .generation = ++live->generation};
    live->state = HV_LIVE_RUNNING;
    return live->source->ops->assign(live->source, &wanted, 1, err);
}

/* ---- the hub has not got the next offset ---- */

static void
retry_later(hv_follower *follower, hv_live *live)
{
    live->state = HV_LIVE_WAITING;
    live->retry_at_ms = now_of(follower) + RETRY_MS;
    follower->serve_at_ms = 0;
}

static void
declare_lost(hv_follower *follower, hv_live *live, int64_t low)
{
    hv_replay *replay = follower->replay;
    hv_replay_part *part = hv_live_part(follower, live);
    hv_gap lost = {.range = {.first = part->next, .end = low}, .cause = HV_GAP_RETENTION};

    replay->facts.lost_offsets += low - part->next;
    if (replay->config.observer.lost != NULL)
        replay->config.observer.lost(replay->config.observer.arg, &part->partition, &lost);
    replay->done_before += low - part->next;
    replay->facts.total += low - part->next;
    part->from += low - part->next;
    part->next = low;
    live->missing_since_ms = -1;
}

static void
wait_for_archive(hv_follower *follower, hv_live *live, int64_t low)
{
    int64_t now = now_of(follower);

    if (live->missing_since_ms < 0)
        live->missing_since_ms = now;
    if (now - live->missing_since_ms >= follower->replay->config.patience_ms)
        declare_lost(follower, live, low);
    retry_later(follower, live);
}

/* Every further step begins with a look into the archive, so nothing that it has is declared lost. */
static hv_rc
look_for_next(hv_follower *follower, hv_live *live, hv_err *err)
{
    hv_rc rc = hv_follow_catch_up(follower, live, err);
    const hv_replay_part *part = hv_live_part(follower, live);
    hv_source_watermarks asked = {.hub = part->partition.hub, .partition = part->partition.number};

    if (rc != HV_OK || hv_replay_must_stop(follower->replay))
        return rc;
    rc = live->source->ops->watermarks(live->source, &asked, 1, ASK_TIMEOUT_MS, err);
    if (rc == HV_OK && asked.rc == HV_AUTH)
        return hv_err_set(err, HV_AUTH, "the source refuses to read hub '%s'", part->partition.hub);
    if (rc == HV_UNAVAILABLE || (rc == HV_OK && asked.rc != HV_OK)) {
        retry_later(follower, live);
        return HV_OK;
    }
    if (rc != HV_OK)
        return rc;
    if (asked.low <= part->next && part->next <= asked.high)
        return start_live(follower, live, err);
    if (part->next < asked.low)
        wait_for_archive(follower, live, asked.low);
    else
        return hv_err_set(err, HV_GAP, "partition %" PRId32 " of hub '%s' ends at %" PRId64 ", before the next offset %" PRId64
                          ": it was truncated", part->partition.number, part->partition.hub, asked.high, part->next);
    return HV_OK;
}

static hv_rc
handle_out_of_range(hv_follower *follower, hv_live *live, hv_err *err)
{
    hv_rc rc = hv_follow_drop(follower, live, err);

    if (rc == HV_OK)
        rc = hv_follow_discover(follower, err);         /* a re-created hub is out of range, too, and not truncated */
    if (rc == HV_OK && live->state == HV_LIVE_NEW)      /* revived: the hub is the one that it was */
        rc = look_for_next(follower, live, err);
    return rc;
}

/* ---- items ---- */

static hv_rc
take_event(hv_follower *follower, hv_live *live, const hv_event *event, bool *stopped, hv_err *err)
{
    hv_replay *replay = follower->replay;
    hv_replay_part *part = hv_live_part(follower, live);
    bool wanted = true;

    if (event->offset < part->next)
        return HV_OK;
    replay->facts.events_read++;
    if (!hv_time_window_has(&replay->selection.window, event->timestamp_ms))
        wanted = false;
    else if (!hv_event_filter_is_empty(&replay->request.filter)) {
        hv_rc rc = hv_event_filter_match(&replay->request.filter, event, &replay->scratch, &wanted, err);
        if (rc != HV_OK)
            return rc;
    }
    if (!wanted) {
        part->next = event->offset + 1;
        return HV_OK;
    }
    hv_rc rc = hv_replay_deliver(replay, follower->sink, part, event, stopped, err);
    if (rc == HV_OK && !*stopped) {
        replay->facts.live_events++;
        live->unconfirmed = live->unconfirmed < 0 ? event->offset : live->unconfirmed;
        follower->unflushed = true;
    }
    return rc;
}

static hv_rc
take_item(hv_follower *follower, const hv_source_item *item, bool *stopped, hv_err *err)
{
    hv_live *live = item->tag;

    if (item->kind == HV_SOURCE_NOTHING || item->kind == HV_SOURCE_TROUBLE)
        return HV_OK;
    if (item->kind == HV_SOURCE_REFUSED) {
        *err = item->err;
        err->rc = HV_AUTH;
        return HV_AUTH;
    }
    if (live == NULL || live->state != HV_LIVE_RUNNING || item->generation != live->generation)
        return HV_OK;
    switch (item->kind) {
    case HV_SOURCE_EVENT:
        return take_event(follower, live, &item->event, stopped, err);
    case HV_SOURCE_END:
        if (item->offset > hv_live_part(follower, live)->next)
            hv_live_part(follower, live)->next = item->offset;
        return HV_OK;
    case HV_SOURCE_OUT_OF_RANGE:
        return handle_out_of_range(follower, live, err);
    default:                            /* HV_SOURCE_GONE: perhaps for good, perhaps to come back, as the same or as another one */
        if (follower->discover_at_ms > now_of(follower) + RETRY_MS)
            follower->discover_at_ms = now_of(follower) + RETRY_MS;
        return hv_follow_drop(follower, live, err);
    }
}

/* ---- the loop ---- */

static hv_rc
serve_partitions(hv_follower *follower, hv_err *err)
{
    follower->serve_at_ms = INT64_MAX;
    for (size_t i = 0; i < follower->live_count; i++) {
        hv_live *live = follower->lives[i];
        hv_rc rc = HV_OK;
        if (live->state == HV_LIVE_NEW)
            rc = start_live(follower, live, err);
        else if (live->state == HV_LIVE_WAITING && live->retry_at_ms <= now_of(follower))
            rc = look_for_next(follower, live, err);
        if (rc != HV_OK || hv_replay_must_stop(follower->replay))
            return rc;
        if (live->state == HV_LIVE_WAITING && live->retry_at_ms < follower->serve_at_ms)
            follower->serve_at_ms = live->retry_at_ms;
    }
    return HV_OK;
}

static hv_rc
serve_flush(hv_follower *follower, bool idle, hv_err *err)
{
    int64_t now = now_of(follower);

    if (!follower->unflushed || (!idle && now < follower->flush_at_ms))
        return HV_OK;
    follower->unflushed = false;
    follower->flush_at_ms = now + FLUSH_MS;
    return hv_replay_flush(follower->replay, follower->sink, err);
}

/* One round: an item of each source. */
static hv_rc
poll_sources(hv_follower *follower, bool *stopped, hv_err *err)
{
    bool idle = true;

    for (size_t i = 0; i < follower->source_count && !*stopped; i++) {
        hv_source *source = follower->sources[i];
        int timeout_ms = follower->unflushed ? 0 : follower->source_count == 1 ? POLL_MS : IDLE_POLL_MS;
        hv_source_item item;
        hv_rc rc = source->ops->poll(source, timeout_ms, &item, err);
        if (rc == HV_OK)
            rc = take_item(follower, &item, stopped, err);
        if (rc != HV_OK)
            return rc;
        idle = idle && item.kind == HV_SOURCE_NOTHING;
    }
    return serve_flush(follower, idle, err);
}

static hv_rc
follow(hv_follower *follower, hv_err *err)
{
    hv_replay *replay = follower->replay;
    bool stopped = false;
    hv_rc rc = HV_OK;

    while (rc == HV_OK && !stopped && !hv_replay_must_stop(replay)) {
        if (now_of(follower) >= follower->discover_at_ms)
            rc = hv_follow_discover(follower, err);
        if (rc == HV_OK && now_of(follower) >= follower->serve_at_ms)
            rc = serve_partitions(follower, err);
        if (rc == HV_OK && !hv_replay_must_stop(replay))
            rc = poll_sources(follower, &stopped, err);
    }
    return rc;
}

static void
clear_follower(hv_follower *follower)
{
    hv_err ignored;

    for (size_t i = 0; i < follower->live_count; i++) {
        (void)!hv_follow_drop(follower, follower->lives[i], &ignored);
        free(follower->lives[i]);
    }
    free(follower->lives);
    free(follower->hubs);
}

hv_rc
hv_replay_follow(hv_replay *replay, hv_source *const *sources, size_t source_count, hv_sink *sink, hv_err *err)
{
    hv_follower follower = {.replay = replay, .sink = sink, .sources = sources, .source_count = source_count};

    assert(replay->request.follow && source_count > 0);
    /* Known partitions first, so that the sink is told about them when it begins. */
    hv_rc rc = hv_follow_discover(&follower, err);
    if (rc == HV_OK)
        rc = hv_replay_run_archive(replay, sink, err);
    if (rc == HV_OK)
        rc = hv_replay_flush(replay, sink, err);
    if (rc == HV_OK)
        rc = follow(&follower, err);
    clear_follower(&follower);
    replay->facts.finished = false;     /* the live hub has no end */
    return hv_replay_finish(replay, sink, rc, err);
}
