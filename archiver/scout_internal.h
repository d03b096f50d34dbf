/*
 * Inside of the scout: what its two files share. All of it belongs to the thread of the scout, but for what stands under `locked`.
 */
#ifndef HV_ARCHIVER_SCOUT_INTERNAL_H
#define HV_ARCHIVER_SCOUT_INTERNAL_H

#include "archiver/past.h"
#include "archiver/scout.h"

/* What the scout remembers of a hub. */
typedef struct hv_scout_hub {
    char name[HV_HUB_SIZE];
    int32_t admitted;                   /* partitions told so far */
    uint32_t incarnation;
    char identity[128];                 /* when it was admitted; empty: the source has none */
    bool policy_known;                  /* the source has answered, if only that it does not say */
    bool expected;                      /* vanished; tell when it is back */
} hv_scout_hub;

struct scout_question;

struct hv_scout {
    hv_capture *capture;
    hv_chain chain;
    pthread_t thread;
    hv_scout_hub *hubs;
    size_t hub_count, hub_room;
    hv_past past;
    int64_t next_discovery_boot_ms;
    int64_t ask_policy_boot_ms;         /* a service that has no such question may let it run into its time: not asked before */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {                            /* touched only while holding `lock` */
        struct scout_question *first, **last;
        bool stopping;
        bool discover;                  /* now */
    } locked;
};

/* Which partitions of a hub are to be admitted, and how. */
typedef struct hv_scout_admission {
    const char *identity;               /* of the hub as it was listed */
    int32_t from, to;                   /* partitions from .. to - 1, unless there are places */
    const hv_scout_places *places;      /* count 0: see above */
    int claim_cause;                    /* HV_INCARNATION_FIRST: the incarnation that is there is right */
    bool claimed;                       /* for the tell */
} hv_scout_admission;

/* ---- scout_admit.c: what has to be known before a partition is read ---- */

bool hv_scout_is_stopping(hv_scout *scout);
/* Partitions have no numbers yet, or those of the admission. */
hv_tell *hv_scout_new_tell(hv_tell_kind kind, const char *hub, size_t partitions);
hv_tell *hv_scout_new_admitted(const char *hub, const hv_scout_admission *of);
hv_rc hv_scout_no_memory(hv_err *err);

/* Low and high of the partitions of a tell; what the source does not say stays -1, and is an error of that partition if `required`. */
void hv_scout_fill_watermarks(hv_scout *scout, hv_tell *tell, bool required);
/* What the hub does with old events. Unknown is good enough to begin with: the next discoveries ask again. */
void hv_scout_ask_policy(hv_scout *scout, hv_scout_hub *known, hv_source_hub_policy *ret);

hv_scout_hub *hv_scout_find_known(hv_scout *scout, const char *name);       /* NULL: none */
hv_scout_hub *hv_scout_add_known(hv_scout *scout, const char *name);        /* or the one there is; NULL: no memory */

/* Tell the capture everything it needs to read these partitions of the hub. */
hv_rc hv_scout_admit_hub(hv_scout *scout, hv_scout_hub *known, const hv_scout_admission *of, hv_err *err) HV_MUST_USE;

#endif
