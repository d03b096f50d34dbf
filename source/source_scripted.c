/*
 * Hubs in memory, one lock over everything. A poll looks at the assigned partitions in turn and makes the first item there is;
 * nothing is fetched ahead, so an assignment that moved cannot deliver anything old. The event of an item is kept by a reference
 * until the next poll, whatever happens to the log meanwhile.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "common/array.h"
#include "source/scripted_state.h"

static void
must(int pthread_rc)
{
    assert(pthread_rc == 0);
    (void)pthread_rc;
}

void *
hv_scripted_never_null(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

void
hv_scripted_lock(hv_scripted *s)
{
    must(pthread_mutex_lock(&s->lock));
}

void
hv_scripted_unlock(hv_scripted *s)
{
    must(pthread_mutex_unlock(&s->lock));
}

void
hv_scripted_unlock_changed(hv_scripted *s)
{
    must(pthread_cond_broadcast(&s->changed));
    hv_scripted_unlock(s);
}

hv_scripted_hub_state *
hv_scripted_find_hub(hv_scripted *s, const char *name)
{
    for (hv_scripted_hub_state *hub = s->locked.hubs; hub != NULL; hub = hub->next)
        if (strcmp(hub->facts.name, name) == 0)
            return hub;
    return NULL;
}

hv_scripted_partition *
hv_scripted_find_partition(hv_scripted *s, const char *name, int32_t partition)
{
    hv_scripted_hub_state *hub = hv_scripted_find_hub(s, name);

    return hub != NULL && partition >= 0 && partition < hub->facts.partitions ? &hub->partitions[partition] : NULL;
}

void
hv_scripted_empty_hub(hv_scripted_hub_state *hub)
{
    for (int32_t i = 0; i < hub->facts.partitions; i++)
        hv_scripted_log_clear(&hub->partitions[i].log);
    free(hub->partitions);
    hub->partitions = NULL;
    hub->facts.partitions = 0;
}

static hv_scripted_assignment *
find_assignment(hv_scripted *s, const char *hub, int32_t partition)
{
    for (size_t i = 0; i < s->locked.assigned; i++)
        if (s->locked.assignments[i].partition == partition && strcmp(s->locked.assignments[i].hub, hub) == 0)
            return &s->locked.assignments[i];
    return NULL;
}

/* ---- the driver ---- */

static hv_rc
question_allowed(hv_scripted *s, hv_err *err)
{
    if (s->locked.questions_rc == HV_OK)
        return HV_OK;
    return hv_err_set(err, s->locked.questions_rc, "the scripted source was told to answer no questions");
}

static hv_rc
scripted_hubs(hv_source *source, int timeout_ms, hv_source_hub **ret, size_t *count, hv_err *err)
{
    hv_scripted *s = (hv_scripted *)source;
    size_t found = 0;

    (void)timeout_ms;
    hv_scripted_lock(s);
    hv_rc rc = question_allowed(s, err);
    for (hv_scripted_hub_state *hub = s->locked.hubs; hub != NULL; hub = hub->next)
        found += hub->facts.partitions > 0;
    hv_source_hub *hubs = rc != HV_OK ? NULL : calloc(found + 1, sizeof *hubs);
    if (rc == HV_OK && hubs == NULL)
        rc = hv_err_set(err, HV_NOMEM, "no memory for %zu hubs", found);
    found = 0;
    for (hv_scripted_hub_state *hub = s->locked.hubs; rc == HV_OK && hub != NULL; hub = hub->next)
        if (hub->facts.partitions > 0)
            hubs[found++] = hub->facts;
    hv_scripted_unlock(s);
    if (rc != HV_OK)
        return rc;
    *ret = hubs;
    *count = found;
    return HV_OK;
}

static hv_rc
assign_one(hv_scripted *s, const hv_source_assignment *wanted, hv_err *err)
{
    hv_scripted_assignment *at = find_assignment(s, wanted->hub, wanted->partition);

    assert(wanted->offset >= 0 && strlen(wanted->hub) < HV_HUB_SIZE);
    if (at == NULL) {
        if (!hv_array_room(&s->locked.assignments, s->locked.assigned, &s->locked.allocated, sizeof *at))
            return hv_err_set(err, HV_NOMEM, "no memory for one more partition of hub '%s'", wanted->hub);
        at = &s->locked.assignments[s->locked.assigned++];
        *at = (hv_scripted_assignment){.partition = wanted->partition};
        memcpy(at->hub, wanted->hub, strlen(wanted->hub));
    }
    at->tag = wanted->tag;
    at->generation = wanted->generation;
    at->next = wanted->offset;
    at->end_told = -1;
    at->lost = false;
    return HV_OK;
}

static hv_rc
scripted_assign(hv_source *source, const hv_source_assignment *assignments, size_t count, hv_err *err)
{
    hv_scripted *s = (hv_scripted *)source;

    hv_rc rc = HV_OK;

    hv_scripted_lock(s);
    for (size_t i = 0; rc == HV_OK && i < count; i++)
        rc = assign_one(s, &assignments[i], err);
    hv_scripted_unlock_changed(s);
    return rc;
}

