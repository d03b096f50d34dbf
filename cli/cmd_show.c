/* hubvault show HUB PARTITION OFFSET: one event with its place in the vault, or the reason why there is none. */
#include <inttypes.h>

#include "cli/cli.h"
#include "common/json_out.h"
#include "common/time_text.h"
#include "replay/json_envelope.h"
#include "replay/replay.h"
#include "server/vault.h"

enum { LONGEST = 1 << 30 };

static const hv_column columns[] = {{.name = "field"}, {.name = "value"}};

static void
put_text(hv_out *out, const char *field, const char *value)
{
    hv_out_text(out, field);
    hv_out_text(out, value);
    hv_out_row_end(out);
}

static void
put_number(hv_out *out, const char *field, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRId64, value);
    put_text(out, field, text);
}

static void
put_slice(hv_out *out, const char *field, hv_slice value)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(LONGEST);

    if (value.data == NULL) {
        hv_out_text(out, field);
        hv_out_absent(out);
        hv_out_row_end(out);
        return;
    }
    hv_json_put_lossy(&text, value);    /* quoted, so that empty is not nothing, and with control characters escaped */
    put_text(out, field, text.data != NULL ? text.data : "");
}

static void
print_table(hv_out *out, const hv_show *show)
{
    static const char *const types[] = {"none", "create", "append"};
    const hv_event *event = &show->event;
    char hash[HV_SHA256_TEXT_SIZE];

    hv_out_table(out, columns, sizeof columns / sizeof *columns);
    put_text(out, "hub", show->partition.hub);
    put_number(out, "incarnation", show->partition.incarnation);
    put_number(out, "partition", show->partition.number);
    put_number(out, "offset", event->offset);
    put_text(out, "timestamp", hv_time_format(event->timestamp_ms).text);
    put_text(out, "timestamp type", types[event->timestamp_type]);
    put_slice(out, "key", event->key);
    for (size_t i = 0; i < event->header_count; i++) {
        HV_AUTO(hv_buf_free) hv_buf name = HV_BUF_INIT(LONGEST);
        hv_buf_put_text(&name, "header ");
        hv_json_put_lossy(&name, event->headers[i].name);
        put_slice(out, name.data != NULL ? name.data : "header", event->headers[i].value);
    }
    put_slice(out, "value", event->value);
    put_text(out, "segment", show->segment);
    hv_sha256_text(show->segment_sha256, hash);
    put_text(out, "sha256", hash);
    put_text(out, "class", show->class_name);
    put_number(out, "block at byte", (int64_t)show->block_position);
    put_number(out, "block length", show->block_length);
}

static hv_rc
print_json(FILE *to, const hv_show *show, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf line = HV_BUF_INIT(LONGEST), opening = HV_BUF_INIT(1024);
    char hash[HV_SHA256_TEXT_SIZE];

    hv_sha256_text(show->segment_sha256, hash);
    hv_json_put_opening(&opening, &show->partition);
    hv_buf_printf(&line,
                  "{\"kind\":\"event\",\"segment\":\"%s\",\"sha256\":\"%s\",\"class\":\"%s\",\"block_position\":%" PRIu64
                  ",\"block_length\":%" PRIu32 ",\"event\":", show->segment, hash, show->class_name, show->block_position, show->block_length);
    hv_json_put_event(&line, hv_buf_slice(&opening), &show->event, false);
    hv_buf_put_text(&line, "}\n");
    hv_rc rc = hv_buf_check(&opening, err);
    if (rc == HV_OK)
        rc = hv_buf_check(&line, err);
    if (rc == HV_OK)
        (void)fwrite(line.data, 1, line.len, to);       /* a failure is kept in the stream */
    return rc;
}

static hv_rc
explain(hv_cli *cli, const hv_show *show, int64_t offset, hv_err *err)
{
    const hv_partition *at = &show->partition;

    if (show->kind == HV_SHOW_NOT_CAPTURED) {
        if (cli->out->json)
            fprintf(cli->to, "{\"kind\":\"not captured\",\"position\":%" PRId64 "}\n", show->position);
        return hv_err_set(err, HV_NOT_FOUND,
                          "offset %" PRId64 " of partition %" PRId32 " of '%s' is not captured yet: capture has come to %"
                          PRId64, offset, at->number, at->hub, show->position);
    }
    if (cli->out->json)
        fprintf(cli->to, "{\"kind\":\"gap\",\"cause\":\"%s\",\"first\":%" PRId64 ",\"end\":%" PRId64 ",\"segment\":\"%s\"}\n",
                hv_gap_cause_text(show->gap.cause), show->gap.range.first, show->gap.range.end, show->segment);
    return hv_err_set(err, HV_NOT_FOUND,
                      "offset %" PRId64 " of partition %" PRId32 " of '%s' holds no event; offsets %" PRId64 " to %" PRId64
                      " are a gap, cause: %s (segment '%s')", offset, at->number, at->hub, show->gap.range.first,
                      show->gap.range.end - 1, hv_gap_cause_text(show->gap.cause), show->segment);
}

hv_rc
hv_cmd_show(hv_cli *cli, hv_err *err)
{
    HV_AUTO(hv_vault_close) hv_vault *vault = NULL;
    HV_AUTO(hv_show_clear) hv_show show = {.headers = NULL};
    int64_t number = 0, offset = 0, incarnation = 0;
    hv_partition partition;

    hv_rc rc = hv_args_parse_number(hv_args_value(cli->args, 1), "PARTITION", 0, INT32_MAX, &number, err);
    if (rc == HV_OK)
        rc = hv_args_parse_number(hv_args_value(cli->args, 2), "OFFSET", 0, INT64_MAX, &offset, err);
    if (rc == HV_OK)
        rc = hv_args_number(cli->args, "--incarnation", 1, UINT32_MAX - 1, &incarnation, err);
    if (rc == HV_OK)
        rc = hv_partition_make(hv_args_value(cli->args, 0), (uint32_t)incarnation, (int32_t)number, &partition, err);
    if (rc == HV_OK)
        rc = hv_vault_open(cli->options, 0, &vault, err);
    if (rc == HV_OK)
        rc = hv_replay_show(vault->index, vault->storage, &partition, offset, &show, err);
    if (rc != HV_OK)
        return rc;
    if (show.kind != HV_SHOW_EVENT)
        return explain(cli, &show, offset, err);
    if (cli->out->json)
        return print_json(cli->to, &show, err);
    print_table(cli->out, &show);
    return HV_OK;
}
