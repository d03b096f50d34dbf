/*
 * A list of waiting fetches under one mutex; threads take from its front. A fetch that somebody waits for moves to the front.
 *
 * Why the state is safe: `state`, `cancelled`, `charge` and the links are touched only under the lock. Everything else in a fetch
 * belongs to the caller while it is IDLE or DONE, and to the one thread that took it while it is RUNNING; the lock orders the two.
 *
 * A get that failed in a way that may pass is repeated with growing pauses, because replay is the one reader that must not stop at
 * a hiccup of a remote store after ten hours. What cannot be read for good is an answer about the fetch (`rc`); bytes that are
 * there but wrong, or missing where the index says they are, are answers about single blocks, so that the rest can still be used.
 */
#include "replay/fetcher.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "segment/block.h"

enum {
    KEPT_RAW = 4 << 20,                 /* a larger buffer is given back at release */
    KEPT_STORED = 8 << 20,
    GUESSED_RATIO = 6,                  /* raw to stored, until it is known */
};

typedef struct worker {
    hv_fetcher *fetcher;
    pthread_t thread;
    hv_block_coder *coder;
    hv_buf stored;
} worker;

struct hv_fetcher {
    hv_fetcher_config config;
    worker *workers;                    /* one at least; the last one is that of hv_fetcher_wait() if there are no threads */
    unsigned worker_count, started;

    pthread_mutex_t lock;
    pthread_cond_t work, changed;       /* something to take; something is done, or cancelled */
    struct {                            /* touched only while holding `lock`, except in new and free */
        hv_fetch *first, *last;
        size_t in_use;
        bool closed;
    } locked;
};

static void
must(int pthread_rc)
{
    assert(pthread_rc == 0);
    (void)pthread_rc;
}

/* ---- the work ---- */

static size_t
bytes_of(const hv_fetch *fetch)
{
    size_t bytes = 0;

    for (size_t i = 0; i < fetch->block_count; i++)
        bytes += fetch->blocks[i].length;
    return bytes;
}

/* False if the fetch was cancelled meanwhile. */
static bool
pause_before_retry(hv_fetcher *fetcher, const hv_fetch *fetch, int64_t wait_ms)
{
    struct timespec until;
    bool cancelled;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    must(pthread_mutex_lock(&fetcher->lock));
    while (!fetch->cancelled && pthread_cond_timedwait(&fetcher->changed, &fetcher->lock, &until) == 0)
        continue;
    cancelled = fetch->cancelled;
    must(pthread_mutex_unlock(&fetcher->lock));
    return !cancelled;
}

static hv_rc
get_stored(hv_fetcher *fetcher, const hv_fetch *fetch, hv_buf *stored, hv_err *err)
{
    hv_storage *storage = fetcher->config.storage;
    uint64_t position = fetch->blocks[0].position;
    int64_t wait_ms = fetcher->config.first_wait_ms;

    for (unsigned left = fetcher->config.tries;; left--) {
        hv_buf_clear(stored);
        hv_rc rc = storage->ops->get_range(storage, fetch->segment, position, bytes_of(fetch), stored, err);
        if (rc == HV_OK || !hv_rc_retriable(rc) || left <= 1 || !pause_before_retry(fetcher, fetch, wait_ms))
            return rc;
        wait_ms = wait_ms * 2 < HV_FETCH_LONGEST_WAIT_MS ? wait_ms * 2 : HV_FETCH_LONGEST_WAIT_MS;
    }
}

static void
name_block(const hv_fetch *fetch, const hv_index_block *block, hv_err *err)
{
    (void)hv_err_prefix(err, "segment '%s', block at byte %" PRIu64 ", which begins with offset %" PRId64, fetch->segment,
                        block->position, block->first_offset);
}

