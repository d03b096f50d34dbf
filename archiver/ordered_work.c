/*
 * A ring of slots. Slot number n of the walk stands at n % size; `first` is the oldest one not taken back, `next` the one that the
 * next thread without work gets, `end` the one that the next push fills: first <= next <= end <= first + size.
 *
 * Waking a thread costs more than many an item does. So the walking thread, once the ring is full, sleeps until half of it is done, and
 * takes that half back at one go; the other half is what the threads have to do meanwhile.
 *
 * Why it is safe: an item belongs to the walking thread until it is pushed, to one worker from the moment in which `next` passes it
 * until it is marked done, and to the walking thread again; each of these steps is made under the lock.
 */
#include "archiver/ordered_work.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct slot {
    void *item;
    bool done;
    hv_rc rc;
    hv_err err;
} slot;

struct hv_ordered_work {
    hv_ordered_work_config config;
    size_t size;
    slot *slots;
    void *tools[HV_ORDERED_MAX_THREADS];
    pthread_t threads[HV_ORDERED_MAX_THREADS];
    unsigned tool_count, thread_count, started;
    hv_rc failed;                       /* these two: of the walking thread */
    hv_err failure;

    pthread_mutex_t lock;
    pthread_cond_t more, done;          /* an item to work on, or the end; the oldest item may be done */
    struct {                            /* touched only while holding `lock`, except in new and free */
        size_t first, next, end;
        size_t awaited;                 /* the number that the walking thread waits for */
        unsigned joined;                /* threads that have taken their tools */
        bool closed;
    } locked;
};

static void
must(int pthread_rc)
{
    assert(pthread_rc == 0);
    (void)pthread_rc;
}

static slot *
slot_at(hv_ordered_work *ordered, size_t number)
{
    return &ordered->slots[number % ordered->size];
}

static void *
run(void *arg)
{
    hv_ordered_work *ordered = arg;
    const hv_ordered_work_config *config = &ordered->config;

    must(pthread_mutex_lock(&ordered->lock));
    void *tools = ordered->tools[ordered->locked.joined++];
    for (;;) {
        while (ordered->locked.next == ordered->locked.end && !ordered->locked.closed)
            must(pthread_cond_wait(&ordered->more, &ordered->lock));
        if (ordered->locked.closed)
            break;
        size_t number = ordered->locked.next++;
        slot *mine = slot_at(ordered, number);
        must(pthread_mutex_unlock(&ordered->lock));
        mine->rc = config->work(config->arg, tools, mine->item, &mine->err);
        must(pthread_mutex_lock(&ordered->lock));
        mine->done = true;
        if (number == ordered->locked.awaited)
            must(pthread_cond_signal(&ordered->done));
    }
    must(pthread_mutex_unlock(&ordered->lock));
    return NULL;
}

static unsigned
threads_wanted(const hv_ordered_work_config *config)
{
    long cores = config->threads != 0 ? (long)config->threads : sysconf(_SC_NPROCESSORS_ONLN);

    return cores < 1 ? 1 : cores > HV_ORDERED_MAX_THREADS ? HV_ORDERED_MAX_THREADS : (unsigned)cores;
}

static hv_rc
start(hv_ordered_work *ordered, hv_err *err)
{
    for (; ordered->tool_count < ordered->thread_count && ordered->config.tools_new != NULL; ordered->tool_count++) {
        hv_rc rc = ordered->config.tools_new(ordered->config.arg, &ordered->tools[ordered->tool_count], err);
        if (rc != HV_OK)
            return rc;
    }
    for (; ordered->started < ordered->thread_count; ordered->started++)
        if (pthread_create(&ordered->threads[ordered->started], NULL, run, ordered) != 0)
            return hv_err_set(err, HV_IO, "cannot start thread %u of %u", ordered->started + 1, ordered->thread_count);
    return HV_OK;
}

