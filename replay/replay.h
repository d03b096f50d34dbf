/*
 * Replay: any stretch of what the vault holds, exactly as it went in, into a sink; and one event for eyes.
 *
 * A replay sees the vault as it is when it is opened: what capture adds meanwhile comes with the next one, or with
 * hv_replay_follow(). The same request on the same vault yields the same events in the same order.
 *
 * Used by one thread, which also calls the observer; a replay starts threads of its own for reading ahead.
 */
#ifndef HV_REPLAY_REPLAY_H
#define HV_REPLAY_REPLAY_H

#include "index/index.h"
#include "replay/cursor.h"
#include "replay/replay_filter.h"
#include "replay/sink.h"
#include "source/source.h"
#include "storage/storage.h"

typedef struct hv_replay hv_replay;

typedef enum hv_replay_order {
    HV_REPLAY_ORDER_DEFAULT,            /* that of the cursor, else by offset */
    HV_REPLAY_BY_OFFSET,                /* hub after hub (names as bytes), incarnation, partition, offset */
    HV_REPLAY_BY_TIME,
                         /* all partitions merged by timestamp, hub, incarnation, partition; inside of one by offset */
} hv_replay_order;

enum {
    HV_REPLAY_NEWEST = 0,               /* only the latest incarnation of each hub */
    HV_REPLAY_MAX_HUBS = HV_CURSOR_MAX_HUBS,
};
#define HV_REPLAY_ALL_INCARNATIONS UINT32_MAX

/* Half-open: from is included, to is not. */
typedef struct hv_replay_request {
    const char *const *hubs;            /* names or globs; at least one unless there is a cursor */
    size_t hub_count;
    uint32_t incarnation;               /* NEWEST, ALL, or a number */
    const int32_t *partitions;          /* none: all */
    size_t partition_count;
    hv_cursor_bound from_offset, to_offset;     /* in each partition */
    hv_cursor_bound from_time, to_time;         /* milliseconds; an event matches by its own timestamp */
    hv_slice cursor;                    /* null: from the start of the range. With one, hubs, incarnation, bounds and order may be
                                           left out; what is given must be what the cursor was made for. Partitions and filters
                                           must be given again. */
    hv_replay_order order;
    hv_event_filter filter;
    int64_t limit;                      /* of delivered events; 0: none */
    bool follow;                        /* for hv_replay_follow(): no upper bounds; hubs and partitions may not be known yet */
    bool skip_damaged;                  /* go on behind a damaged block instead of stopping there */
    int64_t events_per_second;          /* 0: as fast as possible */
    double speed;                       /* 1: as far apart as their timestamps are; 10: ten times faster; 0: as fast as possible */
    int64_t longest_pause_ms;           /* cuts pauses that `speed` asks for; 0: HV_REPLAY_LONGEST_PAUSE_MS */
} hv_replay_request;

enum { HV_REPLAY_LONGEST_PAUSE_MS = 60000 };

typedef struct hv_replay_facts {
    int64_t partitions;                 /* that the request selects */
    int64_t events_read;                /* in the range, before filters */
    int64_t events_sent;                /* to the sink */
    int64_t live_events;                /* of these, from the live hub */
    int64_t sent_before;                /* by earlier runs that this one goes on from, as the sink remembers */
    uint64_t bytes_read;                /* stored bytes fetched */
    int64_t blocks, segments;           /* read */
    int64_t gaps, gap_offsets;          /* declared gaps that the replay went over, and how many offsets they are */
    int64_t damaged_blocks, damaged_events;     /* skipped: how many events these blocks held by the index */
    int64_t lost_offsets;               /* while following: expired before they were archived or read */
    int64_t uncaptured;                 /* partitions where capture has not come to the end of the range that was asked for */
    int64_t done, total;                /* offsets, for a progress bar */
    bool flushed;                       /* what was sent has arrived: the cursor may be used */
    bool finished;                      /* everything that was asked for was delivered: not stopped, no limit, no failure */
} hv_replay_facts;

/* All may be NULL. Called in the thread that runs the replay. */
typedef struct hv_replay_observer {
    void *arg;
    bool (*stopped)(void *arg);         /* true: stop at the next event; asked often */
    void (*progress)(void *arg, const hv_replay_facts *facts);      /* about four times a second */
    void (*damaged)(void *arg, const char *message);    /* a block was skipped; names segment and position */
    void (*lost)(void *arg, const hv_partition *partition, const hv_gap *gap);  /* while following: these can no longer be had */
} hv_replay_observer;

