/*
 * Hubs in memory, one lock over everything. A poll looks at the assigned partitions in turn and makes the first item there is;
 * nothing is fetched ahead, so an assignment that moved cannot deliver anything old. The event of an item is kept by a reference
 * until the next poll, whatever happens to the log meanwhile.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "source/scripted_log.h"
#include "source/source_drivers.h"

enum { MAX_TROUBLES = 64 };

typedef struct scripted_partition {
    hv_scripted_log log;
    int64_t committed;                  /* -1: never */
} scripted_partition;

typedef struct scripted_hub {
    hv_source_hub facts;                /* partitions 0: deleted */
    scripted_partition *partitions;
    hv_source_hub_policy policy;
    hv_source_kind troubles[MAX_TROUBLES];
    size_t trouble_count;
    struct scripted_hub *next;
} scripted_hub;

typedef struct scripted_assignment {
    char hub[HV_HUB_SIZE];
    int32_t partition;
    void *tag;
    uint64_t generation;
    int64_t next;
    int64_t end_told;                   /* the last HV_SOURCE_END, -1: none */
    bool lost;                          /* out of range or gone was told; silent until assigned anew */
    bool known;                         /* a fetch took place: */
    int64_t known_low, known_high;
} scripted_assignment;

typedef struct scripted {
    hv_source source;                   /* first, so that one pointer is both */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {                            /* touched only while holding `lock`, except in open and close */
        scripted_hub *hubs;
        scripted_assignment *assignments;
        size_t assigned, allocated, turn;
        hv_scripted_record *current;    /* lent to the poll thread */
        hv_rc questions_rc, final_rc;   /* HV_OK, or what a test wants questions and polls to answer */
    } locked;
} scripted;

static void
must(int pthread_rc)
{
    assert(pthread_rc == 0);
    (void)pthread_rc;
}

