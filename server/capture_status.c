/*
 * Headroom needs the timestamp of the oldest event that is not sealed, which only the hub knows: each partition that is behind is
 * assigned at its position, and the first event that comes tells. A hub deletes by the newest timestamp of a file of its log, so
 * this is a lower bound of the time that is left; hubs that keep events by size are not foreseen.
 */
#include "server/capture_status.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"

const char *
hv_capture_state_text(hv_capture_state state)
{
    static const char *const texts[] = {
#define STATE_TEXT(name, text, meaning) text,
        HV_CAPTURE_STATE_LIST(STATE_TEXT)
#undef STATE_TEXT
    };
    return texts[state];
}

void
hv_capture_status_clear(hv_capture_status *status)
{
    free(status->partitions);
    *status = (hv_capture_status){0};
}

hv_rc
hv_capture_status_read(hv_index *index, hv_capture_status *ret, hv_err *err)
{
    hv_index_partition_facts *facts = NULL;
    size_t count, kept = 0;

    hv_rc rc = hv_index_partitions(index, NULL, &facts, &count, err);
    if (rc != HV_OK)
        return rc;
    hv_partition_status *partitions = calloc(count + 1, sizeof *partitions);
    if (partitions == NULL) {
        free(facts);
        return hv_err_set(err, HV_NOMEM, "no memory for the state of %zu partitions", count);
    }
    for (size_t i = 0; i < count; i++) {
        /* Sorted by incarnation: whatever of this hub came before with another one is older. */
        while (kept > 0 && strcmp(partitions[kept - 1].facts.partition.hub, facts[i].partition.hub) == 0 &&
               partitions[kept - 1].facts.partition.incarnation != facts[i].partition.incarnation)
            kept--;
        partitions[kept++] = (hv_partition_status){.facts = facts[i]};
    }
    free(facts);
    *ret = (hv_capture_status){.partitions = partitions, .count = kept};
    return HV_OK;
}

/* ---- what one source says ---- */

typedef struct asked {
    hv_capture_status *status;
    hv_index_incarnation *incarnations; /* of the index, by hub and number */
    size_t incarnation_count;
    const hv_capture_question *question;
    hv_source *source;
    hv_source_hub *hubs;
    size_t hub_count;
} asked;

/* There is one incarnation of each hub only, so hub and number are an order, too. */
static int
by_hub_and_number(const void *a, const void *b)
{
    const hv_partition *x = &((const hv_partition_status *)a)->facts.partition, *y = &((const hv_partition_status *)b)->facts.partition;
    int by_hub = strcmp(x->hub, y->hub);

    return by_hub != 0 ? by_hub : (x->number > y->number) - (x->number < y->number);
}

/* Among the first `count`, which are sorted; NULL if it is not there. */
static hv_partition_status *
find_among(const hv_capture_status *status, size_t count, const char *hub, int32_t number)
{
    hv_partition_status key = {.facts.partition.number = number};

    (void)snprintf(key.facts.partition.hub, sizeof key.facts.partition.hub, "%s", hub);
    return count > 0 ? bsearch(&key, status->partitions, count, sizeof key, by_hub_and_number) : NULL;
}

/* One that add_partitions() was called for. */
static hv_partition_status *
find_partition(const hv_capture_status *status, const char *hub, int32_t number)
{
    hv_partition_status *found = find_among(status, status->count, hub, number);

    assert(found != NULL);
    return found;
}

/* The newest incarnation of a hub that the index knows; NULL if it knows none. */
static const hv_index_incarnation *
newest_incarnation(const asked *ask, const char *hub)
{
    const hv_index_incarnation *newest = NULL;

    for (size_t i = 0; i < ask->incarnation_count; i++)
        if (strcmp(ask->incarnations[i].hub, hub) == 0)
            newest = &ask->incarnations[i];
    return newest;
}