typedef struct hv_replay_config {       /* handles are borrowed and must outlive the replay */
    hv_index *index;
    hv_storage *storage;
    const char *vault;
    hv_replay_observer observer;
    unsigned threads;                   /* for reading and unpacking ahead; 0: none, everything in the caller's thread */
    size_t memory_bytes;                /* for blocks read ahead; 0: 64 MiB. A merge holds at least one block per partition */
    size_t run_bytes;                   /* stored bytes fetched with one request; 0: 1 MiB */
    int64_t patience_ms;                /* while following: wait so long for the archiver before offsets count as lost; 0: 30 s */
    int64_t discovery_ms;               /* while following: between two looks for new hubs and partitions; 0: 30 s */
    int64_t (*now_ms)(void);            /* NULL: hv_clock_boot_ms; for tests */
    void (*sleep_ms)(int64_t ms);       /* NULL: sleeps; for tests */
} hv_replay_config;

/*
 * The filter, with all that it points to, must outlive the replay; everything else in the request is copied.
 *
 * HV_USAGE: a request that makes no sense, or a cursor that does not belong to it or to this vault. HV_NOT_FOUND: a hub,
 * incarnation or partition that the vault does not have.
 */
hv_rc hv_replay_open(const hv_replay_config *config, const hv_replay_request *request, hv_replay **ret, hv_err *err) HV_MUST_USE;
void hv_replay_close(hv_replay *replay);
HV_DEFINE_AUTO(hv_replay, hv_replay_close);

/* Hubs that the request selects, by name; partition numbers below *partitions. */
size_t hv_replay_hub_count(const hv_replay *replay);
const char *hv_replay_hub(const hv_replay *replay, size_t at, int32_t *partitions);
/* The time before which all wanted events are; false: there is no such bound. */
bool hv_replay_time_end(const hv_replay *replay, int64_t *ret);

/* What hv_replay_run() would read and send; reads the index only. */
typedef struct hv_replay_forecast {
    int64_t partitions, segments, blocks, gets;
    uint64_t bytes;                     /* stored, to be read */
    int64_t events_min, events_max;     /* to be sent; equal where the index knows exactly */
    int64_t gaps, gap_offsets;
} hv_replay_forecast;

hv_rc hv_replay_dry_run(hv_replay *replay, hv_replay_forecast *ret, hv_err *err) HV_MUST_USE;

/*
 * Deliver what was asked for; once per replay. HV_OK also when it was stopped or came to its limit. HV_CORRUPT, naming segment and
 * position, where the archive is damaged: all events before were delivered. Whatever the code, facts and cursor say how far it
 * came.
 */
hv_rc hv_replay_run(hv_replay *replay, hv_sink *sink, hv_err *err) HV_MUST_USE;

/*
 * hv_replay_run(), and then go on with the live hubs at exactly the next offset of each partition until stopped or at the limit.
 * New partitions, hubs that fit the globs and new incarnations join in as soon as an archiver has begun to capture them. An event
 * that the hub no longer has is looked for in the archive again, and is reported as lost only if that has not got it within the
 * patience. The index may grow meanwhile. A hub belongs to the first source that lists it. The request must say `follow`.
 *
 * HV_GAP: a hub ends before the next offset (somebody truncated it), or was re-created and nobody captures it. HV_NOT_FOUND: nobody
 * captures a hub that was named. HV_AUTH: the source refuses to read a hub.
 */
hv_rc hv_replay_follow(hv_replay *replay, hv_source *const *sources, size_t source_count, hv_sink *sink, hv_err *err) HV_MUST_USE;

const hv_replay_facts *hv_replay_facts_of(const hv_replay *replay);

/* Append the cursor: everything that the sink took lies before it, and nothing else. Use it only if facts say `flushed`. */
hv_rc hv_replay_cursor(const hv_replay *replay, hv_buf *to, hv_err *err) HV_MUST_USE;

/* ---- one event ---- */

typedef enum hv_show_kind {
    HV_SHOW_EVENT,
    HV_SHOW_GAP,                        /* the vault knows that there is no event, and why */
    HV_SHOW_NOT_CAPTURED,               /* capture has not come that far; `position` says how far */
} hv_show_kind;

typedef struct hv_show {
    hv_show_kind kind;
    hv_partition partition;             /* with its incarnation */
    int64_t position;
    hv_gap gap;
    char segment[HV_STORAGE_NAME_SIZE]; /* of an event, or the lead that declares the gap */
    unsigned char segment_sha256[HV_SHA256_SIZE];
    char class_name[HV_CLASS_SIZE];
    uint64_t block_position;            /* in the blob */
    uint32_t block_length;
    hv_event event;                     /* borrows from the hv_show */
    hv_buf bytes;
    hv_header *headers;
} hv_show;

void hv_show_clear(hv_show *show);
HV_DEFINE_AUTO_VALUE(hv_show, hv_show_clear);

/* Incarnation 0 in `partition` means the newest. HV_NOT_FOUND: no such hub, incarnation or partition was ever captured. HV_CORRUPT
 * as above. */
hv_rc hv_replay_show(hv_index *index, hv_storage *storage, const hv_partition *partition, int64_t offset, hv_show *ret,
                     hv_err *err) HV_MUST_USE;

#endif
