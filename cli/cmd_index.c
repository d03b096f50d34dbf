/* hubvault index stats, index dump: what the index holds. */
#include "cli/cli.h"
#include "server/vault.h"

static const hv_column stats_columns[] = {
    {.name = "cuts", .type = HV_OUT_NUMBER},
    {.name = "segments", .type = HV_OUT_NUMBER},
    {.name = "entries", .type = HV_OUT_NUMBER},
    {.name = "file_bytes", .type = HV_OUT_SIZE, .heading = "FILE"},
    {.name = "map_bytes", .type = HV_OUT_SIZE, .heading = "MAP"},
    {.name = "readers", .type = HV_OUT_NUMBER},
};

hv_rc
hv_cmd_index_stats(hv_cli *cli, hv_err *err)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;
    hv_index_stats stats = {0};

    hv_rc rc = hv_vault_open(cli->options, 0, &vault, err);
    if (rc == HV_OK)
        rc = hv_index_stats_read(vault->index, &stats, err);
    if (rc != HV_OK)
        return rc;
    hv_out_table(cli->out, stats_columns, sizeof stats_columns / sizeof *stats_columns);
    hv_out_number(cli->out, stats.cuts);
    hv_out_number(cli->out, stats.segments);
    hv_out_number(cli->out, stats.entries);
    hv_out_number(cli->out, (int64_t)stats.file_bytes);
    hv_out_number(cli->out, (int64_t)stats.map_bytes);
    hv_out_number(cli->out, stats.readers);
    hv_out_row_end(cli->out);
    return HV_OK;
}

static void
put_line(void *arg, const char *line)
{
    FILE *to = arg;

    fputs(line, to);
    fputc('\n', to);
}

hv_rc
hv_cmd_index_dump(hv_cli *cli, hv_err *err)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;

    hv_rc rc = hv_vault_open(cli->options, 0, &vault, err);
    return rc == HV_OK ? hv_index_dump(vault->index, put_line, cli->to, err) : rc;
}
