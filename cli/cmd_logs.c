/* hubvault logs: what 'hubvault run' can write into its log. */
#include "cli/cli.h"
#include "server/log_events.h"

static const hv_column columns[] = {
    {.name = "event"},
    {.name = "level"},
    {.name = "msg"},
    {.name = "fields", .json_only = true},
    {.name = "meaning", .json_only = true},
};

hv_rc
hv_cmd_logs(hv_cli *cli, hv_err *err)
{
    static const char *const levels[] = {
#define LEVEL_TEXT(name, text) text,
        HV_LOG_LEVEL_LIST(LEVEL_TEXT)
#undef LEVEL_TEXT
    };

    (void)err;
    hv_out_table(cli->out, columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < HV_LINES; i++) {
        const hv_log_event *event = hv_log_event_of((hv_log_event_id)i);
        hv_out_text(cli->out, event->id);
        hv_out_text(cli->out, levels[event->level]);
        hv_out_text(cli->out, event->msg);
        hv_out_text(cli->out, event->fields);
        hv_out_text(cli->out, event->meaning);
        hv_out_row_end(cli->out);
    }
    return HV_OK;
}
