/* hubvault verify [HUB]: check everything that is stored, and the index against it. */
#include <inttypes.h>

#include "cli/cli.h"
#include "cli/stop_signals.h"
#include "cli/verify_out.h"
#include "common/clock.h"
#include "common/size_text.h"
#include "server/vault.h"

enum { PROGRESS_MS = 200 };

typedef struct verify_report {
    hv_cli *cli;
    int64_t started_ms, next_ms;
    bool progress_shown, has_findings;
} verify_report;

static void
clear_progress(verify_report *report)
{
    if (report->progress_shown)
        fputs("\r\033[K", report->cli->notes);
    report->progress_shown = false;
}

static void
show_progress(void *arg, const hv_verify_facts *facts)
{
    verify_report *report = arg;
    FILE *to = report->cli->notes;
    int64_t now = hv_clock_boot_ms(), elapsed = now - report->started_ms;

    if (!report->cli->terminal || now < report->next_ms)
        return;
    report->next_ms = now + PROGRESS_MS;
    report->progress_shown = true;
    fprintf(to, "\r\033[K%" PRId64 " segments, %s", facts->segments, hv_size_round(facts->bytes).text);
    if (facts->bytes_expected > 0)
        fprintf(to, " of %s", hv_size_round(facts->bytes_expected).text);
    if (elapsed > 0)
        fprintf(to, ", %s per second", hv_size_round(facts->bytes * 1000 / (uint64_t)elapsed).text);
    if (facts->findings > 0)
        fprintf(to, ", %" PRId64 " findings", facts->findings);
    (void)fflush(to);
}

static void
put_finding(void *arg, const hv_finding *finding)
{
    verify_report *report = arg;

    clear_progress(report);
    if (!report->has_findings)
        hv_verify_out_start(report->cli->out);
    report->has_findings = true;
    hv_verify_out_finding(report->cli->out, finding);
}

hv_rc
hv_cmd_verify(hv_cli *cli, hv_err *err)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;
    HV_AUTO(hv_stop_signals_end) hv_stop_signals *signals = NULL;
    verify_report report = {.cli = cli, .started_ms = hv_clock_boot_ms()};
    hv_verify_facts facts = {0};
    int64_t threads = 0;

    hv_rc rc = hv_args_number(cli->args, "--threads", 1, HV_VERIFY_MAX_THREADS, &threads, err);
    if (rc == HV_OK)
        rc = hv_stop_signals_start(&signals, err);
    if (rc == HV_OK)
        rc = hv_vault_open(cli->options, hv_args_has(cli->args, "--no-index") ? HV_VAULT_NO_INDEX : 0, &vault, err);
    if (rc != HV_OK)
        return rc;
    hv_verify_config config = {.storage = vault->storage, .vault = vault->marker.vault, .index = vault->index,
        .hub = hv_args_value(cli->args, 0), .quick = hv_args_has(cli->args, "--quick"), .threads = (unsigned)threads,
        .report = put_finding, .progress = show_progress, .arg = &report, .stop = hv_stop_signals_flag(signals)};
    rc = hv_verify(&config, &facts, err);
    clear_progress(&report);
    if (rc == HV_OK || rc == HV_GAP)
        hv_verify_out_summary(cli->out, &facts, hv_clock_boot_ms() - report.started_ms);
    return rc;
}
