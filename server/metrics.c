/* Families come in the order of the table, each with HELP and TYPE once; what is not known is left out, family and all. */
#include "server/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "server/hub_sums.h"
#include "server/metric_table.h"

typedef struct exposition {
    const hv_service_facts *facts;
    hv_buf *to;
    const hv_hub_sum *sums;
    size_t sum_count;
    hv_metric_id family;                /* the one that is being written */
} exposition;

static void
put_help(hv_buf *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\')
            hv_buf_put_byte(to, '\\');
        hv_buf_put_byte(to, (unsigned char)*text);
    }
}

static void
begin(exposition *page, hv_metric_id id)
{
    const hv_metric *metric = hv_metric_of(id);

    page->family = id;
    hv_buf_printf(page->to, "# HELP %s ", metric->name);
    put_help(page->to, metric->help);
    hv_buf_printf(page->to, "\n# TYPE %s %s\n", metric->name, hv_metric_type_text(metric->type));
}

/* The format escapes backslash, quote and line feed in the value of a label. */
static void
put_label(exposition *page, char before, const char *name, hv_slice value)
{
    const unsigned char *text = value.data;

    hv_buf_put_byte(page->to, (unsigned char)before);
    hv_buf_printf(page->to, "%s=\"", name);
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = text[i];
        if (c == '\n')
            hv_buf_put_text(page->to, "\\n");
        else if (c == '\\' || c == '"')
            hv_buf_printf(page->to, "\\%c", c);
        else
            hv_buf_put_byte(page->to, c);
    }
    hv_buf_put_byte(page->to, '"');
}

static void
put_name(exposition *page)
{
    hv_buf_put_text(page->to, hv_metric_of(page->family)->name);
}

static void
end_with(exposition *page, int64_t value)
{
    hv_buf_printf(page->to, " %" PRId64 "\n", value);
}

static void
put_seconds(hv_buf *to, int64_t ms)
{
    uint64_t size = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;

    hv_buf_printf(to, " %s%" PRIu64 ".%03u\n", ms < 0 ? "-" : "", size / 1000, (unsigned)(size % 1000));
}

static void
plain(exposition *page, hv_metric_id id, int64_t value)
{
    begin(page, id);
    put_name(page);
    end_with(page, value);
}

static void
plain_seconds(exposition *page, hv_metric_id id, int64_t ms)
{
    begin(page, id);
    put_name(page);
    put_seconds(page->to, ms);
}

static void
plain_real(exposition *page, hv_metric_id id, double value)
{
    begin(page, id);
    put_name(page);
    hv_buf_printf(page->to, " %.3f\n", value);
}

static void
labelled(exposition *page, const char *label, const char *label_value, int64_t value)
{
    put_name(page);
    put_label(page, '{', label, hv_slice_text(label_value));
    hv_buf_put_byte(page->to, '}');
    end_with(page, value);
}

static void
put_histogram(exposition *page, hv_metric_id id, const hv_histogram_facts *histogram)
{
    begin(page, id);
    for (int b = 0; b < HV_HISTOGRAM_BOUNDS; b++) {
        put_name(page);
        hv_buf_printf(page->to, "_bucket{le=\"%g\"} %" PRIu64 "\n", (double)hv_histogram_bounds_us[b] / 1e6, histogram->cumulative[b]);
    }
    put_name(page);
    hv_buf_printf(page->to, "_bucket{le=\"+Inf\"} %" PRIu64 "\n", histogram->cumulative[HV_HISTOGRAM_BOUNDS]);
    put_name(page);
    hv_buf_printf(page->to, "_sum %" PRIu64 ".%06u\n", histogram->sum_us / 1000000, (unsigned)(histogram->sum_us % 1000000));
    put_name(page);
    hv_buf_printf(page->to, "_count %" PRIu64 "\n", histogram->cumulative[HV_HISTOGRAM_BOUNDS]);
}

/* ---- the process ---- */

