/* The partitions of each hub, added up; and the team that a hub belongs to. */
#ifndef HV_SERVER_HUB_SUMS_H
#define HV_SERVER_HUB_SUMS_H

#include "server/board.h"

typedef struct hv_hub_sum {
    const char *hub;                    /* of the facts */
    const char *team;                   /* of the options, or "" */
    size_t team_len;
    int64_t partitions;                 /* ours */
    int64_t stopped, lag, lag_worst;
    int64_t open, open_bytes, open_age_ms;      /* age of the oldest */
    int64_t sealing;
    bool has_headroom;
    int64_t headroom_ms;                /* of the partition where it is least */
    hv_hub_counters counters;
} hv_hub_sum;

/* One per name, also where two sources have a hub of that name. Free with free(). HV_NOMEM. */
hv_rc hv_hub_sums(const hv_service_facts *facts, hv_hub_sum **ret, size_t *ret_count, hv_err *err) HV_MUST_USE;

/* What metrics.teams says of a hub; empty if nothing. */
hv_slice hv_team_of(const hv_options *options, const char *hub);

#endif
