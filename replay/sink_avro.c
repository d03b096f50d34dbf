/*
 * An Avro object container file of hubvault.v1.ReplayedEvent. That record is hubvault.v1.Event, the one of the segments, with three
 * fields in front: one file may hold many partitions, and an offset alone does not say whose it is. In Avro's binary form the
 * fields of a record stand one behind the other, so what is written is these three and then the event as the segment codec encodes
 * it; the schema is made from that of the segments in the same way.
 *
 * The sync marker follows from vault and request: the same replay gives the same bytes.
 */
#include "replay/output.h"
#include "replay/sinks.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "segment/block.h"
#include "segment/segment_file.h"
#include "segment/varint.h"

enum {
    BLOCK_RAW = 256 << 10,
    BLOCK_EVENTS = 1 << 20,
    GOOD_ZSTD = 1,
    GOOD_DEFLATE = 6,
};

static const unsigned char magic[4] = {'O', 'b', 'j', 1};
static const char schema_start[] =
    "{\"type\":\"record\",\"name\":\"ReplayedEvent\",\"namespace\":\"hubvault.v1\",\"fields\":["
    "{\"name\":\"hub\",\"type\":\"string\"},{\"name\":\"incarnation\",\"type\":\"int\"},{\"name\":\"partition\",\"type\":\"int\"},";

typedef struct avro_sink {
    hv_sink base;
    hv_output output;
    hv_block_format format;
    hv_block_coder *coder;
    hv_buf raw;
    hv_block_facts facts;               /* of what is in raw */
    hv_partition from;                  /* `opening` is for this one */
    hv_buf opening;
} avro_sink;

static void
put_text(hv_buf *to, const char *text)
{
    hv_varint_append_counted(to, hv_slice_text(text));
}

static void
put_schema(hv_buf *to)
{
    static const char before_fields[] = "\"fields\":[";
    const char *fields = strstr(hv_event_schema, before_fields);

    assert(fields != NULL);
    fields += sizeof before_fields - 1;
    hv_varint_append(to, (int64_t)(sizeof schema_start - 1 + strlen(fields)));
    hv_buf_put_text(to, schema_start);
    hv_buf_put_text(to, fields);
}

static hv_rc
avro_begin(hv_sink *sink, hv_sink_start *start, hv_err *err)
{
    avro_sink *avro = (avro_sink *)sink;
    hv_buf *to = &avro->output.buf;
    unsigned char hash[HV_SHA256_SIZE];
    hv_slice parts[] = {hv_slice_text("hubvault replay"), hv_slice_text(start->vault), hv_slice_of(start->request, 8)};

    hv_sha256(parts, sizeof parts / sizeof *parts, hash);
    memcpy(avro->format.sync, hash, sizeof avro->format.sync);
    hv_buf_put(to, magic, sizeof magic);
    hv_varint_append(to, 2);
    put_text(to, "avro.codec");
    put_text(to, hv_codec_name(avro->format.codec));
    put_text(to, "avro.schema");
    put_schema(to);
    hv_varint_append(to, 0);
    hv_buf_put(to, avro->format.sync, sizeof avro->format.sync);
    return hv_buf_check(to, err);
}

static hv_rc
close_block(avro_sink *avro, hv_err *err)
{
    HV_AUTO(hv_block_free) hv_block block = {.stored = NULL};

    if (avro->facts.count == 0)
        return HV_OK;
    hv_rc rc = hv_buf_check(&avro->raw, err);
    if (rc == HV_OK)
        rc = hv_block_seal(avro->coder, &avro->format, &avro->facts, hv_buf_slice(&avro->raw), &block, err);
    if (rc != HV_OK)
        return hv_err_prefix(err, "avro block of '%s'", avro->output.name);
    hv_buf_put(&avro->output.buf, block.stored, block.ref.length);
    hv_buf_clear(&avro->raw);
    avro->facts.count = 0;
    return HV_OK;
}

