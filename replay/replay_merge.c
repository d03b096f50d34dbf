/*
 * A heap of streams, one per partition, by the timestamp of the event each has at its front, and by its place in the list for equal
 * timestamps. That place follows hub, incarnation and partition, so the order is a function of the events alone. Inside of a
 * partition the order of offsets stays, even where timestamps run backwards: consumers rely on it.
 *
 * In order of offset there is a single stream over all partitions, which needs no heap.
 */
#include "replay/replay_merge.h"

#include <stdlib.h>

enum { RATIO = 6 };                     /* raw to stored, roughly: to divide memory between streams */

typedef struct head {
    hv_stream *stream;
    hv_replay_part *part;
    hv_event event;
} head;

struct hv_merge {
    head *heads;                        /* in the order of partitions */
    size_t head_count;
    size_t *heap;                       /* indexes into heads; the first one is next */
    size_t heap_count;
    bool started;
};

void
hv_merge_free(hv_merge *merge)
{
    if (merge == NULL)
        return;
    for (size_t i = 0; i < merge->head_count; i++)
        hv_stream_free(merge->heads[i].stream);
    free(merge->heads);
    free(merge->heap);
    free(merge);
}

static hv_rc
add_stream(hv_merge *merge, const hv_stream_config *config, hv_err *err)
{
    hv_rc rc = hv_stream_new(config, &merge->heads[merge->head_count].stream, err);

    if (rc == HV_OK)
        rc = hv_stream_prime(merge->heads[merge->head_count++].stream, err);
    return rc;
}

static hv_rc
add_streams(hv_merge *merge, const hv_stream_config *all, size_t memory_each, hv_err *err)
{
    hv_stream_config one = *all;

    one.part_count = 1;
    if (one.run_bytes > memory_each / RATIO)
        one.run_bytes = memory_each / RATIO > 0 ? memory_each / RATIO : 1;      /* a run has at least one block */
    for (size_t i = 0; i < all->part_count; i++) {
        one.parts = &all->parts[i];
        hv_rc rc = add_stream(merge, &one, err);
        if (rc != HV_OK)
            return rc;
    }
    return HV_OK;
}

hv_rc
hv_merge_new(const hv_stream_config *streams, bool by_time, size_t memory_bytes, hv_merge **ret, hv_err *err)
{
    HV_AUTO(hv_merge_free) hv_merge *merge = calloc(1, sizeof *merge);
    size_t count = by_time ? streams->part_count : 1;

    if (merge != NULL) {
        merge->heads = calloc(count + 1, sizeof *merge->heads);
        merge->heap = calloc(count + 1, sizeof *merge->heap);
    }
    if (merge == NULL || merge->heads == NULL || merge->heap == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory to read %zu partitions", streams->part_count);
    hv_rc rc = by_time ? add_streams(merge, streams, memory_bytes / (count + 1), err) : add_stream(merge, streams, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(merge);
    return rc;
}

static bool
comes_before(const hv_merge *merge, size_t a, size_t b)
{
    int64_t time_a = merge->heads[a].event.timestamp_ms, time_b = merge->heads[b].event.timestamp_ms;

    return time_a != time_b ? time_a < time_b : a < b;
}

static void
swap(size_t *a, size_t *b)
{
    size_t kept = *a;

    *a = *b;
    *b = kept;
}

static void
sift_down(hv_merge *merge)
{
    size_t at = 0;

    for (;;) {
        size_t least = at, left = 2 * at + 1, right = left + 1;
        if (left < merge->heap_count && comes_before(merge, merge->heap[left], merge->heap[least]))
            least = left;
        if (right < merge->heap_count && comes_before(merge, merge->heap[right], merge->heap[least]))
            least = right;
        if (least == at)
            return;
        swap(&merge->heap[at], &merge->heap[least]);
        at = least;
    }
}

static void
push(hv_merge *merge, size_t index)
{
    size_t at = merge->heap_count++;

    merge->heap[at] = index;
    while (at > 0 && comes_before(merge, merge->heap[at], merge->heap[(at - 1) / 2])) {
        swap(&merge->heap[at], &merge->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static hv_rc
start(hv_merge *merge, hv_err *err)
{
    for (size_t i = 0; i < merge->head_count; i++) {
        head *each = &merge->heads[i];
        hv_rc rc = hv_stream_next(each->stream, &each->part, &each->event, err);
        if (rc == HV_OK)
            push(merge, i);
        else if (rc != HV_NOT_FOUND)
            return rc;
    }
    merge->started = true;
    return HV_OK;
}

/* The first one was delivered: read its next event, or let its stream go. */
static hv_rc
advance(hv_merge *merge, hv_err *err)
{
    head *first = &merge->heads[merge->heap[0]];

    hv_rc rc = hv_stream_next(first->stream, &first->part, &first->event, err);
    if (rc != HV_OK && rc != HV_NOT_FOUND)
        return rc;
    if (rc == HV_NOT_FOUND) {
        hv_stream_free(first->stream);
        first->stream = NULL;
        merge->heap[0] = merge->heap[--merge->heap_count];
    }
    sift_down(merge);
    return HV_OK;
}

hv_rc
hv_merge_next(hv_merge *merge, hv_replay_part **part, hv_event *ret, hv_err *err)
{
    if (merge->head_count == 1)
        return hv_stream_next(merge->heads[0].stream, part, ret, err);
    hv_rc rc = !merge->started ? start(merge, err) : merge->heap_count > 0 ? advance(merge, err) : HV_OK;
    if (rc != HV_OK)
        return rc;
    if (merge->heap_count == 0)
        return hv_err_set(err, HV_NOT_FOUND, "the end of the replay");
    *part = merge->heads[merge->heap[0]].part;
    *ret = merge->heads[merge->heap[0]].event;
    return HV_OK;
}
