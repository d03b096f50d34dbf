/*
 * When the next event may go out: at most so many per second, or as far apart as the timestamps are.
 *
 * Pure arithmetic; the caller has the clock and does the waiting.
 */
#ifndef HV_REPLAY_PACER_H
#define HV_REPLAY_PACER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct hv_pacer {
    int64_t events_per_second;          /* 0: no limit */
    double speed;                       /* 0: no pacing */
    int64_t longest_pause_ms;
    bool started;
    int64_t last_timestamp_ms;          /* the greatest so far */
    double due_ms;                      /* by speed: when the event before was due */
    double window_start_ms;             /* by rate: `in_window` events went out since */
    int64_t in_window;
} hv_pacer;

/* How long to wait before an event of this timestamp goes out; 0 or less: not at all. Call it once per event. */
int64_t hv_pacer_wait_ms(hv_pacer *pacer, int64_t timestamp_ms, int64_t now_ms);

#endif
