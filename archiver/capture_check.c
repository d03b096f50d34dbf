/*
 * What has to be looked at now and then: ages, retries, memory, headroom, lag, and whether everything is done. A few times a second, over all
 * partitions; a thousand of them cost some microseconds.
 */
#include <stdlib.h>

#include "archiver/capture.h"
#include "archiver/scout.h"
#include "common/clock.h"

enum { CHECK_MS = 100, QUIET_CHECK_MS = 1000, PAUSE_MS = 1000, WATERMARKS_MS = 2000, HEADROOM_AGAIN_MS = 5 * 60 * 1000 };
enum { RAW_SHARE = 8, LOOK_SHARE = 64 };        /* of the budget: raw bytes of all open blocks; its change that is worth a look at them */
enum { FAR_FROM_FULL = 4 };                     /* open blocks are on average less than one such part of what they may hold */

void
hv_capture_for_each(hv_capture *capture, void (*fn)(hv_captured *captured, void *arg), void *arg)
{
    for (size_t h = 0; h < capture->hub_count; h++)
        for (int32_t p = 0; p < capture->hubs[h]->partition_count; p++)
            fn(capture->hubs[h]->partitions[p], arg);
}

/* Time based retention only: what a size limit will take next nobody can tell. */
bool
hv_captured_headroom(const hv_captured *captured, int64_t *ret_ms)
{
    int64_t retention_ms = captured->hub->policy.retention_ms;

    if (retention_ms <= 0 || captured->oldest_unsealed_ms < 0)
        return false;
    *ret_ms = retention_ms - (hv_clock_wall_ms() - captured->oldest_unsealed_ms);
    return true;
}

/* Warn before the hub expires what is not sealed. */
static void
check_headroom(hv_captured *captured, int64_t now)
{
    int64_t warning_ms = hv_engine_tuned_of(captured->capture->engine)->headroom_warning_ms, headroom_ms;
    int64_t retention_ms = captured->hub->policy.retention_ms;

    if (warning_ms <= 0 || !hv_captured_headroom(captured, &headroom_ms))
        return;
    bool said = captured->headroom_said_boot_ms != 0 && now - captured->headroom_said_boot_ms < HEADROOM_AGAIN_MS;
    /* A hub whose whole retention is shorter than the warning would warn for ever: there half of the retention counts. */
    int64_t warn_below = warning_ms < retention_ms / 2 ? warning_ms : retention_ms / 2;
    if (headroom_ms >= warn_below || said)
        return;
    captured->headroom_said_boot_ms = now;
    hv_captured_report(captured, HV_ARCHIVER_HEADROOM, &(hv_archiver_report){.headroom_ms = headroom_ms});
}

static void
check_one(hv_captured *captured, void *arg)
{
    hv_engine_tuned *tuned = hv_engine_tuned_of(captured->capture->engine);
    int64_t now = *(int64_t *)arg, max_age_ms = atomic_load_explicit(&tuned->max_age_ms, memory_order_relaxed);

    if (captured->sealing != NULL && !captured->sealing_in_engine && captured->identity_wanted == 0 && now >= captured->retry_at_boot_ms)
        hv_captured_retry_seal(captured);
    if (captured->assign_at_boot_ms != 0 && now >= captured->assign_at_boot_ms)
        hv_captured_assign_again(captured);
    if (captured->ask_at_boot_ms != 0 && now >= captured->ask_at_boot_ms)
        hv_captured_ask(captured);
    if (captured->state == HV_CAPTURED_FILL_WAIT && now >= captured->wait_until_boot_ms)
        hv_captured_fill_read(captured);
    if (captured->open != NULL && hv_captured_may_close(captured) &&
        (now - captured->open->opened_boot_ms >= max_age_ms ||
         atomic_load(&captured->open->stored_bytes) >= atomic_load_explicit(&tuned->max_bytes, memory_order_relaxed)))
        hv_captured_close_cut(captured);
    if (hv_captured_owes_gap_lead(captured) && now - captured->pending_since_boot_ms >= max_age_ms)
        hv_captured_gap_lead(captured);
    check_headroom(captured, now);
    if (captured->open != NULL || captured->sealing != NULL || captured->fill != NULL || captured->pending_count > 0 ||
        captured->assign_at_boot_ms != 0 || captured->ask_at_boot_ms != 0)
        captured->capture->quiet = false;
}

/* One that is catching up has more to come soon, and a small segment is the price for closing it now. */
static int64_t
worth_closing(const hv_captured *captured)
{
    int64_t memory = atomic_load(&captured->open->memory);

    return captured->has_turn ? memory / 8 : memory;
}

static void
find_largest(hv_captured *captured, void *arg)
{
    hv_captured **largest = arg;

    if (captured->open == NULL || captured->open->count == 0 || !hv_captured_may_close(captured))
        return;
    if (*largest == NULL || worth_closing(captured) > worth_closing(*largest))
        *largest = captured;
}

static void
add_open_memory(hv_captured *captured, void *arg)
{
    if (captured->open != NULL)
        *(int64_t *)arg += atomic_load(&captured->open->memory);
}

typedef struct raw_total {
    size_t bytes, cuts;
} raw_total;

