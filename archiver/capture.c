/*
 * The loop of the capture thread: answers first, then one item of the source, and a few times a second a look at ages, memory and
 * the end. While the budget is used up it does not poll; that is the only back-pressure there is, and it reaches the broker.
 */
#include "archiver/capture.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "archiver/insist.h"
#include "archiver/scout.h"
#include "common/array.h"
#include "common/clock.h"

/* How long a poll may take, and with it what others tell us and what is due may wait. */
enum { ITEMS_PER_TURN = 256, QUIET_POLL_MS = 250, IDLE_POLL_MS = 100, BUSY_POLL_MS = 5 };

void
hv_tell_free(hv_tell *tell)
{
    if (tell == NULL)
        return;
    for (size_t p = 0; p < tell->partition_count; p++)
        hv_chain_cut_clear(&tell->partitions[p].incomplete);
    free(tell->partitions);
    free(tell->hubs);
    free(tell->members);
    hv_seal_job_free(tell->job);
    free(tell);
}

void
hv_capture_tell(hv_capture *capture, hv_tell *tell)
{
    tell->next = NULL;
    pthread_mutex_lock(&capture->lock);
    *capture->locked.last = tell;
    capture->locked.last = &tell->next;
    atomic_store(&capture->told, true);
    pthread_cond_signal(&capture->changed);
    pthread_mutex_unlock(&capture->lock);
}

static hv_tell *
take_all(hv_capture *capture)
{
    pthread_mutex_lock(&capture->lock);
    hv_tell *first = capture->locked.first;
    capture->locked.first = NULL;
    capture->locked.last = &capture->locked.first;
    atomic_store(&capture->told, false);
    pthread_mutex_unlock(&capture->lock);
    return first;
}

/* Until somebody tells something, or the time is over. */
static void
wait_told(hv_capture *capture, int ms)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&capture->lock);
    if (capture->locked.first == NULL)
        (void)pthread_cond_timedwait(&capture->changed, &capture->lock, &until);
    pthread_mutex_unlock(&capture->lock);
}

hv_captured_hub *
hv_capture_find_hub(hv_capture *capture, const char *name)
{
    for (size_t h = 0; h < capture->hub_count; h++)
        if (strcmp(capture->hubs[h]->name, name) == 0)
            return capture->hubs[h];
    return NULL;
}

void
hv_captured_report(hv_captured *captured, hv_archiver_event event, const hv_archiver_report *more)
{
    hv_archiver_report report = *more;

    report.event = event;
    report.partition = &captured->id;
    hv_engine_report(captured->capture->engine, &report);
}

void
hv_capture_trouble(hv_capture *capture, const hv_captured *captured, const hv_err *err)
{
    hv_archiver_report report = {.event = HV_ARCHIVER_TROUBLE, .partition = captured == NULL ? NULL : &captured->id, .err = err,
        .operation = captured == NULL ? HV_ARCHIVER_ASK : HV_ARCHIVER_READ};

    hv_engine_report(capture->engine, &report);
}

static void
keep_first_failure(hv_capture *capture, hv_rc rc, const hv_err *err)
{
    if (capture->rc != HV_OK)
        return;
    capture->rc = rc;
    capture->err = *err;
}

void
hv_captured_fail(hv_captured *captured, hv_rc rc, const hv_err *err)
{
    if (captured->state == HV_CAPTURED_STOPPED)
        return;
    hv_captured_unassign(captured);
    captured->state = HV_CAPTURED_STOPPED;
    captured->once_done = true;
    hv_engine_totals_of(captured->capture->engine)->stopped++;
    keep_first_failure(captured->capture, rc, err);
    hv_captured_report(captured, HV_ARCHIVER_STOPPED, &(hv_archiver_report){.err = err});
}

hv_rc
hv_captured_assign(hv_captured *captured, int64_t offset, hv_err *err)
{
    hv_source *source = captured->capture->source;

    captured->generation = ++captured->capture->next_generation;
    hv_source_assignment assignment = {.hub = captured->id.hub, .partition = captured->id.number, .offset = offset, .tag = captured,
        .generation = captured->generation};
    hv_rc rc = source->ops->assign(source, &assignment, 1, err);
    captured->assigned = rc == HV_OK;
    captured->assign_at_boot_ms = 0;
    return rc;
}

