/*
 * Work done by several threads and taken back in the order in which it was handed out.
 *
 * For walks over a whole vault: the walking thread hands out one item after the other, threads read and check them, and the walking
 * thread gets them back in order, so what compares neighbours needs no locks. Only `window` items exist at a time.
 */
#ifndef HV_ARCHIVER_ORDERED_WORK_H
#define HV_ARCHIVER_ORDERED_WORK_H

#include <stddef.h>

#include "common/auto.h"
#include "common/err.h"

typedef struct hv_ordered_work hv_ordered_work;

enum { HV_ORDERED_MAX_THREADS = 64 };

typedef struct hv_ordered_work_config {
    unsigned threads;                   /* 0: one per core of this machine; at most HV_ORDERED_MAX_THREADS */
    unsigned window_per_thread;
    /* What one thread needs for itself; NULL: nothing. Called before any thread runs, and after all have ended. */
    hv_rc (*tools_new)(void *arg, void **ret, hv_err *err);
    void (*tools_free)(void *tools);
    /* In any of the threads. A failure is a failure of the whole; what is wrong with the item itself goes into the item. */
    hv_rc (*work)(void *arg, void *tools, void *item, hv_err *err);
    /* In the thread that calls hv_ordered_work_push() or _finish(): the next item, worked on. */
    hv_rc (*take)(void *arg, void *item, hv_err *err);
    void (*drop)(void *item);           /* frees an item: after take(), or when it comes to that no more */
    void *arg;
} hv_ordered_work_config;

/* HV_NOMEM, HV_IO (no threads), or what tools_new() says. The config is copied. */
hv_rc hv_ordered_work_new(const hv_ordered_work_config *config, hv_ordered_work **ret, hv_err *err) HV_MUST_USE;

/* Takes the item over, whatever it returns. May take() older items. The first failure of work() or take(), in order, is returned by
 * this and every later call. One thread calls this and _finish(). */
hv_rc hv_ordered_work_push(hv_ordered_work *ordered, void *item, hv_err *err) HV_MUST_USE;

/* Take back everything that is still out. */
hv_rc hv_ordered_work_finish(hv_ordered_work *ordered, hv_err *err) HV_MUST_USE;

/* Ends the threads; items that nobody took are dropped. Accepts NULL. */
void hv_ordered_work_free(hv_ordered_work *ordered);
HV_DEFINE_AUTO(hv_ordered_work, hv_ordered_work_free);

#endif
