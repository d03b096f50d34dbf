/*
 * Text form of the header: docs/FORMAT.md section "Segment header" has the fields in the order in which they stand here, twice:
 * once to write, once to read. The tests compare both with the JSON that an independent parser sees.
 */
#include "segment/header.h"

#include <inttypes.h>
#include <stdlib.h>

#include "segment/canonical_json.h"

static const char *const codec_names[] = {
    [HV_CODEC_ZSTANDARD] = "zstandard",
    [HV_CODEC_DEFLATE] = "deflate",
    [HV_CODEC_NULL] = "null",
};

const char *
hv_codec_name(hv_codec codec)
{
    return codec_names[codec];
}

bool
hv_codec_parse(const char *name, hv_codec *ret)
{
    for (unsigned codec = 0; codec < HV_CODECS; codec++)
        if (strcmp(name, codec_names[codec]) == 0) {
            *ret = (hv_codec)codec;
            return true;
        }
    return false;
}

void
hv_segment_header_free(hv_segment_header *header)
{
    if (header == NULL)
        return;
    for (size_t i = 0; i < header->class_count; i++)
        free(header->classes[i].ranges);
    free(header->classes);
    free(header->gaps);
    free(header->missing);
    free(header->schemas);
    free(header->blocks);
    free(header);
}

/* ---- writing ---- */

static void
put_field_int(hv_buf *to, const char *before, int64_t value)
{
    hv_buf_put_text(to, before);
    hv_json_put_int(to, value);
}

static void
put_field_hash(hv_buf *to, const char *before, bool present, const unsigned char *hash)
{
    hv_buf_put_text(to, before);
    if (present)
        hv_json_put_sha256(to, hash);
    else
        hv_buf_put_text(to, "null");
}

static void
put_field_text(hv_buf *to, const char *before, const char *text)
{
    hv_buf_put_text(to, before);
    hv_json_put_text(to, text);
}

static void
put_range(hv_buf *to, hv_range range)
{
    put_field_int(to, "[", range.first);
    put_field_int(to, ",", range.end);
}

static void
put_gaps(hv_buf *to, const char *before, const hv_gap *gaps, size_t count)
{
    hv_buf_put_text(to, before);
    for (size_t i = 0; i < count; i++) {
        hv_buf_put_text(to, i == 0 ? "" : ",");
        put_range(to, gaps[i].range);
        put_field_text(to, ",", hv_gap_cause_text(gaps[i].cause));
        hv_buf_put_byte(to, ']');
    }
    hv_buf_put_byte(to, ']');
}

static void
put_schemas(hv_buf *to, const hv_segment_header *header)
{
    hv_buf_put_text(to, ",\"schemas\":[");
    for (size_t i = 0; i < header->schema_count; i++)
        put_field_hash(to, i == 0 ? "" : ",", true, header->schemas[i]);
    hv_buf_put_byte(to, ']');
}

static void
put_class_map(hv_buf *to, const hv_class_map *map)
{
    put_field_text(to, "[", map->class_name);
    hv_buf_put_text(to, ",[");
    for (size_t i = 0; i < map->range_count; i++) {
        hv_buf_put_text(to, i == 0 ? "" : ",");
        put_range(to, map->ranges[i]);
        hv_buf_put_byte(to, ']');
    }
    hv_buf_put_text(to, "]]");
}

static void
put_block(hv_buf *to, const hv_block_ref *block)
{
    put_field_int(to, "[", (int64_t)block->position);
    put_field_int(to, ",", block->length);
    put_field_int(to, ",", block->first_offset);
    put_field_int(to, ",", block->count);
    put_field_int(to, ",", block->min_timestamp_ms);
    put_field_int(to, ",", block->max_timestamp_ms);
    put_field_hash(to, ",", true, block->sha256);
    hv_buf_put_byte(to, ']');
}

void
hv_segment_header_write(const hv_segment_header *header, hv_buf *to)
{
    put_field_int(to, "{\"format\":", HV_SEGMENT_FORMAT);
    put_field_text(to, ",\"vault\":", header->vault);
    put_field_text(to, ",\"hub\":", header->partition.hub);
    put_field_int(to, ",\"incarnation\":", header->partition.incarnation);
    put_field_int(to, ",\"partition\":", header->partition.number);
    put_field_text(to, ",\"class\":", header->class_name);
    put_field_hash(to, ",\"policy\":", header->has_policy, header->policy);
    put_field_int(to, ",\"created\":", header->created_ms);
    hv_buf_put_text(to, ",\"cut\":");
    put_range(to, header->cut);
    hv_buf_put_text(to, "],\"classes\":[");
    for (size_t i = 0; i < header->class_count; i++) {
        hv_buf_put_text(to, i == 0 ? "" : ",");
        put_class_map(to, &header->classes[i]);
    }
    put_gaps(to, "],\"gaps\":[", header->gaps, header->gap_count);
    put_field_hash(to, ",\"lead\":", header->is_sibling, header->lead_sha256);
    put_gaps(to, ",\"missing\":[", header->missing, header->missing_count);
    put_schemas(to, header);
    put_field_int(to, ",\"count\":", header->count);
    put_field_int(to, ",\"min_timestamp\":", header->min_timestamp_ms);
    put_field_int(to, ",\"max_timestamp\":", header->max_timestamp_ms);
    put_field_hash(to, ",\"merkle_root\":", true, header->merkle_root);
    put_field_int(to, ",\"blocks_bytes\":", (int64_t)header->blocks_bytes);
    hv_buf_put_text(to, ",\"blocks\":[");
    for (size_t i = 0; i < header->block_count; i++) {
        hv_buf_put_text(to, i == 0 ? "" : ",");
        put_block(to, &header->blocks[i]);
    }
    hv_buf_put_text(to, "]}");
}