static hv_rc
make_opening(avro_sink *avro, const hv_partition *from, hv_err *err)
{
    if (from->incarnation > INT32_MAX)
        return hv_err_set(err, HV_LIMIT, "incarnation %" PRIu32 " does not fit an Avro int", from->incarnation);
    avro->from = *from;
    hv_buf_clear(&avro->opening);
    put_text(&avro->opening, from->hub);
    hv_varint_append(&avro->opening, from->incarnation);
    hv_varint_append(&avro->opening, from->number);
    return hv_buf_check(&avro->opening, err);
}

static hv_rc
avro_event(hv_sink *sink, const hv_partition *from, const hv_event *event, hv_err *err)
{
    avro_sink *avro = (avro_sink *)sink;
    hv_rc rc = HV_OK;

    if (hv_partition_compare(from, &avro->from) != 0)
        rc = make_opening(avro, from, err);
    if (rc != HV_OK)
        return rc;
    /* Only readers of segments need these facts; they have to be possible, no more. */
    if (avro->facts.count == 0)
        avro->facts = (hv_block_facts){.first_offset = 0, .last_offset = 0};
    hv_buf_put(&avro->raw, avro->opening.data, avro->opening.len);
    hv_event_encode(event, &avro->raw);
    avro->facts.count++;
    sink->facts.events++;
    if (avro->raw.len >= BLOCK_RAW || avro->facts.count == BLOCK_EVENTS || avro->raw.failed != HV_OK)
        rc = close_block(avro, err);
    return rc == HV_OK ? hv_output_full_write(&avro->output, err) : rc;
}

static hv_rc
avro_flush(hv_sink *sink, hv_err *err)
{
    avro_sink *avro = (avro_sink *)sink;

    hv_rc rc = close_block(avro, err);
    if (rc == HV_OK)
        rc = hv_output_write(&avro->output, err);
    sink->facts.bytes = avro->output.written;
    return rc;
}

static void
avro_close(hv_sink *sink)
{
    avro_sink *avro = (avro_sink *)sink;

    hv_output_free(&avro->output);
    hv_block_coder_free(avro->coder);
    hv_buf_free(&avro->raw);
    hv_buf_free(&avro->opening);
    free(avro);
}

static const hv_sink_ops avro_ops = {
    .name = "avro", .begin = avro_begin, .event = avro_event, .flush = avro_flush, .end = avro_flush, .close = avro_close,
};

static hv_rc
check_level(const hv_sink_avro_config *config, hv_err *err)
{
    int highest = config->codec == HV_CODEC_ZSTANDARD ? 19 : config->codec == HV_CODEC_DEFLATE ? 12 : 0;

    if (config->level < 0 || config->level > highest)
        return hv_err_set(err, HV_USAGE, "the level of %s is 0 (a good one) to %d, not %d", hv_codec_name(config->codec), highest,
                          config->level);
    return HV_OK;
}

hv_rc
hv_sink_avro_open(const hv_sink_avro_config *config, hv_sink **ret, hv_err *err)
{
    HV_AUTO(hv_sink_close) hv_sink *sink = NULL;

    hv_rc rc = check_level(config, err);
    if (rc != HV_OK)
        return rc;
    avro_sink *avro = calloc(1, sizeof *avro);
    if (avro == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for the output");
    sink = &avro->base;
    sink->ops = &avro_ops;
    avro->output = hv_output_make(config->to.fd, config->to.name);
    avro->raw = (hv_buf)HV_BUF_INIT(HV_BLOCK_MAX_RAW);
    avro->opening = (hv_buf)HV_BUF_INIT(1024);
    avro->format.codec = config->codec;
    avro->format.level = config->level > 0 ? config->level : config->codec == HV_CODEC_DEFLATE ? GOOD_DEFLATE : GOOD_ZSTD;
    rc = hv_block_coder_new(&avro->coder, err);
    if (rc == HV_OK)
        *ret = HV_TAKE(sink);
    return rc;
}
