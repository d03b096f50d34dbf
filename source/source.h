/*
 * Where events come from: what every driver promises.
 *
 * A source is polled by one thread, which also calls assign, unassign and commit. The questions (hubs, watermarks, policy, time)
 * may be asked from any thread at any time and wait for the broker up to their timeout.
 *
 * Offsets never run backwards: after assign(offset) the partition delivers ascending offsets >= offset. An offset that was not
 * delivered is proven absent when a later one, or HV_SOURCE_END at a higher one, has come from the same assignment; a timeout or an
 * error proves nothing (capture protocol rule 10).
 */
#ifndef HV_SOURCE_SOURCE_H
#define HV_SOURCE_SOURCE_H

#include "common/event.h"
#include "common/partition.h"

typedef struct hv_source hv_source;

typedef enum hv_source_kind {
    HV_SOURCE_NOTHING,                  /* the time is over */
    HV_SOURCE_EVENT,
    HV_SOURCE_END,                      /* everything below `offset` that a reader may see has been delivered; more may come */
    HV_SOURCE_OUT_OF_RANGE,             /* the position lies outside the log: ask for the watermarks, then assign anew */
    HV_SOURCE_GONE,                     /* the hub or partition does not exist (any more). Nothing more comes, not even if it is
                                         * there again, because it might be another one: look who it is, then assign anew */
    HV_SOURCE_REFUSED,                  /* no right to read this hub, or wrong credentials: err says which */
    HV_SOURCE_TROUBLE,                  /* something else; the driver goes on trying by itself, err is for the log */
} hv_source_kind;

typedef struct hv_source_item {
    hv_source_kind kind;
    void *tag;                          /* as given to assign; NULL where the item is about no partition */
    uint64_t generation;                /* as given to assign: tells an item of an earlier assignment of the same partition */
    int64_t offset;                     /* HV_SOURCE_END: next offset to be read */
    hv_event event;                     /* HV_SOURCE_EVENT: borrowed until the next call of poll */
    hv_err err;                         /* from HV_SOURCE_OUT_OF_RANGE on; its code is, in the order above, HV_GAP, HV_NOT_FOUND,
                                         * HV_AUTH, and for trouble whatever fits best */
} hv_source_item;

typedef struct hv_source_assignment {
    const char *hub;
    int32_t partition;
    int64_t offset;
    void *tag;
    uint64_t generation;
} hv_source_assignment;

typedef struct hv_source_hub {
    char name[HV_HUB_SIZE];
    int32_t partitions;                 /* 0: named by the static list, but the source does not have it (yet) */
    char identity[128];                 /* differs when a hub is deleted and created again; empty where the source cannot tell */
} hv_source_hub;

typedef struct hv_source_watermarks {
    const char *hub;                    /* these two are given */
    int32_t partition;
    int64_t low, high;                  /* first offset still there; end of what a reader may see now, which is the offset that the
                                         * next event will get unless a transaction is open. Asked from the broker. */
    hv_rc rc;                           /* per partition: HV_OK, HV_NOT_FOUND, HV_AUTH, HV_UNAVAILABLE */
} hv_source_watermarks;

typedef enum hv_source_cleanup {
    HV_SOURCE_CLEANUP_UNKNOWN,          /* the source does not say */
    HV_SOURCE_CLEANUP_DELETE,           /* holes come from transactions only */
    HV_SOURCE_CLEANUP_COMPACT,          /* holes come from compaction, and from transactions */
} hv_source_cleanup;

typedef struct hv_source_hub_policy {
    hv_source_cleanup cleanup;
    int64_t retention_ms;               /* -1: unlimited or unknown */
} hv_source_hub_policy;

typedef struct hv_source_ops {
    const char *driver;

    /* Every hub this source may see and is configured for (globs, or the static list), without internal ones; free() *ret. */
    hv_rc (*hubs)(hv_source *source, int timeout_ms, hv_source_hub **ret, size_t *count, hv_err *err);

    /* Deliver these partitions from these offsets on. One that is assigned already is moved; what was fetched for its earlier
     * assignment is not delivered any more, except with the old generation. */
    hv_rc (*assign)(hv_source *source, const hv_source_assignment *assignments, size_t count, hv_err *err);
    /* Nothing happens to one that is not assigned. */
    hv_rc (*unassign)(hv_source *source, const char *hub, int32_t partition, hv_err *err);

    /* The next item, waiting up to timeout_ms. HV_OK with HV_SOURCE_NOTHING when the time is over. Other codes are final. */
    hv_rc (*poll)(hv_source *source, int timeout_ms, hv_source_item *ret, hv_err *err);

    /* Low and high of many partitions in few requests; the answer for each is in its rc. */
    hv_rc (*watermarks)(hv_source *source, hv_source_watermarks *asked, size_t count, int timeout_ms, hv_err *err);

    /* What the last fetch said, without asking anybody. False if nothing is known yet. High does regard open transactions here. */
    bool (*known_watermarks)(hv_source *source, const char *hub, int32_t partition, int64_t *low, int64_t *high);

    /* HV_OK with UNKNOWN and -1 where the source does not tell (Event Hubs has no DescribeConfigs). */
    hv_rc (*hub_policy)(hv_source *source, const char *hub, int timeout_ms, hv_source_hub_policy *ret, hv_err *err);

    /* Tell the broker's consumer group how far capture has come: a courtesy for lag dashboards, nothing depends on it. */
    void (*commit)(hv_source *source, const char *hub, int32_t partition, int64_t next_offset);

    /* Where this is, for messages: "kafka:127.0.0.1:9092". */
    const char *(*location)(const hv_source *source);
    void (*close)(hv_source *source);
} hv_source_ops;

struct hv_source {
    const hv_source_ops *ops;
};

/* Accepts NULL. */
static inline void
hv_source_close(hv_source *source)
{
    if (source != NULL)
        source->ops->close(source);
}
HV_DEFINE_AUTO(hv_source, hv_source_close);

#endif
