/*
 * Bounded hand-over of owned items between threads: the only way threads share work here.
 *
 * A full queue blocks its producers. That is the back-pressure, and it ends in not polling the source. All functions but new and
 * free may be called from any thread, none while holding a lock.
 */
#ifndef HV_COMMON_QUEUE_H
#define HV_COMMON_QUEUE_H

#include <stddef.h>

#include "common/auto.h"
#include "common/err.h"

typedef struct hv_queue hv_queue;

/* drop() frees an item that is still queued when the queue is freed; NULL if there is nothing to free. */
hv_rc hv_queue_new(size_t capacity, void (*drop)(void *item), hv_queue **ret, hv_err *err) HV_MUST_USE;

/* When no other thread uses it any more. Accepts NULL. */
void hv_queue_free(hv_queue *queue);
HV_DEFINE_AUTO(hv_queue, hv_queue_free);

/* Blocks while full. HV_OK: the queue owns item. HV_CLOSED: the caller still does. No other code. */
hv_rc hv_queue_push(hv_queue *queue, void *item) HV_MUST_USE;

/* Blocks while empty, up to timeout_ms (negative: for ever, 0: not at all). HV_OK: the caller owns *ret. HV_NOT_FOUND: nothing came.
 * HV_CLOSED: closed, and empty. No other code. */
hv_rc hv_queue_pop(hv_queue *queue, int timeout_ms, void **ret) HV_MUST_USE;

/* Items in it now: a hint, it may change at once. */
size_t hv_queue_len(hv_queue *queue);

/* No more pushes; poppers drain what is left. May be called again. */
void hv_queue_close(hv_queue *queue);

#endif
