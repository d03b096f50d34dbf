/* Times are RFC 3339 in UTC, lengths of time milliseconds; what is not known is null. */
#include "server/status_json.h"

#include <inttypes.h>

#include "common/json_out.h"
#include "common/time_text.h"
#include "server/health.h"
#include "server/hub_sums.h"

static void
put_text(hv_buf *to, const char *name, hv_slice text)
{
    hv_buf_printf(to, "\"%s\":", name);
    hv_json_put_lossy(to, text);
    hv_buf_put_byte(to, ',');
}

static void
put_number(hv_buf *to, const char *name, int64_t number)
{
    hv_buf_printf(to, "\"%s\":%" PRId64 ",", name, number);
}

static void
put_number_if(hv_buf *to, const char *name, bool known, int64_t number)
{
    if (known)
        put_number(to, name, number);
    else
        hv_buf_printf(to, "\"%s\":null,", name);
}

static void
put_bool(hv_buf *to, const char *name, bool value)
{
    hv_buf_printf(to, "\"%s\":%s,", name, value ? "true" : "false");
}

static void
put_time(hv_buf *to, const char *name, int64_t wall_ms)
{
    if (wall_ms <= 0)
        hv_buf_printf(to, "\"%s\":null,", name);
    else
        put_text(to, name, hv_slice_text(hv_time_format(wall_ms).text));
}

/* Takes the comma behind the last member away. */
static void
close_with(hv_buf *to, char bracket)
{
    if (to->len > 0 && to->data[to->len - 1] == ',')
        to->len--;
    hv_buf_put_byte(to, (unsigned char)bracket);
}

static void
put_totals(hv_buf *to, const hv_archiver_totals *totals)
{
    hv_buf_put_text(to, "\"totals\":{");
    put_number(to, "hubs", totals->hubs);
    put_number(to, "partitions", totals->partitions);
    put_number(to, "assigned", totals->assigned);
    put_number(to, "stopped", totals->stopped);
    put_number(to, "events", totals->events);
    put_number(to, "cuts", totals->cuts);
    put_number(to, "segments", totals->segments);
    put_number(to, "adopted", totals->adopted);
    put_number(to, "gap_offsets", totals->gap_offsets);
    put_number(to, "bytes_in", (int64_t)totals->bytes_in);
    put_number(to, "bytes_stored", (int64_t)totals->bytes_stored);
    put_number(to, "behind", totals->behind);
    put_number(to, "memory_bytes", totals->memory_bytes);
    put_number(to, "memory_limit", totals->memory_limit);
    put_number(to, "rebalances", totals->rebalances);
    put_number(to, "lost", totals->lost);
    put_number(to, "abandoned", totals->abandoned);
    put_number(to, "followed_cuts", totals->followed_cuts);
    put_number(to, "followed_segments", totals->followed_segments);
    close_with(to, '}');
    hv_buf_put_byte(to, ',');
}

static void
put_partition(hv_buf *to, const hv_partition_state *partition)
{
    hv_buf_put_byte(to, '{');
    put_number(to, "partition", partition->number);
    put_text(to, "state", hv_slice_text(partition->state));
    put_bool(to, "ours", partition->owned);
    put_number_if(to, "sealed_below", partition->position >= 0, partition->position);
    put_number_if(to, "read_below", partition->next >= 0, partition->next);
    put_number_if(to, "low", partition->low >= 0, partition->low);
    put_number_if(to, "high", partition->high >= 0, partition->high);
    put_number(to, "lag", partition->lag);
    put_number_if(to, "headroom_ms", partition->has_headroom, partition->headroom_ms);
    put_number_if(to, "open_age_ms", partition->open, partition->open_age_ms);
    put_number_if(to, "open_bytes", partition->open, partition->open_bytes);
    put_bool(to, "sealing", partition->sealing);
    put_number(to, "failed_attempts", partition->attempts);
    close_with(to, '}');
    hv_buf_put_byte(to, ',');
}

