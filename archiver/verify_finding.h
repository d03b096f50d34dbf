/*
 * What verification can find: a closed list of kinds, and one finding as a value.
 */
#ifndef HV_ARCHIVER_VERIFY_FINDING_H
#define HV_ARCHIVER_VERIFY_FINDING_H

#include "common/partition.h"
#include "storage/storage.h"

/*    name                 id                    meaning */
#define HV_FINDING_LIST(X) \
    X(FOREIGN_NAME,        "foreign-name",        "a blob has a name that hubvault does not give") \
    X(MISSING_MARKER,      "missing-marker",      "the store has no marker of a vault") \
    X(DAMAGED_MARKER,      "damaged-marker",      "the marker of the vault cannot be read") \
    X(MISSING_INCARNATION, "missing-incarnation", "an incarnation has no record") \
    X(DAMAGED_SNAPSHOT,    "damaged-snapshot",    "a snapshot of a topic or group cannot be read, or is not of the place where it lies") \
    X(MISSING_SNAPSHOT,    "missing-snapshot",    "between two snapshots a number is missing") \
    X(DAMAGED_INCARNATION, "damaged-incarnation", "the record of an incarnation cannot be read") \
    X(BLOB_GONE,           "blob-gone",           "a blob was listed, but is not there") \
    X(UNKNOWN_VERSION,     "unknown-version",     "written in a format version that this program does not know") \
    X(DAMAGED_FRONT,       "damaged-front",       "the beginning of a segment, up to its blocks, cannot be read or contradicts itself") \
    X(OTHER_VAULT,         "other-vault",         "a blob belongs to another vault") \
    X(WRONG_PLACE,         "wrong-place",         "what a blob says about itself does not agree with its name") \
    X(WRONG_SIZE,          "wrong-size",          "a segment is shorter or longer than its header says") \
    X(WRONG_HASH,          "wrong-hash",          "the bytes of a blob do not have the SHA-256 that the store keeps beside them") \
    X(DAMAGED_BLOCK,       "damaged-block",       "the bytes of a block do not have the SHA-256 of the block table") \
    X(UNDECODABLE_BLOCK,   "undecodable-block",   "the bytes of a block are those of the table, but no events come out of them") \
    X(WRONG_OFFSET,        "wrong-offset",        "a block holds another offset than its segment has to hold there") \
    X(WRONG_COUNT,         "wrong-count",         "a block holds more or fewer events than the block table says") \
    X(WRONG_TIMESTAMPS,    "wrong-timestamps",    "the least or greatest timestamp of a block is not that of the block table") \
    X(MISSING_LEAD,        "missing-lead",        "a cut has siblings but no lead") \
    X(MISSING_SIBLING,     "missing-sibling",     "a cut that counts as complete lacks a segment that its lead promises") \
    X(UNPROMISED_SIBLING,  "unpromised-sibling",  "a cut has a segment that its lead does not promise") \
    X(OTHER_CUT,           "other-cut",           "a sibling describes another cut than its lead") \
    X(OTHER_LEAD,          "other-lead",          "a sibling was made for a lead of other bytes") \
    X(HOLE,                "hole",                "offsets between two cuts lie in no cut") \
    X(OVERLAP,             "overlap",             "a cut begins before the one before it ends") \
    X(INDEX_OTHER_VAULT,   "index-other-vault",   "the index belongs to another vault") \
    X(INDEX_DAMAGED,       "index-damaged",       "an entry of the index cannot be read") \
    X(INDEX_MISSING_CUT,   "index-missing-cut",   "the store has a complete cut that the index lacks") \
    X(INDEX_EXTRA_CUT,     "index-extra-cut",     "the index has a cut that the store lacks") \
    X(INDEX_OTHER_FACTS,   "index-other-facts",   "the index says something else about a cut than its segments") \
    X(INDEX_OTHER_TOTALS,  "index-other-totals",  "the position or the sums of a partition in the index do not follow from its cuts") \
    X(INDEX_INCARNATION,   "index-incarnation",   "the index lacks an incarnation, has one too many, or knows it otherwise than its record")

typedef enum hv_finding_kind {
#define HV_FINDING_NAME(name, id, meaning) HV_FINDING_##name,
    HV_FINDING_LIST(HV_FINDING_NAME)
#undef HV_FINDING_NAME
    HV_FINDING_KINDS
} hv_finding_kind;

const char *hv_finding_id(hv_finding_kind kind);
const char *hv_finding_meaning(hv_finding_kind kind);

enum { HV_FINDING_TEXT = 256 };

typedef struct hv_finding {
    hv_finding_kind kind;
    char blob[HV_STORAGE_NAME_SIZE];    /* or the folder of a partition; empty: about none in particular */
    hv_partition partition;             /* hub empty: of no partition; incarnation or number 0 and -1: of no particular one */
    int64_t offset;                     /* -1: none */
    int64_t position;                   /* byte in the blob, -1: none */
    char expected[HV_FINDING_TEXT], found[HV_FINDING_TEXT];     /* one line each */
} hv_finding;

/* With offset and position unset. blob and partition may be NULL. */
hv_finding hv_finding_make(hv_finding_kind kind, const char *blob, const hv_partition *partition);
void hv_finding_expect(hv_finding *finding, const char *fmt, ...) HV_PRINTF(2, 3);
void hv_finding_find(hv_finding *finding, const char *fmt, ...) HV_PRINTF(2, 3);

enum { HV_FINDINGS_KEPT = 1024 };

/* Findings on their way to whoever reports them. Behind HV_FINDINGS_KEPT they are only counted, so that damage does not choose how
 * much memory is spent. */
typedef struct hv_findings {
    hv_finding *at;
    size_t count, room;
    int64_t total;                      /* kept or not */
    int64_t more[HV_FINDING_KINDS];     /* not kept */
} hv_findings;

void hv_findings_clear(hv_findings *findings);

/* HV_NOMEM only. */
hv_rc hv_findings_add(hv_findings *findings, const hv_finding *finding, hv_err *err) HV_MUST_USE;

#endif
