/* hubvault verify [HUB]: check everything that is stored, and the index against it. */
#include <inttypes.h>

#include "cli/progress.h"
#include "cli/stop_signals.h"
#include "cli/verify_out.h"
#include "common/size_text.h"
#include "server/vault.h"

typedef struct verify_report {
    hv_cli *cli;
    hv_progress progress;
    bool has_findings;
} verify_report;

static void
show_progress(void *arg, const hv_verify_facts *facts)
{
    verify_report *report = arg;
    int64_t elapsed = hv_progress_elapsed_ms(&report->progress);

    if (!hv_progress_due(&report->progress))
        return;
    uint64_t per_second = elapsed > 0 ? facts->bytes * 1000 / (uint64_t)elapsed : 0;
    hv_progress_show(&report->progress, (int64_t)facts->bytes, (int64_t)facts->bytes_expected,
                     "%" PRId64 " segments, %s, %s per second, %" PRId64 " findings", facts->segments, hv_size_round(facts->bytes).text,
                     hv_size_round(per_second).text, facts->findings);
}

static void
put_finding(void *arg, const hv_finding *finding)
{
    verify_report *report = arg;

    hv_progress_clear(&report->progress);
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
    verify_report report = {.cli = cli, .progress = hv_progress_begin(cli)};
    hv_verify_facts facts = {0};
    int64_t threads = 0;

    hv_rc rc = hv_args_number(cli->args, "--threads", 1, HV_VERIFY_MAX_THREADS, &threads, err);
    if (rc == HV_OK)
        rc = hv_stop_signals_start(HV_HANGUP_AS_EVER, &signals, err);
    if (rc == HV_OK)
        rc = hv_vault_open(cli->options, hv_args_has(cli->args, "--no-index") ? HV_VAULT_NO_INDEX : 0, &vault, err);
    if (rc != HV_OK)
        return rc;
    hv_verify_config config = {.storage = vault->storage, .vault = vault->marker.vault, .index = vault->index,
        .hub = hv_args_value(cli->args, 0), .quick = hv_args_has(cli->args, "--quick"), .threads = (unsigned)threads,
        .report = put_finding, .progress = show_progress, .arg = &report, .stop = hv_stop_signals_flag(signals)};
    rc = hv_verify(&config, &facts, err);
    hv_progress_clear(&report.progress);
    if (rc == HV_OK || rc == HV_GAP)
        hv_verify_out_summary(cli->out, &facts, hv_progress_elapsed_ms(&report.progress));
    return rc;
}

hv_rc
hv_cmd_findings(hv_cli *cli, hv_err *err)
{
    (void)err;
    hv_verify_out_kinds(cli->out);
    return HV_OK;
}
