/*
 * The state of one capture as its thread has last published it (inside the archiver folder). The lock is held while a pointer is exchanged,
 * or while a reader copies; the capture thread therefore waits for a copy of some hundred bytes per partition at the very most.
 */
#ifndef HV_ARCHIVER_PUBLISHED_H
#define HV_ARCHIVER_PUBLISHED_H

#include <pthread.h>

#include "archiver/archiver_state.h"

typedef struct hv_published {
    int64_t made_boot_ms;               /* of the capture thread */
    pthread_mutex_t lock;
    struct {                            /* touched only while holding `lock`, except in init and clear */
        hv_archiver_state state;
    } locked;
} hv_published;

void hv_published_init(hv_published *published);
void hv_published_clear(hv_published *published);

/* Takes what state points to, and leaves what was published before. */
void hv_published_swap(hv_published *published, hv_archiver_state *state);

/* Adds what is published behind what *state holds. */
hv_rc hv_published_add(hv_published *published, hv_archiver_state *state, hv_err *err) HV_MUST_USE;

#endif
