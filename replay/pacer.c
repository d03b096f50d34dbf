/*
 * By rate, event n of a window is due n / rate seconds after the start of the window. Who falls behind by more than a second starts
 * a new window: lost time is not made up for by a burst, since the limit is there to protect the other side.
 *
 * By speed, an event is due when the one before was due, plus the distance of their timestamps divided by the speed. Distances
 * count from the greatest timestamp so far, so one that runs backwards waits for nothing and shifts nothing; a pause is never
 * longer than the cap, so an event of the year 9999 does not stop the replay. Distances may need 65 bits, hence doubles.
 */
#include "replay/pacer.h"

enum { BURST_MS = 1000 };

static double
due_by_rate(hv_pacer *pacer, double now_ms)
{
    double due = pacer->window_start_ms + (double)pacer->in_window * 1000.0 / (double)pacer->events_per_second;

    if (due < now_ms - BURST_MS) {
        pacer->window_start_ms = due = now_ms;
        pacer->in_window = 0;
    }
    pacer->in_window++;
    return due;
}

static double
due_by_speed(hv_pacer *pacer, int64_t timestamp_ms)
{
    if (timestamp_ms > pacer->last_timestamp_ms) {
        double pause = ((double)timestamp_ms - (double)pacer->last_timestamp_ms) / pacer->speed;
        pacer->due_ms += pause < (double)pacer->longest_pause_ms ? pause : (double)pacer->longest_pause_ms;
        pacer->last_timestamp_ms = timestamp_ms;
    }
    return pacer->due_ms;
}

int64_t
hv_pacer_wait_ms(hv_pacer *pacer, int64_t timestamp_ms, int64_t now_ms)
{
    double now = (double)now_ms, due = now;

    if (!pacer->started) {
        pacer->started = true;
        pacer->last_timestamp_ms = timestamp_ms;
        pacer->due_ms = pacer->window_start_ms = now;
    }
    if (pacer->events_per_second > 0) {
        double by_rate = due_by_rate(pacer, now);
        due = by_rate > due ? by_rate : due;
    }
    if (pacer->speed > 0) {
        double by_speed = due_by_speed(pacer, timestamp_ms);
        due = by_speed > due ? by_speed : due;
    }
    return (int64_t)(due - now);
}
