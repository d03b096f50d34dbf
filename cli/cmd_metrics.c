/* hubvault metrics: what 'hubvault run' says under /metrics. */
#include "cli/cli.h"
#include "server/metric_table.h"

static const hv_column columns[] = {
    {.name = "name"},
    {.name = "type"},
    {.name = "labels"},
    {.name = "help", .json_only = true},
};

hv_rc
hv_cmd_metrics(hv_cli *cli, hv_err *err)
{
    (void)err;
    hv_out_table(cli->out, columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < HV_METRICS; i++) {
        const hv_metric *metric = hv_metric_of((hv_metric_id)i);
        hv_out_text(cli->out, metric->name);
        hv_out_text(cli->out, hv_metric_type_text(metric->type));
        hv_out_text(cli->out, metric->labels);
        hv_out_text(cli->out, metric->help);
        hv_out_row_end(cli->out);
    }
    return HV_OK;
}