static hv_rc
scripted_unassign(hv_source *source, const char *hub, int32_t partition, hv_err *err)
{
    hv_scripted *s = (hv_scripted *)source;

    (void)err;
    hv_scripted_lock(s);
    hv_scripted_assignment *at = find_assignment(s, hub, partition);
    if (at != NULL)
        *at = s->locked.assignments[--s->locked.assigned];
    hv_scripted_unlock(s);
    return HV_OK;
}

static void
set_item_error(hv_source_item *item, const hv_scripted_assignment *at)
{
    switch (item->kind) {
    case HV_SOURCE_OUT_OF_RANGE:
        (void)hv_err_set(&item->err, HV_GAP, "offset %lld of partition %d of hub '%s' is not in the log", (long long)at->next,
                         (int)at->partition, at->hub);
        break;
    case HV_SOURCE_GONE:
        (void)hv_err_set(&item->err, HV_NOT_FOUND, "partition %d of hub '%s' does not exist", (int)at->partition, at->hub);
        break;
    case HV_SOURCE_REFUSED:
        (void)hv_err_set(&item->err, HV_AUTH, "reading hub '%s' is not allowed", at->hub);
        break;
    case HV_SOURCE_TROUBLE:
        (void)hv_err_set(&item->err, HV_UNAVAILABLE, "hub '%s' is in trouble", at->hub);
        break;
    case HV_SOURCE_NOTHING:
    case HV_SOURCE_EVENT:
    case HV_SOURCE_END:
        break;
    }
}

/* A trouble that a test asked for comes before everything else. */
static hv_source_kind
next_trouble(hv_scripted *s, hv_scripted_assignment *at)
{
    hv_scripted_hub_state *hub = hv_scripted_find_hub(s, at->hub);

    if (at->partition != 0 || hub == NULL || hub->trouble_count == 0)
        return HV_SOURCE_NOTHING;
    hv_source_kind kind = hub->troubles[0];
    memmove(hub->troubles, hub->troubles + 1, --hub->trouble_count * sizeof hub->troubles[0]);
    at->lost |= kind == HV_SOURCE_OUT_OF_RANGE || kind == HV_SOURCE_GONE;
    return kind;
}

/* NULL: nothing more. */
static hv_scripted_record *
find_record(hv_scripted_partition *partition, int64_t offset)
{
    hv_scripted_record *record = hv_scripted_log_find(&partition->log, offset);

    if (record == NULL || partition->overlook_times == 0 || hv_scripted_record_event(record)->offset != partition->overlooked)
        return record;
    if (partition->overlook_after > 0) {
        partition->overlook_after--;
        return record;
    }
    partition->overlook_times--;
    return hv_scripted_log_find(&partition->log, partition->overlooked + 1);
}

static hv_source_kind
read_log(hv_scripted *s, hv_scripted_assignment *at, hv_scripted_partition *partition, hv_source_item *item)
{
    const hv_scripted_log *log = &partition->log;

    at->known = true;
    at->known_low = log->low;
    at->known_high = log->high;
    if (at->lost)
        return HV_SOURCE_NOTHING;
    if (at->next < log->low || at->next > log->high) {
        at->lost = true;
        return HV_SOURCE_OUT_OF_RANGE;
    }
    hv_scripted_record *record = find_record(partition, at->next);
    if (record != NULL) {
        s->locked.current = hv_scripted_record_keep(record);
        item->event = *hv_scripted_record_event(record);
        at->next = item->event.offset + 1;
        return HV_SOURCE_EVENT;
    }
    at->next = log->high;
    if (at->end_told == log->high)
        return HV_SOURCE_NOTHING;
    item->offset = at->end_told = log->high;
    return HV_SOURCE_END;
}

static hv_source_kind
look_at(hv_scripted *s, hv_scripted_assignment *at, hv_source_item *item)
{
    hv_scripted_partition *partition = hv_scripted_find_partition(s, at->hub, at->partition);

    item->kind = next_trouble(s, at);
    if (item->kind == HV_SOURCE_NOTHING && partition != NULL)
        item->kind = read_log(s, at, partition, item);
    else if (item->kind == HV_SOURCE_NOTHING && !at->lost) {
        item->kind = HV_SOURCE_GONE;
        at->lost = true;
    }
    item->tag = at->tag;
    item->generation = at->generation;
    set_item_error(item, at);
    return item->kind;
}

static bool
make_item(hv_scripted *s, hv_source_item *item)
{
    for (size_t i = 0; i < s->locked.assigned; i++) {
        hv_scripted_assignment *at = &s->locked.assignments[s->locked.turn++ % s->locked.assigned];
        if (look_at(s, at, item) != HV_SOURCE_NOTHING)
            return true;
    }
    return false;
}

static struct timespec
time_from_now(int timeout_ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    return until;
}

