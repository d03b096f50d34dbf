/*
 * The chain of cuts of one partition as the store holds it: what "to look" means in the capture protocol.
 *
 * Everything here reads, and may be called from any thread.
 */
#ifndef HV_ARCHIVER_CHAIN_H
#define HV_ARCHIVER_CHAIN_H

#include <stdatomic.h>

#include "index/index.h"
#include "segment/segment_file.h"
#include "storage/storage.h"

typedef struct hv_chain {
    hv_storage *storage;
    const char *vault;
    const atomic_bool *stop;            /* NULL, or: once it is true the store is asked nothing more, and what asks says HV_CLOSED */
} hv_chain;

/* HV_CLOSED once `stop` is true. For whoever asks the store without the functions below. */
hv_rc hv_chain_may_ask(const hv_chain *chain, hv_err *err) HV_MUST_USE;

/* One cut as found in the store. */
typedef struct hv_chain_cut {
    hv_segment_header *lead;            /* as its header says; its first offset is the one that was asked for */
    unsigned char lead_sha256[HV_SHA256_SIZE];
    hv_index_cut facts;                 /* of the segments that are there: the lead first */
    bool complete;                      /* every sibling of the class map is there */
    size_t hashed;                      /* segments of it that had to be read whole, because the store keeps no SHA-256 of them */
} hv_chain_cut;

void hv_chain_cut_clear(hv_chain_cut *cut);
HV_DEFINE_AUTO_VALUE(hv_chain_cut, hv_chain_cut_clear);

/* Whether the cut has this segment already. */
bool hv_chain_cut_has(const hv_chain_cut *cut, const char *class_name);

/*
 * Look at the cut that begins at `first`. HV_NOT_FOUND: no lead there now. HV_CORRUPT: what is there does not belong there (rule 15);
 * the partition has to stop. Others: as storage says; nothing is known.
 */
hv_rc hv_chain_look(const hv_chain *chain, const hv_partition *partition, int64_t first, hv_chain_cut *ret, hv_err *err) HV_MUST_USE;

/* Which blobs of one cut a listing shows: all whose names begin with "<first>.". */
typedef struct hv_chain_names {
    bool has_lead;
    char (*classes)[HV_CLASS_SIZE];     /* of the siblings, in the order of the listing */
    size_t class_count, class_room;
    char *stranger;                     /* the first name that no segment of a cut can have; NULL: none */
} hv_chain_names;

void hv_chain_names_clear(hv_chain_names *names);
HV_DEFINE_AUTO_VALUE(hv_chain_names, hv_chain_names_clear);

/* A name that begins with "<first>." of the cut. One sibling more than a class map can have is a stranger, too. HV_NOMEM only. */
hv_rc hv_chain_names_add(hv_chain_names *names, const char *blob, hv_err *err) HV_MUST_USE;

/* The part of a look behind the listing, for a caller that has listed already. Codes as above. */
hv_rc hv_chain_read_cut(const hv_chain *chain, const hv_partition *partition, int64_t first, const hv_chain_names *names,
                        hv_chain_cut *ret, hv_err *err) HV_MUST_USE;

/*
 * Look at the cut that begins at `first`, and at what lies behind it if there is none: HV_NOT_FOUND, and *later is the first offset of the
 * first lead there or behind, or -1. One listing tells both. A listing is no snapshot: a lead that is put meanwhile may be missing in it where a
 * later one is not, so a *later is to be looked at again before anything follows from it.
 */
hv_rc hv_chain_look_on(const hv_chain *chain, const hv_partition *partition, int64_t first, hv_chain_cut *ret, int64_t *later,
                       hv_err *err) HV_MUST_USE;

/*
 * Read one stored segment: its front, checked against name and vault, and the SHA-256 of the whole blob: from the attributes of the
 * store, or, where the store has none, by reading all of it. *facts gets what the index wants, with arrays of its own.
 */
hv_rc hv_chain_read_segment(const hv_chain *chain, const char *name, hv_segment_front *front, hv_index_segment *facts,
                            hv_err *err) HV_MUST_USE;

/* What the index wants to know of a segment, from its header. Arrays are copied. */
hv_rc hv_chain_facts(const hv_segment_header *header, uint64_t data_start, const unsigned char sha256[HV_SHA256_SIZE],
                     hv_index_segment *ret, hv_err *err) HV_MUST_USE;

/* Whether two headers describe the same cut: range, policy, classes, gaps. */
bool hv_chain_same_cut(const hv_segment_header *a, const hv_segment_header *b);

#endif