static void
add_raw(hv_captured *captured, void *arg)
{
    raw_total *total = arg;
    size_t bytes = captured->open == NULL ? 0 : hv_cut_raw_bytes(captured->open);

    total->bytes += bytes;
    total->cuts += bytes > 0;
}

static void
end_blocks(hv_captured *captured, void *arg)
{
    if (captured->open != NULL)
        hv_cut_end_blocks(captured->open, *(const size_t *)arg);
}

/* Many partitions with a little each: their open blocks take most of the memory, and compressing the larger half of them frees more than any
 * cut that could be closed. Blocks are smaller for it, segments are not. */
static void
compress_early(hv_capture *capture, const hv_budget *budget)
{
    int64_t used = atomic_load(&budget->used), most = budget->limit / RAW_SHARE;
    raw_total total = {.bytes = 0};

    if (used < most || llabs(used - capture->raw_seen_used) < budget->limit / LOOK_SHARE)
        return;
    capture->raw_seen_used = used;
    hv_capture_for_each(capture, add_raw, &total);
    if ((int64_t)total.bytes < most)
        return;
    size_t average = total.bytes / total.cuts;
    if (average >= hv_engine_config(capture->engine)->block_bytes / FAR_FROM_FULL)
        return;                         /* they will soon be full by themselves, and large blocks cost less */
    hv_capture_for_each(capture, end_blocks, &average);
}

/* Above half of the budget in open cuts, the largest is closed: what is being sealed needs the other half. */
void
hv_capture_relieve_memory(hv_capture *capture)
{
    hv_budget *budget = hv_engine_budget(capture->engine);
    int64_t open = 0;

    compress_early(capture, budget);
    if (atomic_load(&budget->used) < budget->limit / 2)
        return;
    hv_capture_for_each(capture, add_open_memory, &open);
    while (open >= budget->limit / 2) {
        hv_captured *largest = NULL;
        hv_capture_for_each(capture, find_largest, &largest);
        if (largest == NULL)
            return;
        open -= atomic_load(&largest->open->memory);
        hv_captured_close_cut(largest);
    }
}

static void
count_unfinished(hv_captured *captured, void *arg)
{
    bool filling = captured->state == HV_CAPTURED_FILL_WAIT || captured->state == HV_CAPTURED_FILLING;

    if (captured->state != HV_CAPTURED_STOPPED && captured->state != HV_CAPTURED_GONE && (!captured->once_done || filling))
        ++*(size_t *)arg;
}

bool
hv_capture_once_is_done(hv_capture *capture)
{
    size_t unfinished = 0;

    if (!hv_engine_config(capture->engine)->once || !capture->discovered)
        return false;
    hv_capture_for_each(capture, count_unfinished, &unfinished);
    return unfinished == 0;
}

static void
add_behind(hv_captured *captured, void *arg)
{
    if (captured->high > captured->position)
        *(int64_t *)arg += captured->high - captured->position;
}

/* What the last fetches said: how far behind capture is. */
static void
refresh_high(hv_captured *captured, void *arg)
{
    hv_source *source = captured->capture->source;
    int64_t low, high;

    (void)arg;
    if (captured->assigned && source->ops->known_watermarks(source, captured->id.hub, captured->id.number, &low, &high) &&
        high > captured->high)
        captured->high = high;
}

/* A budget that is used up for a moment is how back-pressure works; for a second it is worth telling, and so is the end of that. */
static void
check_pause(hv_capture *capture, int64_t now)
{
    const hv_budget *budget = hv_engine_budget(capture->engine);
    int64_t used = atomic_load(&budget->used);
    bool paused = used >= budget->limit;

    if (paused == capture->pause_reported) {
        capture->budget_changed_boot_ms = 0;
    } else if (capture->budget_changed_boot_ms == 0) {
        capture->budget_changed_boot_ms = now;
    } else if (now - capture->budget_changed_boot_ms >= PAUSE_MS) {
        capture->pause_reported = paused;
        capture->budget_changed_boot_ms = 0;
        hv_engine_report(capture->engine, &(hv_archiver_report){.event = paused ? HV_ARCHIVER_PAUSED : HV_ARCHIVER_RESUMED,
            .bytes = (uint64_t)used});
    }
}

void
hv_capture_check(hv_capture *capture)
{
    int64_t now = hv_clock_boot_ms(), behind = 0;

    if (now - capture->checked_boot_ms < (capture->quiet ? QUIET_CHECK_MS : CHECK_MS))
        return;
    capture->checked_boot_ms = now;
    check_pause(capture, now);
    capture->quiet = true;
    hv_capture_for_each(capture, check_one, &now);
    hv_capture_give_turns(capture, now);
    if (now - capture->watermarks_boot_ms >= WATERMARKS_MS) {
        capture->watermarks_boot_ms = now;
        hv_capture_for_each(capture, refresh_high, NULL);
    }
    hv_capture_for_each(capture, add_behind, &behind);
    atomic_store(&capture->behind, behind);
    hv_capture_publish(capture, false);
    hv_capture_check_identities(capture);
    for (size_t h = 0; h < capture->hub_count; h++)
        hv_capture_claim_if_clean(capture->hubs[h]);
}
