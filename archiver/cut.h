/*
 * A cut being built: events of one partition, by data class, as finished blocks and one open block per class.
 *
 * Owned by the capture thread, which alone adds events. Full blocks are compressed and hashed by block workers meanwhile: a worker
 * touches its own block job and the atomic counters, nothing else. Events stay readable here until the cut is freed, which happens
 * after it is indexed: if the cut turns out to begin elsewhere, it is rebuilt from them (capture protocol, rule 5).
 */
#ifndef HV_ARCHIVER_CUT_H
#define HV_ARCHIVER_CUT_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/event.h"
#include "segment/block.h"
#include "segment/event_codec.h"

typedef struct hv_cut hv_cut;

/* Memory that events take, of all cuts together, open and being sealed. Any thread. */
typedef struct hv_budget {
    _Atomic int64_t limit;              /* may change while it is in use */
    _Atomic int64_t used;
} hv_budget;

/* One block on its way from raw to stored. */
typedef struct hv_block_job {
    hv_cut *cut;
    const hv_block_format *format;
    hv_block_facts facts;
    hv_buf raw;                         /* encoded events; freed once `block` holds them */
    hv_block block;                     /* stored == NULL: not compressed yet */
} hv_block_job;

typedef struct hv_cut_class {
    char name[HV_CLASS_SIZE];
    hv_block_format format;
    hv_block_job **jobs;                /* in order of offset; the last one may still be open */
    size_t job_count, job_room;
    hv_block_job *open;                 /* takes the next event; NULL: none */
    hv_range *ranges;                   /* offsets held, as a class map wants them */
    size_t range_count, range_room;
    int64_t count;
} hv_cut_class;

typedef struct hv_cut_config {
    hv_codec codec;
    int level;
    size_t block_bytes;                 /* raw size at which a block is closed */
    hv_budget *budget;
    hv_rc (*submit)(void *arg, hv_block_job *job);      /* hand a full block to the workers; HV_CLOSED: they are gone, it stays raw */
    void (*finished)(void *arg, hv_cut *cut);           /* closed, and no block is with a worker any more; from the thread that did the last step */
    void *arg;
} hv_cut_config;

struct hv_cut {
    const hv_cut_config *config;
    hv_partition partition;
    int64_t first, end;                 /* end: behind the last event; first if there is none */
    hv_cut_class *classes;
    size_t class_count;
    hv_gap *gaps;
    size_t gap_count, gap_room;
    int64_t count;
    int64_t opened_boot_ms;             /* when the first event or gap came */
    void *job;                          /* of whoever seals it */
    size_t last_block_raw;              /* memory of the last full block: what the next one will want */

    _Atomic uint64_t stored_bytes;      /* of the finished blocks */
    _Atomic int64_t memory;             /* what of the budget this cut uses */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {                            /* touched only while holding `lock` */
        size_t with_workers;
        bool closed;
    } locked;
};

/* Begin a cut at the position of its partition. config is borrowed for the life of the cut. */
hv_rc hv_cut_new(const hv_cut_config *config, const hv_partition *partition, int64_t first, int64_t now_boot_ms, hv_cut **ret,
                 hv_err *err) HV_MUST_USE;

/* Gives its memory back to the budget. Accepts NULL. No worker may hold a block of it: see hv_cut_wait(). */
void hv_cut_free(hv_cut *cut);
HV_DEFINE_AUTO(hv_cut, hv_cut_free);

/* Offsets without event, behind everything added before. Neighbours of one cause become one gap. On failure the cut is as it was. */
hv_rc hv_cut_add_gaps(hv_cut *cut, const hv_gap *gaps, size_t count, hv_err *err) HV_MUST_USE;

/* An event and the gaps right before it. The event is copied. Its offset lies behind everything added before. On failure the cut is as it was. */
hv_rc hv_cut_add(hv_cut *cut, const char *class_name, const hv_event *event, const hv_gap *gaps, size_t gap_count,
                 hv_err *err) HV_MUST_USE;

/* Encoded events in open blocks: what is not compressed yet and will not be by itself. */
size_t hv_cut_raw_bytes(const hv_cut *cut);

/* Open blocks of at least so many bytes go to the workers before they are full: compressed, events take a fraction of the memory. */
void hv_cut_end_blocks(hv_cut *cut, size_t least_bytes);

/* No more events. The open blocks go to the workers; finished() follows, perhaps before this returns. */
void hv_cut_close(hv_cut *cut);

/* What a worker does with a job it was handed: compress, or on failure (or without a coder) leave it raw for the sealer; then report to the cut. */
void hv_cut_work(hv_block_coder *coder, hv_block_job *job);

/* Until no worker holds a block of this cut. */
void hv_cut_wait(hv_cut *cut);

/* Compress what is still raw, in the caller's thread. Only when no worker holds a block. */
hv_rc hv_cut_finish_blocks(hv_cut *cut, hv_block_coder *coder, hv_err *err) HV_MUST_USE;

/* All events of a cut that no worker holds blocks of, by offset, whatever their class. */
typedef struct hv_cut_reader hv_cut_reader;
hv_rc hv_cut_reader_new(const hv_cut *cut, hv_block_coder *coder, hv_cut_reader **ret, hv_err *err) HV_MUST_USE;
void hv_cut_reader_free(hv_cut_reader *reader);
HV_DEFINE_AUTO(hv_cut_reader, hv_cut_reader_free);
/* HV_NOT_FOUND behind the last one. *ret is valid until the next call. */
hv_rc hv_cut_reader_next(hv_cut_reader *reader, hv_event *ret, const char **class_name, hv_err *err) HV_MUST_USE;

#endif
