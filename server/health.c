#include "server/health.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/json_out.h"

enum {
    STORE_PATIENCE_MS = 60 * 1000,      /* a put may take long, and be tried again, before somebody should look */
    SOURCE_PATIENCE_MS = 60 * 1000,     /* beyond the interval at which it is asked */
};

static void HV_PRINTF(2, 3)
add(hv_health_reasons *reasons, const char *format, ...)
{
    va_list args;

    if (reasons->count == HV_HEALTH_REASONS)
        return;
    va_start(args, format);
    (void)vsnprintf(reasons->texts[reasons->count++], HV_HEALTH_REASON_SIZE, format, args);
    va_end(args);
}

static void
add_phase(hv_health_reasons *reasons, const hv_service_facts *facts)
{
    switch (facts->phase) {
    case HV_PHASE_STARTING:
        add(reasons, "starting: sources and vault are being opened");
        break;
    case HV_PHASE_REBUILDING:
        add(reasons, "the index is being rebuilt from the segments");
        break;
    case HV_PHASE_STOPPING:
        add(reasons, "stopping: what is open is being sealed");
        break;
    case HV_PHASE_CAPTURING:
        if (!facts->met)
            add(reasons, "%s", facts->has_archiver && facts->state.discovered && facts->group ? "waiting for the group to give us our share" :
                "waiting for the source to tell its hubs");
        else if (!facts->has_archiver)
            add(reasons, "capture has ended");
        break;
    }
}

hv_health_reasons
hv_health_reasons_of(const hv_service_facts *facts)
{
    hv_health_reasons reasons = {.count = 0};

    add_phase(&reasons, facts);
    if (facts->has_store && facts->store.failing_ms > STORE_PATIENCE_MS)
        add(&reasons, "no put into the store has got through for %" PRId64 " s", facts->store.failing_ms / 1000);
    if (!facts->has_archiver)
        return reasons;
    if (facts->totals.assigned > 0 && facts->totals.stopped >= facts->totals.assigned)
        add(&reasons, "all of our %" PRId64 " partitions are stopped", facts->totals.assigned);
    int64_t asked_ms = facts->now_wall_ms - facts->state.discovered_wall_ms;
    if (facts->met && facts->state.discovered_wall_ms > 0 &&
        asked_ms > 2 * facts->options->source_discovery_interval_ms + SOURCE_PATIENCE_MS)
        add(&reasons, "the source has not told its hubs for %" PRId64 " s", asked_ms / 1000);
    return reasons;
}

bool
hv_health_is_ready(const hv_service_facts *facts)
{
    return hv_health_reasons_of(facts).count == 0;
}

bool
hv_health_alive(const hv_service_facts *facts, hv_buf *text)
{
    int64_t limit_ms = facts->options->archiver_stall_limit_ms;

    if (facts->stalled_count == 0)
        hv_buf_put_text(text, "ok\n");
    for (size_t t = 0; t < facts->thread_count; t++)
        if (facts->threads[t].silent_ms > limit_ms)
            hv_buf_printf(text, "thread %s has shown no progress for %" PRId64 " s\n", facts->threads[t].name, facts->threads[t].silent_ms / 1000);
    return facts->stalled_count == 0;
}

bool
hv_health_ready(const hv_service_facts *facts, hv_buf *json)
{
    hv_health_reasons reasons = hv_health_reasons_of(facts);

    hv_buf_printf(json, "{\"ready\":%s,\"phase\":\"%s\",\"reasons\":[", reasons.count == 0 ? "true" : "false",
                  hv_service_phase_text(facts->phase));
    for (size_t r = 0; r < reasons.count; r++) {
        if (r > 0)
            hv_buf_put_byte(json, ',');
        hv_json_put_lossy(json, hv_slice_text(reasons.texts[r]));
    }
    hv_buf_put_text(json, "]}\n");
    return reasons.count == 0;
}
