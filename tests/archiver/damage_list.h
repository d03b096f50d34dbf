/*
 * Kinds of damage to a vault, each applied by a seed to a vault of vault_maker.h, and what verification has to say of each.
 *
 * The seed chooses the segment, the block, the byte, the bit. A damage notes every finding that follows from it: there must be those,
 * and no other one.
 */
#ifndef HV_TESTS_ARCHIVER_DAMAGE_LIST_H
#define HV_TESTS_ARCHIVER_DAMAGE_LIST_H

#include "archiver/verify_finding.h"
#include "segment/names.h"
#include "segment/segment_file.h"
#include "tests/archiver/vault_maker.h"

enum { DAMAGE_EXPECTED_MAX = 64, DAMAGE_ANY = -2 };

/* The undamaged vault is that of maker_rich_vault(), and DAMAGE_SNAPSHOTS snapshots of one group. */
#define DAMAGE_SNAPSHOT_HUB "orders"
#define DAMAGE_GROUP "billing"
enum { DAMAGE_SNAPSHOTS = 4 };

/* A segment of the undamaged vault. */
typedef struct damage_target {
    hv_blob_name name;
    hv_name_parts parts;
    hv_segment_front front;
    uint64_t size;
    bool is_sibling, has_siblings;
    bool first_cut, last_cut;           /* of its partition */
    bool indexed;                       /* its cut is whole */
} damage_target;

typedef struct damage_expected {
    hv_finding_kind kind;
    char blob[HV_STORAGE_NAME_SIZE];
    hv_partition partition;             /* as in the finding */
    int64_t offset, position;           /* -1: must be none; DAMAGE_ANY */
} damage_expected;

typedef struct damage_job {
    vault_maker *maker;                 /* the index is a copy of its own */
    uint64_t random;
    const damage_target *targets;
    size_t target_count;
    damage_expected expected[DAMAGE_EXPECTED_MAX];
    size_t expected_count;
} damage_job;

/* What the check of names, headers and index alone says of it. */
typedef enum damage_quick {
    DAMAGE_QUICK_SAME,
    DAMAGE_QUICK_BLIND,                 /* nothing: only the bytes of blocks tell */
    DAMAGE_QUICK_OTHER,                 /* something else */
} damage_quick;

typedef struct damage {
    const char *name;
    void (*apply)(damage_job *job);
    damage_quick quick;
} damage;

/* The kinds, in four parts by what is damaged. */
typedef struct damage_kinds {
    const damage *at;
    size_t count;
} damage_kinds;

extern const damage_kinds damage_of_bytes, damage_of_blobs, damage_by_forgery, damage_of_index;

/* ---- for the kinds ---- */

/* 0 to bound - 1. */
uint64_t damage_random(damage_job *job, uint64_t bound);

enum {
    PICK_LEAD = 1, PICK_SIBLING = 2, PICK_ALONE = 4 /* a lead without siblings */, PICK_WITH_SIBLINGS = 8, PICK_FIRST = 16, PICK_LAST = 32,
    PICK_NOT_LAST = 64, PICK_NOT_FIRST = 128, PICK_BLOCKS = 256, PICK_MANY_BLOCKS = 512, PICK_INDEXED = 1024,
};
/* One that is all of these. */
const damage_target *damage_pick(damage_job *job, unsigned wanted);
/* Another one, not of the same cut. */
const damage_target *damage_pick_other(damage_job *job, const damage_target *than, unsigned wanted);
/* The lead of the cut, and of the next cut of its partition, or NULL. */
const damage_target *damage_lead_of(const damage_job *job, const damage_target *segment);
const damage_target *damage_next_lead(const damage_job *job, const damage_target *segment);

damage_expected *damage_expect(damage_job *job, hv_finding_kind kind, const char *blob, const hv_partition *partition, int64_t offset);
/* A finding of a segment as a whole. */
damage_expected *damage_expect_segment(damage_job *job, hv_finding_kind kind, const damage_target *segment);
/* Every segment of the cut goes. */
void damage_drop_cut(damage_job *job, const damage_target *segment);
/* Store these bytes in place of the segment; with their own SHA-256, or with the old one. */
void damage_store(damage_job *job, const char *name, const hv_buf *bytes, bool fresh_hash);
/* The index as a rebuild makes it from what is stored now. */
void damage_reindex(damage_job *job);

#endif