/* ---- reading ---- */

static int64_t
scan_field_int(hv_json_scan *scan, const char *before, int64_t min, int64_t max)
{
    hv_json_scan_literal(scan, before);
    return hv_json_scan_int(scan, min, max);
}

static void
scan_field_text(hv_json_scan *scan, const char *before, char *ret, size_t size)
{
    hv_json_scan_literal(scan, before);
    hv_json_scan_text(scan, ret, size);
}

static void
scan_field_hash(hv_json_scan *scan, const char *before, bool *present, unsigned char *ret)
{
    hv_json_scan_literal(scan, before);
    *present = !hv_json_scan_null(scan);
    if (*present)
        hv_json_scan_sha256(scan, ret);
}

static hv_range
scan_range(hv_json_scan *scan)
{
    hv_range range;

    range.first = scan_field_int(scan, "[", 0, INT64_MAX);
    range.end = scan_field_int(scan, ",", 0, INT64_MAX);
    return range;
}

static void
scan_cause(hv_json_scan *scan, hv_gap_cause *ret)
{
    char text[16];

    scan_field_text(scan, ",", text, sizeof text);
    if (scan->rc == HV_OK && !hv_gap_cause_parse(text, ret))
        (void)hv_json_scan_fail(scan, "the cause of a gap before this");
}

static void
scan_gaps(hv_json_scan *scan, const char *before, hv_gap **gaps, size_t *count)
{
    size_t room = 0;

    hv_json_scan_literal(scan, before);
    while (hv_json_scan_more(scan, *count)) {
        hv_gap *moved = hv_json_scan_grow(scan, *gaps, *count, &room, sizeof **gaps, HV_SEGMENT_MAX_GAPS);
        if (moved == NULL)
            return;
        *gaps = moved;
        hv_gap *gap = &moved[*count];
        *gap = (hv_gap){.range = scan_range(scan)};
        scan_cause(scan, &gap->cause);
        hv_json_scan_literal(scan, "]");
        ++*count;
    }
}

static void
scan_schemas(hv_json_scan *scan, hv_segment_header *header)
{
    size_t room = 0;

    hv_json_scan_literal(scan, ",\"schemas\":[");
    while (hv_json_scan_more(scan, header->schema_count)) {
        void *moved = hv_json_scan_grow(scan, header->schemas, header->schema_count, &room, sizeof *header->schemas,
                                        HV_SEGMENT_MAX_SCHEMAS);
        if (moved == NULL)
            return;
        header->schemas = moved;
        hv_json_scan_sha256(scan, header->schemas[header->schema_count++]);
    }
}

static void
scan_class_map(hv_json_scan *scan, hv_class_map *map)
{
    size_t room = 0;

    scan_field_text(scan, "[", map->class_name, sizeof map->class_name);
    hv_json_scan_literal(scan, ",[");
    while (hv_json_scan_more(scan, map->range_count)) {
        hv_range *moved = hv_json_scan_grow(scan, map->ranges, map->range_count, &room, sizeof *map->ranges, HV_SEGMENT_MAX_GAPS);
        if (moved == NULL)
            return;
        map->ranges = moved;
        map->ranges[map->range_count++] = scan_range(scan);
        hv_json_scan_literal(scan, "]");
    }
    hv_json_scan_literal(scan, "]");
}

static void
scan_classes(hv_json_scan *scan, hv_segment_header *header)
{
    size_t room = 0;

    hv_json_scan_literal(scan, "],\"classes\":[");
    while (hv_json_scan_more(scan, header->class_count)) {
        hv_class_map *moved = hv_json_scan_grow(scan, header->classes, header->class_count, &room, sizeof *header->classes,
                                                HV_SEGMENT_MAX_CLASSES);
        if (moved == NULL)
            return;
        header->classes = moved;
        hv_class_map *map = &moved[header->class_count++];
        *map = (hv_class_map){.ranges = NULL};
        scan_class_map(scan, map);
    }
}

