/* Values one behind the other, with a separator or a length. */
#include "replay/output.h"
#include "replay/sinks.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct raw_sink {
    hv_sink base;
    hv_output output;
    bool length_prefix;
    unsigned char separator[HV_RAW_SEPARATOR_MAX];
    size_t separator_len;
} raw_sink;

static hv_rc
raw_begin(hv_sink *sink, hv_sink_start *start, hv_err *err)
{
    (void)sink;
    (void)start;
    (void)err;
    return HV_OK;
}

static hv_rc
raw_event(hv_sink *sink, const hv_partition *from, const hv_event *event, hv_err *err)
{
    raw_sink *raw = (raw_sink *)sink;
    hv_buf *to = &raw->output.buf;

    (void)from;
    if (event->value.data == NULL) {
        sink->facts.skipped_nulls++;
        return HV_OK;
    }
    if (raw->length_prefix) {
        uint32_t len = (uint32_t)event->value.len;
        if (len != event->value.len)
            return hv_err_set(err, HV_LIMIT, "a value of %zu bytes at offset %" PRId64 " has no length of 4 bytes",
                              event->value.len,
                              event->offset);
        hv_buf_put(to, (unsigned char[]){(unsigned char)(len >> 24), (unsigned char)(len >> 16), (unsigned char)(len >> 8),
                                         (unsigned char)len}, 4);
    }
    hv_buf_put(to, event->value.data, event->value.len);
    hv_buf_put(to, raw->separator, raw->separator_len);
    sink->facts.events++;
    return hv_output_full_write(&raw->output, err);
}

static hv_rc
raw_flush(hv_sink *sink, hv_err *err)
{
    raw_sink *raw = (raw_sink *)sink;

    hv_rc rc = hv_output_write(&raw->output, err);
    sink->facts.bytes = raw->output.written;
    return rc;
}

static void
raw_close(hv_sink *sink)
{
    hv_output_free(&((raw_sink *)sink)->output);
    free(sink);
}

static const hv_sink_ops raw_ops = {
    .name = "raw", .begin = raw_begin, .event = raw_event, .flush = raw_flush, .end = raw_flush, .close = raw_close,
};

hv_rc
hv_sink_raw_open(const hv_sink_raw_config *config, hv_sink **ret, hv_err *err)
{
    if (config->separator.len > HV_RAW_SEPARATOR_MAX)
        return hv_err_set(err, HV_USAGE, "a separator has at most %d bytes, not %zu", HV_RAW_SEPARATOR_MAX, config->separator.len);
    raw_sink *raw = calloc(1, sizeof *raw);
    if (raw == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the output");
    raw->base.ops = &raw_ops;
    raw->output = hv_output_make(config->to.fd, config->to.name);
    raw->length_prefix = config->length_prefix;
    if (!config->length_prefix && config->separator.len > 0) {
        memcpy(raw->separator, config->separator.data, config->separator.len);
        raw->separator_len = config->separator.len;
    }
    *ret = &raw->base;
    return HV_OK;
}
