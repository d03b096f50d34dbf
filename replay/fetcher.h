/*
 * Reads runs of blocks ahead: ranged gets, verification and unpacking, in a few threads, within a budget of memory.
 *
 * A fetch belongs to the caller and is lent to the fetcher from submit until wait or cancel returns; between these the caller
 * touches nothing in it. One thread submits, waits and cancels.
 */
#ifndef HV_REPLAY_FETCHER_H
#define HV_REPLAY_FETCHER_H

#include "index/index.h"
#include "storage/storage.h"

typedef struct hv_fetcher hv_fetcher;

typedef struct hv_fetcher_config {
    hv_storage *storage;                /* borrowed */
    unsigned threads;                   /* 0: hv_fetcher_wait() does the work */
    size_t memory_bytes;
    unsigned tries;                     /* of a get that failed and may be repeated; 1 or more */
    int64_t first_wait_ms;              /* between two tries; doubles, up to HV_FETCH_LONGEST_WAIT_MS */
} hv_fetcher_config;

enum { HV_FETCH_LONGEST_WAIT_MS = 4000 };

hv_rc hv_fetcher_new(const hv_fetcher_config *config, hv_fetcher **ret, hv_err *err) HV_MUST_USE;
/* No fetch may be lent to it any more. Accepts NULL. */
void hv_fetcher_free(hv_fetcher *fetcher);
HV_DEFINE_AUTO(hv_fetcher, hv_fetcher_free);

/* What came of one block. */
typedef struct hv_fetched_block {
    hv_rc rc;                           /* HV_OK, or HV_CORRUPT with `err` naming segment and position */
    hv_err err;
    hv_buf raw;                         /* the events */
} hv_fetched_block;

typedef struct hv_fetch {
    /* Set by the caller. Neighbouring blocks of one segment; borrowed. */
    const char *segment;                /* name of the blob */
    uint8_t codec;
    const hv_index_block *blocks;
    size_t block_count;

    /* Set by the fetcher. Memory is kept from fetch to fetch. */
    hv_rc rc;                           /* of the get: HV_OK, or a failure that says nothing about the blocks */
    hv_err err;
    hv_fetched_block *results;          /* one per block, valid if rc is HV_OK */
    size_t result_room;

    /* Of the fetcher. */
    struct hv_fetch *before, *behind;
    enum { HV_FETCH_IDLE, HV_FETCH_QUEUED, HV_FETCH_RUNNING, HV_FETCH_DONE } state;
    bool cancelled;
    size_t charge;
} hv_fetch;

/* When it is not lent. */
void hv_fetch_free(hv_fetch *fetch);

/* Whether the budget has room for another one. */
bool hv_fetcher_has_room(hv_fetcher *fetcher);

/* HV_NOMEM: not lent. */
hv_rc hv_fetcher_submit(hv_fetcher *fetcher, hv_fetch *fetch, hv_err *err) HV_MUST_USE;

/* Until it is done. Its memory counts against the budget until hv_fetcher_release(). */
void hv_fetcher_wait(hv_fetcher *fetcher, hv_fetch *fetch);

/* The blocks are no longer needed. */
void hv_fetcher_release(hv_fetcher *fetcher, hv_fetch *fetch);

/* Take it back whatever its state, waiting if a thread is at it, and release it. */
void hv_fetcher_cancel(hv_fetcher *fetcher, hv_fetch *fetch);

#endif
