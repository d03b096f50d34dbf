/* hubvault options: the option table, as it is in effect or as the pages that are made of it. */
#include "cli/manual.h"
#include "common/redact.h"

static const hv_column columns[] = {
    {.name = "option"},
    {.name = "value"},
    {.name = "from"},
    {.name = "default", .json_only = true},
    {.name = "takes", .json_only = true},
    {.name = "reloadable", .json_only = true},
    {.name = "meaning", .json_only = true},
};

static void
put_text(hv_out *out, const hv_buf *text)
{
    if (text->len > 0)
        hv_out_text(out, text->data);
    else
        hv_out_absent(out);
}

static hv_rc
put_option(const hv_options *options, const hv_option *option, hv_out *out, hv_err *err)
{
    const hv_option_origin *origin = &options->origins[option - hv_option_table];
    HV_AUTO(hv_buf_free) hv_buf value = HV_BUF_INIT(1 << 20), fallback = HV_BUF_INIT(1 << 20), takes = HV_BUF_INIT(1 << 20);

    hv_option_put_value(options, option, &value);
    hv_option_put_default(option, &fallback);
    hv_option_put_range(option, &takes);
    if (takes.len == 0)
        hv_buf_put_text(&takes, hv_option_type_text(option->type));
    hv_rc rc = hv_buf_check(&value, err);
    if (rc == HV_OK)
        rc = hv_buf_check(&fallback, err);
    if (rc == HV_OK)
        rc = hv_buf_check(&takes, err);
    if (rc != HV_OK)
        return rc;
    if (value.data != NULL)
        hv_redact(value.data);          /* no option is a secret, but somebody may have mistaken one for it */
    hv_out_text(out, option->name);
    put_text(out, &value);
    hv_out_text(out, origin->where != NULL ? origin->where : "default");
    put_text(out, &fallback);
    put_text(out, &takes);
    hv_out_text(out, option->reload ? "yes" : "no");
    hv_out_text(out, option->help);
    hv_out_row_end(out);
    return HV_OK;
}

hv_rc
hv_cmd_options(hv_cli *cli, hv_err *err)
{
    const char *format = hv_args_text(cli->args, "--format");
    hv_rc rc = HV_OK;

    if (format != NULL && strcmp(format, "man") == 0)
        return hv_manual_page(cli->to, err);
    if (format != NULL && strcmp(format, "markdown") == 0)
        return hv_manual_configuration(cli->to, err);
    hv_out_table(cli->out, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < hv_option_count && rc == HV_OK; i++)
        rc = put_option(cli->options, &hv_option_table[i], cli->out, err);
    return rc;
}
