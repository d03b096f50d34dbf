/*
 * No cycle of blocking queues: the polling thread may block on the queue of the workers, workers on that of the uploaders, uploaders
 * on that of the index writer, and the index writer on nothing but the index; done() must not block. So a slow store fills the queues
 * from the back to the front and ends in not polling, and never in a deadlock.
 */
#include "archiver/engine.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/clock.h"

enum { MAX_WORKERS = 64, MAX_UPLOADERS = 64, UPLOAD_QUEUE = 1 << 14, RECORD_BATCH = 1024 };
/* How long cuts may wait for others, so that one transaction takes them all: it costs a dozen pages whatever is in it, and neighbours share
 * pages. So many stored bytes are worth one at any time, which is why a partition that closes large cuts never waits. */
enum { LINGER_MS = 5000, LINGER_ONCE_MS = 250, LINGER_SHARE_OF_AGE = 20, LINGER_SLICE_MS = 50, WORTH_RECORDING_BYTES = 4 << 20 };

struct hv_engine {
    hv_archiver_config config;
    hv_cut_config cut_config;
    hv_budget budget;
    hv_engine_totals totals;
    hv_queue *blocks, *uploads, *records;
    atomic_int hurry;                   /* how many want what is sealed recorded at once: nothing waits for company */
    pthread_t workers[MAX_WORKERS], uploaders[MAX_UPLOADERS], recorder;
    size_t workers_running, uploaders_running;
    bool recorder_runs;
    struct hv_index_follower *follower;
    hv_heart worker_hearts[MAX_WORKERS], uploader_hearts[MAX_UPLOADERS], recorder_heart;
    atomic_size_t workers_begun, uploaders_begun;       /* numbers of the threads */
    hv_engine_tuned tuned;
    hv_histogram index_latency;

    pthread_mutex_t index_lock;         /* held while writing to the index: writers come one at a time */
    pthread_mutex_t report_lock;        /* held while a report is made */
};

static hv_rc
submit_block(void *arg, hv_block_job *job)
{
    return hv_queue_push(((hv_engine *)arg)->blocks, job);
}

static void
push_upload(hv_engine *engine, hv_seal_job *job)
{
    hv_err err;

    if (hv_queue_push(engine->uploads, job) == HV_OK)
        return;
    (void)hv_err_set(&err, HV_CLOSED, "the archiver is shutting down");
    job->done(job->done_arg, job, HV_CLOSED, &err);
}

static void
cut_finished(void *arg, hv_cut *cut)
{
    push_upload(arg, cut->job);
}

static void *
work(void *arg)
{
    hv_engine *engine = arg;
    hv_heart *heart = &engine->worker_hearts[atomic_fetch_add(&engine->workers_begun, 1)];
    hv_block_coder *coder = NULL;
    void *job;
    hv_err err;

    while (hv_queue_pop(engine->blocks, -1, &job) == HV_OK) {
        hv_heart_beat(heart);
        if (coder == NULL && hv_block_coder_new(&coder, &err) != HV_OK)
            coder = NULL;               /* the block then stays raw, and the sealer compresses it */
        hv_cut_work(coder, job);
        hv_heart_rest(heart);
    }
    hv_block_coder_free(coder);
    return NULL;
}

static void *
upload(void *arg)
{
    hv_engine *engine = arg;
    hv_heart *heart = &engine->uploader_hearts[atomic_fetch_add(&engine->uploaders_begun, 1)];
    hv_block_coder *coder = NULL;
    void *item;
    hv_err err;

    hv_rc coder_rc = hv_block_coder_new(&coder, &err);
    hv_sealer sealer = {.chain = {.storage = engine->config.storage, .vault = engine->config.vault}, .coder = coder,
        .boot_ms = hv_clock_boot_ms};
    for (; hv_queue_pop(engine->uploads, -1, &item) == HV_OK; hv_heart_rest(heart)) {
        hv_seal_job *job = item;
        hv_rc rc = coder_rc;
        hv_heart_beat(heart);
        if (rc != HV_OK && (rc = coder_rc = hv_block_coder_new(&sealer.coder, &err)) != HV_OK) {
            job->done(job->done_arg, job, rc, &err);
            continue;
        }
        int64_t began_ms = hv_clock_boot_ms();
        rc = hv_sealer_run(&sealer, job, &err);
        job->run_ms = hv_clock_boot_ms() - began_ms;
        if (rc == HV_OK && job->found_count > 0)
            rc = hv_queue_push(engine->records, job) == HV_OK ? HV_OK : hv_err_set(&err, HV_CLOSED, "the archiver is shutting down");
        else if (rc == HV_OK)
            job->done(job->done_arg, job, HV_OK, &err);
        if (rc != HV_OK)
            job->done(job->done_arg, job, rc, &err);
    }
    hv_block_coder_free(sealer.coder);
    return NULL;
}

