/*
 * Archiver: captures every hub of its sources into the vault, exactly as the capture protocol says; or, as a member of a group, those
 * partitions that it is given.
 *
 * Threads: per source one that polls and owns the open cuts, and one that asks (discovery, start of a partition, watermarks); shared
 * by all: block workers, uploaders, one index writer, and one that follows what other archivers put. They hand work over by queues. Nothing is ever dropped: when the store or the
 * budget does not keep up, polling stops.
 */
#ifndef HV_ARCHIVER_ARCHIVER_H
#define HV_ARCHIVER_ARCHIVER_H

#include "common/event.h"
#include "common/histogram.h"
#include "index/index.h"
#include "segment/header.h"
#include "source/membership.h"
#include "source/source.h"
#include "storage/storage.h"

typedef struct hv_archiver hv_archiver;

typedef enum hv_archiver_event {
    HV_ARCHIVER_HUB,                    /* a hub, or more partitions of one, is captured from now on */
    HV_ARCHIVER_SEALED,                 /* a cut is durable and indexed: range, count, bytes */
    HV_ARCHIVER_ADOPTED,                /* a cut that somebody else, or an earlier life, put: range */
    HV_ARCHIVER_GAP,                    /* offsets that hold no event, now sealed: range, cause */
    HV_ARCHIVER_INCARNATION,            /* a hub was deleted and created again: cause in text */
    HV_ARCHIVER_TROUBLE,                /* something failed and is tried again: err */
    HV_ARCHIVER_STOPPED,                /* a partition is not captured any more until an operator acts: err */
    HV_ARCHIVER_ASSIGNED,               /* the group has given us `count` partitions more, or none: a rebalance */
    HV_ARCHIVER_REVOKED,                /* the group has taken `count` partitions back, and they are given up now; text: what was left */
    HV_ARCHIVER_LOST,                   /* `count` partitions are not ours any more, without having been asked for */
    HV_ARCHIVER_FOLLOWED,               /* a cut that another archiver put into a partition of its own is indexed: range, count, bytes */
    HV_ARCHIVER_HEADROOM,               /* the source will expire what is not sealed in `headroom_ms` */
    HV_ARCHIVER_CONNECTED,              /* a source tells its hubs, for the first time or again after a failure: text is where it is */
    HV_ARCHIVER_GONE,                   /* the source does not have a hub any more; what was read of it is sealed */
    HV_ARCHIVER_PAUSED,                 /* nothing is read, because the budget for events is used up: bytes */
    HV_ARCHIVER_RESUMED,                /* it is read again */
} hv_archiver_event;

/* What may fail and be tried again. */
#define HV_ARCHIVER_OPERATION_LIST(X) \
    X(ASK,    "ask",    "hubs, identities, watermarks, the group") \
    X(READ,   "read",   "a partition") \
    X(SEAL,   "seal",   "a cut") \
    X(FOLLOW, "follow", "cuts of other archivers") \
    X(SETTLE, "settle", "incarnations that are gone")

typedef enum hv_archiver_operation {
#define HV_ARCHIVER_OPERATION_NAME(name, text, meaning) HV_ARCHIVER_##name,
    HV_ARCHIVER_OPERATION_LIST(HV_ARCHIVER_OPERATION_NAME)
#undef HV_ARCHIVER_OPERATION_NAME
    HV_ARCHIVER_OPERATIONS
} hv_archiver_operation;

typedef struct hv_archiver_report {
    hv_archiver_event event;
    const hv_partition *partition;      /* NULL: about no partition in particular */
    hv_range range;
    int64_t count;
    uint64_t bytes;
    hv_gap_cause cause;
    int64_t headroom_ms;
    const hv_index_cut *cut;            /* SEALED and ADOPTED: with its segments */
    int64_t put_ms;                     /* SEALED: how long it took to store */
    hv_archiver_operation operation;    /* TROUBLE: what is tried again */
    unsigned attempts;                  /* TROUBLE: so many tries to seal a cut have failed; 0: about something else */
    int64_t retry_ms;                   /* the next one comes then */
    const char *text;                   /* may be NULL */
    const hv_err *err;                  /* may be NULL */
} hv_archiver_report;