static void
put_build(exposition *page)
{
    begin(page, HV_METRIC_ID_BUILD_INFO);
    labelled(page, "version", HUBVAULT_VERSION, 1);
    if (page->facts->vault[0] == '\0')
        return;
    begin(page, HV_METRIC_ID_VAULT_INFO);
    put_name(page);
    put_label(page, '{', "vault", hv_slice_text(page->facts->vault));
    put_label(page, ',', "assignment", hv_slice_text(page->facts->group ? "group" : "all"));
    hv_buf_put_byte(page->to, '}');
    end_with(page, 1);
}

static void
put_threads(exposition *page)
{
    const hv_service_facts *facts = page->facts;

    begin(page, HV_METRIC_ID_THREAD_SILENT);
    for (size_t t = 0; t < facts->thread_count; t++) {
        put_name(page);
        put_label(page, '{', "thread", hv_slice_text(facts->threads[t].name));
        hv_buf_put_byte(page->to, '}');
        put_seconds(page->to, facts->threads[t].silent_ms);
    }
    plain(page, HV_METRIC_ID_THREADS_STALLED, (int64_t)facts->stalled_count);
}

static void
put_process(exposition *page)
{
    const hv_process_facts *process = &page->facts->process;

    plain_real(page, HV_METRIC_ID_CPU, process->cpu_s);
    plain(page, HV_METRIC_ID_RSS, process->resident_bytes);
    plain(page, HV_METRIC_ID_VIRTUAL, process->virtual_bytes);
    plain(page, HV_METRIC_ID_OPEN_FDS, process->open_fds);
    plain(page, HV_METRIC_ID_MAX_FDS, process->max_fds);
    plain_real(page, HV_METRIC_ID_START_TIME, process->start_s);
}

/* ---- hubs ---- */

static const struct hub_row {
    hv_metric_id id;
    size_t offset;                      /* of an int64_t in hv_hub_sum */
    bool ms;
} hub_rows[] = {
#define SUM(field) offsetof(hv_hub_sum, field)
    {HV_METRIC_ID_HUB_PARTITIONS, SUM(partitions), false},
    {HV_METRIC_ID_HUB_STOPPED, SUM(stopped), false},
    {HV_METRIC_ID_LAG, SUM(lag), false},
    {HV_METRIC_ID_LAG_WORST, SUM(lag_worst), false},
    {HV_METRIC_ID_HEADROOM, SUM(headroom_ms), true},
    {HV_METRIC_ID_OPEN_CUTS, SUM(open), false},
    {HV_METRIC_ID_OPEN_CUT_BYTES, SUM(open_bytes), false},
    {HV_METRIC_ID_OPEN_CUT_AGE, SUM(open_age_ms), true},
    {HV_METRIC_ID_SEALING_CUTS, SUM(sealing), false},
    {HV_METRIC_ID_READ_EVENTS, SUM(counters.read_events), false},
    {HV_METRIC_ID_READ_BYTES, SUM(counters.read_bytes), false},
    {HV_METRIC_ID_SEALED_EVENTS, SUM(counters.events), false},
    {HV_METRIC_ID_STORED_BYTES, SUM(counters.stored_bytes), false},
    {HV_METRIC_ID_CUTS, SUM(counters.cuts), false},
    {HV_METRIC_ID_ADOPTED_CUTS, SUM(counters.adopted), false},
    {HV_METRIC_ID_SEGMENTS, SUM(counters.segments), false},
#undef SUM
};

static void
put_hub_labels(exposition *page, const hv_hub_sum *sum)
{
    put_name(page);
    put_label(page, '{', "hub", hv_slice_text(sum->hub));
    put_label(page, ',', "team", hv_slice_of(sum->team, sum->team_len));
}

static void
put_hubs(exposition *page)
{
    for (size_t r = 0; r < sizeof hub_rows / sizeof *hub_rows; r++) {
        begin(page, hub_rows[r].id);
        for (size_t s = 0; s < page->sum_count; s++) {
            const hv_hub_sum *sum = &page->sums[s];
            int64_t value = *(const int64_t *)(const void *)((const char *)sum + hub_rows[r].offset);
            if (hub_rows[r].id == HV_METRIC_ID_HEADROOM && !sum->has_headroom)
                continue;
            put_hub_labels(page, sum);
            hv_buf_put_byte(page->to, '}');
            if (hub_rows[r].ms)
                put_seconds(page->to, value);
            else
                end_with(page, value);
        }
    }
    begin(page, HV_METRIC_ID_GAP_OFFSETS);
    for (size_t s = 0; s < page->sum_count; s++)
        for (int c = 0; c < HV_GAP_CAUSES; c++) {
            put_hub_labels(page, &page->sums[s]);
            put_label(page, ',', "cause", hv_slice_text(hv_gap_cause_text((hv_gap_cause)c)));
            hv_buf_put_byte(page->to, '}');
            end_with(page, page->sums[s].counters.gap_offsets[c]);
        }
}

