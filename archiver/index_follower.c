/*
 * One round every interval: first the hubs, whose next incarnation is asked for by its name, then the partitions, whose next lead is.
 * Where the answer is "not there", the pause before the next question doubles; where it is "there", cuts are read and recorded from the
 * position on until there is none, a batch at a time so that others have their turn.
 *
 * What to follow is learned from the index, from the sources' lists, and now and then by a sweep: a walk over the names of the store that
 * skips from one hub to the next, and within a hub that no source lists, or that has had several incarnations, from one partition to the
 * next. It costs a listing of one name each.
 *
 * A cut that lacks siblings is left to its maker, or to whoever owns the partition. Nothing here writes to the store.
 */
#include "archiver/index_follower.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "archiver/incarnation.h"
#include "common/array.h"
#include "common/clock.h"
#include "segment/names.h"
#include "storage/listing.h"

enum { BATCH = 16, MOST_DOUBLINGS = 12, SWEEP_INTERVALS = 60, LEAST_SWEEP_MS = 10 * 60 * 1000, REPEAT_TROUBLE_MS = 60000 };

/* A question that is asked again and again. */
typedef struct asking {
    int64_t next_boot_ms, pause_ms;
} asking;

typedef struct followed {
    hv_partition partition;
    bool owned;
    asking turn;
} followed;

typedef struct followed_hub {
    char name[HV_HUB_SIZE];
    uint32_t incarnation;               /* the newest that the index has; 0: none */
    int32_t partitions;                 /* as a source lists them; 0: none does */
    asking turn;
} followed_hub;

struct hv_index_follower {
    hv_engine *engine;
    hv_chain chain;
    int64_t interval_ms;
    pthread_t thread;
    int64_t next_sweep_boot_ms, trouble_boot_ms;        /* these: of the thread only */
    hv_rc trouble;
    hv_heart heart;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {                            /* touched only while holding `lock` */
        followed *partitions;           /* sorted as hv_partition_compare() */
        size_t count, room;
        followed_hub *hubs;             /* sorted by name */
        size_t hub_count, hub_room;
        bool stopping;
    } locked;
};

static void
must(int pthread_rc)
{
    assert(pthread_rc == 0);
    (void)pthread_rc;
}

static bool
is_stopping(hv_index_follower *follower)
{
    must(pthread_mutex_lock(&follower->lock));
    bool stopping = follower->locked.stopping;
    must(pthread_mutex_unlock(&follower->lock));
    return stopping;
}

static void
trouble(hv_index_follower *follower, hv_rc rc, const hv_err *err)
{
    hv_archiver_report report = {.event = HV_ARCHIVER_TROUBLE, .err = err, .operation = HV_ARCHIVER_FOLLOW};
    int64_t now = hv_clock_boot_ms();

    if (rc == follower->trouble && now - follower->trouble_boot_ms < REPEAT_TROUBLE_MS)
        return;
    follower->trouble = rc;
    follower->trouble_boot_ms = now;
    hv_engine_report(follower->engine, &report);
}

/* ---- the tables; all of these want the lock ---- */

static followed *
find_or_add(hv_index_follower *follower, const hv_partition *partition)
{
    size_t low = 0, high = follower->locked.count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (hv_partition_compare(&follower->locked.partitions[middle].partition, partition) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < follower->locked.count && hv_partition_compare(&follower->locked.partitions[low].partition, partition) == 0)
        return &follower->locked.partitions[low];
    if (!hv_array_room(&follower->locked.partitions, follower->locked.count, &follower->locked.room, sizeof(followed)))
        return NULL;
    memmove(follower->locked.partitions + low + 1, follower->locked.partitions + low, (follower->locked.count - low) * sizeof(followed));
    follower->locked.count++;
    follower->locked.partitions[low] = (followed){.partition = *partition};
    return &follower->locked.partitions[low];
}