static void *
never_null(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

static void
lock(scripted *s)
{
    must(pthread_mutex_lock(&s->lock));
}

static void
unlock(scripted *s)
{
    must(pthread_mutex_unlock(&s->lock));
}

static void
unlock_changed(scripted *s)
{
    must(pthread_cond_broadcast(&s->changed));
    unlock(s);
}

static scripted_hub *
find_hub(scripted *s, const char *name)
{
    for (scripted_hub *hub = s->locked.hubs; hub != NULL; hub = hub->next)
        if (strcmp(hub->facts.name, name) == 0)
            return hub;
    return NULL;
}

static scripted_partition *
find_partition(scripted *s, const char *name, int32_t partition)
{
    scripted_hub *hub = find_hub(s, name);

    return hub != NULL && partition >= 0 && partition < hub->facts.partitions ? &hub->partitions[partition] : NULL;
}

static scripted_assignment *
find_assignment(scripted *s, const char *hub, int32_t partition)
{
    for (size_t i = 0; i < s->locked.assigned; i++)
        if (s->locked.assignments[i].partition == partition && strcmp(s->locked.assignments[i].hub, hub) == 0)
            return &s->locked.assignments[i];
    return NULL;
}

/* ---- the driver ---- */

static hv_rc
question_allowed(scripted *s, hv_err *err)
{
    if (s->locked.questions_rc == HV_OK)
        return HV_OK;
    return hv_err_set(err, s->locked.questions_rc, "the scripted source was told to answer no questions");
}

static hv_rc
scripted_hubs(hv_source *source, int timeout_ms, hv_source_hub **ret, size_t *count, hv_err *err)
{
    scripted *s = (scripted *)source;
    size_t found = 0;

    (void)timeout_ms;
    lock(s);
    hv_rc rc = question_allowed(s, err);
    for (scripted_hub *hub = s->locked.hubs; hub != NULL; hub = hub->next)
        found += hub->facts.partitions > 0;
    if (rc == HV_OK) {
        *ret = never_null(calloc(found + 1, sizeof **ret));
        *count = 0;
        for (scripted_hub *hub = s->locked.hubs; hub != NULL; hub = hub->next)
            if (hub->facts.partitions > 0)
                (*ret)[(*count)++] = hub->facts;
    }
    unlock(s);
    return rc;
}

static void
assign_one(scripted *s, const hv_source_assignment *wanted)
{
    scripted_assignment *at = find_assignment(s, wanted->hub, wanted->partition);

    assert(wanted->offset >= 0 && strlen(wanted->hub) < HV_HUB_SIZE);
    if (at == NULL) {
        if (s->locked.assigned == s->locked.allocated) {
            s->locked.allocated = s->locked.allocated == 0 ? 16 : s->locked.allocated * 2;
            s->locked.assignments = never_null(realloc(s->locked.assignments, s->locked.allocated * sizeof *at));
        }
        at = &s->locked.assignments[s->locked.assigned++];
        *at = (scripted_assignment){.partition = wanted->partition};
        memcpy(at->hub, wanted->hub, strlen(wanted->hub));
    }
    at->tag = wanted->tag;
    at->generation = wanted->generation;
    at->next = wanted->offset;
    at->end_told = -1;
    at->lost = false;
}

static hv_rc
scripted_assign(hv_source *source, const hv_source_assignment *assignments, size_t count, hv_err *err)
{
    scripted *s = (scripted *)source;

    (void)err;
    lock(s);
    for (size_t i = 0; i < count; i++)
        assign_one(s, &assignments[i]);
    unlock_changed(s);
    return HV_OK;
}

static hv_rc
scripted_unassign(hv_source *source, const char *hub, int32_t partition, hv_err *err)
{
    scripted *s = (scripted *)source;

    (void)err;
    lock(s);
    scripted_assignment *at = find_assignment(s, hub, partition);
    if (at != NULL)
        *at = s->locked.assignments[--s->locked.assigned];
    unlock(s);
    return HV_OK;
}

static void
set_item_error(hv_source_item *item, const scripted_assignment *at)
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
next_trouble(scripted *s, scripted_assignment *at)
{
    scripted_hub *hub = find_hub(s, at->hub);

    if (at->partition != 0 || hub == NULL || hub->trouble_count == 0)
        return HV_SOURCE_NOTHING;
    hv_source_kind kind = hub->troubles[0];
    memmove(hub->troubles, hub->troubles + 1, --hub->trouble_count * sizeof hub->troubles[0]);
    at->lost |= kind == HV_SOURCE_OUT_OF_RANGE || kind == HV_SOURCE_GONE;
    return kind;
}

static hv_source_kind
read_log(scripted *s, scripted_assignment *at, const hv_scripted_log *log, hv_source_item *item)
{
    at->known = true;
    at->known_low = log->low;
    at->known_high = log->high;
    if (at->lost)
        return HV_SOURCE_NOTHING;
    if (at->next < log->low || at->next > log->high) {
        at->lost = true;
        return HV_SOURCE_OUT_OF_RANGE;
    }
    hv_scripted_record *record = hv_scripted_log_find(log, at->next);
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
look_at(scripted *s, scripted_assignment *at, hv_source_item *item)
{
    scripted_partition *partition = find_partition(s, at->hub, at->partition);

    item->kind = next_trouble(s, at);
    if (item->kind == HV_SOURCE_NOTHING && partition != NULL)
        item->kind = read_log(s, at, &partition->log, item);
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
make_item(scripted *s, hv_source_item *item)
{
    for (size_t i = 0; i < s->locked.assigned; i++) {
        scripted_assignment *at = &s->locked.assignments[s->locked.turn++ % s->locked.assigned];
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
    scripted *s = (scripted *)source;
    hv_source_item item = {.kind = HV_SOURCE_NOTHING};
    struct timespec until = time_from_now(timeout_ms);
    int waited = 0;
    hv_rc rc = HV_OK;

    assert(timeout_ms >= 0);
    lock(s);
    hv_scripted_record_drop(s->locked.current);
    s->locked.current = NULL;
    while ((rc = s->locked.final_rc) == HV_OK && !make_item(s, &item) && waited != ETIMEDOUT && timeout_ms > 0) {
        waited = pthread_cond_timedwait(&s->changed, &s->lock, &until);
        assert(waited == 0 || waited == ETIMEDOUT);
    }
    unlock(s);
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
    scripted *s = (scripted *)source;

    (void)timeout_ms;
    lock(s);
    hv_rc rc = question_allowed(s, err);
    for (size_t i = 0; i < count && rc == HV_OK; i++) {
        scripted_partition *partition = find_partition(s, asked[i].hub, asked[i].partition);
        asked[i].rc = partition != NULL ? HV_OK : HV_NOT_FOUND;
        if (partition != NULL) {
            asked[i].low = partition->log.low;
            asked[i].high = partition->log.high;
        }
    }
    unlock(s);
    return rc;
}

static bool
scripted_known_watermarks(hv_source *source, const char *hub, int32_t partition, int64_t *low, int64_t *high)
{
    scripted *s = (scripted *)source;

    lock(s);
    scripted_assignment *at = find_assignment(s, hub, partition);
    bool known = at != NULL && at->known;
    if (known) {
        *low = at->known_low;
        *high = at->known_high;
    }
    unlock(s);
    return known;
}

static hv_rc
scripted_hub_policy(hv_source *source, const char *hub, int timeout_ms, hv_source_hub_policy *ret, hv_err *err)
{
    scripted *s = (scripted *)source;

    (void)timeout_ms;
    lock(s);
    scripted_hub *found = find_hub(s, hub);
    hv_rc rc = question_allowed(s, err);
    if (rc == HV_OK && (found == NULL || found->facts.partitions == 0))
        rc = hv_err_set(err, HV_NOT_FOUND, "hub '%s' does not exist", hub);
    if (rc == HV_OK)
        *ret = found->policy;
    unlock(s);
    return rc;
}

static void
scripted_commit(hv_source *source, const char *hub, int32_t partition, int64_t next_offset)
{
    scripted *s = (scripted *)source;

    lock(s);
    scripted_partition *at = find_partition(s, hub, partition);
    if (at != NULL)
        at->committed = next_offset;
    unlock(s);
}

static const char *
scripted_location(const hv_source *source)
{
    (void)source;
    return "scripted:memory";
}

static void
empty_hub(scripted_hub *hub)
{
    for (int32_t i = 0; i < hub->facts.partitions; i++)
        hv_scripted_log_clear(&hub->partitions[i].log);
    free(hub->partitions);
    hub->partitions = NULL;
    hub->facts.partitions = 0;
}

static void
scripted_close(hv_source *source)
{
    scripted *s = (scripted *)source;

    for (scripted_hub *hub = s->locked.hubs, *next; hub != NULL; hub = next) {
        next = hub->next;
        empty_hub(hub);
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
    scripted *s = calloc(1, sizeof *s);

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

/* ---- what tests do to it ---- */

static scripted *
scripted_of(hv_source *source)
{
    assert(source->ops == &scripted_ops);
    return (scripted *)source;
}

static void
grow_hub(scripted_hub *hub, int32_t partitions)
{
    assert(partitions >= hub->facts.partitions && partitions > 0);
    hub->partitions = never_null(realloc(hub->partitions, (size_t)partitions * sizeof *hub->partitions));
    for (int32_t i = hub->facts.partitions; i < partitions; i++)
        hub->partitions[i] = (scripted_partition){.committed = -1};
    hub->facts.partitions = partitions;
}

void
hv_scripted_hub(hv_source *source, const char *name, int32_t partitions, const char *identity)
{
    scripted *s = scripted_of(source);

    lock(s);
    scripted_hub *hub = find_hub(s, name);
    if (hub == NULL) {
        hub = never_null(calloc(1, sizeof *hub));
        assert(strlen(name) < sizeof hub->facts.name);
        memcpy(hub->facts.name, name, strlen(name));
        hub->policy.retention_ms = -1;
        hub->next = s->locked.hubs;
        s->locked.hubs = hub;
    } else if (strcmp(hub->facts.identity, identity) != 0) {
        empty_hub(hub);
    }
    assert(strlen(identity) < sizeof hub->facts.identity);
    (void)snprintf(hub->facts.identity, sizeof hub->facts.identity, "%s", identity);
    grow_hub(hub, partitions);
    unlock_changed(s);
}

/* Locked: unlock_changed() when done. The hub and partition have to exist. */
static hv_scripted_log *
locked_log(scripted *s, const char *hub, int32_t partition)
{
    lock(s);
    scripted_partition *found = find_partition(s, hub, partition);
    assert(found != NULL);
    return &found->log;
}

int64_t
hv_scripted_append(hv_source *source, const char *hub, int32_t partition, const hv_event *event)
{
    scripted *s = scripted_of(source);
    int64_t offset = hv_scripted_log_append(locked_log(s, hub, partition), event);

    unlock_changed(s);
    return offset;
}

void
hv_scripted_skip(hv_source *source, const char *hub, int32_t partition, int64_t offsets)
{
    scripted *s = scripted_of(source);

    assert(offsets >= 0);
    locked_log(s, hub, partition)->high += offsets;
    unlock_changed(s);
}

void
hv_scripted_expire(hv_source *source, const char *hub, int32_t partition, int64_t new_low)
{
    scripted *s = scripted_of(source);

    hv_scripted_log_expire(locked_log(s, hub, partition), new_low);
    unlock_changed(s);
}

void
hv_scripted_compact(hv_source *source, const char *hub, int32_t partition, int64_t offset)
{
    scripted *s = scripted_of(source);

    hv_scripted_log_compact(locked_log(s, hub, partition), offset);
    unlock_changed(s);
}

void
hv_scripted_truncate(hv_source *source, const char *hub, int32_t partition, int64_t new_high)
{
    scripted *s = scripted_of(source);

    hv_scripted_log_truncate(locked_log(s, hub, partition), new_high);
    unlock_changed(s);
}

/* Locked: unlock_changed() when done. The hub has to exist, or have existed. */
static scripted_hub *
locked_hub(scripted *s, const char *name)
{
    lock(s);
    scripted_hub *hub = find_hub(s, name);
    assert(hub != NULL);
    return hub;
}

void
hv_scripted_delete(hv_source *source, const char *hub)
{
    scripted *s = scripted_of(source);

    empty_hub(locked_hub(s, hub));
    unlock_changed(s);
}

void
hv_scripted_policy(hv_source *source, const char *hub, hv_source_hub_policy policy)
{
    scripted *s = scripted_of(source);

    locked_hub(s, hub)->policy = policy;
    unlock_changed(s);
}

void
hv_scripted_trouble(hv_source *source, const char *name, hv_source_kind kind)
{
    scripted *s = scripted_of(source);

    assert(kind >= HV_SOURCE_OUT_OF_RANGE);
    scripted_hub *hub = locked_hub(s, name);
    assert(hub->trouble_count < MAX_TROUBLES);
    hub->troubles[hub->trouble_count++] = kind;
    unlock_changed(s);
}

int64_t
hv_scripted_committed(hv_source *source, const char *hub, int32_t partition)
{
    scripted *s = scripted_of(source);

    lock(s);
    scripted_partition *at = find_partition(s, hub, partition);
    int64_t committed = at != NULL ? at->committed : -1;
    unlock(s);
    return committed;
}

void
hv_scripted_questions_fail(hv_source *source, hv_rc rc)
{
    scripted *s = scripted_of(source);

    lock(s);
    s->locked.questions_rc = rc;
    unlock(s);
}

void
hv_scripted_break(hv_source *source, hv_rc rc)
{
    scripted *s = scripted_of(source);

    lock(s);
    s->locked.final_rc = rc;
    unlock_changed(s);
}
