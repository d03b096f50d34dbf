/* One JSON object per line. What belongs to the partition is formatted once and kept until another partition comes. */
#include <stdlib.h>

#include "replay/json_envelope.h"
#include "replay/output.h"
#include "replay/sinks.h"

typedef struct jsonl_sink {
    hv_sink base;
    hv_output output;
    bool body_base64;
    hv_partition from;                  /* `opening` is for this one */
    hv_buf opening;                     /* {"hub":"...","incarnation":1,"partition":0,"offset": */
} jsonl_sink;

static hv_rc
jsonl_event(hv_sink *sink, const hv_partition *from, const hv_event *event, hv_err *err)
{
    jsonl_sink *jsonl = (jsonl_sink *)sink;

    if (hv_partition_compare(from, &jsonl->from) != 0) {
        jsonl->from = *from;
        hv_buf_clear(&jsonl->opening);
        hv_json_put_opening(&jsonl->opening, from);
        hv_rc rc = hv_buf_check(&jsonl->opening, err);
        if (rc != HV_OK)
            return rc;
    }
    hv_json_put_event(&jsonl->output.buf, hv_buf_slice(&jsonl->opening), event, jsonl->body_base64);
    hv_buf_put_byte(&jsonl->output.buf, '\n');
    sink->facts.events++;
    return hv_output_full_write(&jsonl->output, err);
}

static hv_rc
jsonl_begin(hv_sink *sink, hv_sink_start *start, hv_err *err)
{
    (void)sink;
    (void)start;
    (void)err;
    return HV_OK;
}

static hv_rc
jsonl_flush(hv_sink *sink, hv_err *err)
{
    jsonl_sink *jsonl = (jsonl_sink *)sink;

    hv_rc rc = hv_output_write(&jsonl->output, err);
    sink->facts.bytes = jsonl->output.written;
    return rc;
}

static void
jsonl_close(hv_sink *sink)
{
    hv_output_free(&((jsonl_sink *)sink)->output);
    hv_buf_free(&((jsonl_sink *)sink)->opening);
    free(sink);
}

static const hv_sink_ops jsonl_ops = {
    .name = "jsonl", .begin = jsonl_begin, .event = jsonl_event, .flush = jsonl_flush, .end = jsonl_flush, .close = jsonl_close,
};

hv_rc
hv_sink_jsonl_open(const hv_sink_jsonl_config *config, hv_sink **ret, hv_err *err)
{
    jsonl_sink *jsonl = calloc(1, sizeof *jsonl);

    if (jsonl == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the output");
    jsonl->base.ops = &jsonl_ops;
    jsonl->output = hv_output_make(config->to.fd, config->to.name);
    jsonl->opening = (hv_buf)HV_BUF_INIT(1024);
    jsonl->body_base64 = config->body_base64;
    *ret = &jsonl->base;
    return HV_OK;
}