static hv_rc
open_block(hv_block_coder *coder, const hv_fetch *fetch, const hv_index_block *block, hv_slice stored, hv_fetched_block *to)
{
    hv_block_ref ref = {.position = block->position, .length = block->length, .first_offset = block->first_offset,
                        .count = block->count, .min_timestamp_ms = block->min_timestamp_ms,
                        .max_timestamp_ms = block->max_timestamp_ms};

    memcpy(ref.sha256, block->sha256, sizeof ref.sha256);
    if (stored.len < block->length)
        to->rc = hv_err_set(&to->err, HV_CORRUPT, "the segment ends %zu bytes too early", block->length - stored.len);
    else
        to->rc = hv_block_open(coder, (hv_codec)fetch->codec, NULL, &ref, hv_slice_of(stored.data, block->length), &to->raw,
                               &to->err);
    if (to->rc != HV_OK)
        name_block(fetch, block, &to->err);
    return to->rc;
}

static hv_rc
open_blocks(worker *self, hv_fetch *fetch, hv_err *err)
{
    size_t at = 0;

    for (size_t i = 0; i < fetch->block_count; i++) {
        hv_slice rest = at < self->stored.len ? hv_slice_of(self->stored.data + at, self->stored.len - at) : hv_slice_of("", 0);
        hv_rc rc = open_block(self->coder, fetch, &fetch->blocks[i], rest, &fetch->results[i]);
        if (rc != HV_OK && rc != HV_CORRUPT) {
            *err = fetch->results[i].err;
            return rc;
        }
        at += fetch->blocks[i].length;
    }
    return HV_OK;
}

/* The index knows the segment, so a store that does not have it, or does not trust it, has lost it. */
static void
mark_all_damaged(hv_fetch *fetch, const hv_err *why)
{
    for (size_t i = 0; i < fetch->block_count; i++) {
        fetch->results[i].err = *why;
        fetch->results[i].err.rc = fetch->results[i].rc = HV_CORRUPT;
        name_block(fetch, &fetch->blocks[i], &fetch->results[i].err);
    }
}

static void
execute(worker *self, hv_fetch *fetch)
{
    fetch->rc = get_stored(self->fetcher, fetch, &self->stored, &fetch->err);
    if (fetch->rc == HV_NOT_FOUND || fetch->rc == HV_CORRUPT) {
        mark_all_damaged(fetch, &fetch->err);
        fetch->rc = HV_OK;
    } else if (fetch->rc != HV_OK) {
        (void)hv_err_prefix(&fetch->err, "read segment '%s'", fetch->segment);
    } else {
        fetch->rc = open_blocks(self, fetch, &fetch->err);
    }
    if (self->stored.allocated > KEPT_STORED)
        hv_buf_free(&self->stored);
}

/* ---- the list; all under the lock ---- */

static void
link_first(hv_fetcher *fetcher, hv_fetch *fetch)
{
    fetch->before = NULL;
    fetch->behind = fetcher->locked.first;
    if (fetch->behind != NULL)
        fetch->behind->before = fetch;
    else
        fetcher->locked.last = fetch;
    fetcher->locked.first = fetch;
}

static void
link_last(hv_fetcher *fetcher, hv_fetch *fetch)
{
    fetch->behind = NULL;
    fetch->before = fetcher->locked.last;
    if (fetch->before != NULL)
        fetch->before->behind = fetch;
    else
        fetcher->locked.first = fetch;
    fetcher->locked.last = fetch;
}

static void
unlink_fetch(hv_fetcher *fetcher, hv_fetch *fetch)
{
    if (fetch->before != NULL)
        fetch->before->behind = fetch->behind;
    else
        fetcher->locked.first = fetch->behind;
    if (fetch->behind != NULL)
        fetch->behind->before = fetch->before;
    else
        fetcher->locked.last = fetch->before;
}

static size_t
real_charge(const hv_fetch *fetch)
{
    size_t bytes = 0;

    for (size_t i = 0; i < fetch->block_count; i++)
        bytes += fetch->results[i].raw.allocated;
    return bytes;
}

static void
set_charge(hv_fetcher *fetcher, hv_fetch *fetch, size_t charge)
{
    fetcher->locked.in_use = fetcher->locked.in_use - fetch->charge + charge;
    fetch->charge = charge;
}

