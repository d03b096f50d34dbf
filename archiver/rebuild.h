/*
 * Rebuilding the index from the store: incarnation records, and the headers of all segments.
 *
 * One sorted walk over the names, headers read by several threads, cuts recorded in order. Nothing is believed that capture would not
 * believe: a cut is recorded only where the chain of its partition has come to, and only when it is complete.
 */
#ifndef HV_ARCHIVER_REBUILD_H
#define HV_ARCHIVER_REBUILD_H

#include <stdatomic.h>

#include "index/index.h"
#include "storage/storage.h"

typedef struct hv_rebuild_facts {
    int64_t hubs, incarnations, partitions;
    int64_t cuts, segments, events;     /* recorded */
    uint64_t bytes;                     /* size of these segments */
    int64_t incomplete;                 /* last cuts of a partition that lack a sibling: not recorded, capture completes them */
    int64_t hashed;                     /* segments of which the store keeps no SHA-256, so that they were read whole */
    int64_t problems;                   /* reported */
    int64_t stopped;                    /* partitions that are recorded only up to their first problem */
} hv_rebuild_facts;

typedef struct hv_rebuild_config {
    hv_storage *storage;                /* borrowed, as is the index */
    const char *vault;
    hv_index *index;                    /* empty, or with a part of the vault in it: that part is compared, not overwritten */
    unsigned threads;                   /* that read; 0: 8 */
    /* What keeps the index from being whole. All four are called by the thread that called hv_rebuild(); each may be NULL. */
    void (*problem)(void *arg, const hv_partition *partition, const hv_err *err);       /* partition NULL: of none */
    void (*progress)(void *arg, const hv_rebuild_facts *so_far);                        /* often; must be quick */
    void *arg;
    const atomic_bool *stop;            /* set: end soon with HV_CLOSED */
} hv_rebuild_config;

/*
 * HV_OK: the index holds everything that is complete in the store. HV_GAP: the same, but for what was reported: a partition with a
 * hole, an overlap, a damaged segment or a blob that lies in the place of a cut is recorded up to there, as capture would; a record of
 * an incarnation that is missing or damaged, a blob that lies elsewhere, and cuts of the index that the store does not have, are
 * only reported. *ret is written after both. Other codes: as storage and index say; the index then holds a part of the vault, but no
 * incarnation that it did not hold before (they are recorded last), and the same call again completes it.
 */
hv_rc hv_rebuild(const hv_rebuild_config *config, hv_rebuild_facts *ret, hv_err *err) HV_MUST_USE;

#endif
