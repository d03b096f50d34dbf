/* hubvault hubs [HUB]: what the vault holds, one row per incarnation of a hub, or per partition. */
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/pick.h"
#include "server/vault.h"

static const hv_column hub_columns[] = {
    {.name = "hub"},
    {.name = "incarnation", .type = HV_OUT_NUMBER, .heading = "INC."},
    {.name = "partitions", .type = HV_OUT_NUMBER},
    {.name = "events", .type = HV_OUT_NUMBER},
    {.name = "segments", .type = HV_OUT_NUMBER},
    {.name = "stored_bytes", .type = HV_OUT_SIZE, .heading = "STORED"},
    {.name = "gap_offsets", .type = HV_OUT_NUMBER, .heading = "GAPS"},
    {.name = "oldest", .type = HV_OUT_TIME},
    {.name = "newest", .type = HV_OUT_TIME},
    {.name = "last_seal", .type = HV_OUT_TIME},
    {.name = "cause", .json_only = true},
    {.name = "identity", .json_only = true},
    {.name = "since", .type = HV_OUT_TIME, .json_only = true},
};

static const hv_column partition_columns[] = {
    {.name = "hub"},
    {.name = "incarnation", .type = HV_OUT_NUMBER, .heading = "INC."},
    {.name = "partition", .type = HV_OUT_NUMBER},
    {.name = "first_offset", .type = HV_OUT_NUMBER, .heading = "FIRST"},
    {.name = "end_offset", .type = HV_OUT_NUMBER, .heading = "END"},
    {.name = "events", .type = HV_OUT_NUMBER},
    {.name = "segments", .type = HV_OUT_NUMBER},
    {.name = "stored_bytes", .type = HV_OUT_SIZE, .heading = "STORED"},
    {.name = "gap_offsets", .type = HV_OUT_NUMBER, .heading = "GAPS"},
    {.name = "oldest", .type = HV_OUT_TIME},
    {.name = "newest", .type = HV_OUT_TIME},
    {.name = "last_seal", .type = HV_OUT_TIME},
};

static void
put_time(hv_out *out, bool known, int64_t ms)
{
    if (known)
        hv_out_number(out, ms);
    else
        hv_out_absent(out);
}

/* What a row of either kind says about events. */
static void
put_facts(hv_out *out, const hv_index_partition_facts *facts)
{
    hv_out_number(out, facts->count);
    hv_out_number(out, facts->segments);
    hv_out_number(out, (int64_t)facts->bytes);
    hv_out_number(out, facts->gap_offsets);
    put_time(out, facts->count > 0, facts->min_timestamp_ms);
    put_time(out, facts->count > 0, facts->max_timestamp_ms);
    put_time(out, facts->segments > 0, facts->last_created_ms);
}

static void
add(hv_index_partition_facts *sum, const hv_index_partition_facts *one)
{
    if (one->count > 0 && (sum->count == 0 || one->min_timestamp_ms < sum->min_timestamp_ms))
        sum->min_timestamp_ms = one->min_timestamp_ms;
    if (one->count > 0 && (sum->count == 0 || one->max_timestamp_ms > sum->max_timestamp_ms))
        sum->max_timestamp_ms = one->max_timestamp_ms;
    if (one->segments > 0 && (sum->segments == 0 || one->last_created_ms > sum->last_created_ms))
        sum->last_created_ms = one->last_created_ms;
    sum->count += one->count;
    sum->segments += one->segments;
    sum->bytes += one->bytes;
    sum->gap_offsets += one->gap_offsets;
}

/* One incarnation, which may have no partition yet. */
static void
put_hub(hv_out *out, const hv_index_incarnation *incarnation, const hv_index_partition_facts *facts, size_t count)
{
    hv_index_partition_facts sum = {0};
    int64_t partitions = 0;

    for (size_t i = 0; i < count; i++)
        if (facts[i].partition.incarnation == incarnation->incarnation && strcmp(facts[i].partition.hub, incarnation->hub) == 0) {
            add(&sum, &facts[i]);
            partitions++;
        }
    hv_out_text(out, incarnation->hub);
    hv_out_number(out, incarnation->incarnation);
    hv_out_number(out, partitions);
    put_facts(out, &sum);
    hv_out_text(out, incarnation->cause);
    hv_out_text(out, incarnation->identity);
    hv_out_number(out, incarnation->created_ms);
    hv_out_row_end(out);
}

static void
put_partition(hv_out *out, const hv_index_partition_facts *facts)
{
    hv_out_text(out, facts->partition.hub);
    hv_out_number(out, facts->partition.incarnation);
    hv_out_number(out, facts->partition.number);
    hv_out_number(out, facts->range.first);
    hv_out_number(out, facts->range.end);
    put_facts(out, facts);
    hv_out_row_end(out);
}

static hv_rc
put_hubs(hv_cli *cli, hv_index *index, const char *hub, const hv_index_partition_facts *facts, size_t count, hv_err *err)
{
    hv_index_incarnation *incarnations = NULL;
    size_t incarnation_count;

    hv_rc rc = hv_index_incarnations(index, &incarnations, &incarnation_count, err);
    if (rc != HV_OK)
        return rc;
    hv_out_table(cli->out, hub_columns, sizeof hub_columns / sizeof *hub_columns);
    for (size_t i = 0; i < incarnation_count; i++)
        if (hub == NULL || strcmp(hub, incarnations[i].hub) == 0)
            put_hub(cli->out, &incarnations[i], facts, count);
    free(incarnations);
    return HV_OK;
}

hv_rc
hv_cmd_hubs(hv_cli *cli, hv_err *err)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;
    const char *hub = hv_args_value(cli->args, 0);
    hv_index_partition_facts *facts = NULL;
    size_t count = 0;
    uint32_t newest;

    hv_rc rc = hv_vault_open(cli->options, 0, &vault, err);
    if (rc == HV_OK && hub != NULL)
        rc = hv_pick_incarnation(vault->index, hub, NULL, &newest, err);
    if (rc == HV_OK)
        rc = hv_index_partitions(vault->index, hub, &facts, &count, err);
    if (rc == HV_OK && hv_args_has(cli->args, "--partitions")) {
        hv_out_table(cli->out, partition_columns, sizeof partition_columns / sizeof *partition_columns);
        for (size_t i = 0; i < count; i++)
            put_partition(cli->out, &facts[i]);
    } else if (rc == HV_OK) {
        rc = put_hubs(cli, vault->index, hub, facts, count, err);
    }
    free(facts);
    return rc;
}