static void
set_done(hv_fetcher *fetcher, hv_fetch *fetch)
{
    set_charge(fetcher, fetch, real_charge(fetch));
    fetch->state = HV_FETCH_DONE;
}

/* ---- threads ---- */

static void *
run_worker(void *arg)
{
    worker *self = arg;
    hv_fetcher *fetcher = self->fetcher;

    must(pthread_mutex_lock(&fetcher->lock));
    for (;;) {
        while (fetcher->locked.first == NULL && !fetcher->locked.closed)
            must(pthread_cond_wait(&fetcher->work, &fetcher->lock));
        hv_fetch *fetch = fetcher->locked.first;
        if (fetch == NULL)
            break;
        unlink_fetch(fetcher, fetch);
        fetch->state = HV_FETCH_RUNNING;
        must(pthread_mutex_unlock(&fetcher->lock));
        execute(self, fetch);
        must(pthread_mutex_lock(&fetcher->lock));
        set_done(fetcher, fetch);
        must(pthread_cond_broadcast(&fetcher->changed));
    }
    must(pthread_mutex_unlock(&fetcher->lock));
    return NULL;
}

static hv_rc
make_workers(hv_fetcher *fetcher, hv_err *err)
{
    fetcher->worker_count = fetcher->config.threads > 0 ? fetcher->config.threads : 1;
    fetcher->workers = calloc(fetcher->worker_count, sizeof *fetcher->workers);
    if (fetcher->workers == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for %u readers", fetcher->worker_count);
    for (unsigned i = 0; i < fetcher->worker_count; i++) {
        worker *each = &fetcher->workers[i];
        each->fetcher = fetcher;
        each->stored = (hv_buf)HV_BUF_INIT(SIZE_MAX / 4);
        hv_rc rc = hv_block_coder_new(&each->coder, err);
        if (rc != HV_OK)
            return rc;
    }
    for (; fetcher->started < fetcher->config.threads; fetcher->started++) {
        worker *each = &fetcher->workers[fetcher->started];
        int error = pthread_create(&each->thread, NULL, run_worker, each);
        if (error != 0)
            return hv_err_set(err, HV_IO, "start a reader thread: %s", strerror(error));
    }
    return HV_OK;
}

hv_rc
hv_fetcher_new(const hv_fetcher_config *config, hv_fetcher **ret, hv_err *err)
{
    HV_AUTO(hv_fetcher_free) hv_fetcher *fetcher = NULL;
    pthread_condattr_t attributes;

    assert(config->tries > 0);
    fetcher = calloc(1, sizeof *fetcher);
    if (fetcher == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for reading ahead");
    fetcher->config = *config;
    must(pthread_mutex_init(&fetcher->lock, NULL));
    must(pthread_condattr_init(&attributes));
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    must(pthread_cond_init(&fetcher->work, &attributes));
    must(pthread_cond_init(&fetcher->changed, &attributes));
    must(pthread_condattr_destroy(&attributes));
    hv_rc rc = make_workers(fetcher, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(fetcher);
    return rc;
}

void
hv_fetcher_free(hv_fetcher *fetcher)
{
    if (fetcher == NULL)
        return;
    assert(fetcher->locked.first == NULL);
    must(pthread_mutex_lock(&fetcher->lock));
    fetcher->locked.closed = true;
    must(pthread_cond_broadcast(&fetcher->work));
    must(pthread_mutex_unlock(&fetcher->lock));
    for (unsigned i = 0; i < fetcher->started; i++)
        must(pthread_join(fetcher->workers[i].thread, NULL));
    for (unsigned i = 0; fetcher->workers != NULL && i < fetcher->worker_count; i++) {
        hv_block_coder_free(fetcher->workers[i].coder);
        hv_buf_free(&fetcher->workers[i].stored);
    }
    free(fetcher->workers);
    must(pthread_cond_destroy(&fetcher->changed));
    must(pthread_cond_destroy(&fetcher->work));
    must(pthread_mutex_destroy(&fetcher->lock));
    free(fetcher);
}

/* ---- for the caller ---- */

void
hv_fetch_free(hv_fetch *fetch)
{
    for (size_t i = 0; i < fetch->result_room; i++)
        hv_buf_free(&fetch->results[i].raw);
    free(fetch->results);
    fetch->results = NULL;
    fetch->result_room = 0;
}

static hv_rc
make_room(hv_fetch *fetch, hv_err *err)
{
    if (fetch->block_count <= fetch->result_room)
        return HV_OK;
    hv_fetched_block *moved = reallocarray(fetch->results, fetch->block_count, sizeof *moved);
    if (moved == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to read %zu blocks", fetch->block_count);
    fetch->results = moved;
    for (; fetch->result_room < fetch->block_count; fetch->result_room++)
        moved[fetch->result_room] = (hv_fetched_block){.raw = HV_BUF_INIT(HV_BLOCK_MAX_RAW)};
    return HV_OK;
}

bool
hv_fetcher_has_room(hv_fetcher *fetcher)
{
    must(pthread_mutex_lock(&fetcher->lock));
    bool room = fetcher->locked.in_use < fetcher->config.memory_bytes;
    must(pthread_mutex_unlock(&fetcher->lock));
    return room;
}

hv_rc
hv_fetcher_submit(hv_fetcher *fetcher, hv_fetch *fetch, hv_err *err)
{
    assert(fetch->state == HV_FETCH_IDLE && fetch->block_count > 0);
    hv_rc rc = make_room(fetch, err);
    if (rc != HV_OK)
        return rc;
    must(pthread_mutex_lock(&fetcher->lock));
    fetch->cancelled = false;
    fetch->state = HV_FETCH_QUEUED;
    set_charge(fetcher, fetch, bytes_of(fetch) * GUESSED_RATIO);
    link_last(fetcher, fetch);
    must(pthread_cond_signal(&fetcher->work));
    must(pthread_mutex_unlock(&fetcher->lock));
    return HV_OK;
}

void
hv_fetcher_wait(hv_fetcher *fetcher, hv_fetch *fetch)
{
    must(pthread_mutex_lock(&fetcher->lock));
    assert(fetch->state != HV_FETCH_IDLE);
    if (fetch->state == HV_FETCH_QUEUED) {
        unlink_fetch(fetcher, fetch);
        if (fetcher->started > 0) {
            link_first(fetcher, fetch);
        } else {
            must(pthread_mutex_unlock(&fetcher->lock));
            execute(&fetcher->workers[0], fetch);
            must(pthread_mutex_lock(&fetcher->lock));
            set_done(fetcher, fetch);
        }
    }
    while (fetch->state != HV_FETCH_DONE)
        must(pthread_cond_wait(&fetcher->changed, &fetcher->lock));
    must(pthread_mutex_unlock(&fetcher->lock));
}

static void
release(hv_fetcher *fetcher, hv_fetch *fetch)
{
    must(pthread_mutex_lock(&fetcher->lock));
    set_charge(fetcher, fetch, 0);
    fetch->state = HV_FETCH_IDLE;
    must(pthread_mutex_unlock(&fetcher->lock));
    for (size_t i = 0; i < fetch->result_room; i++)
        if (fetch->results[i].raw.allocated > KEPT_RAW)
            hv_buf_free(&fetch->results[i].raw);
}

void
hv_fetcher_release(hv_fetcher *fetcher, hv_fetch *fetch)
{
    assert(fetch->state == HV_FETCH_DONE);
    release(fetcher, fetch);
}

void
hv_fetcher_cancel(hv_fetcher *fetcher, hv_fetch *fetch)
{
    must(pthread_mutex_lock(&fetcher->lock));
    if (fetch->state == HV_FETCH_QUEUED) {
        unlink_fetch(fetcher, fetch);
        fetch->state = HV_FETCH_DONE;
    }
    fetch->cancelled = true;
    must(pthread_cond_broadcast(&fetcher->changed));
    while (fetch->state == HV_FETCH_RUNNING)
        must(pthread_cond_wait(&fetcher->changed, &fetcher->lock));
    must(pthread_mutex_unlock(&fetcher->lock));
    release(fetcher, fetch);
}
