/*
 * Which offset each replayed event got in its topic: a file beside a replay into Kafka. docs/REPLAY.md "Offsets, old and new".
 *
 * Crash-safe: what a transaction adds is durable in the file before the transaction is committed, and a run that goes on drops whatever the
 * target does not count as committed. So below the committed positions the file is complete and exact, whatever died when.
 */
#ifndef HV_REPLAY_OFFSET_MAP_H
#define HV_REPLAY_OFFSET_MAP_H

#include "common/buf.h"
#include "common/partition.h"
#include "segment/header.h"

typedef struct hv_offset_map hv_offset_map;

enum { HV_OFFSET_MAP_REQUEST_SIZE = 8, HV_OFFSET_MAP_ID_SIZE = 128 };

/* Whose map it is. */
typedef struct hv_offset_map_head {
    char vault[HV_VAULT_ID_SIZE];
    char id[HV_OFFSET_MAP_ID_SIZE];     /* of the replay */
    unsigned char request[HV_OFFSET_MAP_REQUEST_SIZE];
    bool finished;                      /* everything that was asked for is in the target and here; read only */
} hv_offset_map_head;

/* One partition that is replayed, and where to. */
typedef struct hv_mapped_source {
    hv_partition from;
    char topic[HV_HUB_SIZE];
    int32_t to;
    int64_t first;                      /* what is asked for begins here */
    int64_t begin;                      /* end of the target partition before the first event of this replay */
} hv_mapped_source;

/* ---- writing, by the sink; one thread ---- */

/* The file is made if there is none, and locked. HV_BUSY: another replay writes it. HV_IO. Nothing is read or written yet. */
hv_rc hv_offset_map_open(const char *path, hv_offset_map **ret, hv_err *err) HV_MUST_USE;
/* Accepts NULL. */
void hv_offset_map_close(hv_offset_map *map);
HV_DEFINE_AUTO(hv_offset_map, hv_offset_map_close);

/*
 * Begin, or go on: what lies at or above next[i] of sources[i] is dropped; `begin` of a source that the file knows already stays what it was.
 * The order of sources gives their numbers. `sent_before` is how many events earlier runs committed; if `exact`, the file must hold
 * that many. HV_USAGE: it is the map of another replay, or does not hold all that was sent before. HV_CORRUPT, HV_IO.
 */
hv_rc hv_offset_map_begin(hv_offset_map *map, const hv_offset_map_head *head, const hv_mapped_source *sources, const int64_t *next,
                          size_t count, int64_t sent_before, bool exact, hv_err *err) HV_MUST_USE;

/* A source that joined later. */
hv_rc hv_offset_map_add_source(hv_offset_map *map, const hv_mapped_source *source, hv_err *err) HV_MUST_USE;
/* Its number; HV_NOT_FOUND. */
hv_rc hv_offset_map_find_source(hv_offset_map *map, const hv_partition *from, uint32_t *ret, hv_err *err) HV_MUST_USE;

/* Remember one event; of one source, ascending. */
hv_rc hv_offset_map_add(hv_offset_map *map, uint32_t source, int64_t old_offset, int64_t new_offset, hv_err *err) HV_MUST_USE;
/* What was remembered is durable. */
hv_rc hv_offset_map_write(hv_offset_map *map, hv_err *err) HV_MUST_USE;
/* Everything is there; only close may follow. */
hv_rc hv_offset_map_finish(hv_offset_map *map, hv_err *err) HV_MUST_USE;

/* ---- reading ---- */

typedef struct hv_offset_map_visitor {
    void *arg;
    /* Sources come numbered from 0, each before its runs. */
    hv_rc (*source)(void *arg, uint32_t number, const hv_mapped_source *source, hv_err *err);
    /* Events old_first .. old_first + count - 1 got new_first .. new_first + count - 1. Of one source, ascending. */
    hv_rc (*run)(void *arg, uint32_t source, int64_t old_first, int64_t new_first, int64_t count, hv_err *err);
} hv_offset_map_visitor;

/*
 * From begin to end; what a function of the visitor returns other than HV_OK ends the walk and is returned. A last line that a crash cut off
 * is passed over. HV_NOT_FOUND: no such file. HV_CORRUPT: not such a file, or damaged. HV_VERSION. Survives any bytes.
 */
hv_rc hv_offset_map_walk(const char *path, const hv_offset_map_visitor *visitor, hv_offset_map_head *ret, hv_err *err) HV_MUST_USE;

/* Only whose it is; `finished` is not looked for. Codes as above. */
hv_rc hv_offset_map_read_head(const char *path, hv_offset_map_head *ret, hv_err *err) HV_MUST_USE;

#endif
