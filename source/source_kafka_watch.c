/*
 * The watch thread: consumers of Event Hubs that stop without an error until they are restarted are known (librdkafka issue 3427,
 * for-kafka issue 72). A partition has stalled when, for the time of patience,
 *   it is being read, and its position has not moved,
 *   the poll thread has found the queue empty since, or has taken more from it than it can hold, so that nothing of the
 *   partition can still be in there, and
 *   the broker said that a reader may see more, and says so again at a later look: what has just been written is still on its way.
 * Then the poll thread is asked to connect anew. A long stretch that holds nothing for a reader (aborted or compacted) looks the
 * same, and a new connection begins it again; so patience doubles each time, until nothing is suspect any more.
 *
 * If the broker says that there is no such partition, the poll thread is asked to tell it: librdkafka does so only when a topic's
 * number of partitions changes, and may have learned that number before the partition was asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "source/source_kafka.h"

enum {
    LONGEST_PATIENCE = 64,              /* times stall_ms */
    QUESTION_MS = 10000,
};

typedef struct suspect {
    char hub[HV_HUB_SIZE];
    int32_t partition;
    int64_t next;
    uint64_t generation;
} suspect;

/* Holding the lock. Whether the entry has not moved for the time of patience, and not for lack of polling. The position is read
 * before the clock, so that a poll found empty later than `since` came after that position was reached. */
static bool
is_suspect(hv_kafka *k, hv_kafka_entry *entry)
{
    int64_t next = atomic_load(&entry->next);
    uint64_t popped = atomic_load(&k->popped);
    int64_t now_ms = hv_clock_boot_ms();

    if (entry->state != HV_KAFKA_RUNNING || entry->watched.next != next || entry->watched.generation != entry->generation ||
        entry->watched.since_ms == 0) {
        entry->watched.next = next;
        entry->watched.generation = entry->generation;
        entry->watched.since_ms = now_ms;
        entry->watched.popped = popped;
        entry->watched.behind_ms = 0;
        return false;
    }
    int64_t from_ms = entry->watched.behind_ms != 0 ? entry->watched.behind_ms : entry->watched.since_ms;
    bool drained = atomic_load(&k->empty_at_ms) > from_ms ||
                   popped - entry->watched.popped > 4 * (uint64_t)k->budget.queue_messages;
    return drained && now_ms - entry->watched.since_ms >= (int64_t)k->settings.stall_ms * atomic_load(&k->watch_patience);
}

/* Holding the lock. NULL if there are none, or no memory: then there is another round. */
static suspect *
find_suspects(hv_kafka *k, size_t *ret)
{
    suspect *found = NULL;

    *ret = 0;
    for (size_t i = 0; i < k->locked.hub_count; i++)
        for (size_t p = 0; p < k->locked.hubs[i]->size; p++) {
            hv_kafka_entry *entry = k->locked.hubs[i]->entries[p];
            if (entry == NULL || !is_suspect(k, entry))
                continue;
            suspect *grown = realloc(found, (*ret + 1) * sizeof *grown);
            if (grown == NULL)
                continue;
            found = grown;
            memcpy(found[*ret].hub, entry->hub->name, sizeof found->hub);
            found[*ret].partition = entry->partition;
            found[*ret].generation = entry->generation;
            found[(*ret)++].next = entry->watched.next;
        }
    return found;
}

/* Holding the lock. Whether a suspect has stalled, now that the broker has answered. */
static bool
judge(hv_kafka *k, const suspect *asked, const hv_source_watermarks *answer)
{
    hv_kafka_entry *entry = hv_kafka_find_entry(k, asked->hub, asked->partition);

    if (entry == NULL || entry->state != HV_KAFKA_RUNNING || entry->generation != asked->generation)
        return false;
    if (answer->rc == HV_NOT_FOUND) {
        entry->missing = true;
        atomic_store(&k->has_missing, true);
    }
    if (answer->rc != HV_OK || answer->high <= asked->next || atomic_load(&entry->next) != asked->next)
        return false;
    if (entry->watched.behind_ms != 0)
        return true;
    entry->watched.popped = atomic_load(&k->popped);
    entry->watched.behind_ms = hv_clock_boot_ms();
    return false;
}

/* Whether one of them has. */
static bool
has_stalled(hv_kafka *k, const suspect *suspects, size_t count)
{
    hv_source_watermarks *asked = calloc(count, sizeof *asked);
    hv_err err;
    bool stalled = false;

    for (size_t i = 0; asked != NULL && i < count; i++) {
        asked[i].hub = suspects[i].hub;
        asked[i].partition = suspects[i].partition;
    }
    bool answered = asked != NULL && hv_kafka_watermarks(&k->source, asked, count, QUESTION_MS, &err) == HV_OK;
    (void)pthread_mutex_lock(&k->lock);
    for (size_t i = 0; answered && i < count; i++)
        stalled |= judge(k, &suspects[i], &asked[i]);
    (void)pthread_mutex_unlock(&k->lock);
    free(asked);
    return stalled;
}

/* Holding the lock. */
static void
sleep_until_next_look(hv_kafka *k)
{
    struct timespec until;
    int pause_ms = k->settings.stall_ms / 4 + 1, waited = 0;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += pause_ms / 1000;
    until.tv_nsec += pause_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    while (!k->locked.closing && waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&k->watch_wakes, &k->lock, &until);
}

/* Begins anew to watch everything. */
static void
forget(hv_kafka *k)
{
    for (size_t i = 0; i < k->locked.hub_count; i++)
        for (size_t p = 0; p < k->locked.hubs[i]->size; p++)
            if (k->locked.hubs[i]->entries[p] != NULL)
                k->locked.hubs[i]->entries[p]->watched.since_ms = 0;
}

static void
look(hv_kafka *k)
{
    size_t count;
    suspect *suspects = find_suspects(k, &count);
    int patience = atomic_load(&k->watch_patience);

    (void)pthread_mutex_unlock(&k->lock);
    bool stalled = count > 0 && has_stalled(k, suspects, count);
    free(suspects);
    (void)pthread_mutex_lock(&k->lock);
    if (!stalled) {
        if (count == 0 && patience > 1)
            atomic_store(&k->watch_patience, patience - 1);
        return;
    }
    forget(k);
    atomic_store(&k->watch_patience, patience < LONGEST_PATIENCE ? patience * 2 : patience);
    atomic_store(&k->reconnect, true);
}

static void *
watch(void *source)
{
    hv_kafka *k = source;

    (void)pthread_mutex_lock(&k->lock);
    while (!k->locked.closing) {
        look(k);
        if (!k->locked.closing)
            sleep_until_next_look(k);
    }
    (void)pthread_mutex_unlock(&k->lock);
    return NULL;
}

hv_rc
hv_kafka_watch_start(hv_kafka *k, hv_err *err)
{
    atomic_store(&k->watch_patience, 1);
    int failed = pthread_create(&k->watcher, NULL, watch, k);
    if (failed != 0)
        return hv_err_set(err, HV_IO, "cannot start a thread: %s", strerrordesc_np(failed));
    k->watcher_runs = true;
    return HV_OK;
}

void
hv_kafka_watch_stop(hv_kafka *k)
{
    if (!k->watcher_runs)
        return;
    (void)pthread_mutex_lock(&k->lock);
    k->locked.closing = true;
    (void)pthread_cond_signal(&k->watch_wakes);
    (void)pthread_mutex_unlock(&k->lock);
    (void)pthread_join(k->watcher, NULL);
    k->watcher_runs = false;
}
