/*
 * Inside of the scripted source: what the driver and the functions for tests share.
 */
#ifndef HV_SOURCE_SCRIPTED_STATE_H
#define HV_SOURCE_SCRIPTED_STATE_H

#include <pthread.h>

#include "source/scripted_log.h"
#include "source/source_drivers.h"

enum { HV_SCRIPTED_MAX_TROUBLES = 64 };

typedef struct hv_scripted_partition {
    hv_scripted_log log;
    int64_t committed;                  /* -1: never */
    int64_t overlooked;                 /* offset of a record that is passed over so many times more, after so many deliveries */
    int overlook_times, overlook_after;
} hv_scripted_partition;

typedef struct hv_scripted_hub_state {
    hv_source_hub facts;                /* partitions 0: deleted */
    hv_scripted_partition *partitions;
    hv_source_hub_policy policy;
    hv_source_kind troubles[HV_SCRIPTED_MAX_TROUBLES];
    size_t trouble_count;
    struct hv_scripted_hub_state *next;
} hv_scripted_hub_state;

typedef struct hv_scripted_assignment {
    char hub[HV_HUB_SIZE];
    int32_t partition;
    void *tag;
    uint64_t generation;
    int64_t next;
    int64_t end_told;                   /* the last HV_SOURCE_END, -1: none */
    bool lost;                          /* out of range or gone was told; silent until assigned anew */
    bool known;                         /* a fetch took place: */
    int64_t known_low, known_high;
} hv_scripted_assignment;

typedef struct hv_scripted {
    hv_source source;                   /* first, so that one pointer is both */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {                            /* touched only while holding `lock`, except in open and close */
        hv_scripted_hub_state *hubs;
        hv_scripted_assignment *assignments;
        size_t assigned, allocated, turn;
        hv_scripted_record *current;    /* lent to the poll thread */
        hv_rc questions_rc, final_rc;   /* HV_OK, or what a test wants questions and polls to answer */
    } locked;
} hv_scripted;

void hv_scripted_lock(hv_scripted *s);
void hv_scripted_unlock(hv_scripted *s);
/* Wakes a poll that waits. */
void hv_scripted_unlock_changed(hv_scripted *s);

/* These want the lock. NULL if there is none. */
hv_scripted_hub_state *hv_scripted_find_hub(hv_scripted *s, const char *name);
hv_scripted_partition *hv_scripted_find_partition(hv_scripted *s, const char *name, int32_t partition);
void hv_scripted_empty_hub(hv_scripted_hub_state *hub);
/* As hv_scripted_hub(). */
void hv_scripted_set_hub(hv_scripted *s, const char *name, int32_t partitions, const char *identity);

/* Ends the process where memory ends. */
void *hv_scripted_never_null(void *memory);

/* Asserts that it is one. */
hv_scripted *hv_scripted_of(hv_source *source);

#endif
