/*
 * From a request and the index to what has to be read: partitions, and per partition the blocks that can hold wanted events.
 */
#ifndef HV_REPLAY_REPLAY_PLAN_H
#define HV_REPLAY_REPLAY_PLAN_H

#include "replay/replay.h"

/* One partition of a replay. Wanted are offsets from `from` to before `end`; everything below `next` is done. */
typedef struct hv_replay_part {
    hv_partition partition;
    int64_t from, end, next;
    int64_t position;                   /* of capture, when it was looked up */
    bool empty;                         /* there is no event in any of its segments */
    hv_range seen;                      /* from the first to the last cut that was read for it; empty: none yet */
} hv_replay_part;

/* Timestamps that are wanted, on both ends included: so that every value can be asked for. */
typedef struct hv_time_window {
    bool limited;                       /* false: all */
    int64_t first, last;
} hv_time_window;

static inline bool
hv_time_window_has(const hv_time_window *window, int64_t timestamp_ms)
{
    return !window->limited || (timestamp_ms >= window->first && timestamp_ms <= window->last);
}

/* A request after defaults, cursor and checks. Owns its arrays. */
typedef struct hv_replay_selection {
    char (*patterns)[HV_HUB_SIZE];
    size_t pattern_count;
    uint32_t incarnation;
    int32_t *numbers;                   /* of partitions; none: all */
    size_t number_count;
    hv_cursor_bound from_offset, to_offset, from_time, to_time;
    hv_replay_order order;
    unsigned char filters[HV_CURSOR_DIGEST_SIZE];
    hv_time_window window;
    hv_cursor_hub *hubs;                /* that the vault has and that match, by name */
    size_t hub_count;
    hv_replay_part *parts;              /* in the order of hv_partition_compare() */
    size_t part_count;
} hv_replay_selection;

void hv_replay_selection_clear(hv_replay_selection *selection);
HV_DEFINE_AUTO_VALUE(hv_replay_selection, hv_replay_selection_clear);

hv_rc hv_replay_select(hv_index *index, const char *vault, const hv_replay_request *request, hv_replay_selection *ret,
                       hv_err *err) HV_MUST_USE;

/* The part of a partition, made if there is none; its hub is added if it is new. The parts stay sorted, so later ones may move:
 * *ret is the index, *added says whether it is a new one. HV_NOMEM. */
hv_rc hv_replay_selection_need(hv_replay_selection *selection, const hv_partition *partition, size_t *ret, bool *added,
                               hv_err *err) HV_MUST_USE;

bool hv_replay_selects_hub(const hv_replay_selection *selection, const char *hub);
bool hv_replay_selects_number(const hv_replay_selection *selection, int32_t number);

/* The next cut of the part at or behind `at` that can hold something wanted; HV_NOT_FOUND if there is none before part->end. */
hv_rc hv_replay_next_cut(hv_index *index, const hv_replay_part *part, const hv_time_window *window, int64_t at, hv_index_cut *ret,
                         hv_err *err) HV_MUST_USE;

/* Whether block `i` of a segment of this cut can hold something wanted. */
bool hv_replay_wants_block(const hv_replay_part *part, const hv_time_window *window, const hv_index_cut *cut,
                           const hv_index_segment *segment, size_t i);

/* How many blocks from `first` on are wanted and fit one ranged get of about max_bytes; 1 or more if `first` is wanted, else 0. */
size_t hv_replay_run_length(const hv_replay_part *part, const hv_time_window *window, const hv_index_cut *cut,
                            const hv_index_segment *segment, size_t first, size_t max_bytes);

enum { HV_REPLAY_RUN_BLOCKS = 64 };     /* most blocks of one run */

/* Declared gaps of the partition inside of `range`. */
hv_rc hv_replay_count_gaps(hv_index *index, const hv_partition *partition, hv_range range, int64_t *gaps, int64_t *offsets,
                           hv_err *err) HV_MUST_USE;

/* Adds what one part would cost; events as far as the index can tell. */
hv_rc hv_replay_forecast_part(hv_index *index, const hv_replay_part *part, const hv_time_window *window, size_t run_bytes,
                              bool filtered, hv_replay_forecast *sum, hv_err *err) HV_MUST_USE;

#endif