static void
put_one_partition(exposition *page, const hv_partition_state *partition)
{
    const char *hub = page->facts->state.hubs[partition->hub].name;
    hv_slice team = hv_team_of(page->facts->options, hub);

    put_hub_labels(page, &(hv_hub_sum){.hub = hub, .team = team.data, .team_len = team.len});
    hv_buf_printf(page->to, ",partition=\"%" PRId32 "\"}", partition->number);
}

static void
put_partitions(exposition *page)
{
    static const hv_metric_id ids[] = {HV_METRIC_ID_PARTITION_LAG, HV_METRIC_ID_PARTITION_HEADROOM, HV_METRIC_ID_PARTITION_POSITION};
    const hv_archiver_state *state = &page->facts->state;

    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        begin(page, ids[i]);
        for (size_t p = 0; p < state->partition_count; p++) {
            const hv_partition_state *partition = &state->partitions[p];
            if (!partition->owned || (ids[i] == HV_METRIC_ID_PARTITION_HEADROOM && !partition->has_headroom))
                continue;
            put_one_partition(page, partition);
            if (ids[i] == HV_METRIC_ID_PARTITION_HEADROOM)
                put_seconds(page->to, partition->headroom_ms);
            else
                end_with(page, ids[i] == HV_METRIC_ID_PARTITION_LAG ? partition->lag : partition->position);
        }
    }
}

/* By what is done with them: the texts are literals, few, and in the order of their first partition. */
static void
put_activities(exposition *page)
{
    enum { MOST = 16 };
    const hv_archiver_state *state = &page->facts->state;
    const char *activities[MOST];
    int64_t counts[MOST] = {0};
    size_t count = 0;

    for (size_t p = 0; p < state->partition_count; p++) {
        size_t at = 0;
        while (at < count && strcmp(activities[at], state->partitions[p].state) != 0)
            at++;
        if (at == MOST)
            continue;
        if (at == count)
            activities[count++] = state->partitions[p].state;
        counts[at]++;
    }
    begin(page, HV_METRIC_ID_PARTITIONS);
    for (size_t a = 0; a < count; a++)
        labelled(page, "activity", activities[a], counts[a]);
}

static void
put_capture(exposition *page)
{
    const hv_service_facts *facts = page->facts;
    const hv_archiver_totals *totals = &facts->totals;

    put_threads(page);
    plain(page, HV_METRIC_ID_HUBS, totals->hubs);
    put_activities(page);
    plain(page, HV_METRIC_ID_ASSIGNED_PARTITIONS, totals->assigned);
    if (facts->state.discovered_wall_ms > 0)
        plain_seconds(page, HV_METRIC_ID_DISCOVERY_TIMESTAMP, facts->state.discovered_wall_ms);
    put_hubs(page);
    if (facts->options->metrics_partitions)
        put_partitions(page);
    plain(page, HV_METRIC_ID_MEMORY_USED, totals->memory_bytes);
    plain(page, HV_METRIC_ID_MEMORY_LIMIT, totals->memory_limit);
}

/* ---- store, index, trouble ---- */

static void
put_store(exposition *page)
{
    const hv_storage_meter_facts *store = &page->facts->store;

    put_histogram(page, HV_METRIC_ID_STORE_PUT, &store->put);
    begin(page, HV_METRIC_ID_STORE_OPERATIONS);
    for (int o = 0; o < HV_STORAGE_OPERATIONS; o++)
        for (int r = 0; r < HV_RC_COUNT; r++) {
            if (store->calls[o][r] == 0 && r != HV_OK)
                continue;
            char kind[HV_KIND_SIZE];
            hv_kind_text((hv_rc)r, kind);
            put_name(page);
            put_label(page, '{', "operation", hv_slice_text(hv_storage_operation_text((hv_storage_operation)o)));
            put_label(page, ',', "result", hv_slice_text(kind));
            hv_buf_put_byte(page->to, '}');
            end_with(page, (int64_t)store->calls[o][r]);
        }
    plain_seconds(page, HV_METRIC_ID_STORE_FAILING, store->failing_ms);
}

