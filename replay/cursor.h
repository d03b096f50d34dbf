/*
 * Cursor: an opaque text that says where a replay stopped and what was asked for, so that a later one goes on exactly there.
 *
 * "hv1." and base64 for URLs; docs/REPLAY.md "Cursors". It holds names of hubs and numbers, nothing of an event and no filter
 * (these may be personal data), only a hash that tells other filters apart.
 */
#ifndef HV_REPLAY_CURSOR_H
#define HV_REPLAY_CURSOR_H

#include "common/buf.h"
#include "common/partition.h"
#include "segment/header.h"

enum {
    HV_CURSOR_MAX_TEXT = 1 << 20,       /* longest cursor that is written or read */
    HV_CURSOR_MAX_HUBS = 10000,         /* also the most patterns */
    HV_CURSOR_DIGEST_SIZE = 8,
};

typedef struct hv_cursor_bound {
    bool set;
    int64_t value;
} hv_cursor_bound;

typedef struct hv_cursor_hub {
    char name[HV_HUB_SIZE];
    uint32_t incarnation;               /* the first one that is wanted */
} hv_cursor_hub;

/* Everything of this partition below `next` has been delivered, or does not match. */
typedef struct hv_cursor_position {
    size_t hub;                         /* in `hubs` */
    uint32_t incarnation;
    int32_t partition;
    int64_t next;
} hv_cursor_position;

typedef struct hv_cursor {
    char vault[HV_VAULT_ID_SIZE];
    bool by_time;                       /* the order */
    uint32_t incarnation;               /* as asked for, see replay.h */
    hv_cursor_bound from_offset, to_offset, from_time, to_time;
    unsigned char filters[HV_CURSOR_DIGEST_SIZE];
    char (*patterns)[HV_HUB_SIZE];      /* of hubs, as asked for */
    size_t pattern_count;
    hv_cursor_hub *hubs;                /* that were found */
    size_t hub_count;
    hv_cursor_position *positions;      /* ascending by hub, incarnation, partition */
    size_t position_count;
} hv_cursor;

/* Frees what it points to; accepts an empty one. */
void hv_cursor_clear(hv_cursor *cursor);
HV_DEFINE_AUTO_VALUE(hv_cursor, hv_cursor_clear);

/* Append the text. HV_LIMIT if it would be longer than allowed. */
hv_rc hv_cursor_write(const hv_cursor *cursor, hv_buf *to, hv_err *err) HV_MUST_USE;

/* HV_USAGE for anything that hv_cursor_write() did not make, HV_VERSION for a later form. Survives any bytes. Free with
 * hv_cursor_clear(). */
hv_rc hv_cursor_parse(hv_slice text, hv_cursor *ret, hv_err *err) HV_MUST_USE;

/* Next offset of a partition; `missing` if the cursor does not name it. The positions must ascend. */
int64_t hv_cursor_next(const hv_cursor *cursor, const hv_partition *partition, int64_t missing);

#endif
