/*
 * Offset index: what the vault holds, by hub, incarnation, partition and offset. A cache on local disk: everything in it follows
 * from the segments in the store, and a rebuilt index equals the lost one.
 *
 * A cut becomes visible in one transaction with all its segments, blocks and gaps, and only when it is complete and durable in the
 * store. The position of a partition is the end of its last cut: a consequence of what is stored, not a number of its own.
 *
 * One hv_index per folder and process, opened after the last fork (rules of LMDB). Reading functions may be called from any thread
 * and never wait for a writer, but for the moment in which the map is enlarged; writing functions from one thread at a time.
 * Another process may read while one writes. Nothing returned points into LMDB. On a network file system it does not work.
 */
#ifndef HV_INDEX_INDEX_H
#define HV_INDEX_INDEX_H

#include "common/buf.h"
#include "common/partition.h"
#include "common/sha256.h"

typedef struct hv_index hv_index;

typedef struct hv_index_config {
    const char *dir;                    /* must exist, or HV_NOT_FOUND */
    uint64_t map_bytes;                 /* address space to begin with; it grows by itself when full */
    bool read_only;                     /* HV_NOT_FOUND if there is no index in dir */
    const char *vault;                  /* id of the vault; a new index takes it, an existing one must have it (HV_CORRUPT); NULL
                                           with read_only: not checked */
} hv_index_config;

/* HV_VERSION for an index of another layout, HV_CORRUPT for a damaged one: the message says to rebuild it. HV_NOT_FOUND as above.
 * Clears stale readers. */
hv_rc hv_index_open(const hv_index_config *config, hv_index **ret, hv_err *err) HV_MUST_USE;
void hv_index_close(hv_index *index);
HV_DEFINE_AUTO(hv_index, hv_index_close);

/* The vault id the index belongs to; lives as long as the handle. */
const char *hv_index_vault(const hv_index *index);

typedef struct hv_index_incarnation {
    char hub[250];
    uint32_t incarnation;
    int64_t created_ms;
    char cause[32], identity[128];      /* as in the record in the store */
} hv_index_incarnation;

typedef struct hv_index_block {
    uint64_t position;                  /* in the blob */
    uint32_t length;
    int64_t first_offset;
    int32_t count;
    int64_t min_timestamp_ms, max_timestamp_ms;
    unsigned char sha256[HV_SHA256_SIZE];
} hv_index_block;

typedef struct hv_index_segment {
    char class_name[HV_CLASS_SIZE];
    bool is_lead;
    uint8_t codec;                      /* hv_codec of segment/header.h */
    uint64_t size, data_start;          /* of the blob; where its first block begins */
    unsigned char sha256[HV_SHA256_SIZE];       /* of the whole blob */
    unsigned char merkle_root[HV_SHA256_SIZE];
    bool has_policy;
    unsigned char policy[HV_SHA256_SIZE];
    int64_t created_ms;
    int64_t count;
    int64_t min_timestamp_ms, max_timestamp_ms;         /* 0 if count is 0 */
    hv_gap *missing;                    /* promised offsets that this sibling could not be given */
    size_t missing_count;
    hv_index_block *blocks;
    size_t block_count;
} hv_index_segment;

/* A complete cut. Arrays belong to whoever made it; hv_index_cut_clear() frees those of a cut that the index returned. */
typedef struct hv_index_cut {
    hv_range range;
    hv_index_segment *segments;         /* the lead first, siblings in the order of class names */
    size_t segment_count;
    hv_gap *gaps;                       /* of the cut; what is missing in siblings is in the siblings */
    size_t gap_count;
} hv_index_cut;

void hv_index_cut_clear(hv_index_cut *cut);
HV_DEFINE_AUTO_VALUE(hv_index_cut, hv_index_cut_clear);

/* ---- writing ---- */

/* Equal facts again are HV_OK; other facts for the same incarnation are HV_CORRUPT. */
hv_rc hv_index_add_incarnation(hv_index *index, const hv_index_incarnation *incarnation, hv_err *err) HV_MUST_USE;
/* The same for several, all or none of them. */
hv_rc hv_index_add_incarnations(hv_index *index, const hv_index_incarnation *incarnations, size_t count, hv_err *err) HV_MUST_USE;

typedef struct hv_index_addition {
    const hv_partition *partition;
    const hv_index_cut *cut;
} hv_index_addition;

/*
 * Record cuts that are complete and durable, all in one durable transaction. Each cut must begin at the position of its partition
 * (0 for a partition never seen). A cut that lies wholly below the position and equals what is recorded changes nothing. HV_CORRUPT
 * for one that overlaps, leaves a hole or differs, naming both: nothing of the call is recorded then. The same for a cut that is
 * not complete in itself: events of all segments, gaps and missing together must be as many as its range is long. HV_LIMIT: the
 * disk or the address space is full; nothing is recorded, and the same call may be repeated when there is room. After HV_IO the
 * cuts may be recorded or not, all or none; repeating the same call is right in both cases. Everything of one call is kept in
 * memory until it is written: some hundred cuts are a good number, and HV_LIMIT meets far too many.
 */
