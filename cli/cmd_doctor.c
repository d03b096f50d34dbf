/* hubvault doctor: what would keep hubvault from working, and the way out. */
#include "cli/cli.h"
#include "server/doctor.h"

static const hv_column columns[] = {
    {.name = "check"},
    {.name = "result"},
    {.name = "finding"},
    {.name = "way_out", .json_only = true},
};

/* For eyes the way out stands in a line of its own below the finding: as a column it would make every line too long. */
static void
put_check(void *arg, const hv_check *check)
{
    hv_out *out = arg;

    hv_out_text(out, check->name);
    hv_out_text(out, hv_check_result_text(check->result));
    hv_out_text(out, check->what);
    hv_out_text(out, check->way_out);
    hv_out_row_end(out);
    if (out->json || *check->way_out == '\0')
        return;
    char way_out[300];
    (void)snprintf(way_out, sizeof way_out, "-> %s", check->way_out);
    hv_out_text(out, "");
    hv_out_text(out, "");
    hv_out_text(out, way_out);
    hv_out_text(out, "");
    hv_out_row_end(out);
}

hv_rc
hv_cmd_doctor(hv_cli *cli, hv_err *err)
{
    hv_out_table(cli->out, columns, sizeof columns / sizeof *columns);
    hv_doctor_config config = {.options = cli->options, .config = cli->config, .offline = hv_args_has(cli->args, "--offline"),
                               .report = put_check, .arg = cli->out};
    hv_doctor_totals totals = hv_doctor_run(&config);
    if (totals.failed == 0)
        return HV_OK;
    return hv_err_set(err, HV_GAP, "%d of %d checks failed", totals.failed, totals.ok + totals.skipped + totals.warnings + totals.failed);
}
