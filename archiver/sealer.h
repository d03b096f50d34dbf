/*
 * Sealer: brings one closed cut into the store, or finds out that another one is there already.
 *
 * This is LEAD, FILL and LOOK of the capture protocol's state machine. A job may be run again after any failure, with the same
 * bytes; running it again is always safe. A job is used by one thread at a time.
 */
#ifndef HV_ARCHIVER_SEALER_H
#define HV_ARCHIVER_SEALER_H

#include "archiver/chain.h"
#include "archiver/cut.h"

typedef struct hv_seal_job hv_seal_job;

typedef struct hv_seal_segment {
    hv_segment_header *header;
    hv_buf front;
    hv_slice *parts;                    /* the front and every block */
    size_t part_count;
    hv_blob_attributes attributes;
    enum { HV_SEAL_UNSENT, HV_SEAL_CREATED } state;
} hv_seal_segment;

struct hv_seal_job {
    hv_partition partition;
    hv_cut *cut;                        /* owned: the events to seal */
    hv_chain_cut fill;                  /* fill.lead != NULL: not a new cut; the cut to be completed, and `cut` has what could be had
                                           of the promised events, by class */
    hv_gap_cause missing_cause;         /* for a fill: why the others could not be had */
    int64_t *last_look_boot_ms;         /* of the partition (rule 13); borrowed */
    void *owner;                        /* whoever made the job */
    atomic_bool abandoned;              /* by its owner, at any time: no put begins any more, the run ends with HV_CLOSED */
    void (*done)(void *arg, hv_seal_job *job, hv_rc rc, const hv_err *err);     /* these two: of the engine that carries it round */
    void *done_arg;

    hv_seal_segment *segments;          /* the lead first; made at the first run */
    size_t segment_count;
    bool must_look;                     /* an answer left open what is stored */
    unsigned attempts;                  /* runs that ended in a failure that may pass */

    /* What came of it, after HV_OK. */
    hv_index_cut *found;                /* cuts that are now complete in the store, in order: ours, or those of others */
    size_t found_count, found_room;
    int64_t position;                   /* end of the last of them */
    bool adopted;                       /* what is there is not what we meant to put: look at position */
    hv_chain_cut incomplete;            /* lead != NULL: the cut at position is there but lacks siblings */
    uint64_t stored_bytes;              /* that we put */
    int64_t run_ms;                     /* how long the last run took */
};

typedef struct hv_sealer {
    hv_chain chain;
    hv_block_coder *coder;              /* of this thread */
    int64_t (*boot_ms)(void);
} hv_sealer;

void hv_seal_job_free(hv_seal_job *job);
HV_DEFINE_AUTO(hv_seal_job, hv_seal_job_free);

/*
 * Run the job. HV_OK: done, see the result fields. Retriable codes, HV_AUTH and HV_LIMIT: not stored, or not known to be; run it again later.
 * HV_CORRUPT: what is in the store contradicts what we hold or is damaged: stop the partition (rule 15). Any other code is a
 * permanent refusal: stop the partition, loudly. HV_CLOSED: the job was abandoned; a put that had begun may have landed.
 */
hv_rc hv_sealer_run(const hv_sealer *sealer, hv_seal_job *job, hv_err *err) HV_MUST_USE;

#endif
