/*
 * A store that counts who is in it at the same time, and keeps callers waiting: from some call on, or until so many are there at once.
 * Only calls about names with a certain text in them count and wait; all others pass.
 */
#ifndef HV_TESTS_ARCHIVER_CROWD_STORE_H
#define HV_TESTS_ARCHIVER_CROWD_STORE_H

#include <pthread.h>

#include "storage/storage.h"

enum { CROWD_NEVER = 1 << 30 };

typedef struct crowd_store {
    hv_storage base;
    hv_storage *inner;
    const char *about;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {                            /* touched only while holding `lock` */
        unsigned calls, inside, most;   /* begun; under way; most at once */
        unsigned hold_from;             /* this call and later ones wait */
        unsigned held;                  /* that wait for that now */
        unsigned gather;                /* listings wait until so many are inside; 0: they need not any more */
        const char *hidden;             /* the next listing that would show this name leaves it out; NULL: none */
    } locked;
} crowd_store;

/* `inner` is borrowed; closing does nothing. Everything passes. */
void crowd_make(crowd_store *store, hv_storage *inner, const char *about);
void crowd_end(crowd_store *store);

/* Call number `call`, counted from now on, and all later ones wait. CROWD_NEVER: who waits goes on. */
void crowd_hold_from(crowd_store *store, unsigned call);
void crowd_gather(crowd_store *store, unsigned count);
void crowd_hide_once(crowd_store *store, const char *name);

unsigned crowd_calls(crowd_store *store);
unsigned crowd_held(crowd_store *store);
unsigned crowd_most(crowd_store *store);
bool crowd_has_hidden(crowd_store *store);      /* what was to be hidden once */

#endif