typedef struct hv_archiver_config {
    hv_source *const *sources;          /* borrowed */
    size_t source_count;
    hv_membership *const *memberships;  /* borrowed; one per source, which says what of it is ours. NULL: everything is */
    hv_storage *storage;                /* borrowed */
    hv_index *index;                    /* borrowed, for writing */
    const char *vault;
    hv_codec codec;
    int level;
    size_t block_bytes;                 /* raw */
    uint64_t max_bytes;                 /* stored size at which a cut is closed */
    int64_t max_age_ms;                 /* of the first event of a cut */
    int64_t memory_bytes;               /* of all events held, open and being sealed */
    unsigned workers, uploaders;        /* 0: as many as cores; 4 */
    bool once;                          /* up to the high watermarks at the start, seal, end */
    int64_t follow_ms;                  /* how often to look for what other archivers put; 0: never */
    int64_t discovery_ms;               /* how often to look for new hubs and partitions */
    int64_t headroom_warning_ms;        /* report when less is left */
    bool commit;                        /* courtesy commits */
    int64_t foreign_wait_ms;            /* how long an incomplete cut found in the store is left to its maker */
    int64_t retry_ms;                   /* pause before the second try of a put; it doubles up to 30 s. 0: 100 */
    int64_t patience_ms;                /* at the end: how long to go on trying to store the last cuts; they can be read again */
    int64_t give_up_ms;                 /* once: how long a source may be unreachable before the run fails */
    /* The class of an event; NULL: all are HV_CLASS_DEFAULT. The text lives as long as the archiver. Called by polling threads. */
    const char *(*classify)(void *arg, const hv_partition *partition, const hv_event *event);
    void *classify_arg;
    /* From any thread of the archiver, one call at a time; must not block. NULL: silence. */
    void (*report)(void *arg, const hv_archiver_report *report);
    void *report_arg;
} hv_archiver_config;

hv_rc hv_archiver_start(const hv_archiver_config *config, hv_archiver **ret, hv_err *err) HV_MUST_USE;

/* Ask for the end: no more polling, seal what is open, wait for the index. Any thread, not a signal handler. */
void hv_archiver_stop(hv_archiver *archiver);

/* Whether it has ended by itself (once, or a failure that concerns everything). */
bool hv_archiver_ended(hv_archiver *archiver);

typedef struct hv_archiver_totals {
    int64_t events, cuts, segments, adopted, gap_offsets;
    uint64_t bytes_in, bytes_stored;    /* keys and values; segments */
    int64_t hubs, partitions, stopped;
    int64_t behind;                     /* events between what is sealed and the last known high watermarks */
    int64_t memory_bytes, memory_limit; /* of all events held: now, and at most */
    int64_t assigned;                   /* partitions that are ours now, by a group or because all are */
    int64_t rebalances, lost;           /* of the groups; partitions that were lost */
    int64_t abandoned;                  /* cuts that were dropped from memory because their partition was taken or lost */
    int64_t followed_cuts, followed_segments;   /* of other archivers, indexed by following */
    int64_t follow_looks;               /* questions for the next lead of a followed partition */
} hv_archiver_totals;

void hv_archiver_totals_read(hv_archiver *archiver, hv_archiver_totals *ret);

/* What may be changed while it runs. What is not named keeps what it was: 0. Any thread. */
typedef struct hv_archiver_tuning {
    uint64_t max_bytes;
    int64_t max_age_ms, discovery_ms, headroom_warning_ms;
    int64_t memory_bytes;
} hv_archiver_tuning;

void hv_archiver_tune(hv_archiver *archiver, const hv_archiver_tuning *tuning);

/* Look for hubs and partitions now, not only when it is time. Any thread. */
void hv_archiver_discover(hv_archiver *archiver);

/* How long transactions of the index take. Lives as long as the archiver. */
const hv_histogram *hv_archiver_index_latency(const hv_archiver *archiver);

/* A thread that has begun something and shown no progress for so long. */
typedef struct hv_archiver_thread {
    char name[32];                      /* "uploader-2" */
    int64_t silent_ms;
} hv_archiver_thread;

/* How many threads have been silent for longer than `limit_ms`; the first `max` of them are named. */
size_t hv_archiver_stalled(const hv_archiver *archiver, int64_t limit_ms, hv_archiver_thread *ret, size_t max);

/* Wait for the end, free everything. HV_OK if all was sealed and no partition stopped; else the first failure. ret may be NULL. */
hv_rc hv_archiver_join(hv_archiver *archiver, hv_archiver_totals *ret, hv_err *err) HV_MUST_USE;

#endif