/* Every partition of this hub; those that are not among the first `sorted` go behind all. */
static hv_rc
add_partitions(asked *ask, const hv_source_hub *hub, size_t sorted, hv_err *err)
{
    const hv_index_incarnation *known = newest_incarnation(ask, hub->name);
    hv_capture_status *status = ask->status;

    hv_partition_status *grown = realloc(status->partitions, (status->count + (size_t)hub->partitions + 1) * sizeof *grown);
    if (grown == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the partitions of hub '%s'", hub->name);
    status->partitions = grown;
    bool recreated = known != NULL && known->identity[0] != '\0' && hub->identity[0] != '\0' && strcmp(known->identity, hub->identity) != 0;
    for (int32_t number = 0; number < hub->partitions; number++) {
        hv_partition_status *found = find_among(status, sorted, hub->name, number);
        if (found == NULL) {
            found = &status->partitions[status->count++];
            *found = (hv_partition_status){0};
            hv_rc rc = hv_partition_make(hub->name, known != NULL ? known->incarnation : 0, number, &found->facts.partition, err);
            if (rc != HV_OK)
                return rc;
        }
        found->state = recreated ? HV_CAPTURE_RECREATED : HV_CAPTURE_UNREADABLE;
    }
    return HV_OK;
}

static void
judge(hv_partition_status *partition, const hv_source_watermarks *marks)
{
    if (marks->rc != HV_OK)
        return;                         /* stays unreadable */
    partition->has_watermarks = true;
    partition->low = marks->low;
    partition->high = marks->high;
    if (partition->state == HV_CAPTURE_RECREATED)
        return;
    int64_t position = partition->facts.range.end;
    if (marks->high < position) {
        partition->state = HV_CAPTURE_RECREATED;
        return;
    }
    int64_t from = position > marks->low ? position : marks->low;
    partition->lag = marks->high - from;
    if (position < marks->low && partition->facts.cuts > 0)
        partition->state = HV_CAPTURE_LOSING;
    else if (partition->lag == 0)
        partition->state = HV_CAPTURE_COMPLETE;
    else
        partition->state = partition->facts.cuts > 0 ? HV_CAPTURE_BEHIND : HV_CAPTURE_NEW;
}

static hv_rc
ask_watermarks(asked *ask, hv_err *err)
{
    size_t count = 0, at = 0;

    for (size_t i = 0; i < ask->hub_count; i++)
        count += (size_t)ask->hubs[i].partitions;
    hv_source_watermarks *marks = calloc(count + 1, sizeof *marks);
    if (marks == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the watermarks of %zu partitions", count);
    for (size_t i = 0; i < ask->hub_count; i++)
        for (int32_t number = 0; number < ask->hubs[i].partitions; number++)
            marks[at++] = (hv_source_watermarks){.hub = ask->hubs[i].name, .partition = number, .rc = HV_UNAVAILABLE};
    hv_rc rc = ask->source->ops->watermarks(ask->source, marks, count, ask->question->timeout_ms, err);
    for (size_t i = 0; i < count && rc == HV_OK; i++)
        judge(find_partition(ask->status, marks[i].hub, marks[i].partition), &marks[i]);
    free(marks);
    return rc;
}

/* ---- headroom ---- */

typedef struct waiting {
    size_t at;                          /* in status->partitions */
    int64_t retention_ms;
    bool done;
} waiting;

static bool
wants_headroom(const hv_partition_status *partition)
{
    return partition->has_watermarks && partition->lag > 0 && partition->state != HV_CAPTURE_RECREATED;
}

/* Which partitions of this source to wait for. Hubs that do not say how long they keep events are left out. */
static hv_rc
find_waiting(asked *ask, waiting **ret, size_t *count, hv_err *err)
{
    waiting *all = calloc(ask->status->count + 1, sizeof *all);

    if (all == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the headroom of %zu partitions", ask->status->count);
    *count = 0;
    bool tells = true;                  /* one hub that does not answer is enough: waiting for each would take minutes */
    for (size_t i = 0; i < ask->hub_count && tells; i++) {
        hv_source_hub_policy policy = {.retention_ms = -1};
        bool asked_policy = false;
        for (int32_t number = 0; number < ask->hubs[i].partitions; number++) {
            hv_partition_status *partition = find_partition(ask->status, ask->hubs[i].name, number);
            if (!wants_headroom(partition))
                continue;
            hv_err ignored;             /* without an answer there is no headroom, that is all */
            if (!asked_policy)
                tells = ask->source->ops->hub_policy(ask->source, ask->hubs[i].name, ask->question->timeout_ms, &policy, &ignored) == HV_OK;
            asked_policy = true;
            if (!tells)
                break;
            if (policy.retention_ms > 0)
                all[(*count)++] = (waiting){.at = (size_t)(partition - ask->status->partitions), .retention_ms = policy.retention_ms};
        }
    }
    *ret = all;
    return HV_OK;
}

static hv_rc
assign_waiting(asked *ask, waiting *all, size_t count, hv_err *err)
{
    hv_source_assignment *assignments = calloc(count + 1, sizeof *assignments);

    if (assignments == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the headroom of %zu partitions", count);
    for (size_t i = 0; i < count; i++) {
        const hv_partition_status *partition = &ask->status->partitions[all[i].at];
        assignments[i] = (hv_source_assignment){.hub = partition->facts.partition.hub, .partition = partition->facts.partition.number,
                                                .offset = partition->high - partition->lag, .tag = &all[i]};
    }
    hv_rc rc = ask->source->ops->assign(ask->source, assignments, count, err);
    free(assignments);
    return rc;
}

static void
note_headroom(const asked *ask, waiting *wait, int64_t timestamp_ms)
{
    hv_partition_status *partition = &ask->status->partitions[wait->at];
    int64_t age = hv_clock_wall_ms() - (timestamp_ms < 0 ? 0 : timestamp_ms);

    wait->done = true;
    partition->has_headroom = true;
    partition->headroom_ms = age < 0 ? wait->retention_ms : wait->retention_ms - age;
    int64_t warning_ms = ask->question->headroom_warning_ms;
    if (warning_ms > wait->retention_ms / 2)
        warning_ms = wait->retention_ms / 2;            /* a hub that keeps events for an hour is not at risk all the time */
    if (partition->state != HV_CAPTURE_LOSING && partition->headroom_ms < warning_ms)
        partition->state = HV_CAPTURE_AT_RISK;
}

/* Until every partition has shown its first event, or the time is over: what did not come stays unknown. */
static hv_rc
read_oldest(asked *ask, size_t count, hv_err *err)
{
    int64_t deadline = hv_clock_boot_ms() + ask->question->timeout_ms;
    hv_source_item item;

    for (size_t left = count; left > 0;) {
        int64_t now = hv_clock_boot_ms();
        if (now >= deadline)
            return HV_OK;
        hv_rc rc = ask->source->ops->poll(ask->source, (int)(deadline - now), &item, err);
        if (rc != HV_OK)
            return rc;
        waiting *wait = item.tag;
        if (wait == NULL || wait->done || item.kind == HV_SOURCE_NOTHING || item.kind == HV_SOURCE_TROUBLE)
            continue;
        if (item.kind == HV_SOURCE_EVENT)
            note_headroom(ask, wait, item.event.timestamp_ms);
        wait->done = true;              /* the end without an event, or a refusal: there is nothing to wait for */
        left--;
        const hv_partition *partition = &ask->status->partitions[wait->at].facts.partition;
        rc = ask->source->ops->unassign(ask->source, partition->hub, partition->number, err);
        if (rc != HV_OK)
            return rc;
    }
    return HV_OK;
}

static hv_rc
ask_headroom(asked *ask, hv_err *err)
{
    waiting *all = NULL;
    size_t count = 0;

    hv_rc rc = find_waiting(ask, &all, &count, err);
    if (rc == HV_OK && count > 0)
        rc = assign_waiting(ask, all, count, err);
    if (rc == HV_OK && count > 0)
        rc = read_oldest(ask, count, err);
    for (size_t i = 0; i < count; i++) {
        const hv_partition *partition = &ask->status->partitions[all[i].at].facts.partition;
        hv_err ignored;                 /* the tags die here, so nothing may stay assigned; what was never assigned is no failure */
        if (!all[i].done)
            (void)!ask->source->ops->unassign(ask->source, partition->hub, partition->number, &ignored);
    }
    free(all);
    return rc;
}

static hv_rc
ask_source(asked *ask, hv_err *err)
{
    hv_capture_status *status = ask->status;
    size_t sorted = status->count;
    hv_rc rc = ask->source->ops->hubs(ask->source, ask->question->timeout_ms, &ask->hubs, &ask->hub_count, err);

    for (size_t i = 0; i < ask->hub_count && rc == HV_OK; i++)
        rc = add_partitions(ask, &ask->hubs[i], sorted, err);
    if (status->count > 0)
        qsort(status->partitions, status->count, sizeof *status->partitions, by_hub_and_number);
    if (rc == HV_OK)
        rc = ask_watermarks(ask, err);
    if (rc == HV_OK)
        rc = ask_headroom(ask, err);
    free(ask->hubs);
    return rc;
}

hv_rc
hv_capture_status_ask(hv_capture_status *status, hv_index *index, const hv_capture_question *question, hv_err *err)
{
    asked all = {.status = status, .question = question};
    hv_err first_err;
    hv_rc first = HV_OK, rc = hv_index_incarnations(index, &all.incarnations, &all.incarnation_count, err);

    if (rc != HV_OK)
        return rc;
    for (size_t i = 0; i < question->source_count; i++) {
        asked ask = all;
        ask.source = question->sources[i];
        rc = ask_source(&ask, err);
        if (rc != HV_OK && first == HV_OK) {
            first = rc;
            first_err = *err;
        }
    }
    free(all.incarnations);
    for (size_t i = 0; i < status->count && first == HV_OK; i++)
        if (status->partitions[i].state == HV_CAPTURE_NOT_ASKED)
            status->partitions[i].state = HV_CAPTURE_ABSENT;
    if (first != HV_OK)
        *err = first_err;
    return first;
}