static void
put_trouble(exposition *page)
{
    static const char *const operations[] = {
#define OPERATION_TEXT(name, text, meaning) text,
        HV_ARCHIVER_OPERATION_LIST(OPERATION_TEXT)
#undef OPERATION_TEXT
    };
    const hv_trouble_facts *trouble = &page->facts->trouble;

    begin(page, HV_METRIC_ID_RETRIES);
    for (int o = 0; o < HV_ARCHIVER_OPERATIONS; o++)
        labelled(page, "operation", operations[o], (int64_t)trouble->retries[o]);
    begin(page, HV_METRIC_ID_ERRORS);
    for (int r = HV_OK + 1; r < HV_RC_COUNT; r++) {
        char kind[HV_KIND_SIZE];
        hv_kind_text((hv_rc)r, kind);
        labelled(page, "kind", kind, (int64_t)trouble->errors[r]);
    }
    if (trouble->last_wall_ms > 0)
        plain_seconds(page, HV_METRIC_ID_LAST_ERROR_TIMESTAMP, trouble->last_wall_ms);
}

static void
put_others(exposition *page)
{
    const hv_archiver_totals *totals = &page->facts->totals;

    plain(page, HV_METRIC_ID_REBALANCES, totals->rebalances);
    plain(page, HV_METRIC_ID_LOST_PARTITIONS, totals->lost);
    plain(page, HV_METRIC_ID_ABANDONED_CUTS, totals->abandoned);
    plain(page, HV_METRIC_ID_FOLLOWED_CUTS, totals->followed_cuts);
    plain(page, HV_METRIC_ID_FOLLOWED_SEGMENTS, totals->followed_segments);
    plain(page, HV_METRIC_ID_FOLLOW_LOOKS, totals->follow_looks);
}

static void
put_service(exposition *page)
{
    const hv_service_facts *facts = page->facts;

    begin(page, HV_METRIC_ID_SNAPSHOTS);
    labelled(page, "kind", "group", (int64_t)facts->trouble.snapshots_of_groups);
    labelled(page, "kind", "topic", (int64_t)facts->trouble.snapshots_of_topics);
    plain(page, HV_METRIC_ID_SNAPSHOT_FAILURES, (int64_t)facts->trouble.snapshot_failures);
    begin(page, HV_METRIC_ID_RELOADS);
    labelled(page, "result", "done", facts->reload.done);
    labelled(page, "result", "refused", facts->reload.refused);
    begin(page, HV_METRIC_ID_HTTP_REQUESTS);
    for (size_t a = 0; a < facts->answer_count; a++) {
        put_name(page);
        hv_buf_printf(page->to, "{status=\"%u\"}", facts->answers[a].status);
        end_with(page, (int64_t)facts->answers[a].count);
    }
}

hv_rc
hv_metrics_render(const hv_service_facts *facts, hv_buf *ret, hv_err *err)
{
    exposition page = {.facts = facts, .to = ret};
    hv_hub_sum *sums = NULL;

    hv_rc rc = hv_hub_sums(facts, &sums, &page.sum_count, err);
    if (rc != HV_OK)
        return rc;
    page.sums = sums;
    put_build(&page);
    plain(&page, HV_METRIC_ID_READY, facts->ready);
    if (facts->has_archiver)
        put_capture(&page);
    if (facts->has_store)
        put_store(&page);
    if (facts->has_archiver)
        put_histogram(&page, HV_METRIC_ID_INDEX_COMMIT, &facts->index_commit);
    put_trouble(&page);
    if (facts->has_archiver)
        put_others(&page);
    put_service(&page);
    put_process(&page);
    free(sums);
    return hv_buf_check(ret, err);
}
