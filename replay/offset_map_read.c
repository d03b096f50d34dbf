/*
 * Lines of JSON with one spelling each:
 *
 *   {"offset-map":1,"vault":"...","id":"...","request":"<16 digits>"}
 *   {"source":0,"from":["orders",1,0],"to":["copy",0],"first":0,"begin":0}
 *   {"runs":0,"at":[[0,0,5,2,7],...]}         from old 0 and new 0: 5 events, 2 old offsets that are skipped, 7 events
 *   {"finished":true}
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "replay/offset_map.h"
#include "segment/canonical_json.h"

enum { LINE_MAX_BYTES = 16 << 20, CHUNK = 64 << 10, MAP_FORMAT = 1, MAX_SOURCES = 1 << 20 };

typedef struct map_reader {
    const hv_offset_map_visitor *visitor;
    hv_offset_map_head head;
    uint32_t sources;
    bool began;
} map_reader;

static void
close_file(FILE *file)
{
    if (file != NULL)
        (void)fclose(file);
}
HV_DEFINE_AUTO(FILE, close_file);

/* The next line with its line feed; an empty one at the end. A line without a line feed is a last one that a crash cut off: none either. */
static hv_rc
read_line(FILE *file, hv_buf *line, hv_err *err)
{
    char chunk[CHUNK];

    hv_buf_clear(line);
    while (fgets(chunk, sizeof chunk, file) != NULL) {
        size_t len = strlen(chunk);     /* a NUL byte ends a chunk early, and then no line feed follows it: damaged, or cut off */
        hv_buf_put(line, chunk, len);
        if (line->failed != HV_OK)
            return hv_err_set(err, line->failed == HV_LIMIT ? HV_CORRUPT : HV_NOMEM, "a line of more than %d bytes", LINE_MAX_BYTES);
        if (len > 0 && chunk[len - 1] == '\n')
            return HV_OK;
        if (len + 1 < sizeof chunk && !feof(file))
            return hv_err_set(err, HV_CORRUPT, "a byte of value 0 in a line");
    }
    hv_buf_clear(line);
    return ferror(file) != 0 ? hv_err_set(err, HV_IO, "%s", strerror(errno)) : HV_OK;
}

static bool
starts_with(hv_slice line, const char *text)
{
    size_t len = strlen(text);

    return line.len >= len && memcmp(line.data, text, len) == 0;
}

