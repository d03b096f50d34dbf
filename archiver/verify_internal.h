/* What the files of verification share. */
#ifndef HV_ARCHIVER_VERIFY_INTERNAL_H
#define HV_ARCHIVER_VERIFY_INTERNAL_H

#include "archiver/ordered_work.h"
#include "archiver/vault_walk.h"
#include "archiver/verify.h"

/* ---- reading and checking what lies in the store, in any thread ---- */

/* What one thread needs. */
typedef struct hv_verify_tools {
    const hv_verify_config *config;
    hv_block_coder *coder;
    hv_sha256_run *hash;
    hv_buf window, raw;                 /* bytes as stored, events of one block */
    hv_event_reader reader;
} hv_verify_tools;

hv_rc hv_verify_tools_new(const hv_verify_config *config, void **ret, hv_err *err) HV_MUST_USE;
void hv_verify_tools_free(void *tools);

/* How much was read. */
typedef struct hv_verify_counts {
    int64_t segments, blocks, events, unhashed;
    uint64_t bytes;
} hv_verify_counts;

/* What came of one segment. */
typedef struct hv_verified_segment {
    bool usable;                        /* its front was read, and belongs where it was found */
    bool hash_known;                    /* sha256 is that of the blob as far as was checked, and no fault of its bytes was told */
    hv_segment_front front;
    unsigned char sha256[HV_SHA256_SIZE];
} hv_verified_segment;

void hv_verified_segment_clear(hv_verified_segment *segment);
HV_DEFINE_AUTO_VALUE(hv_verified_segment, hv_verified_segment_clear);

/* Everything that can be said of one segment without others. *ret is written on HV_OK, which it is with findings, too. */
hv_rc hv_verify_segment(hv_verify_tools *tools, const hv_partition *partition, const char *name, hv_findings *findings,
                        hv_verify_counts *counts, hv_verified_segment *ret, hv_err *err) HV_MUST_USE;

/* Where a block stands, for findings about it. */
typedef struct hv_verify_place {
    const hv_partition *partition;
    const char *name;
    hv_findings *findings;
} hv_verify_place;

/* Walks through the offsets that a segment has to hold. */
typedef struct hv_own_walk {
    const hv_range *own;
    size_t count, range;
    int64_t into;                       /* offsets of own[range] that lie behind us */
} hv_own_walk;

/* One stored block: hash, frame, decompression, every event. The walk stands at its first offset and is moved behind its last one. */
hv_rc hv_verify_block(hv_verify_tools *tools, const hv_verify_place *place, const hv_segment_front *front, size_t block,
                      hv_slice stored, hv_own_walk *walk, hv_err *err) HV_MUST_USE;

/* What came of one cut, of one record, or of a name as such. */
typedef struct hv_verify_item {
    enum { HV_VERIFY_CUT, HV_VERIFY_INCARNATION, HV_VERIFY_SNAPSHOT, HV_VERIFY_TOLD } kind;    /* TOLD: nothing to check, only findings */
    hv_walked_cut walked;               /* of a record: hub and incarnation in `partition` */
    hv_findings findings;
    hv_verify_counts counts;

    /* of a cut */
    bool is_there;                      /* false: no segment of it is, only foreign names */
    hv_findings lacking;                /* promised segments that are not there: faults unless this is the last cut */
    bool has_range;
    hv_range range;
    bool whole;                         /* all of its segments are there and usable: facts can be compared */
    hv_index_cut facts;
    bool *hash_known;                   /* of each segment */

    hv_name_parts snapshot;             /* of a snapshot */

    /* of a record */
    bool has_record;
    hv_index_incarnation record;
} hv_verify_item;

void hv_verify_item_free(void *item);

/* Both fill in the item. */
hv_rc hv_verify_cut(hv_verify_tools *tools, hv_verify_item *item, hv_err *err) HV_MUST_USE;
hv_rc hv_verify_incarnation(hv_verify_tools *tools, hv_verify_item *item, hv_err *err) HV_MUST_USE;

/* A snapshot as such. */
hv_rc hv_verify_snapshot(hv_verify_tools *tools, hv_verify_item *item, hv_err *err) HV_MUST_USE;

/* What is missing between a snapshot and the one before it in the order of names, which may be of another place. *missing false: nothing. */
void hv_verify_snapshot_order(const hv_name_parts *before, const hv_name_parts *name, hv_finding *ret, bool *missing);

