/*
 * Verification of a whole vault: every name, every header, every block, every event, and the index against the store.
 *
 * It proves what design/capture-protocol.md section 6 asks for, without the ledger. It only reads, may run beside an archiver (what is
 * stored or recorded while it runs is not taken for a fault), and never samples. Each fault is one finding where it can be: what follows from a
 * fault that was told already is not told again.
 */
#ifndef HV_ARCHIVER_VERIFY_H
#define HV_ARCHIVER_VERIFY_H

#include <stdatomic.h>

#include "archiver/verify_finding.h"
#include "index/index.h"

enum { HV_VERIFY_MAX_THREADS = 64 };

typedef struct hv_verify_facts {
    int64_t hubs, incarnations, partitions, cuts;
    int64_t segments, blocks, events;   /* quick: as headers say */
    uint64_t bytes;                     /* of segments whose bytes were checked; quick: whose headers were */
    int64_t incomplete;                 /* last cuts of a partition that lack a sibling: allowed, capture completes them */
    int64_t snapshots;                  /* of topics and consumer groups */
    int64_t unhashed;                   /* segments of which the store keeps no SHA-256 */
    int64_t newer;                      /* cuts of the index that came while we ran */
    int64_t unchecked;                  /* blobs in areas that belong to the vault, but not to this format: ledger, policies, schemas, keys */
    int64_t findings;
    int64_t by_kind[HV_FINDING_KINDS];
    int64_t unreported;                 /* of the findings: counted, but not told one by one, for there were too many in one cut */
    uint64_t bytes_expected;            /* what the index says there is; 0: there is no index to tell */
} hv_verify_facts;

typedef struct hv_verify_config {
    hv_storage *storage;                /* borrowed, as is the index */
    const char *vault;
    hv_index *index;                    /* NULL: the store alone. Read only */
    const char *hub;                    /* only this one; NULL: everything */
    bool quick;                         /* names, headers and index; not the bytes of blobs */
    unsigned threads;                   /* 0: one per core; at most HV_VERIFY_MAX_THREADS */
    /* Called by the thread that called hv_verify(), in the order of names; each may be NULL. */
    void (*report)(void *arg, const hv_finding *finding);
    void (*progress)(void *arg, const hv_verify_facts *so_far);         /* often; must be quick */
    void *arg;
    const atomic_bool *stop;            /* set: end soon with HV_CLOSED */
} hv_verify_config;

/*
 * HV_OK: no fault. HV_GAP: there are findings. *ret is written after both. HV_NOT_FOUND: neither store nor index knows the hub. Other
 * codes: the store, the index or this machine failed, and nothing is proved, whatever was reported before.
 */
hv_rc hv_verify(const hv_verify_config *config, hv_verify_facts *ret, hv_err *err) HV_MUST_USE;

#endif