hv_rc
hv_ordered_work_new(const hv_ordered_work_config *config, hv_ordered_work **ret, hv_err *err)
{
    hv_ordered_work *made = calloc(1, sizeof *made);

    if (made == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to share out work");
    made->config = *config;
    made->thread_count = threads_wanted(config);
    made->size = (size_t)made->thread_count * (config->window_per_thread > 0 ? config->window_per_thread : 1);
    must(pthread_mutex_init(&made->lock, NULL));
    must(pthread_cond_init(&made->more, NULL));
    must(pthread_cond_init(&made->done, NULL));
    HV_AUTO(hv_ordered_work_free) hv_ordered_work *ordered = made;
    ordered->slots = calloc(ordered->size, sizeof *ordered->slots);
    if (ordered->slots == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to share out work");
    hv_rc rc = start(ordered, err);
    if (rc != HV_OK)
        return rc;
    *ret = HV_TAKE(ordered);
    return HV_OK;
}

static void
keep_failure(hv_ordered_work *ordered, hv_rc rc, const hv_err *err)
{
    if (ordered->failed != HV_OK || rc == HV_OK)
        return;
    ordered->failed = rc;
    ordered->failure = *err;
}

static void
await(hv_ordered_work *ordered, size_t number)
{
    const slot *awaited = slot_at(ordered, number);

    must(pthread_mutex_lock(&ordered->lock));
    ordered->locked.awaited = number;
    while (!awaited->done)
        must(pthread_cond_wait(&ordered->done, &ordered->lock));
    must(pthread_mutex_unlock(&ordered->lock));
}

/* The oldest item, once it is done. */
static void
take_one(hv_ordered_work *ordered)
{
    const hv_ordered_work_config *config = &ordered->config;
    slot *oldest = slot_at(ordered, ordered->locked.first);     /* only this thread moves it */
    hv_err err;

    await(ordered, ordered->locked.first);
    keep_failure(ordered, oldest->rc, &oldest->err);
    if (ordered->failed == HV_OK)
        keep_failure(ordered, config->take(config->arg, oldest->item, &err), &err);
    config->drop(oldest->item);
    *oldest = (slot){.item = NULL};
    must(pthread_mutex_lock(&ordered->lock));
    ordered->locked.first++;
    must(pthread_mutex_unlock(&ordered->lock));
}

static void
take_half(hv_ordered_work *ordered)
{
    size_t count = (ordered->size + 1) / 2;

    await(ordered, ordered->locked.first + count - 1);
    for (size_t i = 0; i < count && ordered->failed == HV_OK; i++)
        take_one(ordered);
}

static bool
is_out(hv_ordered_work *ordered, size_t at_least)
{
    must(pthread_mutex_lock(&ordered->lock));
    bool out = ordered->locked.end - ordered->locked.first >= at_least;
    must(pthread_mutex_unlock(&ordered->lock));
    return out;
}

static hv_rc
report(const hv_ordered_work *ordered, hv_err *err)
{
    if (ordered->failed != HV_OK)
        *err = ordered->failure;
    return ordered->failed;
}

hv_rc
hv_ordered_work_push(hv_ordered_work *ordered, void *item, hv_err *err)
{
    if (ordered->failed == HV_OK && is_out(ordered, ordered->size))
        take_half(ordered);
    if (ordered->failed != HV_OK) {
        ordered->config.drop(item);
        return report(ordered, err);
    }
    must(pthread_mutex_lock(&ordered->lock));
    *slot_at(ordered, ordered->locked.end++) = (slot){.item = item};
    must(pthread_cond_signal(&ordered->more));
    must(pthread_mutex_unlock(&ordered->lock));
    return HV_OK;
}

hv_rc
hv_ordered_work_finish(hv_ordered_work *ordered, hv_err *err)
{
    while (ordered->failed == HV_OK && is_out(ordered, 1))
        take_one(ordered);
    return report(ordered, err);
}

void
hv_ordered_work_free(hv_ordered_work *ordered)
{
    if (ordered == NULL)
        return;
    must(pthread_mutex_lock(&ordered->lock));
    ordered->locked.closed = true;
    must(pthread_cond_broadcast(&ordered->more));
    must(pthread_mutex_unlock(&ordered->lock));
    for (unsigned t = 0; t < ordered->started; t++)
        must(pthread_join(ordered->threads[t], NULL));
    for (unsigned t = 0; t < ordered->tool_count; t++)
        ordered->config.tools_free(ordered->tools[t]);
    for (size_t n = ordered->locked.first; n < ordered->locked.end; n++)
        ordered->config.drop(slot_at(ordered, n)->item);
    must(pthread_cond_destroy(&ordered->done));
    must(pthread_cond_destroy(&ordered->more));
    must(pthread_mutex_destroy(&ordered->lock));
    free(ordered->slots);
    free(ordered);
}
