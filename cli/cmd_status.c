/* hubvault status: how far capture is, what is at risk, what is missing and why. */
#include <inttypes.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "server/capture_status.h"
#include "server/sources.h"
#include "server/vault.h"

enum { GAPS_AT_ONCE = 1000 };

static const hv_column columns[] = {
    {.name = "hub"},
    {.name = "incarnation", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "partition", .type = HV_OUT_NUMBER, .heading = "PART."},
    {.name = "state"},
    {.name = "position", .type = HV_OUT_NUMBER},
    {.name = "low", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "high", .type = HV_OUT_NUMBER},
    {.name = "lag", .type = HV_OUT_NUMBER},
    {.name = "headroom_ms", .type = HV_OUT_DURATION, .heading = "HEADROOM"},
    {.name = "last_seal", .type = HV_OUT_TIME},
    {.name = "gap_offsets", .type = HV_OUT_NUMBER, .heading = "GAPS"},
};

static const hv_column gap_columns[] = {
    {.name = "hub"},
    {.name = "incarnation", .type = HV_OUT_NUMBER, .heading = "INC."},
    {.name = "partition", .type = HV_OUT_NUMBER, .heading = "PART."},
    {.name = "first_offset", .type = HV_OUT_NUMBER, .heading = "FIRST"},
    {.name = "end_offset", .type = HV_OUT_NUMBER, .heading = "END"},
    {.name = "offsets", .type = HV_OUT_NUMBER},
    {.name = "cause"},
};

static void
put_known(hv_out *out, bool known, int64_t value)
{
    if (known)
        hv_out_number(out, value);
    else
        hv_out_absent(out);
}

static void
put_partition(hv_out *out, const hv_partition_status *partition)
{
    const hv_index_partition_facts *facts = &partition->facts;

    hv_out_text(out, facts->partition.hub);
    hv_out_number(out, facts->partition.incarnation);
    hv_out_number(out, facts->partition.number);
    hv_out_text(out, hv_capture_state_text(partition->state));
    hv_out_number(out, facts->range.end);
    put_known(out, partition->has_watermarks, partition->low);
    put_known(out, partition->has_watermarks, partition->high);
    put_known(out, partition->has_watermarks, partition->lag);
    put_known(out, partition->has_headroom, partition->headroom_ms);
    put_known(out, facts->segments > 0, facts->last_created_ms);
    hv_out_number(out, facts->gap_offsets);
    hv_out_row_end(out);
}

/* What the source says comes on top of what the index knows; a source that does not answer is a note, and no failure of this command. */
static hv_rc
ask_sources(hv_cli *cli, hv_capture_status *status, hv_index *index, bool *answered, hv_err *err)
{
    HV_AUTO(hv_sources_close) hv_sources *sources = NULL;
    hv_capture_question question = {.timeout_ms = (int)cli->options->source_timeout_ms,
                                    .headroom_warning_ms = cli->options->archiver_headroom_warning_ms};

    hv_rc rc = hv_sources_open(cli->options, &sources, err);
    if (rc != HV_OK)
        return rc;
    question.sources = hv_sources_all(sources, &question.source_count);
    rc = hv_capture_status_ask(status, index, &question, err);
    if (rc == HV_UNAVAILABLE || rc == HV_AUTH) {
        fprintf(cli->notes, "hubvault: lag and headroom are not known: %s\n", err->msg);
        return HV_OK;
    }
    *answered = rc == HV_OK;
    return rc;
}

static void
print_summary(hv_out *out, const hv_capture_status *status)
{
    int64_t behind = 0, alarms = 0;

    for (size_t i = 0; i < status->count; i++) {
        behind += status->partitions[i].lag;
        alarms += status->partitions[i].state == HV_CAPTURE_AT_RISK || status->partitions[i].state == HV_CAPTURE_LOSING;
    }
    hv_out_say(out, "\n%zu partition%s, %" PRId64 " event%s not sealed yet%s", status->count, status->count == 1 ? "" : "s", behind,
               behind == 1 ? "" : "s", alarms > 0 ? "; some are about to be lost, start or speed up 'hubvault run'" : "");
}

static hv_rc
print_status(hv_cli *cli, hv_index *index, hv_err *err)
{
    HV_AUTO(hv_capture_status_clear) hv_capture_status status = {0};
    bool ask = !hv_args_has(cli->args, "--offline") && hv_options_have_source(cli->options), answered = false;

    hv_rc rc = hv_capture_status_read(index, &status, err);
    if (rc == HV_OK && ask)
        rc = ask_sources(cli, &status, index, &answered, err);
    if (rc != HV_OK)
        return rc;
    hv_out_table(cli->out, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < status.count; i++)
        put_partition(cli->out, &status.partitions[i]);
    if (answered)
        print_summary(cli->out, &status);
    return HV_OK;
}

static void
put_gap(hv_out *out, const hv_index_gap *gap)
{
    hv_out_text(out, gap->partition.hub);
    hv_out_number(out, gap->partition.incarnation);
    hv_out_number(out, gap->partition.number);
    hv_out_number(out, gap->gap.range.first);
    hv_out_number(out, gap->gap.range.end);
    hv_out_number(out, gap->gap.range.end - gap->gap.range.first);
    hv_out_text(out, hv_gap_cause_text(gap->gap.cause));
    hv_out_row_end(out);
}

static hv_rc
print_gaps(hv_cli *cli, hv_index *index, hv_err *err)
{
    hv_index_gap last;
    size_t count = GAPS_AT_ONCE;

    hv_out_table(cli->out, gap_columns, sizeof gap_columns / sizeof *gap_columns);
    for (bool first = true; count == GAPS_AT_ONCE; first = false) {
        hv_index_gap *gaps = NULL;
        hv_rc rc = hv_index_gaps(index, NULL, first ? NULL : &last, GAPS_AT_ONCE, &gaps, &count, err);
        if (rc != HV_OK)
            return rc;
        for (size_t i = 0; i < count; i++)
            put_gap(cli->out, &gaps[i]);
        if (count > 0)
            last = gaps[count - 1];
        free(gaps);
    }
    return HV_OK;
}

hv_rc
hv_cmd_status(hv_cli *cli, hv_err *err)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;

    hv_rc rc = hv_vault_open(cli->options, 0, &vault, err);
    if (rc != HV_OK)
        return rc;
    return hv_args_has(cli->args, "--gaps") ? print_gaps(cli, vault->index, err) : print_status(cli, vault->index, err);
}