void
hv_captured_unassign(hv_captured *captured)
{
    hv_source *source = captured->capture->source;
    hv_err err;

    captured->generation = ++captured->capture->next_generation;        /* whatever is still under way is stale */
    if (captured->assigned && source->ops->unassign(source, captured->id.hub, captured->id.number, &err) != HV_OK)
        hv_capture_trouble(captured->capture, captured, &err);
    captured->assigned = false;
    captured->assign_at_boot_ms = 0;
}

static void
handle_sealed(hv_capture *capture, hv_tell *tell)
{
    hv_seal_job *job = HV_TAKE(tell->job);

    capture->sealing_count--;
    hv_captured_sealed(job->owner, job, tell->rc, &tell->err);
}

static void
handle_watermarks(hv_capture *capture, const hv_tell *tell)
{
    hv_captured_hub *hub = hv_capture_find_hub(capture, tell->hub);
    int32_t number = tell->partitions[0].number;

    if (hub != NULL && number < hub->partition_count && hub->partitions[number]->state != HV_CAPTURED_STOPPED)
        hv_captured_watermarks(hub->partitions[number], &tell->partitions[0]);
}

static void
handle_policy(hv_capture *capture, const hv_tell *tell)
{
    hv_captured_hub *hub = hv_capture_find_hub(capture, tell->hub);

    if (hub != NULL)
        hub->policy = tell->policy;
}

static void
handle_discovered(hv_capture *capture, const hv_tell *tell)
{
    const hv_archiver_config *config = hv_engine_config(capture->engine);

    if (tell->rc == HV_OK) {
        if (!capture->discovered || capture->discovery_failed)
            hv_engine_report(capture->engine, &(hv_archiver_report){.event = HV_ARCHIVER_CONNECTED,
                .text = capture->source->ops->location(capture->source)});
        capture->discovery_failed = false;
        capture->discovered = true;
        capture->discovered_wall_ms = hv_clock_wall_ms();
        return;
    }
    capture->discovery_failed = true;
    hv_capture_trouble(capture, NULL, &tell->err);
    if (config->once && !capture->discovered && capture->refused) {     /* why nothing can be asked */
        keep_first_failure(capture, capture->refused_err.rc, &capture->refused_err);
        capture->stopping = true;
        return;
    }
    bool too_long = hv_clock_boot_ms() - capture->started_boot_ms > config->give_up_ms;
    if (config->once && !capture->discovered && (too_long || !hv_rc_retriable(tell->rc))) {
        keep_first_failure(capture, tell->rc, &tell->err);
        capture->stopping = true;
    }
}

static void
handle(hv_capture *capture, hv_tell *tell)
{
    switch (tell->kind) {
    case HV_TELL_SEALED:
        handle_sealed(capture, tell);
        break;
    case HV_TELL_ADMITTED:
        if (capture->membership != NULL)
            hv_capture_group_admitted(capture, tell);
        else
            hv_capture_admitted(capture, tell);
        break;
    case HV_TELL_MEMBERSHIP:
        hv_capture_membership(capture, tell);
        break;
    case HV_TELL_RETURNED:
        hv_capture_returned(capture, tell);
        break;
    case HV_TELL_POLICY:
        handle_policy(capture, tell);
        break;
    case HV_TELL_OTHER:
        hv_capture_other(capture, tell);
        break;
    case HV_TELL_WATERMARKS:
        handle_watermarks(capture, tell);
        break;
    case HV_TELL_IDENTITIES:
        hv_capture_identities(capture, tell);
        break;
    case HV_TELL_DISCOVERED:
        handle_discovered(capture, tell);
        break;
    case HV_TELL_STOP:
        capture->stopping = true;
        break;
    }
    hv_tell_free(tell);
}

