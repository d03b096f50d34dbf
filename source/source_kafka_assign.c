/*
 * The table of assigned partitions, and librdkafka's assignment which follows it.
 *
 * A partition that moves is first taken out (rd_kafka_incremental_unassign) and then put in again at its new offset. Taking out
 * raises the version of the partition before it returns, and librdkafka drops records and fetch answers of older versions when they
 * are popped (rd_kafka_op_version_outdated); those that were popped already wait in our batch, and are dropped there. So after assign()
 * only records of the new place come, and the entry's generation is right for all of them. Errors may lack a version; source_kafka_event.c looks at their offsets. No group is joined: the
 * incremental calls are allowed as long as nothing was subscribed to.
 *
 * Whatever librdkafka refuses leaves the entry waiting, and it is tried again; a partition is never forgotten.
 */
#include <assert.h>
#include <stdlib.h>

#include "common/clock.h"
#include "source/source_kafka.h"

/* ---- the table ---- */

/* Where the hub stands or would stand. */
static size_t
hub_position(const hv_kafka *k, const char *name)
{
    size_t low = 0, high = k->locked.hub_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(k->locked.hubs[middle]->name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

hv_kafka_hub *
hv_kafka_find_hub(hv_kafka *k, const char *name)
{
    size_t at = hub_position(k, name);

    return at < k->locked.hub_count && strcmp(k->locked.hubs[at]->name, name) == 0 ? k->locked.hubs[at] : NULL;
}

hv_kafka_entry *
hv_kafka_find_entry(hv_kafka *k, const char *hub, int32_t partition)
{
    hv_kafka_hub *found = hv_kafka_find_hub(k, hub);

    return found != NULL && partition >= 0 && (size_t)partition < found->size ? found->entries[partition] : NULL;
}

/* The address of a topic object is that of the hub as long as the hub holds the topic, and only such pairs are cached. */
hv_kafka_hub *
hv_kafka_hub_of(hv_kafka *k, const rd_kafka_topic_t *topic)
{
    size_t slot = ((uintptr_t)topic >> 4 ^ (uintptr_t)topic >> 14) % HV_KAFKA_CACHE;

    if (k->poll.cache[slot].topic == topic)
        return k->poll.cache[slot].hub;
    hv_kafka_hub *hub = hv_kafka_find_hub(k, rd_kafka_topic_name(topic));
    if (hub != NULL && hub->topic == topic) {
        k->poll.cache[slot].topic = topic;
        k->poll.cache[slot].hub = hub;
    }
    return hub;
}

/* Holding the lock. */
static hv_rc
add_hub(hv_kafka *k, const char *name, hv_kafka_hub **ret, hv_err *err)
{
    size_t at = hub_position(k, name);

    if (k->locked.hub_count == k->locked.hub_room) {
        size_t room = k->locked.hub_room == 0 ? 16 : k->locked.hub_room * 2;
        hv_kafka_hub **grown = realloc(k->locked.hubs, room * sizeof *grown);
        if (grown == NULL)
            return hv_err_set(err, HV_NOMEM, "no memory for %zu hubs", room);
        k->locked.hubs = grown;
        k->locked.hub_room = room;
    }
    hv_kafka_hub *hub = calloc(1, sizeof *hub);
    if (hub == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for hub '%s'", name);
    memcpy(hub->name, name, strlen(name) + 1);
    memmove(k->locked.hubs + at + 1, k->locked.hubs + at, (k->locked.hub_count - at) * sizeof *k->locked.hubs);
    k->locked.hubs[at] = hub;
    k->locked.hub_count++;
    *ret = hub;
    return HV_OK;
}

/* Holding the lock. */
static hv_rc
add_entry(hv_kafka_hub *hub, int32_t partition, hv_kafka_entry **ret, hv_err *err)
{
    if ((size_t)partition >= hub->size) {
        size_t size = (size_t)partition + 1;
        hv_kafka_entry **grown = realloc(hub->entries, size * sizeof *grown);
        if (grown == NULL)
            return hv_err_set(err, HV_NOMEM, "no memory for %zu partitions", size);
        memset(grown + hub->size, 0, (size - hub->size) * sizeof *grown);
        hub->entries = grown;
        hub->size = size;
    }
    if (hub->entries[partition] == NULL) {
        hv_kafka_entry *entry = calloc(1, sizeof *entry);
        if (entry == NULL)
            return hv_err_set(err, HV_NOMEM, "no memory for a partition");
        entry->hub = hub;
        entry->partition = partition;
        entry->commit_next = -1;
        hub->entries[partition] = entry;
    }
    *ret = hub->entries[partition];
    return HV_OK;
}

static hv_rc
get_entry(hv_kafka *k, const hv_source_assignment *wanted, hv_kafka_entry **ret, hv_err *err)
{
    hv_rc rc = hv_hub_name_check(wanted->hub, err);

    if (rc != HV_OK)
        return rc;
    (void)pthread_mutex_lock(&k->lock);
    hv_kafka_hub *hub = hv_kafka_find_hub(k, wanted->hub);
    if (hub == NULL)
        rc = add_hub(k, wanted->hub, &hub, err);
    if (rc == HV_OK)
        rc = add_entry(hub, wanted->partition, ret, err);
    (void)pthread_mutex_unlock(&k->lock);
    return rc;
}

void
hv_kafka_set_state(hv_kafka *k, hv_kafka_entry *entry, hv_kafka_state state)
{
    (void)pthread_mutex_lock(&k->lock);
    k->poll.waiting += (state == HV_KAFKA_WAITING) - (size_t)(entry->state == HV_KAFKA_WAITING);
    entry->state = state;
    (void)pthread_mutex_unlock(&k->lock);
}

void
hv_kafka_set_error(hv_kafka *k, hv_kafka_entry *entry, rd_kafka_resp_err_t error)
{
    k->poll.entry_errors += (error != 0) - (size_t)(entry->error != 0);
    entry->error = error;
}

static void
remove_entry(hv_kafka *k, hv_kafka_entry *entry)
{
    hv_kafka_set_state(k, entry, HV_KAFKA_STOPPED);
    hv_kafka_set_error(k, entry, 0);
    (void)pthread_mutex_lock(&k->lock);
    entry->hub->entries[entry->partition] = NULL;
    (void)pthread_mutex_unlock(&k->lock);
    free(entry);
}

void
hv_kafka_drop_topics(hv_kafka *k)
{
    memset(k->poll.cache, 0, sizeof k->poll.cache);
    for (size_t i = 0; i < k->locked.hub_count; i++) {
        if (k->locked.hubs[i]->topic != NULL)
            rd_kafka_topic_destroy(k->locked.hubs[i]->topic);
        k->locked.hubs[i]->topic = NULL;
        for (size_t p = 0; p < k->locked.hubs[i]->size; p++)
            if (k->locked.hubs[i]->entries[p] != NULL)
                k->locked.hubs[i]->entries[p]->started = false;
    }
}

void
hv_kafka_drop_table(hv_kafka *k)
{
    for (size_t i = 0; i < k->locked.hub_count; i++) {
        for (size_t p = 0; p < k->locked.hubs[i]->size; p++)
            free(k->locked.hubs[i]->entries[p]);
        free(k->locked.hubs[i]->entries);
        free(k->locked.hubs[i]);
    }
    free(k->locked.hubs);
}

/* ---- librdkafka's assignment ---- */

static void
free_list(rd_kafka_topic_partition_list_t *list)
{
    if (list != NULL)
        rd_kafka_topic_partition_list_destroy(list);
}
HV_DEFINE_AUTO(rd_kafka_topic_partition_list_t, free_list);

static rd_kafka_topic_partition_list_t *
new_list(size_t room)
{
    return rd_kafka_topic_partition_list_new((int)room);    /* librdkafka aborts where memory ends, so never NULL */
}

static hv_rc
take_error(rd_kafka_error_t *error, const char *doing, hv_err *err)
{
    if (error == NULL)
        return HV_OK;
    hv_rc rc = hv_err_set(err, hv_kafka_rc(rd_kafka_error_code(error)), "%s: %s", doing, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return rc;
}

static void
wait_before_next_try(hv_kafka *k, hv_kafka_entry *entry, int delay_ms)
{
    entry->retry_at_ms = hv_clock_boot_ms() + delay_ms;
    hv_kafka_set_state(k, entry, HV_KAFKA_WAITING);
}

static hv_rc
start_list(hv_kafka *k, rd_kafka_topic_partition_list_t *list, hv_err *err)
{
    hv_rc rc = list->cnt == 0 ? HV_OK : take_error(rd_kafka_incremental_assign(k->locked.conn->rk, list), "start reading", err);

    for (int i = 0; i < list->cnt; i++) {
        hv_kafka_entry *entry = hv_kafka_find_entry(k, list->elems[i].topic, list->elems[i].partition);
        entry->started = rc == HV_OK;
        if (rc == HV_OK)
            hv_kafka_set_state(k, entry, HV_KAFKA_RUNNING);
        else
            wait_before_next_try(k, entry, HV_KAFKA_RETRY_MS);
    }
    return rc;
}

/* Puts it on the list, at its position. The topic object is made first, because it pins the address that events are told by. */
static hv_rc
want_start(hv_kafka *k, hv_kafka_entry *entry, rd_kafka_topic_partition_list_t *list, hv_err *err)
{
    if (entry->hub->topic == NULL)
        entry->hub->topic = rd_kafka_topic_new(k->locked.conn->rk, entry->hub->name, NULL);
    if (entry->hub->topic == NULL)
        return hv_err_set(err, HV_USAGE, "librdkafka refuses hub '%s': %s", entry->hub->name,
                          rd_kafka_err2str(rd_kafka_last_error()));
    rd_kafka_topic_partition_list_add(list, entry->hub->name, entry->partition)->offset = atomic_load(&entry->next);
    return HV_OK;
}

static hv_rc
stop_list(hv_kafka *k, rd_kafka_topic_partition_list_t *list, hv_err *err)
{
    hv_rc rc = list->cnt == 0 ? HV_OK : take_error(rd_kafka_incremental_unassign(k->locked.conn->rk, list), "stop reading", err);

    for (int i = 0; i < list->cnt && rc == HV_OK; i++) {
        hv_kafka_drop_batch(k, list->elems[i].topic, list->elems[i].partition);
        hv_kafka_find_entry(k, list->elems[i].topic, list->elems[i].partition)->started = false;
    }
    return rc;
}

static hv_rc
stop_one(hv_kafka *k, hv_kafka_entry *entry, hv_err *err)
{
    if (!entry->started)
        return HV_OK;
    HV_AUTO(free_list) rd_kafka_topic_partition_list_t *list = new_list(1);
    (void)rd_kafka_topic_partition_list_add(list, entry->hub->name, entry->partition);
    return stop_list(k, list, err);
}

static void
place(hv_kafka *k, hv_kafka_entry *entry, const hv_source_assignment *wanted)
{
    hv_kafka_set_error(k, entry, 0);
    (void)pthread_mutex_lock(&k->lock);
    entry->tag = wanted->tag;
    entry->generation = wanted->generation;
    entry->missing = false;
    atomic_store(&entry->next, wanted->offset);
    (void)pthread_mutex_unlock(&k->lock);
    wait_before_next_try(k, entry, 0);      /* until it is started */
}

hv_rc
hv_kafka_assign(hv_source *source, const hv_source_assignment *assignments, size_t count, hv_err *err)
{
    hv_kafka *k = (hv_kafka *)source;
    HV_AUTO(free_list) rd_kafka_topic_partition_list_t *moved = new_list(count), *wanted = new_list(count);
    hv_kafka_entry *entry = NULL;
    hv_rc rc = HV_OK;

    for (size_t i = 0; i < count && rc == HV_OK; i++) {
        assert(assignments[i].partition >= 0 && assignments[i].offset >= 0);
        rc = get_entry(k, &assignments[i], &entry, err);
        if (rc == HV_OK && entry->started)
            (void)rd_kafka_topic_partition_list_add(moved, entry->hub->name, entry->partition);
    }
    if (rc == HV_OK)
        rc = stop_list(k, moved, err);
    for (size_t i = 0; i < count && rc == HV_OK; i++) {
        entry = hv_kafka_find_entry(k, assignments[i].hub, assignments[i].partition);
        place(k, entry, &assignments[i]);
        rc = want_start(k, entry, wanted, err);
    }
    return rc == HV_OK ? start_list(k, wanted, err) : rc;
}

hv_rc
hv_kafka_unassign(hv_source *source, const char *hub, int32_t partition, hv_err *err)
{
    hv_kafka *k = (hv_kafka *)source;
    hv_kafka_entry *entry = hv_kafka_find_entry(k, hub, partition);

    if (entry == NULL)
        return HV_OK;
    hv_rc rc = stop_one(k, entry, err);
    if (rc == HV_OK)
        remove_entry(k, entry);
    return rc;
}

void
hv_kafka_read_again(hv_kafka *k, hv_kafka_entry *entry, int delay_ms)
{
    hv_err ignored;

    if (stop_one(k, entry, &ignored) != HV_OK)
        atomic_store(&k->reconnect, true);      /* what comes before that is dropped, since the entry is not running */
    wait_before_next_try(k, entry, delay_ms);
}

void
hv_kafka_stop(hv_kafka *k, hv_kafka_entry *entry)
{
    hv_err ignored;

    if (stop_one(k, entry, &ignored) != HV_OK)
        atomic_store(&k->reconnect, true);
    hv_kafka_set_state(k, entry, HV_KAFKA_STOPPED);
}

/* Calls visit for every entry. */
static hv_rc
each_entry(hv_kafka *k, hv_rc (*visit)(hv_kafka *k, hv_kafka_entry *entry, rd_kafka_topic_partition_list_t *list, hv_err *err),
           rd_kafka_topic_partition_list_t *list, hv_err *err)
{
    hv_rc rc = HV_OK;

    for (size_t i = 0; i < k->locked.hub_count; i++)
        for (size_t p = 0; p < k->locked.hubs[i]->size && rc == HV_OK; p++)
            if (k->locked.hubs[i]->entries[p] != NULL)
                rc = visit(k, k->locked.hubs[i]->entries[p], list, err);
    return rc;
}

static hv_rc
want_if_due(hv_kafka *k, hv_kafka_entry *entry, rd_kafka_topic_partition_list_t *list, hv_err *err)
{
    if (entry->state != HV_KAFKA_WAITING || entry->retry_at_ms > hv_clock_boot_ms())
        return HV_OK;
    return want_start(k, entry, list, err);
}

hv_rc
hv_kafka_serve_waiting(hv_kafka *k, hv_err *err)
{
    if (k->poll.waiting == 0)
        return HV_OK;
    HV_AUTO(free_list) rd_kafka_topic_partition_list_t *list = new_list(k->poll.waiting);
    hv_rc rc = each_entry(k, want_if_due, list, err);
    return rc == HV_OK ? start_list(k, list, err) : rc;
}

static hv_rc
want_unless_stopped(hv_kafka *k, hv_kafka_entry *entry, rd_kafka_topic_partition_list_t *list, hv_err *err)
{
    return entry->state == HV_KAFKA_STOPPED ? HV_OK : want_start(k, entry, list, err);
}

hv_rc
hv_kafka_assign_all(hv_kafka *k, hv_err *err)
{
    HV_AUTO(free_list) rd_kafka_topic_partition_list_t *list = new_list(64);
    hv_rc rc = each_entry(k, want_unless_stopped, list, err);

    return rc == HV_OK ? start_list(k, list, err) : rc;
}