static hv_rc
add_to_index(hv_engine *engine, const hv_index_addition *additions, size_t count, hv_err *err)
{
    int locked = pthread_mutex_lock(&engine->index_lock);
    assert(locked == 0);
    int64_t began_us = hv_clock_boot_us();
    hv_rc rc = hv_index_add(engine->config.index, additions, count, err);
    hv_histogram_add(&engine->index_latency, hv_clock_boot_us() - began_us);
    locked = pthread_mutex_unlock(&engine->index_lock);
    assert(locked == 0);
    (void)locked;
    return rc;
}

/* All jobs in one transaction; if that is refused, each in one of its own, so that one bad cut does not hold up the others. */
static void
record_jobs(hv_engine *engine, hv_seal_job **jobs, size_t count)
{
    size_t total = 0, n = 0;
    hv_err err;

    for (size_t j = 0; j < count; j++)
        total += jobs[j]->found_count;
    hv_index_addition *additions = calloc(total, sizeof *additions);
    if (additions != NULL)
        for (size_t j = 0; j < count; j++)
            for (size_t f = 0; f < jobs[j]->found_count; f++)
                additions[n++] = (hv_index_addition){.partition = &jobs[j]->partition, .cut = &jobs[j]->found[f]};
    hv_rc rc = additions == NULL ? hv_err_set(&err, HV_NOMEM, "no memory to record %zu cuts", total)
                                 : add_to_index(engine, additions, n, &err);
    free(additions);
    if (rc == HV_CORRUPT && count > 1) {
        for (size_t j = 0; j < count; j++)
            record_jobs(engine, &jobs[j], 1);
        return;
    }
    for (size_t j = 0; j < count; j++)
        jobs[j]->done(jobs[j]->done_arg, jobs[j], rc, &err);
}

/* Until when the first of a batch waits for company: transactions of a trickle come at most that often. Not while somebody waits for the end,
 * or memory is short: open cuts alone may take half of it. */
static int64_t
linger_until(const hv_engine *engine, int64_t last_boot_ms, uint64_t bytes)
{
    int64_t linger_ms = engine->tuned.max_age_ms / LINGER_SHARE_OF_AGE;
    int64_t most_ms = engine->config.once ? LINGER_ONCE_MS : LINGER_MS;

    if (atomic_load(&engine->hurry) > 0 || bytes >= WORTH_RECORDING_BYTES ||
        engine->budget.used > engine->budget.limit / 4 * 3)
        return 0;
    return last_boot_ms + (linger_ms < most_ms ? linger_ms : most_ms);
}

/* The next one for the batch, which has so many stored bytes; false if it is time to record what is there. */
static bool
next_for_batch(hv_engine *engine, int64_t last_boot_ms, uint64_t bytes, void **ret)
{
    for (;;) {
        int64_t left_ms = linger_until(engine, last_boot_ms, bytes) - hv_clock_boot_ms();
        int wait_ms = left_ms <= 0 ? 0 : left_ms < LINGER_SLICE_MS ? (int)left_ms : LINGER_SLICE_MS;
        hv_rc rc = hv_queue_pop(engine->records, wait_ms, ret);
        if (rc == HV_OK)
            return true;
        if (rc == HV_CLOSED || wait_ms == 0)
            return false;
    }
}

static void *
record(void *arg)
{
    hv_engine *engine = arg;
    hv_seal_job *jobs[RECORD_BATCH];
    int64_t last_boot_ms = 0;
    void *item;

