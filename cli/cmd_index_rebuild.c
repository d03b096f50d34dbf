/* hubvault index rebuild: make the index anew from the segments. */
#include <inttypes.h>

#include "cli/progress.h"
#include "cli/stop_signals.h"
#include "server/vault_rebuild.h"

typedef struct rebuild_report {
    hv_cli *cli;
    hv_progress progress;
} rebuild_report;

static const hv_column rebuild_columns[] = {
    {.name = "replaced", .type = HV_OUT_YES_NO},
    {.name = "hubs", .type = HV_OUT_NUMBER},
    {.name = "incarnations", .type = HV_OUT_NUMBER, .json_only = true},
    {.name = "partitions", .type = HV_OUT_NUMBER},
    {.name = "cuts", .type = HV_OUT_NUMBER},
    {.name = "segments", .type = HV_OUT_NUMBER},
    {.name = "events", .type = HV_OUT_NUMBER},
    {.name = "bytes", .type = HV_OUT_SIZE},
    {.name = "incomplete", .type = HV_OUT_NUMBER},
    {.name = "hashed", .type = HV_OUT_NUMBER, .heading = "READ WHOLE"},
    {.name = "problems", .type = HV_OUT_NUMBER},
    {.name = "stopped", .type = HV_OUT_NUMBER},
    {.name = "duration", .type = HV_OUT_DURATION, .heading = "TOOK"},
};

static void
show_progress(void *arg, const hv_rebuild_facts *facts)
{
    rebuild_report *report = arg;

    hv_progress_show(&report->progress, 0, 0, "%" PRId64 " partitions, %" PRId64 " segments, %" PRId64 " events", facts->partitions,
                     facts->segments, facts->events);
}

static void
tell_problem(void *arg, const hv_partition *partition, const hv_err *err)
{
    rebuild_report *report = arg;

    hv_progress_clear(&report->progress);
    if (partition == NULL)
        fprintf(report->cli->notes, "problem: %s\n", err->msg);
    else
        fprintf(report->cli->notes, "problem: partition %" PRId32 " of '%s' (incarnation %" PRIu32 "): %s\n", partition->number,
                partition->hub, partition->incarnation, err->msg);
}

static void
put_facts(const rebuild_report *report, const hv_rebuild_facts *facts, bool replaced)
{
    hv_out *out = report->cli->out;

    hv_out_table(out, rebuild_columns, sizeof rebuild_columns / sizeof *rebuild_columns);
    hv_out_number(out, replaced);
    hv_out_number(out, facts->hubs);
    hv_out_number(out, facts->incarnations);
    hv_out_number(out, facts->partitions);
    hv_out_number(out, facts->cuts);
    hv_out_number(out, facts->segments);
    hv_out_number(out, facts->events);
    hv_out_number(out, (int64_t)facts->bytes);
    hv_out_number(out, facts->incomplete);
    hv_out_number(out, facts->hashed);
    hv_out_number(out, facts->problems);
    hv_out_number(out, facts->stopped);
    hv_out_number(out, hv_progress_elapsed_ms(&report->progress));
    hv_out_row_end(out);
}

hv_rc
hv_cmd_index_rebuild(hv_cli *cli, hv_err *err)
{
    HV_AUTO(hv_stop_signals_end) hv_stop_signals *signals = NULL;
    rebuild_report report = {.cli = cli, .progress = hv_progress_begin(cli)};
    hv_vault_rebuild_config config = {.options = cli->options, .into = hv_args_text(cli->args, "--into"),
        .partial = hv_args_has(cli->args, "--partial"), .problem = tell_problem, .progress = show_progress, .arg = &report};
    hv_rebuild_facts facts = {0};
    bool replaced;

    hv_rc rc = hv_stop_signals_start(HV_HANGUP_AS_EVER, &signals, err);
    if (rc != HV_OK)
        return rc;
    config.stop = hv_stop_signals_flag(signals);
    rc = hv_vault_rebuild(&config, &facts, &replaced, err);
    hv_progress_clear(&report.progress);
    if (rc != HV_OK && rc != HV_GAP)
        return rc;
    put_facts(&report, &facts, replaced);
    if (rc == HV_GAP && !replaced && config.into == NULL)
        return hv_err_prefix(err, "the old index stays, for the new one is shorter (--partial takes it all the same)");
    return rc;
}