static void
put_hub(hv_buf *to, const hv_service_facts *facts, const hv_hub_state *hub)
{
    hv_buf_put_byte(to, '{');
    put_text(to, "hub", hv_slice_text(hub->name));
    put_text(to, "team", hv_team_of(facts->options, hub->name));
    put_number(to, "incarnation", hub->incarnation);
    put_bool(to, "gone", hub->gone);
    put_number_if(to, "retention_ms", hub->retention_ms >= 0, hub->retention_ms);
    put_number(to, "read_events", hub->counters.read_events);
    put_number(to, "read_bytes", hub->counters.read_bytes);
    put_number(to, "sealed_events", hub->counters.events);
    put_number(to, "stored_bytes", hub->counters.stored_bytes);
    put_number(to, "cuts", hub->counters.cuts);
    put_number(to, "adopted", hub->counters.adopted);
    hv_buf_put_text(to, "\"gap_offsets\":{");
    for (int c = 0; c < HV_GAP_CAUSES; c++)
        put_number(to, hv_gap_cause_text((hv_gap_cause)c), hub->counters.gap_offsets[c]);
    close_with(to, '}');
    hv_buf_put_text(to, ",\"partitions\":[");
    for (size_t p = 0; p < hub->count; p++)
        put_partition(to, &facts->state.partitions[hub->first + p]);
    close_with(to, ']');
    hv_buf_put_text(to, "},");
}

static void
put_last_error(hv_buf *to, const hv_trouble_facts *trouble)
{
    char kind[HV_KIND_SIZE];

    hv_kind_text(trouble->last_rc, kind);
    if (trouble->last_wall_ms == 0) {
        hv_buf_put_text(to, "\"last_error\":null,");
        return;
    }
    hv_buf_put_text(to, "\"last_error\":{");
    put_time(to, "time", trouble->last_wall_ms);
    put_text(to, "kind", hv_slice_text(kind));
    put_text(to, "text", hv_slice_text(trouble->last));
    if (trouble->last_has_partition) {
        put_text(to, "hub", hv_slice_text(trouble->last_partition.hub));
        put_number(to, "partition", trouble->last_partition.number);
    }
    close_with(to, '}');
    hv_buf_put_byte(to, ',');
}

static void
put_threads(hv_buf *to, const hv_service_facts *facts)
{
    hv_buf_put_text(to, "\"threads\":[");
    for (size_t t = 0; t < facts->thread_count; t++) {
        hv_buf_put_byte(to, '{');
        put_text(to, "thread", hv_slice_text(facts->threads[t].name));
        put_number(to, "silent_ms", facts->threads[t].silent_ms);
        close_with(to, '}');
        hv_buf_put_byte(to, ',');
    }
    close_with(to, ']');
    hv_buf_put_byte(to, ',');
}

static void
put_capture(hv_buf *to, const hv_service_facts *facts)
{
    put_time(to, "discovered", facts->state.discovered_wall_ms);
    put_totals(to, &facts->totals);
    put_threads(to, facts);
    hv_buf_put_text(to, "\"reload\":{");
    put_number(to, "done", facts->reload.done);
    put_number(to, "refused", facts->reload.refused);
    put_bool(to, "last_refused", facts->reload.last_refused);
    put_time(to, "last", facts->reload.last_wall_ms);
    close_with(to, '}');
    hv_buf_put_text(to, ",\"hubs\":[");
    for (size_t h = 0; h < facts->state.hub_count; h++)
        put_hub(to, facts, &facts->state.hubs[h]);
    close_with(to, ']');
    hv_buf_put_byte(to, ',');
}

hv_rc
hv_status_json(const hv_service_facts *facts, hv_buf *ret, hv_err *err)
{
    hv_health_reasons reasons = hv_health_reasons_of(facts);

    hv_buf_put_byte(ret, '{');
    put_text(ret, "version", hv_slice_text(HUBVAULT_VERSION));
    put_text(ret, "phase", hv_slice_text(hv_service_phase_text(facts->phase)));
    put_time(ret, "phase_since", facts->phase_since_wall_ms);
    put_time(ret, "started", facts->started_wall_ms);
    put_time(ret, "now", facts->now_wall_ms);
    put_bool(ret, "ready", facts->ready);
    hv_buf_put_text(ret, "\"not_ready_because\":[");
    for (size_t r = 0; r < reasons.count; r++) {
        hv_json_put_lossy(ret, hv_slice_text(reasons.texts[r]));
        hv_buf_put_byte(ret, ',');
    }
    close_with(ret, ']');
    hv_buf_put_byte(ret, ',');
    if (facts->vault[0] != '\0')
        put_text(ret, "vault", hv_slice_text(facts->vault));
    else
        hv_buf_put_text(ret, "\"vault\":null,");
    put_text(ret, "assignment", hv_slice_text(facts->group ? "group" : "all"));
    put_number_if(ret, "store_failing_ms", facts->has_store, facts->store.failing_ms);
    put_last_error(ret, &facts->trouble);
    if (facts->has_archiver)
        put_capture(ret, facts);
    close_with(ret, '}');
    hv_buf_put_byte(ret, '\n');
    return hv_buf_check(ret, err);
}
