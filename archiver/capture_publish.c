/* What the capture thread shows of itself, a few times a second. When there is no memory for it, what was shown before stays. */
#include <stdio.h>
#include <stdlib.h>

#include "archiver/capture.h"
#include "common/clock.h"

enum { PUBLISH_MS = 200, PUBLISH_PER_PARTITION_MS = 1 };       /* so that 1,000 partitions are walked once in 1.2 s */

static const char *
state_text(hv_captured_state state)
{
    switch (state) {
    case HV_CAPTURED_WAITING:
        return "waiting";
    case HV_CAPTURED_PROBING:
        return "probing";
    case HV_CAPTURED_READING:
        return "reading";
    case HV_CAPTURED_FILL_WAIT:
        return "waiting for another archiver";
    case HV_CAPTURED_FILLING:
        return "completing";
    case HV_CAPTURED_FILL_SEALING:
        return "sealing a completed cut";
    case HV_CAPTURED_GONE:
        return "gone";
    case HV_CAPTURED_STOPPED:
        return "stopped";
    case HV_CAPTURED_RELEASING:
        return "releasing";
    case HV_CAPTURED_FOREIGN:
        return "of another archiver";
    }
    return "unknown";
}

static hv_partition_state
state_of(const hv_captured *captured, size_t hub, int64_t now_boot_ms)
{
    hv_partition_state state = {.hub = hub, .number = captured->id.number, .state = state_text(captured->state),
        .owned = captured->owned, .stopped = captured->state == HV_CAPTURED_STOPPED, .open = captured->open != NULL,
        .sealing = captured->sealing != NULL,
        .position = captured->position, .next = captured->next, .low = captured->low, .high = captured->high};

    if (captured->state == HV_CAPTURED_FOREIGN)     /* it is watched where it is captured */
        return state;
    /* The engine may be writing to the job that it has. */
    if (captured->sealing != NULL && !captured->sealing_in_engine)
        state.attempts = captured->sealing->attempts;
    if (captured->open != NULL) {
        state.open_age_ms = now_boot_ms - captured->open->opened_boot_ms;
        state.open_bytes = atomic_load_explicit(&captured->open->memory, memory_order_relaxed);
    }
    int64_t from = captured->position > captured->low ? captured->position : captured->low;
    if (captured->high > from)
        state.lag = captured->high - from;
    state.has_headroom = hv_captured_headroom(captured, &state.headroom_ms);
    if (!state.has_headroom && state.lag == 0 && captured->hub->policy.retention_ms > 0) {
        state.has_headroom = true;
        state.headroom_ms = captured->hub->policy.retention_ms;
    }
    return state;
}

static void
fill(const hv_capture *capture, int64_t now_boot_ms, hv_archiver_state *state)
{
    for (size_t h = 0; h < capture->hub_count; h++) {
        const hv_captured_hub *hub = capture->hubs[h];
        hv_hub_state *shown = &state->hubs[state->hub_count];
        *shown = (hv_hub_state){.incarnation = hub->incarnation, .gone = hub->gone, .retention_ms = hub->policy.retention_ms,
            .counters = hub->counters,
            .first = state->partition_count, .count = (size_t)hub->partition_count};
        (void)snprintf(shown->name, sizeof shown->name, "%s", hub->name);
        for (int32_t p = 0; p < hub->partition_count; p++)
            state->partitions[state->partition_count++] = state_of(hub->partitions[p], state->hub_count, now_boot_ms);
        state->hub_count++;
    }
}

void
hv_capture_publish(hv_capture *capture, bool now)
{
    int64_t now_boot_ms = hv_clock_boot_ms();
    HV_AUTO(hv_archiver_state_clear) hv_archiver_state state = {.discovered = capture->discovered,
        .discovered_wall_ms = capture->discovered_wall_ms};
    size_t partitions = 0;

    for (size_t h = 0; h < capture->hub_count; h++)
        partitions += (size_t)capture->hubs[h]->partition_count;
    if (!now && now_boot_ms - capture->published.made_boot_ms < PUBLISH_MS + PUBLISH_PER_PARTITION_MS * (int64_t)partitions)
        return;
    state.hubs = calloc(capture->hub_count + 1, sizeof *state.hubs);
    state.partitions = calloc(partitions + 1, sizeof *state.partitions);
    if (state.hubs == NULL || state.partitions == NULL)
        return;
    fill(capture, now_boot_ms, &state);
    hv_published_swap(&capture->published, &state);
    capture->published.made_boot_ms = now_boot_ms;
}