hv_rc hv_index_add(hv_index *index, const hv_index_addition *additions, size_t count, hv_err *err) HV_MUST_USE;

/* ---- reading ---- */

/* End of the last cut; 0 for a partition never seen. */
hv_rc hv_index_position(hv_index *index, const hv_partition *partition, int64_t *ret, hv_err *err) HV_MUST_USE;

/* All incarnations, by hub and number; free() *ret. */
hv_rc hv_index_incarnations(hv_index *index, hv_index_incarnation **ret, size_t *count, hv_err *err) HV_MUST_USE;

typedef struct hv_index_partition_facts {
    hv_partition partition;
    hv_range range;                     /* from the first cut that is there to the position */
    int64_t cuts, segments, count;      /* events */
    uint64_t bytes;                     /* stored */
    int64_t gap_offsets;                /* offsets without an event, gaps and missing together */
    int64_t min_timestamp_ms, max_timestamp_ms;         /* 0 if count is 0 */
    int64_t last_created_ms;            /* newest segment */
} hv_index_partition_facts;

/* Every partition that has a cut, ordered as hv_partition_compare(); kept up to date by hv_index_add(), so this does not scan cuts.
 * hub NULL: of all hubs. free() *ret. */
hv_rc hv_index_partitions(hv_index *index, const char *hub, hv_index_partition_facts **ret, size_t *count, hv_err *err) HV_MUST_USE;

/* The cut that contains offset, or the first one behind it. HV_NOT_FOUND if capture has not come that far. */
hv_rc hv_index_find_offset(hv_index *index, const hv_partition *partition, int64_t offset, hv_index_cut *ret,
                           hv_err *err) HV_MUST_USE;

/*
 * The first cut at or behind offset `from` (as above) with a segment whose timestamps overlap [time_from, time_to); a time_to of
 * INT64_MAX is no end. Calling it again with from = end of that cut finds all of them, in order of offset, right with timestamps in
 * any order; cuts in between that cannot match are skipped without being read one by one. HV_NOT_FOUND when there is no further
 * one.
 */
hv_rc hv_index_find_time(hv_index *index, const hv_partition *partition, int64_t from, int64_t time_from, int64_t time_to,
                         hv_index_cut *ret, hv_err *err) HV_MUST_USE;

typedef struct hv_index_gap {
    hv_partition partition;
    hv_gap gap;
} hv_index_gap;

/* Gaps and missing offsets, ordered; of one partition (hub and partition given), or of all (NULL). At most max, beginning behind
 * `after` (NULL: from the start). free() *ret. */
hv_rc hv_index_gaps(hv_index *index, const hv_partition *partition, const hv_index_gap *after, size_t max, hv_index_gap **ret,
                    size_t *count, hv_err *err) HV_MUST_USE;

/* ---- care ---- */

typedef struct hv_index_stats {
    uint64_t file_bytes, map_bytes;
    int64_t cuts, segments, entries;
    int readers;                        /* read transactions open now, of all processes, dead ones too */
} hv_index_stats;

hv_rc hv_index_stats_read(hv_index *index, hv_index_stats *ret, hv_err *err) HV_MUST_USE;

/* Frees the slots of readers that died; how many. Call it now and then: a dead reader keeps old pages from being reused. */
hv_rc hv_index_check_readers(hv_index *index, int *ret, hv_err *err) HV_MUST_USE;

/* What hv_index_find_time() would be misled by. */
typedef struct hv_index_times_fault {
    bool found;
    hv_range range;                     /* offsets of the cuts that are summed up wrongly */
    bool expected, there;               /* whether there has to be an entry, and is one; both false: there are entries too many */
    int64_t min_ms, max_ms, stored_min_ms, stored_max_ms;       /* min > max: of cuts without events */
} hv_index_times_fault;

/* Compare all that lookups by time go through with the cuts of the partition; the first fault. One read transaction. */
hv_rc hv_index_check_times(hv_index *index, const hv_partition *partition, hv_index_times_fault *ret, hv_err *err) HV_MUST_USE;

/* Whether there is an index in dir, whatever its state. */
bool hv_index_exists(const char *dir);

/*
 * Put the index in the folder `with` into `dir`, in the place of whatever index is there: none, a damaged one, one of another
 * vault. Both folders are on one file system, and nobody else writes to either. HV_OK: durable, and `with` is gone. HV_BUSY:
 * somebody has one of them open, and nothing has changed; a process that opens the index meanwhile waits, and gets the new one.
 * HV_NOT_FOUND: no index in `with`. After a crash, or HV_IO, `dir` has the one or the other.
 */
hv_rc hv_index_replace(const char *dir, const char *with, hv_err *err) HV_MUST_USE;

/* Remove an index that nobody has open, and its folder if nothing else is in it. HV_OK if there is none. */
hv_rc hv_index_discard(const char *dir, hv_err *err) HV_MUST_USE;

/* One line per fact, hubs by name, for comparing two indexes: they print equal text if and only if they hold the same, in whatever
 * order it was recorded. Writes through put(), which must not call the index: all lines come out of one read transaction. */
hv_rc hv_index_dump(hv_index *index, void (*put)(void *arg, const char *line), void *arg, hv_err *err) HV_MUST_USE;

#endif
