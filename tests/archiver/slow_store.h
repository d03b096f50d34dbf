/*
 * A store that takes its time: each put of a segment waits before it is passed on. Everything else is passed on at once.
 */
#ifndef HV_TESTS_ARCHIVER_SLOW_STORE_H
#define HV_TESTS_ARCHIVER_SLOW_STORE_H

#include <stdatomic.h>

#include "storage/storage.h"

typedef struct slow_store {
    hv_storage base;
    hv_storage *inner;
    _Atomic int put_ms;                 /* may change while a put waits */
} slow_store;

/* `inner` is borrowed; closing does nothing. */
void slow_store_make(slow_store *store, hv_storage *inner, int put_ms);

#endif
