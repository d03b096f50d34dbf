/*
 * What a running archiver shows of its hubs and partitions: a copy for whoever watches, 200 ms old and 1 ms per partition at most.
 * Making it costs the capture thread a walk over its partitions, and reading it a copy; neither waits for anything that takes time.
 */
#ifndef HV_ARCHIVER_ARCHIVER_STATE_H
#define HV_ARCHIVER_ARCHIVER_STATE_H

#include "archiver/archiver.h"

typedef struct hv_partition_state {
    size_t hub;                         /* in hubs[] */
    int32_t number;
    const char *state;                  /* a literal: "reading" */
    bool owned;                         /* ours to capture */
    bool stopped, open, sealing;        /* has an open cut; has one on its way */
    int64_t open_age_ms, open_bytes;    /* of the open cut: since its first event; memory */
    unsigned attempts;                  /* tries to seal that one which have failed */
    int64_t position, next;             /* sealed below; read below */
    int64_t low, high;                  /* as last heard; -1: never */
    int64_t lag;                        /* offsets the hub has that are not sealed; 0 if nothing was heard */
    bool has_headroom;
    int64_t headroom_ms;                /* with nothing unsealed: all the time that the hub keeps an event */
} hv_partition_state;

/* What has come of a hub since the start. */
typedef struct hv_hub_counters {
    int64_t read_events, read_bytes;    /* keys and values; some again after a failure */
    int64_t events, stored_bytes;       /* sealed or adopted; size of the segments */
    int64_t cuts, adopted, segments;
    int64_t gap_offsets[HV_GAP_CAUSES];
} hv_hub_counters;

typedef struct hv_hub_state {
    char name[HV_HUB_SIZE];
    uint32_t incarnation;
    bool gone;                          /* the source does not have it now */
    int64_t retention_ms;               /* -1: the source does not say, or for ever */
    hv_hub_counters counters;
    size_t first, count;                /* of its partitions in partitions[] */
} hv_hub_state;

typedef struct hv_archiver_state {
    hv_hub_state *hubs;                 /* a name may come twice: from two sources */
    size_t hub_count;
    hv_partition_state *partitions;     /* by hub and number */
    size_t partition_count;
    bool discovered;                    /* every source has been asked for its hubs once, and has answered */
    int64_t discovered_wall_ms;         /* the last time, of the source where that is longest ago; 0: never */
} hv_archiver_state;

void hv_archiver_state_clear(hv_archiver_state *state);
HV_DEFINE_AUTO_VALUE(hv_archiver_state, hv_archiver_state_clear);

/* Any thread, before hv_archiver_join(). HV_NOMEM. */
hv_rc hv_archiver_state_read(hv_archiver *archiver, hv_archiver_state *ret, hv_err *err) HV_MUST_USE;

#endif