/* The marker of the vault. */
hv_rc hv_verify_marker(const hv_verify_config *config, hv_findings *findings, hv_err *err) HV_MUST_USE;

/* Whether the code tells of what lies in the store, not of a store that fails. */
static inline bool
hv_verify_about_content(hv_rc rc)
{
    return rc == HV_CORRUPT || rc == HV_VERSION;
}

/* ---- comparing neighbours, in the thread that walks ---- */

typedef struct hv_verify_run hv_verify_run;

/* Report and count. */
void hv_verify_tell(hv_verify_run *run, const hv_finding *finding);
void hv_verify_tell_all(hv_verify_run *run, const hv_findings *findings);
/* An entry of the index cannot be read. partition NULL: of none in particular; offset -1: at none. */
void hv_verify_tell_index_damaged(hv_verify_run *run, const hv_partition *partition, int64_t offset, const hv_err *why);
const hv_verify_config *hv_verify_config_of(const hv_verify_run *run);
hv_verify_facts *hv_verify_facts_of(hv_verify_run *run);

/* Where the chain of the current partition has come to. */
typedef struct hv_verify_chain {
    bool open;
    hv_partition partition;
    bool end_known;                     /* false behind a cut whose range could not be read */
    int64_t end;                        /* where the next cut has to begin */
    int64_t other_end;                  /* of a cut that overlaps: it may be the one that the chain goes on from; -1: none */
    hv_range hole;                      /* the last one that was told */
    hv_findings lacking;                /* of the last cut, which may lack siblings as long as it is the last one */
} hv_verify_chain;

void hv_verify_chain_begin(hv_verify_chain *chain, const hv_partition *partition);

/* The next cut, with all its findings; takes item->lacking over. *fits is false if it overlaps the one before. */
void hv_verify_chain_add(hv_verify_run *run, hv_verify_chain *chain, hv_verify_item *item, bool *fits);

/* No further cut. recorded: the index has the last one, so it was complete. */
void hv_verify_chain_end(hv_verify_run *run, hv_verify_chain *chain, bool recorded);

/* ---- the index: all functions accept NULL, which is no index to compare with ---- */

typedef struct hv_verify_index hv_verify_index;

hv_rc hv_verify_index_new(hv_verify_run *run, hv_verify_index **ret, hv_err *err) HV_MUST_USE;
void hv_verify_index_free(hv_verify_index *index);
HV_DEFINE_AUTO(hv_verify_index, hv_verify_index_free);

/* The next cut of the partition of the chain, after hv_verify_chain_add(). */
hv_rc hv_verify_index_cut(hv_verify_index *index, const hv_verify_chain *chain, const hv_verify_item *item, bool fits,
                          hv_err *err) HV_MUST_USE;
/* No further cut. *recorded: whether the index has the last one. */
hv_rc hv_verify_index_end_partition(hv_verify_index *index, bool *recorded, hv_err *err) HV_MUST_USE;
/* The end of the walk: what only the index has, its sums, and cuts that it got while we ran. */
hv_rc hv_verify_index_end(hv_verify_index *index, hv_err *err) HV_MUST_USE;

typedef struct hv_verify_incarnations hv_verify_incarnations;

hv_rc hv_verify_incarnations_new(hv_verify_run *run, hv_verify_incarnations **ret, hv_err *err) HV_MUST_USE;
void hv_verify_incarnations_free(hv_verify_incarnations *all);
/* A record that was met. */
hv_rc hv_verify_incarnations_add(hv_verify_incarnations *all, const hv_verify_item *item, hv_err *err) HV_MUST_USE;
/* Those of a hub that were told to be missing: what the index knows of them is no second fault. */
hv_rc hv_verify_incarnations_missing(hv_verify_incarnations *all, const char *hub, uint32_t from, uint32_t to, hv_err *err) HV_MUST_USE;
/* The end of the walk. */
hv_rc hv_verify_incarnations_end(hv_verify_incarnations *all, hv_err *err) HV_MUST_USE;

/* Describes the first difference in *finding; false if there is none. hash_known NULL: all hashes of `stored` are. */
bool hv_verify_facts_differ(const hv_index_cut *stored, const bool *hash_known, const hv_index_cut *indexed, hv_finding *finding);

/* The same for sums of partitions. */
bool hv_verify_sums_differ(const hv_index_partition_facts *stored, const hv_index_partition_facts *indexed, hv_finding *finding);

#endif
