#include "server/hub_sums.h"

#include <stdlib.h>
#include <string.h>

#include "common/glob.h"

hv_slice
hv_team_of(const hv_options *options, const char *hub)
{
    for (size_t t = 0; t < options->metrics_teams.count; t++) {
        const char *row = options->metrics_teams.items[t], *equals = strchr(row, '=');
        if (hv_glob_match(hv_slice_text(equals + 1), hv_slice_text(hub)))
            return hv_slice_of(row, (size_t)(equals - row));
    }
    return hv_slice_text("");
}

static hv_hub_sum *
sum_of(const hv_options *options, const char *hub, hv_hub_sum *sums, size_t *count)
{
    for (size_t s = 0; s < *count; s++)
        if (strcmp(sums[s].hub, hub) == 0)
            return &sums[s];
    hv_slice team = hv_team_of(options, hub);
    sums[*count] = (hv_hub_sum){.hub = hub, .team = team.data, .team_len = team.len};
    return &sums[(*count)++];
}

static void
add_counters(hv_hub_counters *to, const hv_hub_counters *from)
{
    to->read_events += from->read_events;
    to->read_bytes += from->read_bytes;
    to->events += from->events;
    to->stored_bytes += from->stored_bytes;
    to->cuts += from->cuts;
    to->adopted += from->adopted;
    to->segments += from->segments;
    for (int c = 0; c < HV_GAP_CAUSES; c++)
        to->gap_offsets[c] += from->gap_offsets[c];
}

static void
add_partition(hv_hub_sum *sum, const hv_partition_state *partition)
{
    if (!partition->owned)
        return;
    sum->partitions++;
    sum->stopped += partition->stopped;
    sum->lag += partition->lag;
    if (partition->lag > sum->lag_worst)
        sum->lag_worst = partition->lag;
    sum->open += partition->open;
    sum->open_bytes += partition->open_bytes;
    if (partition->open && partition->open_age_ms > sum->open_age_ms)
        sum->open_age_ms = partition->open_age_ms;
    sum->sealing += partition->sealing;
    if (partition->has_headroom && (!sum->has_headroom || partition->headroom_ms < sum->headroom_ms)) {
        sum->has_headroom = true;
        sum->headroom_ms = partition->headroom_ms;
    }
}

hv_rc
hv_hub_sums(const hv_service_facts *facts, hv_hub_sum **ret, size_t *ret_count, hv_err *err)
{
    const hv_archiver_state *state = &facts->state;
    hv_hub_sum *sums = calloc(state->hub_count + 1, sizeof *sums);
    size_t count = 0;

    if (sums == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the sums of %zu hubs", state->hub_count);
    for (size_t h = 0; h < state->hub_count; h++) {
        hv_hub_sum *sum = sum_of(facts->options, state->hubs[h].name, sums, &count);
        add_counters(&sum->counters, &state->hubs[h].counters);
        for (size_t p = 0; p < state->hubs[h].count; p++)
            add_partition(sum, &state->partitions[state->hubs[h].first + p]);
    }
    *ret = sums;
    *ret_count = count;
    return HV_OK;
}
