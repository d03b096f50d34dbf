/*
 * What all sources of an archiver share: block workers, uploaders, the index writer, the memory budget, totals.
 *
 * A closed cut goes round: workers (its blocks) → uploaders (hv_sealer_run) → index writer → back to its owner through done().
 */
#ifndef HV_ARCHIVER_ENGINE_H
#define HV_ARCHIVER_ENGINE_H

#include <stdatomic.h>

#include "archiver/archiver.h"
#include "archiver/sealer.h"
#include "common/heartbeat.h"
#include "common/queue.h"

typedef struct hv_engine hv_engine;

typedef struct hv_engine_totals {
    _Atomic int64_t events, cuts, segments, adopted, gap_offsets, hubs, partitions, stopped;
    _Atomic uint64_t bytes_in, bytes_stored;
    _Atomic int64_t assigned, rebalances, lost, abandoned, followed_cuts, followed_segments, follow_looks;
} hv_engine_totals;

/* What hv_archiver_tune() changes; the same fields of the configuration say what they were at the start. */
typedef struct hv_engine_tuned {
    _Atomic uint64_t max_bytes;
    _Atomic int64_t max_age_ms, discovery_ms, headroom_warning_ms;
} hv_engine_tuned;

/* The job after its round; rc is that of the sealer or of the index. Called by an uploader or the index writer. The callee owns the job. */
typedef void hv_engine_done(void *arg, hv_seal_job *job, hv_rc rc, const hv_err *err);

hv_rc hv_engine_new(const hv_archiver_config *config, hv_engine **ret, hv_err *err) HV_MUST_USE;

/* Lets what is queued finish, then ends all threads. The owners of jobs must still take them. Accepts NULL. */
void hv_engine_free(hv_engine *engine);
HV_DEFINE_AUTO(hv_engine, hv_engine_free);

const hv_archiver_config *hv_engine_config(const hv_engine *engine);
hv_budget *hv_engine_budget(hv_engine *engine);
hv_engine_totals *hv_engine_totals_of(hv_engine *engine);
/* NULL where nothing is followed. */
struct hv_index_follower *hv_engine_follower(hv_engine *engine);
void hv_engine_set_follower(hv_engine *engine, struct hv_index_follower *follower);
hv_engine_tuned *hv_engine_tuned_of(hv_engine *engine);
const hv_histogram *hv_engine_index_latency(const hv_engine *engine);

/* As hv_archiver_stalled(), of the threads of the engine. `found` are named already; how many there are then. */
size_t hv_engine_stalled(const hv_engine *engine, int64_t limit_ms, hv_archiver_thread *ret, size_t max, size_t found);
/* One thread for that list. */
size_t hv_engine_stalled_one(const hv_heart *heart, const char *role, size_t number, int64_t limit_ms, hv_archiver_thread *ret, size_t max,
                             size_t found);

/* What is sealed is recorded at once from now on: the end is near, or somebody waits for it. Until each such call has one that takes it back.
 * Any thread. */
void hv_engine_hurry(hv_engine *engine);
void hv_engine_take_time(hv_engine *engine);

/* For new cuts. When a cut made with it is closed and its blocks are done, the job in job_of(cut) goes to the uploaders. */
const hv_cut_config *hv_engine_cut_config(const hv_engine *engine);

/* Close the cut of the job and send it round. `done` and `arg` stay with the job. */
void hv_engine_seal(hv_engine *engine, hv_seal_job *job, hv_engine_done *done, void *arg);

/* Send a job round again that came back with a failure. */
void hv_engine_seal_again(hv_engine *engine, hv_seal_job *job);

/* A failure that goes away by itself, or when an operator mends credentials or space. Anything else stops a partition. */
bool hv_engine_may_pass(hv_rc rc);

/* Record cuts of one partition in the caller's thread, some dozens in a transaction, behind what the index writer is doing now. */
hv_rc hv_engine_record(hv_engine *engine, const hv_partition *partition, const hv_index_cut *cuts, size_t count, hv_err *err) HV_MUST_USE;
hv_rc hv_engine_record_incarnation(hv_engine *engine, const hv_index_incarnation *incarnation, hv_err *err) HV_MUST_USE;

/* One call of the report function of the configuration at a time. */
void hv_engine_report(hv_engine *engine, const hv_archiver_report *report);

#endif