    for (; hv_queue_pop(engine->records, -1, &item) == HV_OK; hv_heart_rest(&engine->recorder_heart)) {
        size_t count = 1;
        hv_heart_beat(&engine->recorder_heart);
        jobs[0] = item;
        uint64_t bytes = jobs[0]->stored_bytes;
        while (count < RECORD_BATCH && next_for_batch(engine, last_boot_ms, bytes, &item)) {
            jobs[count] = item;
            bytes += jobs[count++]->stored_bytes;
        }
        hv_heart_beat(&engine->recorder_heart);
        last_boot_ms = hv_clock_boot_ms();
        record_jobs(engine, jobs, count);
    }
    return NULL;
}

static hv_rc
start_threads(hv_engine *engine, hv_err *err)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t workers = engine->config.workers != 0 ? engine->config.workers : cores < 1 ? 1 : (size_t)cores;
    size_t uploaders = engine->config.uploaders != 0 ? engine->config.uploaders : 4;

    workers = workers > MAX_WORKERS ? MAX_WORKERS : workers;
    uploaders = uploaders > MAX_UPLOADERS ? MAX_UPLOADERS : uploaders;
    hv_rc rc = hv_queue_new(workers * 4, NULL, &engine->blocks, err);
    if (rc == HV_OK)
        rc = hv_queue_new(UPLOAD_QUEUE, NULL, &engine->uploads, err);
    if (rc == HV_OK)
        rc = hv_queue_new(UPLOAD_QUEUE, NULL, &engine->records, err);
    if (rc != HV_OK)
        return rc;
    bool started = pthread_create(&engine->recorder, NULL, record, engine) == 0;
    engine->recorder_runs = started;
    for (; started && engine->uploaders_running < uploaders; engine->uploaders_running += started)
        started = pthread_create(&engine->uploaders[engine->uploaders_running], NULL, upload, engine) == 0;
    for (; started && engine->workers_running < workers; engine->workers_running += started)
        started = pthread_create(&engine->workers[engine->workers_running], NULL, work, engine) == 0;
    return started ? HV_OK : hv_err_set(err, HV_IO, "cannot start a thread of the archiver");
}

