/*
 * A ring under one mutex, with a condition for each direction. Waits use the monotonic clock, so that a jump of the wall clock
 * neither wakes nor delays anybody.
 */
#include "common/queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

struct hv_queue {
    void (*drop)(void *item);
    size_t capacity;

    pthread_mutex_t lock;
    pthread_cond_t not_full, not_empty;
    struct {                            /* touched only while holding `lock`, except in new and free */
        void **ring;
        size_t head, len;
        bool closed;
    } locked;
};

/* Calls on our own mutex and conditions fail only when this file misuses them. */
static void
must(int pthread_rc)
{
    assert(pthread_rc == 0);
    (void)pthread_rc;
}

static void
init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    must(pthread_condattr_init(&attributes));
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    must(pthread_cond_init(condition, &attributes));
    must(pthread_condattr_destroy(&attributes));
}

hv_rc
hv_queue_new(size_t capacity, void (*drop)(void *item), hv_queue **ret, hv_err *err)
{
    assert(capacity > 0);
    hv_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL || (queue->locked.ring = calloc(capacity, sizeof *queue->locked.ring)) == NULL) {
        free(queue);
        return hv_err_set(err, HV_NOMEM, "no memory for a queue of %zu items", capacity);
    }
    queue->drop = drop;
    queue->capacity = capacity;
    must(pthread_mutex_init(&queue->lock, NULL));
    init_condition(&queue->not_full);
    init_condition(&queue->not_empty);
    *ret = queue;
    return HV_OK;
}

void
hv_queue_free(hv_queue *queue)
{
    if (queue == NULL)
        return;
    for (size_t i = 0; queue->drop != NULL && i < queue->locked.len; i++)
        queue->drop(queue->locked.ring[(queue->locked.head + i) % queue->capacity]);
    must(pthread_cond_destroy(&queue->not_empty));
    must(pthread_cond_destroy(&queue->not_full));
    must(pthread_mutex_destroy(&queue->lock));
    free(queue->locked.ring);
    free(queue);
}

hv_rc
hv_queue_push(hv_queue *queue, void *item)
{
    hv_rc rc = HV_CLOSED;

    must(pthread_mutex_lock(&queue->lock));
    while (queue->locked.len == queue->capacity && !queue->locked.closed)
        must(pthread_cond_wait(&queue->not_full, &queue->lock));
    if (!queue->locked.closed) {
        queue->locked.ring[(queue->locked.head + queue->locked.len++) % queue->capacity] = item;
        must(pthread_cond_signal(&queue->not_empty));
        rc = HV_OK;
    }
    must(pthread_mutex_unlock(&queue->lock));
    return rc;
}

/* Waits until there is something to pop, the queue is closed, or the time is over; holding the lock. */
static void
wait_for_item(hv_queue *queue, int timeout_ms)
{
    struct timespec until;
    int waited = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms > 0 ? timeout_ms / 1000 : 0;
    until.tv_nsec += timeout_ms > 0 ? timeout_ms % 1000 * 1000000L : 0;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    while (queue->locked.len == 0 && !queue->locked.closed && waited != ETIMEDOUT && timeout_ms != 0) {
        waited = timeout_ms < 0 ? pthread_cond_wait(&queue->not_empty, &queue->lock)
                                : pthread_cond_timedwait(&queue->not_empty, &queue->lock, &until);
        assert(waited == 0 || waited == ETIMEDOUT);
    }
}

hv_rc
hv_queue_pop(hv_queue *queue, int timeout_ms, void **ret)
{
    hv_rc rc = HV_NOT_FOUND;

    must(pthread_mutex_lock(&queue->lock));
    if (queue->locked.len == 0)
        wait_for_item(queue, timeout_ms);
    if (queue->locked.len > 0) {
        *ret = queue->locked.ring[queue->locked.head];
        queue->locked.head = (queue->locked.head + 1) % queue->capacity;
        queue->locked.len--;
        must(pthread_cond_signal(&queue->not_full));
        rc = HV_OK;
    } else if (queue->locked.closed) {
        rc = HV_CLOSED;
    }
    must(pthread_mutex_unlock(&queue->lock));
    return rc;
}

size_t
hv_queue_len(hv_queue *queue)
{
    must(pthread_mutex_lock(&queue->lock));
    size_t len = queue->locked.len;
    must(pthread_mutex_unlock(&queue->lock));
    return len;
}

void
hv_queue_close(hv_queue *queue)
{
    must(pthread_mutex_lock(&queue->lock));
    queue->locked.closed = true;
    must(pthread_cond_broadcast(&queue->not_full));
    must(pthread_cond_broadcast(&queue->not_empty));
    must(pthread_mutex_unlock(&queue->lock));
}
