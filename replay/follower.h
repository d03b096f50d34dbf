/*
 * Following live hubs: what replay_follow.c (events) and replay_discovery.c (which partitions) share.
 */
#ifndef HV_REPLAY_FOLLOWER_H
#define HV_REPLAY_FOLLOWER_H

#include "replay/replay_state.h"

typedef enum hv_live_state {
    HV_LIVE_NEW,                        /* to be caught up with the archive and assigned */
    HV_LIVE_RUNNING,                    /* assigned */
    HV_LIVE_WAITING,                    /* the hub has not got the next offset: for the archive, until retry_at_ms */
    HV_LIVE_OVER,                       /* of an incarnation that has ended */
} hv_live_state;

/* One partition that is followed. Its address is the tag of its assignment. */
typedef struct hv_live {
    size_t part;                        /* in selection.parts */
    hv_source *source;
    uint64_t generation;
    hv_live_state state;
    int64_t retry_at_ms;
    int64_t missing_since_ms;           /* -1: nothing is missing */
    int64_t unconfirmed;                /* first offset delivered since the identity of the hub was last confirmed; -1: none */
} hv_live;

/* A hub that is, or could be, followed. */
typedef struct hv_live_hub {
    char name[HV_HUB_SIZE];
    uint32_t incarnation;               /* 0: not followed yet */
    int64_t unclaimed_since_ms;         /* the source has it, or another incarnation, and the index does not; -1: no */
} hv_live_hub;

typedef struct hv_follower {
    hv_replay *replay;
    hv_sink *sink;
    hv_source *const *sources;
    size_t source_count, next_source;
    hv_live **lives;
    size_t live_count;
    hv_live_hub *hubs;
    size_t hub_count;
    int64_t discover_at_ms, flush_at_ms;
    int64_t serve_at_ms;                /* when a partition that is not running wants to be looked at */
    bool unflushed;
} hv_follower;

/* Ask the sources for their hubs, and take up what is new or re-created. A source that cannot be asked now is asked again soon. */
hv_rc hv_follow_discover(hv_follower *follower, hv_err *err) HV_MUST_USE;

/* Deliver what the archive has of it by now, from its next offset on. */
hv_rc hv_follow_catch_up(hv_follower *follower, hv_live *live, hv_err *err) HV_MUST_USE;

/* Not read any more; waits, until somebody says for what. */
hv_rc hv_follow_drop(hv_follower *follower, hv_live *live, hv_err *err) HV_MUST_USE;

static inline hv_replay_part *
hv_live_part(const hv_follower *follower, const hv_live *live)
{
    return &follower->replay->selection.parts[live->part];
}

#endif