static void
scan_request(hv_json_scan *scan, unsigned char ret[HV_OFFSET_MAP_REQUEST_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char text[2 * HV_OFFSET_MAP_REQUEST_SIZE + 1];

    hv_json_scan_text(scan, text, sizeof text);
    if (scan->rc == HV_OK && (strlen(text) != sizeof text - 1 || strspn(text, digits) != sizeof text - 1))
        (void)hv_json_scan_fail(scan, "16 digits before this");
    for (size_t i = 0; scan->rc == HV_OK && i < HV_OFFSET_MAP_REQUEST_SIZE; i++)
        ret[i] = (unsigned char)((strchr(digits, text[2 * i]) - digits) << 4 | (strchr(digits, text[2 * i + 1]) - digits));
}

static hv_rc
take_head(map_reader *reader, hv_slice line, hv_err *err)
{
    hv_json_scan scan = hv_json_scan_make(line, err);

    hv_json_scan_literal(&scan, "{\"offset-map\":");
    int64_t format = hv_json_scan_int(&scan, 1, INT64_MAX);
    if (scan.rc == HV_OK && format > MAP_FORMAT)
        return hv_err_set(err, HV_VERSION, "format %" PRId64 " is newer than %d, the newest this program knows", format, MAP_FORMAT);
    hv_json_scan_literal(&scan, ",\"vault\":");
    hv_json_scan_text(&scan, reader->head.vault, sizeof reader->head.vault);
    hv_json_scan_literal(&scan, ",\"id\":");
    hv_json_scan_text(&scan, reader->head.id, sizeof reader->head.id);
    hv_json_scan_literal(&scan, ",\"request\":");
    scan_request(&scan, reader->head.request);
    hv_json_scan_literal(&scan, "}\n");
    reader->began = true;
    return hv_json_scan_end(&scan);
}

static hv_rc
take_source(map_reader *reader, hv_slice line, hv_err *err)
{
    hv_json_scan scan = hv_json_scan_make(line, err);
    hv_mapped_source source = {.to = 0};
    char hub[HV_HUB_SIZE];
    hv_err why;

    hv_json_scan_literal(&scan, "{\"source\":");
    (void)hv_json_scan_int(&scan, reader->sources, reader->sources);
    hv_json_scan_literal(&scan, ",\"from\":[");
    hv_json_scan_text(&scan, hub, sizeof hub);
    hv_json_scan_literal(&scan, ",");
    uint32_t incarnation = (uint32_t)hv_json_scan_int(&scan, 1, UINT32_MAX);
    hv_json_scan_literal(&scan, ",");
    int32_t number = (int32_t)hv_json_scan_int(&scan, 0, INT32_MAX);
    hv_json_scan_literal(&scan, "],\"to\":[");
    hv_json_scan_text(&scan, source.topic, sizeof source.topic);
    hv_json_scan_literal(&scan, ",");
    source.to = (int32_t)hv_json_scan_int(&scan, 0, INT32_MAX);
    hv_json_scan_literal(&scan, "],\"first\":");
    source.first = hv_json_scan_int(&scan, 0, INT64_MAX);
    hv_json_scan_literal(&scan, ",\"begin\":");
    source.begin = hv_json_scan_int(&scan, 0, INT64_MAX);
    hv_json_scan_literal(&scan, "}\n");
    if (hv_json_scan_end(&scan) != HV_OK)
        return scan.rc;
    if (hv_partition_make(hub, incarnation, number, &source.from, &why) != HV_OK || hv_hub_name_check(source.topic, &why) != HV_OK)
        return hv_err_set(err, HV_CORRUPT, "%s", why.msg);
    if (reader->sources == MAX_SOURCES)
        return hv_err_set(err, HV_CORRUPT, "more than %d sources", MAX_SOURCES);
    return reader->visitor->source(reader->visitor->arg, reader->sources++, &source, err);
}

/* [old,new,count,gap,count,...] behind its bracket, to and with the closing one. */
static void
scan_runs(map_reader *reader, hv_json_scan *scan, uint32_t source, int64_t *above)
{
    int64_t old_first = hv_json_scan_int(scan, *above, INT64_MAX);
    hv_json_scan_literal(scan, ",");
    int64_t new_first = hv_json_scan_int(scan, 0, INT64_MAX);
    hv_json_scan_literal(scan, ",");

    while (scan->rc == HV_OK) {
        int64_t most = old_first > new_first ? old_first : new_first, count = hv_json_scan_int(scan, 1, INT64_MAX - most);
        if (scan->rc == HV_OK)
            scan->rc = reader->visitor->run(reader->visitor->arg, source, old_first, new_first, count, scan->err);
        old_first += count;
        new_first += count;
        *above = old_first;
        if (scan->rc != HV_OK || (scan->at < scan->end && *scan->at == ']'))
            break;
        hv_json_scan_literal(scan, ",");
        old_first += hv_json_scan_int(scan, 1, INT64_MAX - old_first);
        hv_json_scan_literal(scan, ",");
    }
    hv_json_scan_literal(scan, "]");
}

static hv_rc
take_runs(map_reader *reader, hv_slice line, hv_err *err)
{
    hv_json_scan scan = hv_json_scan_make(line, err);
    int64_t above = 0;

    hv_json_scan_literal(&scan, "{\"runs\":");
    uint32_t source = (uint32_t)hv_json_scan_int(&scan, 0, (int64_t)reader->sources - 1);
    hv_json_scan_literal(&scan, ",\"at\":[");
    for (size_t i = 0; hv_json_scan_more(&scan, i);) {
        hv_json_scan_literal(&scan, "[");
        scan_runs(reader, &scan, source, &above);
        i = 1;
    }
    hv_json_scan_literal(&scan, "}\n");
    return hv_json_scan_end(&scan);
}

static hv_rc
take_line(map_reader *reader, hv_slice line, hv_err *err)
{
    if (!reader->began)
        return take_head(reader, line, err);
    if (reader->head.finished)
        return hv_err_set(err, HV_CORRUPT, "a line behind the last one");
    if (starts_with(line, "{\"source\":"))
        return take_source(reader, line, err);
    if (starts_with(line, "{\"runs\":"))
        return take_runs(reader, line, err);
    hv_json_scan scan = hv_json_scan_make(line, err);
    hv_json_scan_literal(&scan, "{\"finished\":true}\n");
    reader->head.finished = true;
    return hv_json_scan_end(&scan);
}

hv_rc
hv_offset_map_read_head(const char *path, hv_offset_map_head *ret, hv_err *err)
{
    HV_AUTO(close_file) FILE *file = fopen(path, "re");
    HV_AUTO(hv_buf_free) hv_buf line = HV_BUF_INIT(LINE_MAX_BYTES);
    map_reader reader = {.visitor = NULL};

    if (file == NULL)
        return hv_err_set(err, errno == ENOENT ? HV_NOT_FOUND : HV_IO, "offset map '%s': %s", path, strerror(errno));
    hv_rc rc = read_line(file, &line, err);
    if (rc == HV_OK)
        rc = take_head(&reader, hv_buf_slice(&line), err);
    if (rc != HV_OK)
        return hv_err_prefix(err, "offset map '%s'", path);
    *ret = reader.head;
    return HV_OK;
}

hv_rc
hv_offset_map_walk(const char *path, const hv_offset_map_visitor *visitor, hv_offset_map_head *ret, hv_err *err)
{
    HV_AUTO(close_file) FILE *file = fopen(path, "re");
    HV_AUTO(hv_buf_free) hv_buf line = HV_BUF_INIT(LINE_MAX_BYTES);
    map_reader reader = {.visitor = visitor};
    hv_rc rc = HV_OK;

    if (file == NULL)
        return hv_err_set(err, errno == ENOENT ? HV_NOT_FOUND : HV_IO, "offset map '%s': %s", path, strerror(errno));
    for (int64_t number = 1; rc == HV_OK; number++) {
        rc = read_line(file, &line, err);
        if (rc == HV_OK && line.len == 0)
            break;
        if (rc == HV_OK)
            rc = take_line(&reader, hv_buf_slice(&line), err);
        if (rc != HV_OK)
            return hv_err_prefix(err, "offset map '%s', line %" PRId64, path, number);
    }
    if (!reader.began)
        return hv_err_set(err, HV_CORRUPT, "offset map '%s' is empty", path);
    *ret = reader.head;
    return HV_OK;
}
