/*
 * What a running replay knows; shared by replay.c and replay_follow.c and seen by nobody else.
 */
#ifndef HV_REPLAY_REPLAY_STATE_H
#define HV_REPLAY_REPLAY_STATE_H

#include "replay/pacer.h"
#include "replay/replay_merge.h"

struct hv_replay {
    hv_replay_config config;
    hv_replay_request request;          /* its pointers are not used, but for the filter */
    char vault[HV_VAULT_ID_SIZE];
    hv_replay_selection selection;
    hv_fetcher *fetcher;
    hv_pacer pacer;
    hv_replay_facts facts;
    unsigned char request_hash[HV_CURSOR_DIGEST_SIZE];
    int64_t last_progress_ms, done_before;
    bool ran, at_limit;
    bool sink_failed;                   /* only its close may follow */
    bool unflushed;                     /* something was delivered since the sink was flushed last, at flushed_ms */
    int64_t flushed_ms;
    hv_buf scratch;                     /* of the filter, for live events */
};

/* Whether it is time to stop: by the observer, or because of the limit. Reports progress when that is due. */
bool hv_replay_must_stop(hv_replay *replay);

/* Everything that was delivered is with the other side. */
hv_rc hv_replay_flush(hv_replay *replay, hv_sink *sink, hv_err *err);

/* Pace, hand to the sink, count. *stopped: told to stop while waiting; the event did not go out. */
hv_rc hv_replay_deliver(hv_replay *replay, hv_sink *sink, hv_replay_part *part, const hv_event *event, bool *stopped, hv_err *err);

/* Deliver what is wanted of these parts from the archive. HV_OK also when stopped. */
hv_rc hv_replay_run_parts(hv_replay *replay, hv_replay_part *parts, size_t count, hv_sink *sink, hv_err *err);

/* The run of the archive, without the end of the sink. */
hv_rc hv_replay_run_archive(hv_replay *replay, hv_sink *sink, hv_err *err);

/* End the sink, or after a failure on our side try to flush it, so that everything before the failure is out. Returns what the
 * replay has to return. */
hv_rc hv_replay_finish(hv_replay *replay, hv_sink *sink, hv_rc rc, hv_err *err);

/* Wait, in slices, and stop waiting when told to. False: stopped. */
bool hv_replay_sleep(hv_replay *replay, int64_t ms);

#endif