static hv_rc
scripted_poll(hv_source *source, int timeout_ms, hv_source_item *ret, hv_err *err)
{
    hv_scripted *s = (hv_scripted *)source;
    hv_source_item item = {.kind = HV_SOURCE_NOTHING};
    struct timespec until = time_from_now(timeout_ms);
    int waited = 0;
    hv_rc rc = HV_OK;

    assert(timeout_ms >= 0);
    hv_scripted_lock(s);
    hv_scripted_record_drop(s->locked.current);
    s->locked.current = NULL;
    while ((rc = s->locked.final_rc) == HV_OK && !make_item(s, &item) && waited != ETIMEDOUT && timeout_ms > 0) {
        waited = pthread_cond_timedwait(&s->changed, &s->lock, &until);
        assert(waited == 0 || waited == ETIMEDOUT);
    }
    hv_scripted_unlock(s);
    if (rc != HV_OK)
        return hv_err_set(err, rc, "the scripted source was told to break");
    if (item.kind == HV_SOURCE_NOTHING)
        item.tag = NULL;
    *ret = item;
    return HV_OK;
}

static hv_rc
scripted_watermarks(hv_source *source, hv_source_watermarks *asked, size_t count, int timeout_ms, hv_err *err)
{
    hv_scripted *s = (hv_scripted *)source;

    (void)timeout_ms;
    hv_scripted_lock(s);
    hv_rc rc = question_allowed(s, err);
    for (size_t i = 0; i < count && rc == HV_OK; i++) {
        hv_scripted_partition *partition = hv_scripted_find_partition(s, asked[i].hub, asked[i].partition);
        asked[i].rc = partition != NULL ? HV_OK : HV_NOT_FOUND;
        if (partition != NULL) {
            asked[i].low = partition->log.low;
            asked[i].high = partition->log.high;
        }
    }
    hv_scripted_unlock(s);
    return rc;
}

static bool
scripted_known_watermarks(hv_source *source, const char *hub, int32_t partition, int64_t *low, int64_t *high)
{
    hv_scripted *s = (hv_scripted *)source;

    hv_scripted_lock(s);
    hv_scripted_assignment *at = find_assignment(s, hub, partition);
    bool known = at != NULL && at->known;
    if (known) {
        *low = at->known_low;
        *high = at->known_high;
    }
    hv_scripted_unlock(s);
    return known;
}

static hv_rc
scripted_hub_policy(hv_source *source, const char *hub, int timeout_ms, hv_source_hub_policy *ret, hv_err *err)
{
    hv_scripted *s = (hv_scripted *)source;

    (void)timeout_ms;
    hv_scripted_lock(s);
    hv_scripted_hub_state *found = hv_scripted_find_hub(s, hub);
    hv_rc rc = question_allowed(s, err);
    if (rc == HV_OK && (found == NULL || found->facts.partitions == 0))
        rc = hv_err_set(err, HV_NOT_FOUND, "hub '%s' does not exist", hub);
    if (rc == HV_OK)
        *ret = found->policy;
    hv_scripted_unlock(s);
    return rc;
}

static void
scripted_commit(hv_source *source, const char *hub, int32_t partition, int64_t next_offset)
{
    hv_scripted *s = (hv_scripted *)source;

    hv_scripted_lock(s);
    hv_scripted_partition *at = hv_scripted_find_partition(s, hub, partition);
    if (at != NULL)
        at->committed = next_offset;
    hv_scripted_unlock(s);
}

static const char *
scripted_location(const hv_source *source)
{
    (void)source;
    return "scripted:memory";
}

static void
scripted_close(hv_source *source)
{
    hv_scripted *s = (hv_scripted *)source;

    for (hv_scripted_hub_state *hub = s->locked.hubs, *next; hub != NULL; hub = next) {
        next = hub->next;
        hv_scripted_empty_hub(hub);
        free(hub);
    }
    hv_scripted_record_drop(s->locked.current);
    free(s->locked.assignments);
    must(pthread_cond_destroy(&s->changed));
    must(pthread_mutex_destroy(&s->lock));
    free(s);
}

static const hv_source_ops scripted_ops = {
    .driver = "scripted",
    .hubs = scripted_hubs,
    .assign = scripted_assign,
    .unassign = scripted_unassign,
    .poll = scripted_poll,
    .watermarks = scripted_watermarks,
    .known_watermarks = scripted_known_watermarks,
    .hub_policy = scripted_hub_policy,
    .commit = scripted_commit,
    .location = scripted_location,
    .close = scripted_close,
};

hv_rc
hv_source_scripted_open(hv_source **ret, hv_err *err)
{
    pthread_condattr_t attributes;
    hv_scripted *s = calloc(1, sizeof *s);

    if (s == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a scripted source");
    s->source.ops = &scripted_ops;
    must(pthread_mutex_init(&s->lock, NULL));
    must(pthread_condattr_init(&attributes));
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
    must(pthread_cond_init(&s->changed, &attributes));
    must(pthread_condattr_destroy(&attributes));
    *ret = &s->source;
    return HV_OK;
}

hv_scripted *
hv_scripted_of(hv_source *source)
{
    assert(source->ops == &scripted_ops);
    return (hv_scripted *)source;
}
