/*
 * Where replayed events go: what every sink promises.
 *
 * A sink is made by a function of sinks.h, used by one thread, and gets: begin once; event, flush any number of times; end once,
 * unless something failed; close. After a failure only close may follow. What end or flush has answered with HV_OK is with the
 * other side: lost output is a failure, never silence.
 */
#ifndef HV_REPLAY_SINK_H
#define HV_REPLAY_SINK_H

#include "common/event.h"
#include "common/partition.h"

typedef struct hv_sink hv_sink;

/* One partition that is going to be replayed. */
typedef struct hv_sink_source {
    hv_partition partition;
    int64_t next;                       /* first offset that will come; a sink that remembers an earlier run raises it in begin */
    int64_t end;                        /* of what is asked from the archive; next == end: nothing */
    bool empty;                         /* the archive has no event of it at all */
} hv_sink_source;

typedef struct hv_sink_start {
    const char *vault;
    const unsigned char *request;       /* 8 bytes that differ when something else is asked for */
    bool live;                          /* the live hub follows behind the archive; further partitions may come with it */
    hv_sink_source *sources;
    size_t source_count;
    int64_t sent_before;                /* set by a sink that remembers: events that earlier runs sent */
} hv_sink_start;

typedef struct hv_sink_facts {
    int64_t events;                     /* taken */
    int64_t skipped_nulls;              /* events without a value that a sink for values alone had to leave out */
    uint64_t bytes;                     /* written, where the sink knows */
} hv_sink_facts;

typedef struct hv_sink_ops {
    const char *name;
    hv_rc (*begin)(hv_sink *sink, hv_sink_start *start, hv_err *err);

    /* The event and the partition are borrowed for the call. Offsets of one partition ascend. */
    hv_rc (*event)(hv_sink *sink, const hv_partition *from, const hv_event *event, hv_err *err);

    /* On HV_OK everything taken so far is with the other side. */
    hv_rc (*flush)(hv_sink *sink, hv_err *err);

    /* Nothing more will come: flush, and close what has a closed form. */
    hv_rc (*end)(hv_sink *sink, hv_err *err);

    void (*close)(hv_sink *sink);
} hv_sink_ops;

struct hv_sink {
    const hv_sink_ops *ops;
    hv_sink_facts facts;
};

/* Accepts NULL. */
static inline void
hv_sink_close(hv_sink *sink)
{
    if (sink != NULL)
        sink->ops->close(sink);
}
HV_DEFINE_AUTO(hv_sink, hv_sink_close);

#endif