static void
handle_told(hv_capture *capture)
{
    if (!atomic_load(&capture->told))
        return;
    capture->quiet = false;
    for (hv_tell *tell = take_all(capture), *next; tell != NULL; tell = next) {
        next = tell->next;
        handle(capture, tell);
    }
}

/* One item of the source. False when there was none. */
static bool
poll_once(hv_capture *capture, int timeout_ms)
{
    hv_source_item item;
    hv_err err;

    hv_rc rc = capture->source->ops->poll(capture->source, timeout_ms, &item, &err);
    if (rc != HV_OK) {
        keep_first_failure(capture, rc, &err);
        hv_capture_trouble(capture, NULL, &err);
        capture->stopping = true;
        return false;
    }
    if (item.kind == HV_SOURCE_NOTHING)
        return false;
    capture->quiet = false;
    hv_captured *captured = item.tag;
    if (captured == NULL) {
        if (item.kind == HV_SOURCE_REFUSED) {
            capture->refused = true;
            capture->refused_err = item.err;
        }
        hv_capture_trouble(capture, NULL, &item.err);
    } else if (item.generation == captured->generation)
        hv_captured_item(captured, &item);
    return true;
}

static void
poll_some(hv_capture *capture)
{
    const hv_budget *budget = hv_engine_budget(capture->engine);
    bool waiting = capture->sealing_count > 0 || capture->release.active || hv_engine_config(capture->engine)->once || !capture->discovered;
    bool quiet = capture->quiet && capture->membership == NULL;
    int timeout_ms = waiting ? BUSY_POLL_MS : quiet ? QUIET_POLL_MS : IDLE_POLL_MS;

    for (int i = 0; i < ITEMS_PER_TURN && !capture->stopping; i++) {
        if (atomic_load_explicit(&budget->used, memory_order_relaxed) >= budget->limit) {
            if (i == 0)
                wait_told(capture, BUSY_POLL_MS);
            return;
        }
        if (!poll_once(capture, timeout_ms))
            return;
        timeout_ms = 0;
    }
}

static void
close_all(hv_captured *captured, void *arg)
{
    (void)arg;
    if (captured->open != NULL && captured->open->count > 0 && hv_captured_may_close(captured))
        hv_captured_close_cut(captured);
}

static void
close_at_end(hv_captured *captured, void *arg)
{
    bool clean_end = *(bool *)arg;

    close_all(captured, NULL);
    if (clean_end && hv_captured_owes_gap_lead(captured))
        hv_captured_gap_lead(captured);
}

static void
unassign_one(hv_captured *captured, void *arg)
{
    (void)arg;
    hv_captured_unassign(captured);
}

static void
leave_group(hv_capture *capture)
{
    if (capture->membership != NULL)
        capture->membership->ops->leave(capture->membership);
}

/* Seal what is open and wait for everything that is under way. A store that does not answer is not waited for: what is unsealed is in the hub. */
static void
finish(hv_capture *capture, bool clean_end)
{
    int64_t give_up = hv_clock_boot_ms() + hv_engine_config(capture->engine)->patience_ms;

    capture->finishing = true;
    hv_engine_hurry(capture->engine);
    hv_scout_wind_up(capture->scout);   /* identities are wanted now */
    hv_capture_for_each(capture, unassign_one, NULL);
    for (;; hv_heart_beat(&capture->heart)) {
        hv_capture_for_each(capture, close_at_end, &clean_end);
        size_t waiting = 0;
        int64_t now = hv_clock_boot_ms();
        for (size_t h = 0; h < capture->hub_count; h++)
            for (int32_t p = 0; p < capture->hubs[h]->partition_count; p++) {
                hv_captured *captured = capture->hubs[h]->partitions[p];
                waiting += captured->state != HV_CAPTURED_FOREIGN &&
                           (captured->sealing != NULL || (clean_end && hv_captured_owes_gap_lead(captured)));
                if (captured->sealing != NULL && !captured->sealing_in_engine && captured->identity_wanted == 0 && now < give_up &&
                    now >= captured->retry_at_boot_ms)
                    hv_captured_retry_seal(captured);
            }
        if (capture->sealing_count == 0 && (waiting == 0 || now >= give_up))
            break;
        hv_capture_check_identities(capture);
        hv_capture_check_group(capture);
        wait_told(capture, BUSY_POLL_MS);
        handle_told(capture);
    }
    leave_group(capture);               /* whoever gets our partitions finds what we sealed */
    for (size_t h = 0; capture->rc == HV_OK && h < capture->hub_count; h++)
        for (int32_t p = 0; p < capture->hubs[h]->partition_count; p++)
            if (capture->hubs[h]->partitions[p]->sealing != NULL && capture->hubs[h]->partitions[p]->state != HV_CAPTURED_FOREIGN)
                keep_first_failure(capture, HV_UNAVAILABLE, &(hv_err){.rc = HV_UNAVAILABLE,
                    .msg = "the last cuts could not be sealed; they will be read from the hub again"});
}

