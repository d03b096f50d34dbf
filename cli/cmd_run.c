/* hubvault run [--once]: capture every hub into the vault. */
#include <inttypes.h>
#include <unistd.h>

#include "cli/progress.h"
#include "cli/stop_signals.h"
#include "server/log_events.h"
#include "server/service.h"

static const hv_column columns[] = {
    {.name = "hubs", .type = HV_OUT_NUMBER},
    {.name = "partitions", .type = HV_OUT_NUMBER},
    {.name = "events", .type = HV_OUT_NUMBER},
    {.name = "cuts", .type = HV_OUT_NUMBER},
    {.name = "adopted", .type = HV_OUT_NUMBER},
    {.name = "gap_offsets", .type = HV_OUT_NUMBER},
    {.name = "bytes_in", .type = HV_OUT_SIZE, .heading = "READ"},
    {.name = "bytes_stored", .type = HV_OUT_SIZE, .heading = "STORED"},
    {.name = "stopped", .type = HV_OUT_NUMBER},
};

static void
show_progress(void *arg, const hv_archiver_totals *totals)
{
    hv_progress_show(arg, 0, 0, "%" PRId64 " hubs, %" PRId64 " partitions, %" PRId64 " events read, %" PRId64 " cuts sealed, %" PRId64
                     " events to go", totals->hubs, totals->partitions, totals->events, totals->cuts, totals->behind);
}

static void
print_totals(hv_cli *cli, const hv_archiver_totals *totals)
{
    hv_out_table(cli->out, columns, sizeof columns / sizeof *columns);
    hv_out_number(cli->out, totals->hubs);
    hv_out_number(cli->out, totals->partitions);
    hv_out_number(cli->out, totals->events);
    hv_out_number(cli->out, totals->cuts);
    hv_out_number(cli->out, totals->adopted);
    hv_out_number(cli->out, totals->gap_offsets);
    hv_out_number(cli->out, (int64_t)totals->bytes_in);
    hv_out_number(cli->out, (int64_t)totals->bytes_stored);
    hv_out_number(cli->out, totals->stopped);
    hv_out_row_end(cli->out);
}

static void
log_start(const hv_cli *cli)
{
    hv_log_field fields[] = {
        HV_LOG_T("version", HUBVAULT_VERSION), HV_LOG_N("pid", getpid()), HV_LOG_T("store", cli->options->store_dir),
        HV_LOG_T("config", cli->config),
    };

    hv_log_event_write(cli->log, HV_LINE_STARTING, fields, cli->config != NULL ? 4 : 3);
}

static hv_rc
read_options(void *arg, hv_options *ret, hv_err *err)
{
    return hv_cli_read_options(arg, ret, err);
}

hv_rc
hv_cmd_run(hv_cli *cli, hv_err *err)
{
    HV_AUTO(hv_stop_signals_end) hv_stop_signals *signals = NULL;
    hv_progress progress = hv_progress_begin(cli);
    hv_archiver_totals totals = {0};

    hv_rc rc = hv_stop_signals_start(cli->terminal ? HV_HANGUP_STOPS : HV_HANGUP_RELOADS, &signals, err);
    if (rc != HV_OK)
        return rc;
    log_start(cli);
    hv_service_config config = {.options = cli->options, .log = cli->log, .once = hv_args_has(cli->args, "--once"),
        .stop = hv_stop_signals_flag(signals), .progress = show_progress, .progress_arg = &progress, .notify_socket = cli->notify_socket,
        .reloads = hv_stop_signals_reloads(signals), .read_options = read_options, .read_options_arg = cli,
        .watchdog_ms = cli->watchdog_ms};
    rc = hv_service_run(&config, &totals, err);
    hv_progress_clear(&progress);
    if (rc == HV_OK || totals.partitions > 0)
        print_totals(cli, &totals);
    return rc;
}
