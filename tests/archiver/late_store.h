/*
 * A store that shows its segments only from the first put of one on: what an archiver sees whose rival puts a cut between its look
 * and its own put.
 */
#ifndef HV_TESTS_ARCHIVER_LATE_STORE_H
#define HV_TESTS_ARCHIVER_LATE_STORE_H

#include <stdatomic.h>

#include "storage/storage.h"

typedef struct late_store {
    hv_storage base;
    hv_storage *inner;
    _Atomic bool seen;
} late_store;

/* `inner` is borrowed; closing does nothing. */
void late_store_make(late_store *store, hv_storage *inner);

#endif