static void *
run(void *arg)
{
    hv_capture *capture = arg;
    bool clean_end = false;

    while (!capture->stopping && !clean_end) {
        hv_heart_beat(&capture->heart);
        handle_told(capture);
        hv_capture_check(capture);
        hv_capture_check_group(capture);
        hv_capture_relieve_memory(capture);
        clean_end = hv_capture_once_is_done(capture);
        if (!clean_end)
            poll_some(capture);
    }
    finish(capture, clean_end);
    hv_capture_publish(capture, true);
    hv_heart_rest(&capture->heart);
    atomic_store(&capture->ended, true);
    return NULL;
}

static void
capture_free(hv_capture *capture)
{
    if (capture == NULL)
        return;
    for (hv_tell *tell = take_all(capture), *next; tell != NULL; tell = next) {
        next = tell->next;
        hv_tell_free(tell);
    }
    for (size_t h = 0; h < capture->hub_count; h++)
        hv_capture_hub_free(capture->hubs[h]);
    free(capture->hubs);
    hv_published_clear(&capture->published);
    hv_block_coder_free(capture->coder);
    pthread_cond_destroy(&capture->changed);
    pthread_mutex_destroy(&capture->lock);
    free(capture);
}
HV_DEFINE_AUTO(hv_capture, capture_free);

hv_rc
hv_capture_start(hv_engine *engine, hv_source *source, hv_membership *membership, hv_capture **ret, hv_err *err)
{
    HV_AUTO(capture_free) hv_capture *capture = calloc(1, sizeof *capture);
    pthread_condattr_t monotonic;

    if (capture == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a capture");
    capture->engine = engine;
    capture->source = source;
    capture->membership = membership;
    capture->started_boot_ms = hv_clock_boot_ms();
    capture->locked.last = &capture->locked.first;
    hv_published_init(&capture->published);
    pthread_mutex_init(&capture->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&capture->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    hv_rc rc = hv_block_coder_new(&capture->coder, err);
    if (rc == HV_OK)
        rc = hv_capture_join_group(capture, err);
    if (rc == HV_OK)
        rc = hv_scout_start(capture, &capture->scout, err);
    if (rc != HV_OK) {
        leave_group(capture);
        return rc;
    }
    if (pthread_create(&capture->thread, NULL, run, capture) != 0) {
        hv_scout_stop(capture->scout);
        leave_group(capture);
        return hv_err_set(err, HV_IO, "cannot start the capture thread");
    }
    *ret = HV_TAKE(capture);
    return HV_OK;
}

void
hv_capture_stop(hv_capture *capture)
{
    hv_tell *tell = hv_insist(sizeof *tell);

    tell->kind = HV_TELL_STOP;
    hv_capture_tell(capture, tell);
}

bool
hv_capture_ended(hv_capture *capture)
{
    return atomic_load(&capture->ended);
}

hv_rc
hv_capture_join(hv_capture *capture, hv_err *err)
{
    int joined = pthread_join(capture->thread, NULL);
    assert(joined == 0);
    (void)joined;
    hv_scout_stop(capture->scout);
    hv_rc rc = capture->rc;
    if (rc != HV_OK)
        *err = capture->err;
    capture_free(capture);
    return rc;
}
