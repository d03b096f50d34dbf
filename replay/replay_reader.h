/*
 * The wanted events of some partitions, one after the other, in order of offset, read ahead and verified.
 */
#ifndef HV_REPLAY_REPLAY_READER_H
#define HV_REPLAY_REPLAY_READER_H

#include "replay/fetcher.h"
#include "replay/replay_plan.h"

typedef struct hv_stream hv_stream;

typedef struct hv_stream_config {
    hv_index *index;
    hv_fetcher *fetcher;
    const hv_time_window *window;
    const hv_event_filter *filter;
    hv_replay_part *parts;              /* borrowed; `next` and `seen` are kept up to date */
    size_t part_count;
    size_t run_bytes;
    size_t runs_ahead;                  /* most runs lent to the fetcher at once; 1 or more */
    bool skip_damaged;
    hv_replay_facts *facts;             /* borrowed; what is read is added */
    void *arg;
    bool (*tick)(void *arg);            /* called once per block; false: stop */
    void (*damaged)(void *arg, const char *message);    /* a block is skipped */
} hv_stream_config;

hv_rc hv_stream_new(const hv_stream_config *config, hv_stream **ret, hv_err *err) HV_MUST_USE;
void hv_stream_free(hv_stream *stream);
HV_DEFINE_AUTO(hv_stream, hv_stream_free);

/* Begin to read ahead without waiting. */
hv_rc hv_stream_prime(hv_stream *stream, hv_err *err) HV_MUST_USE;

/*
 * The next event and its part; borrowed until the next call. part->next is then the offset of this event: whoever delivers it moves
 * it on, at the latest the next call does. HV_NOT_FOUND: there is no further one, and `next` of all parts is their end. HV_CLOSED:
 * stopped by tick. HV_CORRUPT, naming segment and position. After a failure only free may follow.
 */
hv_rc hv_stream_next(hv_stream *stream, hv_replay_part **part, hv_event *ret, hv_err *err) HV_MUST_USE;

#endif