static void
scan_block(hv_json_scan *scan, hv_block_ref *block)
{
    bool present;

    block->position = (uint64_t)scan_field_int(scan, "[", 0, INT64_MAX);
    block->length = (uint32_t)scan_field_int(scan, ",", 0, UINT32_MAX);
    block->first_offset = scan_field_int(scan, ",", 0, INT64_MAX);
    block->count = (int32_t)scan_field_int(scan, ",", 0, INT32_MAX);
    block->min_timestamp_ms = scan_field_int(scan, ",", INT64_MIN, INT64_MAX);
    block->max_timestamp_ms = scan_field_int(scan, ",", INT64_MIN, INT64_MAX);
    scan_field_hash(scan, ",", &present, block->sha256);
    if (!present)
        (void)hv_json_scan_fail(scan, "the SHA-256 of a block before this");
    hv_json_scan_literal(scan, "]");
}

static void
scan_blocks(hv_json_scan *scan, hv_segment_header *header)
{
    size_t room = 0;

    hv_json_scan_literal(scan, ",\"blocks\":[");
    while (hv_json_scan_more(scan, header->block_count)) {
        hv_block_ref *moved = hv_json_scan_grow(scan, header->blocks, header->block_count, &room, sizeof *header->blocks,
                                                HV_SEGMENT_MAX_BLOCKS);
        if (moved == NULL)
            return;
        header->blocks = moved;
        scan_block(scan, &header->blocks[header->block_count++]);
    }
}

static void
scan_place(hv_json_scan *scan, hv_segment_header *header)
{
    scan_field_text(scan, ",\"vault\":", header->vault, sizeof header->vault);
    scan_field_text(scan, ",\"hub\":", header->partition.hub, sizeof header->partition.hub);
    header->partition.incarnation = (uint32_t)scan_field_int(scan, ",\"incarnation\":", 1, UINT32_MAX);
    header->partition.number = (int32_t)scan_field_int(scan, ",\"partition\":", 0, INT32_MAX);
    scan_field_text(scan, ",\"class\":", header->class_name, sizeof header->class_name);
    scan_field_hash(scan, ",\"policy\":", &header->has_policy, header->policy);
    header->created_ms = scan_field_int(scan, ",\"created\":", INT64_MIN, INT64_MAX);
    hv_json_scan_literal(scan, ",\"cut\":");
    header->cut = scan_range(scan);
    scan_classes(scan, header);
    scan_gaps(scan, ",\"gaps\":[", &header->gaps, &header->gap_count);
}

static void
scan_contents(hv_json_scan *scan, hv_segment_header *header)
{
    bool present;

    scan_field_hash(scan, ",\"lead\":", &header->is_sibling, header->lead_sha256);
    scan_gaps(scan, ",\"missing\":[", &header->missing, &header->missing_count);
    scan_schemas(scan, header);
    header->count = scan_field_int(scan, ",\"count\":", 0, INT64_MAX);
    header->min_timestamp_ms = scan_field_int(scan, ",\"min_timestamp\":", INT64_MIN, INT64_MAX);
    header->max_timestamp_ms = scan_field_int(scan, ",\"max_timestamp\":", INT64_MIN, INT64_MAX);
    scan_field_hash(scan, ",\"merkle_root\":", &present, header->merkle_root);
    if (!present)
        (void)hv_json_scan_fail(scan, "the Merkle root before this");
    header->blocks_bytes = (uint64_t)scan_field_int(scan, ",\"blocks_bytes\":", 0, INT64_MAX);
    scan_blocks(scan, header);
    hv_json_scan_literal(scan, "}");
}

static hv_rc
scan_format(hv_json_scan *scan)
{
    int64_t format = scan_field_int(scan, "{\"format\":", 1, INT64_MAX);

    if (scan->rc != HV_OK)
        return hv_err_prefix(scan->err, "segment header");
    if (format > HV_SEGMENT_FORMAT)
        scan->rc = hv_err_set(scan->err, HV_VERSION, "segment format %" PRId64 " is newer than %d, the newest this program knows", format,
                              HV_SEGMENT_FORMAT);
    return scan->rc;
}

hv_rc
hv_segment_format_check(hv_slice json, hv_err *err)
{
    hv_json_scan scan = hv_json_scan_make(json, err);

    return scan_format(&scan);
}

hv_rc
hv_segment_header_parse(hv_slice json, hv_codec codec, hv_segment_header **ret, hv_err *err)
{
    HV_AUTO(hv_segment_header_free) hv_segment_header *header = calloc(1, sizeof *header);
    hv_json_scan scan = hv_json_scan_make(json, err);

    if (header == NULL)
        return hv_err_set(err, HV_NOMEM, "no memory for a segment header");
    header->codec = codec;
    if (scan_format(&scan) != HV_OK)
        return scan.rc;
    scan_place(&scan, header);
    scan_contents(&scan, header);
    if (hv_json_scan_end(&scan) != HV_OK)
        return hv_err_prefix(err, "segment header");
    hv_rc rc = hv_segment_header_check(header, err);
    if (rc != HV_OK)
        return rc;
    *ret = HV_TAKE(header);
    return HV_OK;
}