hv_rc
hv_engine_new(const hv_archiver_config *config, hv_engine **ret, hv_err *err)
{
    HV_AUTO(hv_engine_free) hv_engine *engine = calloc(1, sizeof *engine);

    if (engine == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for an archiver");
    engine->config = *config;
    engine->budget.limit = config->memory_bytes;
    engine->tuned.max_bytes = config->max_bytes;
    engine->tuned.max_age_ms = config->max_age_ms;
    engine->tuned.discovery_ms = config->discovery_ms;
    engine->tuned.headroom_warning_ms = config->headroom_warning_ms;
    engine->cut_config = (hv_cut_config){.codec = config->codec, .level = config->level, .block_bytes = config->block_bytes,
        .budget = &engine->budget, .submit = submit_block, .finished = cut_finished, .arg = engine};
    pthread_mutex_init(&engine->index_lock, NULL);
    pthread_mutex_init(&engine->report_lock, NULL);
    hv_rc rc = start_threads(engine, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(engine);
    return rc;
}

/* From the front to the back, each stage drained before the next one is closed. */
void
hv_engine_free(hv_engine *engine)
{
    if (engine == NULL)
        return;
    if (engine->blocks != NULL)
        hv_queue_close(engine->blocks);
    while (engine->workers_running > 0)
        pthread_join(engine->workers[--engine->workers_running], NULL);
    if (engine->uploads != NULL)
        hv_queue_close(engine->uploads);
    while (engine->uploaders_running > 0)
        pthread_join(engine->uploaders[--engine->uploaders_running], NULL);
    if (engine->records != NULL)
        hv_queue_close(engine->records);
    if (engine->recorder_runs)
        pthread_join(engine->recorder, NULL);
    hv_queue_free(engine->blocks);
    hv_queue_free(engine->uploads);
    hv_queue_free(engine->records);
    pthread_mutex_destroy(&engine->index_lock);
    pthread_mutex_destroy(&engine->report_lock);
    free(engine);
}

const hv_archiver_config *
hv_engine_config(const hv_engine *engine)
{
    return &engine->config;
}

hv_budget *
hv_engine_budget(hv_engine *engine)
{
    return &engine->budget;
}

hv_engine_totals *
hv_engine_totals_of(hv_engine *engine)
{
    return &engine->totals;
}

struct hv_index_follower *
hv_engine_follower(hv_engine *engine)
{
    return engine->follower;
}

void
hv_engine_set_follower(hv_engine *engine, struct hv_index_follower *follower)
{
    engine->follower = follower;
}

hv_engine_tuned *
hv_engine_tuned_of(hv_engine *engine)
{
    return &engine->tuned;
}

const hv_histogram *
hv_engine_index_latency(const hv_engine *engine)
{
    return &engine->index_latency;
}

size_t
hv_engine_stalled_one(const hv_heart *heart, const char *role, size_t number, int64_t limit_ms, hv_archiver_thread *ret, size_t max,
                      size_t found)
{
    int64_t silent_ms = hv_heart_silent_ms(heart, hv_clock_boot_ms());

    if (silent_ms <= limit_ms)
        return found;
    if (found < max) {
        ret[found].silent_ms = silent_ms;
        (void)snprintf(ret[found].name, sizeof ret[found].name, "%s-%zu", role, number);
    }
    return found + 1;
}

size_t
hv_engine_stalled(const hv_engine *engine, int64_t limit_ms, hv_archiver_thread *ret, size_t max, size_t found)
{
    found = hv_engine_stalled_one(&engine->recorder_heart, "index-writer", 0, limit_ms, ret, max, found);
    for (size_t u = 0; u < engine->uploaders_running; u++)
        found = hv_engine_stalled_one(&engine->uploader_hearts[u], "uploader", u, limit_ms, ret, max, found);
    for (size_t w = 0; w < engine->workers_running; w++)
        found = hv_engine_stalled_one(&engine->worker_hearts[w], "block-worker", w, limit_ms, ret, max, found);
    return found;
}

const hv_cut_config *
hv_engine_cut_config(const hv_engine *engine)
{
    return &engine->cut_config;
}

void
hv_engine_seal(hv_engine *engine, hv_seal_job *job, hv_engine_done *done, void *arg)
{
    (void)engine;
    job->done = done;
    job->done_arg = arg;
    job->cut->job = job;
    hv_cut_close(job->cut);
}

void
hv_engine_seal_again(hv_engine *engine, hv_seal_job *job)
{
    push_upload(engine, job);
}

bool
hv_engine_may_pass(hv_rc rc)
{
    return hv_rc_retriable(rc) || rc == HV_AUTH || rc == HV_LIMIT || rc == HV_NOMEM || rc == HV_CLOSED;
}

hv_rc
hv_engine_record(hv_engine *engine, const hv_partition *partition, const hv_index_cut *cuts, size_t count, hv_err *err)
{
    hv_index_addition additions[RECORD_BATCH];

    for (size_t done = 0, batch; done < count; done += batch) {
        batch = count - done < RECORD_BATCH ? count - done : RECORD_BATCH;
        for (size_t c = 0; c < batch; c++)
            additions[c] = (hv_index_addition){.partition = partition, .cut = &cuts[done + c]};
        hv_rc rc = add_to_index(engine, additions, batch, err);
        if (rc != HV_OK)
            return rc;
    }
    return HV_OK;
}

hv_rc
hv_engine_record_incarnation(hv_engine *engine, const hv_index_incarnation *incarnation, hv_err *err)
{
    int locked = pthread_mutex_lock(&engine->index_lock);
    assert(locked == 0);
    (void)locked;
    hv_rc rc = hv_index_add_incarnation(engine->config.index, incarnation, err);
    pthread_mutex_unlock(&engine->index_lock);
    return rc;
}

void
hv_engine_report(hv_engine *engine, const hv_archiver_report *report)
{
    if (engine->config.report == NULL)
        return;
    pthread_mutex_lock(&engine->report_lock);
    engine->config.report(engine->config.report_arg, report);
    pthread_mutex_unlock(&engine->report_lock);
}

void
hv_engine_hurry(hv_engine *engine)
{
    (void)atomic_fetch_add(&engine->hurry, 1);
}

void
hv_engine_take_time(hv_engine *engine)
{
    int before = atomic_fetch_sub(&engine->hurry, 1);
    assert(before > 0);
    (void)before;
}
