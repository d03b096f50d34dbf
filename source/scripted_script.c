/* What tests do to a scripted source. Each function takes the lock, changes one thing and wakes whoever polls. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "source/scripted_state.h"

static void
grow_hub(hv_scripted_hub_state *hub, int32_t partitions)
{
    assert(partitions >= hub->facts.partitions && partitions > 0);
    hub->partitions = hv_scripted_never_null(realloc(hub->partitions, (size_t)partitions * sizeof *hub->partitions));
    for (int32_t i = hub->facts.partitions; i < partitions; i++)
        hub->partitions[i] = (hv_scripted_partition){.committed = -1};
    hub->facts.partitions = partitions;
}

void
hv_scripted_set_hub(hv_scripted *s, const char *name, int32_t partitions, const char *identity)
{
    hv_scripted_hub_state *hub = hv_scripted_find_hub(s, name);

    if (hub == NULL) {
        hub = hv_scripted_never_null(calloc(1, sizeof *hub));
        assert(strlen(name) < sizeof hub->facts.name);
        memcpy(hub->facts.name, name, strlen(name));
        hub->policy.retention_ms = -1;
        hub->next = s->locked.hubs;
        s->locked.hubs = hub;
    } else if (strcmp(hub->facts.identity, identity) != 0) {
        hv_scripted_empty_hub(hub);
    }
    assert(strlen(identity) < sizeof hub->facts.identity);
    (void)snprintf(hub->facts.identity, sizeof hub->facts.identity, "%s", identity);
    grow_hub(hub, partitions);
}

void
hv_scripted_hub(hv_source *source, const char *name, int32_t partitions, const char *identity)
{
    hv_scripted *s = hv_scripted_of(source);

    hv_scripted_lock(s);
    hv_scripted_set_hub(s, name, partitions, identity);
    hv_scripted_unlock_changed(s);
}

/* Locked: hv_scripted_unlock_changed() when done. The hub and partition have to exist. */
static hv_scripted_log *
locked_log(hv_scripted *s, const char *hub, int32_t partition)
{
    hv_scripted_lock(s);
    hv_scripted_partition *found = hv_scripted_find_partition(s, hub, partition);
    assert(found != NULL);
    return &found->log;
}

int64_t
hv_scripted_append(hv_source *source, const char *hub, int32_t partition, const hv_event *event)
{
    hv_scripted *s = hv_scripted_of(source);
    int64_t offset = hv_scripted_log_append(locked_log(s, hub, partition), event);

    hv_scripted_unlock_changed(s);
    return offset;
}

void
hv_scripted_skip(hv_source *source, const char *hub, int32_t partition, int64_t offsets)
{
    hv_scripted *s = hv_scripted_of(source);

    assert(offsets >= 0);
    locked_log(s, hub, partition)->high += offsets;
    hv_scripted_unlock_changed(s);
}

void
hv_scripted_overlook(hv_source *source, const char *hub, int32_t partition, int64_t offset, int delivered_first, int times)
{
    hv_scripted *s = hv_scripted_of(source);

    hv_scripted_lock(s);
    hv_scripted_partition *at = hv_scripted_find_partition(s, hub, partition);
    assert(at != NULL);
    at->overlooked = offset;
    at->overlook_after = delivered_first;
    at->overlook_times = times;
    hv_scripted_unlock(s);
}

void
hv_scripted_expire(hv_source *source, const char *hub, int32_t partition, int64_t new_low)
{
    hv_scripted *s = hv_scripted_of(source);

    hv_scripted_log_expire(locked_log(s, hub, partition), new_low);
    hv_scripted_unlock_changed(s);
}

void
hv_scripted_compact(hv_source *source, const char *hub, int32_t partition, int64_t offset)
{
    hv_scripted *s = hv_scripted_of(source);

    hv_scripted_log_compact(locked_log(s, hub, partition), offset);
    hv_scripted_unlock_changed(s);
}

void
hv_scripted_truncate(hv_source *source, const char *hub, int32_t partition, int64_t new_high)
{
    hv_scripted *s = hv_scripted_of(source);

    hv_scripted_log_truncate(locked_log(s, hub, partition), new_high);
    hv_scripted_unlock_changed(s);
}

/* Locked: hv_scripted_unlock_changed() when done. The hub has to exist, or have existed. */
static hv_scripted_hub_state *
locked_hub(hv_scripted *s, const char *name)
{
    hv_scripted_lock(s);
    hv_scripted_hub_state *hub = hv_scripted_find_hub(s, name);
    assert(hub != NULL);
    return hub;
}

void
hv_scripted_delete(hv_source *source, const char *hub)
{
    hv_scripted *s = hv_scripted_of(source);

    hv_scripted_empty_hub(locked_hub(s, hub));
    hv_scripted_unlock_changed(s);
}

void
hv_scripted_policy(hv_source *source, const char *hub, hv_source_hub_policy policy)
{
    hv_scripted *s = hv_scripted_of(source);

    locked_hub(s, hub)->policy = policy;
    hv_scripted_unlock_changed(s);
}

void
hv_scripted_trouble(hv_source *source, const char *name, hv_source_kind kind)
{
    hv_scripted *s = hv_scripted_of(source);

    assert(kind >= HV_SOURCE_OUT_OF_RANGE);
    hv_scripted_hub_state *hub = locked_hub(s, name);
    assert(hub->trouble_count < HV_SCRIPTED_MAX_TROUBLES);
    hub->troubles[hub->trouble_count++] = kind;
    hv_scripted_unlock_changed(s);
}

int64_t
hv_scripted_committed(hv_source *source, const char *hub, int32_t partition)
{
    hv_scripted *s = hv_scripted_of(source);

    hv_scripted_lock(s);
    hv_scripted_partition *at = hv_scripted_find_partition(s, hub, partition);
    int64_t committed = at != NULL ? at->committed : -1;
    hv_scripted_unlock(s);
    return committed;
}

void
hv_scripted_questions_fail(hv_source *source, hv_rc rc)
{
    hv_scripted *s = hv_scripted_of(source);

    hv_scripted_lock(s);
    s->locked.questions_rc = rc;
    hv_scripted_unlock(s);
}

void
hv_scripted_break(hv_source *source, hv_rc rc)
{
    hv_scripted *s = hv_scripted_of(source);

    hv_scripted_lock(s);
    s->locked.final_rc = rc;
    hv_scripted_unlock_changed(s);
}
