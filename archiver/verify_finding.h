/*
 * What verification can find: a closed list of kinds, and one finding as a value.
 */
#ifndef HV_ARCHIVER_VERIFY_FINDING_H
#define HV_ARCHIVER_VERIFY_FINDING_H

#include "common/partition.h"
#include "storage/storage.h"

/* Name, id, meaning, what to do. docs/VERIFY.md is made of it. */
#define HV_FINDING_LIST(X) \
    X(FOREIGN_NAME, "foreign-name", "a blob has a name that hubvault does not give", \
      "Find out who put it there and move it out of the store. In the place of a cut it stops capture of that partition.") \
    X(MISSING_MARKER, "missing-marker", "the store has no marker of a vault", \
      "Put the copy of vault.json back. Without it no command opens the vault.") \
    X(DAMAGED_MARKER, "damaged-marker", "the marker of the vault cannot be read", \
      "Put the copy of vault.json back under the same vault id; every segment names that id.") \
    X(MISSING_INCARNATION, "missing-incarnation", "an incarnation has no record", \
      "Put the copy of the record back. Segments below it are whole; only the identity of the hub is lost with it.") \
    X(DAMAGED_SNAPSHOT, "damaged-snapshot", "a snapshot of a topic or group cannot be read, or is not of the place where it lies", \
      "Put the copy of the blob back. Events are not touched; a replay lacks the settings or offsets of that moment.") \
    X(MISSING_SNAPSHOT, "missing-snapshot", "between two snapshots a number is missing", \
      "Put the copy of the blob back. Events are not touched; a replay lacks the settings or offsets of that moment.") \
    X(DAMAGED_INCARNATION, "damaged-incarnation", "the record of an incarnation cannot be read", \
      "Put the copy of the record back.") \
    X(BLOB_GONE, "blob-gone", "a blob was listed, but is not there", \
      "Find out who deletes from this store. Nothing that hubvault does removes a blob; a lifecycle rule may.") \
    X(UNKNOWN_VERSION, "unknown-version", "written in a format version that this program does not know", \
      "Verify with the version of hubvault that wrote it. If none did, treat it as damaged.") \
    X(DAMAGED_FRONT, "damaged-front", "the beginning of a segment, up to its blocks, cannot be read or contradicts itself", \
      "Put a good copy of the blob back (a replica, a version, a backup), byte for byte under the same name.") \
    X(OTHER_VAULT, "other-vault", "a blob belongs to another vault", \
      "Two vaults were mixed: move the blob out, and put the one of this vault back if there was one.") \
    X(WRONG_PLACE, "wrong-place", "what a blob says about itself does not agree with its name", \
      "Blobs were moved or exchanged: put each back under the name that its header says.") \
    X(WRONG_SIZE, "wrong-size", "a segment is shorter or longer than its header says", \
      "Put a good copy back. One that is too long is whole up to its stated size.") \
    X(WRONG_HASH, "wrong-hash", "the bytes of a blob do not have the SHA-256 that the store keeps beside them", \
      "Compare with a copy and with the index: either the blob or its property was changed. Put the right one back.") \
    X(DAMAGED_BLOCK, "damaged-block", "the bytes of a block do not have the SHA-256 of the block table", \
      "Put a good copy of the blob back; check the disk. Events of other blocks can still be replayed.") \
    X(UNDECODABLE_BLOCK, "undecodable-block", "the bytes of a block are those of the table, but no events come out of them", \
      "The segment was made wrong, not damaged later: keep it and report it. The events may still be in the hub.") \
    X(WRONG_OFFSET, "wrong-offset", "a block holds another offset than its segment has to hold there", \
      "As undecodable-block.") \
    X(WRONG_COUNT, "wrong-count", "a block holds more or fewer events than the block table says", \
      "As undecodable-block.") \
    X(WRONG_TIMESTAMPS, "wrong-timestamps", "the least or greatest timestamp of a block is not that of the block table", \
      "As undecodable-block. Replay by offset is right; by time it may miss events of this block.") \
    X(MISSING_LEAD, "missing-lead", "a cut has siblings but no lead", \
      "Put the copy of the lead back. Its siblings are whole; capture of the partition stands still until it is there.") \
    X(MISSING_SIBLING, "missing-sibling", "a cut that counts as complete lacks a segment that its lead promises", \
      "Put the copy of the sibling back; the events of its class in this cut are lost without it.") \
    X(UNPROMISED_SIBLING, "unpromised-sibling", "a cut has a segment that its lead does not promise", \
      "Find out who put it there and move it out of the store; it stops capture of that partition.") \
    X(OTHER_CUT, "other-cut", "a sibling describes another cut than its lead", \
      "Lead and sibling come from two makings of the cut: find the copy of the one that fits the other.") \
    X(OTHER_LEAD, "other-lead", "a sibling was made for a lead of other bytes", \
      "The lead or the sibling was replaced: find the copy of the lead with this SHA-256.") \
    X(HOLE, "hole", "offsets between two cuts lie in no cut", \
      "Cuts were removed: put their blobs back. Without a copy their events are lost.") \
    X(OVERLAP, "overlap", "a cut begins before the one before it ends", \
      "Two writers, or a copied blob: decide which cut belongs to the chain, and move the other one out.") \
    X(INDEX_OTHER_VAULT, "index-other-vault", "the index belongs to another vault", \
      "Configure the index folder of this vault, or run index rebuild.") \
    X(INDEX_DAMAGED, "index-damaged", "an entry of the index cannot be read", \
      "Run index rebuild; check the disk.") \
    X(INDEX_MISSING_CUT, "index-missing-cut", "the store has a complete cut that the index lacks", \
      "Run index rebuild. A running archiver repairs the end of a partition by itself.") \
    X(INDEX_EXTRA_CUT, "index-extra-cut", "the index has a cut that the store lacks", \
      "The store lost a cut that was recorded: put its blobs back. index rebuild only forgets it.") \
    X(INDEX_OTHER_FACTS, "index-other-facts", "the index says something else about a cut than its segments", \
      "The segment was replaced after it was recorded, or the index is of another copy: compare with a copy, then run index rebuild.") \
    X(INDEX_OTHER_TOTALS, "index-other-totals", "position or sums of a partition in the index do not follow from its cuts", \
      "Run index rebuild.") \
    X(INDEX_OTHER_TIMES, "index-other-times", "what lookups by time go through does not follow from the cuts in the index", \
      "Run index rebuild: until then, replay by time may miss events. Replay by offset is right.") \
    X(INDEX_INCARNATION, "index-incarnation", "the index lacks an incarnation, has one too many, or says else than its record", \
      "If the record in the store is right, run index rebuild; else put the copy of the record back.")

typedef enum hv_finding_kind {
#define HV_FINDING_NAME(name, id, meaning, advice) HV_FINDING_##name,
    HV_FINDING_LIST(HV_FINDING_NAME)
#undef HV_FINDING_NAME
    HV_FINDING_KINDS
} hv_finding_kind;

const char *hv_finding_id(hv_finding_kind kind);
const char *hv_finding_meaning(hv_finding_kind kind);
const char *hv_finding_advice(hv_finding_kind kind);

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
/* Both at once: these bytes should have had another SHA-256. */
void hv_finding_hashes(hv_finding *finding, const unsigned char *expected, const unsigned char *found);

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