static followed_hub *
find_or_add_hub(hv_index_follower *follower, const char *name)
{
    size_t low = 0, high = follower->locked.hub_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(follower->locked.hubs[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < follower->locked.hub_count && strcmp(follower->locked.hubs[low].name, name) == 0)
        return &follower->locked.hubs[low];
    if (!hv_array_room(&follower->locked.hubs, follower->locked.hub_count, &follower->locked.hub_room, sizeof(followed_hub)))
        return NULL;
    memmove(follower->locked.hubs + low + 1, follower->locked.hubs + low, (follower->locked.hub_count - low) * sizeof(followed_hub));
    follower->locked.hub_count++;
    follower->locked.hubs[low] = (followed_hub){.partitions = 0};
    (void)snprintf(follower->locked.hubs[low].name, HV_HUB_SIZE, "%s", name);
    return &follower->locked.hubs[low];
}

/* Every partition that the newest incarnation of a listed hub may have. */
static void
add_partitions(hv_index_follower *follower, const followed_hub *hub)
{
    hv_partition partition;
    hv_err err;

    for (int32_t p = 0; hub->incarnation != 0 && p < hub->partitions; p++)
        if (hv_partition_make(hub->name, hub->incarnation, p, &partition, &err) == HV_OK)
            (void)find_or_add(follower, &partition);
}

static void
note_incarnation(hv_index_follower *follower, const char *name, uint32_t incarnation)
{
    followed_hub *hub = find_or_add_hub(follower, name);

    if (hub == NULL || incarnation <= hub->incarnation)
        return;
    hub->incarnation = incarnation;
    hub->turn = (asking){0};
    add_partitions(follower, hub);
}

/* ---- from other threads ---- */

void
hv_index_follower_own(hv_index_follower *follower, const hv_partition *partition, bool owned)
{
    if (follower == NULL)
        return;
    must(pthread_mutex_lock(&follower->lock));
    followed *found = find_or_add(follower, partition);
    if (found != NULL) {
        found->owned = owned;
        found->turn = (asking){0};
    }
    note_incarnation(follower, partition->hub, partition->incarnation);
    must(pthread_mutex_unlock(&follower->lock));
}

void
hv_index_follower_hubs(hv_index_follower *follower, const hv_source_hub *hubs, size_t count)
{
    if (follower == NULL)
        return;
    must(pthread_mutex_lock(&follower->lock));
    for (size_t h = 0; h < count; h++) {
        followed_hub *hub = hubs[h].partitions > 0 ? find_or_add_hub(follower, hubs[h].name) : NULL;
        if (hub == NULL || hubs[h].partitions <= hub->partitions)
            continue;
        hub->partitions = hubs[h].partitions;
        add_partitions(follower, hub);
    }
    must(pthread_mutex_unlock(&follower->lock));
}

/* ---- questions ---- */

static void
report_followed(hv_index_follower *follower, const hv_partition *partition, const hv_index_cut *cut)
{
    hv_engine_totals *totals = hv_engine_totals_of(follower->engine);
    hv_archiver_report report = {.event = HV_ARCHIVER_FOLLOWED, .partition = partition, .range = cut->range};

    for (size_t s = 0; s < cut->segment_count; s++) {
        report.count += cut->segments[s].count;
        report.bytes += cut->segments[s].size;
    }
    atomic_fetch_add(&totals->followed_cuts, 1);
    atomic_fetch_add(&totals->followed_segments, (int64_t)cut->segment_count);
    hv_engine_report(follower->engine, &report);
}

/* Up to a batch of complete cuts from *position on, which moves; HV_NOT_FOUND where there is no further one. */
static hv_rc
record_batch(hv_index_follower *follower, const hv_partition *partition, int64_t *position, hv_err *err)
{
    hv_index_cut cuts[BATCH] = {0};
    size_t count = 0;
    int64_t at = *position;
    hv_rc rc = HV_OK, recorded = HV_OK;
    hv_err ignored;

    while (rc == HV_OK && count < BATCH && !is_stopping(follower)) {
        HV_AUTO(hv_chain_cut_clear) hv_chain_cut cut = {0};
        hv_heart_beat(&follower->heart);
        rc = hv_chain_look(&follower->chain, partition, at, &cut, err);
        if (rc == HV_OK && !cut.complete)
            rc = HV_NOT_FOUND;
        if (rc != HV_OK)
            break;
        at = cut.facts.range.end;
        cuts[count++] = cut.facts;
        cut.facts = (hv_index_cut){0};
    }
    if (count > 0)
        recorded = hv_engine_record(follower->engine, partition, cuts, count, rc == HV_OK || rc == HV_NOT_FOUND ? err : &ignored);
    for (size_t c = 0; c < count; c++) {
        if (recorded == HV_OK)
            report_followed(follower, partition, &cuts[c]);
        hv_index_cut_clear(&cuts[c]);
    }
    if (recorded != HV_OK)
        return recorded;
    *position = at;
    return rc;
}

/* Whether something was found. */
static bool
look_at_partition(hv_index_follower *follower, const hv_partition *partition)
{
    hv_storage *storage = follower->chain.storage;
    hv_blob_properties properties;
    int64_t position, before;
    hv_err err;

    hv_heart_beat(&follower->heart);
    hv_rc rc = hv_index_position(hv_engine_config(follower->engine)->index, partition, &position, &err);
    before = position;
    if (rc == HV_OK) {
        atomic_fetch_add(&hv_engine_totals_of(follower->engine)->follow_looks, 1);
        rc = storage->ops->properties(storage, hv_name_of_lead(partition, position).text, &properties, &err);
    }
    while (rc == HV_OK && !is_stopping(follower))
        rc = record_batch(follower, partition, &position, &err);
    if (rc != HV_OK && rc != HV_NOT_FOUND) {
        (void)hv_err_prefix(&err, "follow %s/%d", partition->hub, (int)partition->number);
        trouble(follower, rc, &err);
    }
    return position > before;
}

static bool
look_at_hub(hv_index_follower *follower, const followed_hub *hub)
{
    hv_incarnation_record record;
    hv_err err;

    hv_heart_beat(&follower->heart);
    hv_rc rc = hv_incarnation_read(&follower->chain, hub->name, hub->incarnation + 1, &record, &err);
    if (rc == HV_OK) {
        hv_index_incarnation entry = hv_incarnation_entry(&record);
        rc = hv_engine_record_incarnation(follower->engine, &entry, &err);
    }
    if (rc != HV_OK && rc != HV_NOT_FOUND) {
        (void)hv_err_prefix(&err, "follow hub '%s'", hub->name);
        trouble(follower, rc, &err);
    }
    if (rc != HV_OK)
        return false;
    must(pthread_mutex_lock(&follower->lock));
    note_incarnation(follower, hub->name, record.incarnation);
    must(pthread_mutex_unlock(&follower->lock));
    return true;
}

/* ---- rounds ---- */

static void
pass(const hv_index_follower *follower, asking *turn, bool found)
{
    int64_t longest_ms = follower->interval_ms * MOST_DOUBLINGS;

    turn->pause_ms = found || turn->pause_ms == 0 ? follower->interval_ms : turn->pause_ms * 2;
    if (turn->pause_ms > longest_ms)
        turn->pause_ms = longest_ms;
    turn->next_boot_ms = hv_clock_boot_ms() + turn->pause_ms;
}

/* A copy of the next partition in the table, from *at on, whose turn it is. */
static bool
next_partition(hv_index_follower *follower, size_t *at, int64_t now, hv_partition *ret)
{
    bool found = false;

    must(pthread_mutex_lock(&follower->lock));
    for (; !found && *at < follower->locked.count; ++*at) {
        const followed *one = &follower->locked.partitions[*at];
        found = !one->owned && now >= one->turn.next_boot_ms;
        if (found)
            *ret = one->partition;
    }
    found = found && !follower->locked.stopping;
    must(pthread_mutex_unlock(&follower->lock));
    return found;
}

/* The table may grow meanwhile: then one is asked again, or in the next round. */
static void
follow_partitions(hv_index_follower *follower)
{
    int64_t now = hv_clock_boot_ms();
    hv_partition partition;

    for (size_t at = 0; next_partition(follower, &at, now, &partition);) {
        bool found = look_at_partition(follower, &partition);
        must(pthread_mutex_lock(&follower->lock));
        followed *one = find_or_add(follower, &partition);
        if (one != NULL)
            pass(follower, &one->turn, found);
        must(pthread_mutex_unlock(&follower->lock));
    }
}

static bool
next_hub(hv_index_follower *follower, size_t *at, int64_t now, followed_hub *ret)
{
    bool found = false;

    must(pthread_mutex_lock(&follower->lock));
    for (; !found && *at < follower->locked.hub_count; ++*at) {
        found = now >= follower->locked.hubs[*at].turn.next_boot_ms;
        if (found)
            *ret = follower->locked.hubs[*at];
    }
    found = found && !follower->locked.stopping;
    must(pthread_mutex_unlock(&follower->lock));
    return found;
}

static void
follow_hubs(hv_index_follower *follower)
{
    int64_t now = hv_clock_boot_ms();
    followed_hub hub;

    for (size_t at = 0; next_hub(follower, &at, now, &hub);) {
        bool found = false;
        while (look_at_hub(follower, &hub)) {
            found = true;
            hub.incarnation++;
        }
        must(pthread_mutex_lock(&follower->lock));
        followed_hub *one = find_or_add_hub(follower, hub.name);
        if (one != NULL)
            pass(follower, &one->turn, found);
        must(pthread_mutex_unlock(&follower->lock));
    }
}

/* ---- what there is to follow ---- */

static void
learn_from_index(hv_index_follower *follower)
{
    hv_index *index = hv_engine_config(follower->engine)->index;
    hv_index_incarnation *incarnations = NULL;
    hv_index_partition_facts *facts = NULL;
    size_t incarnation_count = 0, count = 0;
    hv_err err;

    hv_rc rc = hv_index_incarnations(index, &incarnations, &incarnation_count, &err);
    if (rc == HV_OK)
        rc = hv_index_partitions(index, NULL, &facts, &count, &err);
    if (rc != HV_OK)
        trouble(follower, rc, &err);
    must(pthread_mutex_lock(&follower->lock));
    for (size_t i = 0; rc == HV_OK && i < incarnation_count; i++)
        note_incarnation(follower, incarnations[i].hub, incarnations[i].incarnation);
    for (size_t p = 0; rc == HV_OK && p < count; p++)
        (void)find_or_add(follower, &facts[p].partition);
    must(pthread_mutex_unlock(&follower->lock));
    free(incarnations);
    free(facts);
}

/* The first name at or behind `from` under the segments. HV_NOT_FOUND: none. */
static hv_rc
first_name(hv_index_follower *follower, const char *from, hv_name_parts *ret, hv_blob_name *name, hv_err *err)
{
    hv_list_request request = {.prefix = HV_SEGMENTS_PREFIX, .from = from[0] == '\0' ? NULL : from};

    hv_heart_beat(&follower->heart);
    hv_rc rc = hv_listing_first(follower->chain.storage, &request, name->text, err);
    if (rc == HV_OK)
        *ret = hv_name_parse(name->text);
    return rc;
}

/* Where the walk goes on: behind a hub of which a source lists all there is, else behind a partition; behind a single name that is none
 * of ours. */
static void
skip(hv_index_follower *follower, const hv_name_parts *at, const hv_blob_name *name, hv_blob_name *from)
{
    bool is_ours = at->kind == HV_NAME_LEAD || at->kind == HV_NAME_SIBLING || at->kind == HV_NAME_INCARNATION;

    *from = *name;
    if (is_ours) {
        must(pthread_mutex_lock(&follower->lock));
        followed_hub *hub = find_or_add_hub(follower, at->partition.hub);
        bool listed = hub != NULL && hub->partitions > 0 && hub->incarnation == 1;
        if (at->kind != HV_NAME_INCARNATION)
            (void)find_or_add(follower, &at->partition);
        must(pthread_mutex_unlock(&follower->lock));
        if (listed)
            *from = hv_prefix_of_hub(at->partition.hub);
        else if (at->kind != HV_NAME_INCARNATION)
            *from = hv_prefix_of_partition(&at->partition);
    }
    size_t len = strlen(from->text);    /* 'z' sorts behind digits, "incarnation=" and the end of any name of ours */
    if (len + 1 < sizeof from->text)
        memcpy(from->text + len, is_ours && from->text[len - 1] == '/' ? "z" : "0", 2);
}

static void
sweep(hv_index_follower *follower)
{
    hv_blob_name from = {.text = ""}, name;
    hv_name_parts parts;
    hv_rc rc;
    hv_err err;

    while (!is_stopping(follower) && (rc = first_name(follower, from.text, &parts, &name, &err)) != HV_NOT_FOUND) {
        if (rc != HV_OK) {
            trouble(follower, rc, &err);
            return;                     /* the next sweep */
        }
        skip(follower, &parts, &name, &from);
    }
}

/* Until the next round is due; false at the end. */
static bool
wait_round(hv_index_follower *follower)
{
    struct timespec until;

    hv_heart_rest(&follower->heart);
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += follower->interval_ms / 1000;
    until.tv_nsec += follower->interval_ms % 1000 * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    must(pthread_mutex_lock(&follower->lock));
    while (!follower->locked.stopping && pthread_cond_timedwait(&follower->changed, &follower->lock, &until) == 0)
        continue;
    bool goes_on = !follower->locked.stopping;
    must(pthread_mutex_unlock(&follower->lock));
    return goes_on;
}

static void *
run(void *arg)
{
    hv_index_follower *follower = arg;
    int64_t sweep_ms = follower->interval_ms * SWEEP_INTERVALS > LEAST_SWEEP_MS ? follower->interval_ms * SWEEP_INTERVALS : LEAST_SWEEP_MS;

    hv_heart_beat(&follower->heart);
    learn_from_index(follower);
    do {
        if (hv_clock_boot_ms() >= follower->next_sweep_boot_ms) {
            sweep(follower);
            follower->next_sweep_boot_ms = hv_clock_boot_ms() + sweep_ms;
        }
        follow_hubs(follower);
        follow_partitions(follower);
    } while (wait_round(follower));
    return NULL;
}

static void
follower_free(hv_index_follower *follower)
{
    must(pthread_cond_destroy(&follower->changed));
    must(pthread_mutex_destroy(&follower->lock));
    free(follower->locked.partitions);
    free(follower->locked.hubs);
    free(follower);
}

hv_rc
hv_index_follower_start(hv_engine *engine, hv_index_follower **ret, hv_err *err)
{
    const hv_archiver_config *config = hv_engine_config(engine);
    hv_index_follower *follower = calloc(1, sizeof *follower);
    pthread_condattr_t monotonic;

    if (follower == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a follower");
    follower->engine = engine;
    follower->chain = (hv_chain){.storage = config->storage, .vault = config->vault};
    follower->interval_ms = config->follow_ms;
    must(pthread_mutex_init(&follower->lock, NULL));
    must(pthread_condattr_init(&monotonic));
    must(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC));
    must(pthread_cond_init(&follower->changed, &monotonic));
    must(pthread_condattr_destroy(&monotonic));
    if (pthread_create(&follower->thread, NULL, run, follower) != 0) {
        follower_free(follower);
        return hv_err_set(err, HV_IO, "cannot start the thread of a follower");
    }
    *ret = follower;
    return HV_OK;
}

const hv_heart *
hv_index_follower_heart(const hv_index_follower *follower)
{
    return &follower->heart;
}

void
hv_index_follower_stop(hv_index_follower *follower)
{
    if (follower == NULL)
        return;
    must(pthread_mutex_lock(&follower->lock));
    follower->locked.stopping = true;
    must(pthread_cond_signal(&follower->changed));
    must(pthread_mutex_unlock(&follower->lock));
    must(pthread_join(follower->thread, NULL));
    follower_free(follower);
}
