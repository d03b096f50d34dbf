/*
 * Behind the prefix, in base64: varints (segment/varint.h) and length-prefixed names in the order of the fields of hv_cursor, each
 * incarnation and partition as it is, and at the end the first 8 bytes of the SHA-256 of everything before. The checksum is against
 * typing errors and lost ends, not against forgery: a forged cursor can only ask for what its owner may read anyway.
 *
 * Parsing never trusts a count: an entry takes at least one byte per field, so a count is compared with the bytes that are left
 * before anything is allocated.
 */
#include "replay/cursor.h"

#include <inttypes.h>
#include <stdlib.h>

#include "common/base64.h"
#include "common/sha256.h"
#include "segment/varint.h"

#define PREFIX "hv1."
#define PREFIX_START "hv"

enum {
    CHECKSUM_SIZE = 8,
    BY_TIME = 1, FROM_OFFSET = 2, TO_OFFSET = 4, FROM_TIME = 8, TO_TIME = 16, FLAGS_END = 32,
    POSITION_MIN = 4,                   /* bytes of the shortest position */
    NAME_MIN = 2,                       /* of the shortest name with its length */
};

void
hv_cursor_clear(hv_cursor *cursor)
{
    free(cursor->patterns);
    free(cursor->hubs);
    free(cursor->positions);
    *cursor = (hv_cursor){0};
}

static void
put_name(hv_buf *to, const char *name)
{
    hv_varint_append_counted(to, hv_slice_text(name));
}

static void
put_bound(hv_buf *to, hv_cursor_bound bound)
{
    if (bound.set)
        hv_varint_append(to, bound.value);
}

static int64_t
flags_of(const hv_cursor *cursor)
{
    return (cursor->by_time ? BY_TIME : 0) | (cursor->from_offset.set ? FROM_OFFSET : 0) | (cursor->to_offset.set ? TO_OFFSET : 0)
           | (cursor->from_time.set ? FROM_TIME : 0) | (cursor->to_time.set ? TO_TIME : 0);
}

static void
put_content(const hv_cursor *cursor, hv_buf *to)
{
    put_name(to, cursor->vault);
    hv_varint_append(to, flags_of(cursor));
    hv_varint_append(to, cursor->incarnation);
    put_bound(to, cursor->from_offset);
    put_bound(to, cursor->to_offset);
    put_bound(to, cursor->from_time);
    put_bound(to, cursor->to_time);
    hv_buf_put(to, cursor->filters, sizeof cursor->filters);
    hv_varint_append(to, (int64_t)cursor->pattern_count);
    for (size_t i = 0; i < cursor->pattern_count; i++)
        put_name(to, cursor->patterns[i]);
    hv_varint_append(to, (int64_t)cursor->hub_count);
    for (size_t i = 0; i < cursor->hub_count; i++) {
        put_name(to, cursor->hubs[i].name);
        hv_varint_append(to, cursor->hubs[i].incarnation);
    }
    hv_varint_append(to, (int64_t)cursor->position_count);
    for (size_t i = 0; i < cursor->position_count; i++) {
        hv_varint_append(to, (int64_t)cursor->positions[i].hub);
        hv_varint_append(to, cursor->positions[i].incarnation);
        hv_varint_append(to, cursor->positions[i].partition);
        hv_varint_append(to, cursor->positions[i].next);
    }
}

hv_rc
hv_cursor_write(const hv_cursor *cursor, hv_buf *to, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf content = HV_BUF_INIT(HV_CURSOR_MAX_TEXT / 4 * 3 - 16);
    unsigned char hash[HV_SHA256_SIZE];

    put_content(cursor, &content);
    hv_slice covered = hv_buf_slice(&content);
    hv_sha256(&covered, 1, hash);
    hv_buf_put(&content, hash, CHECKSUM_SIZE);
    hv_rc rc = hv_buf_check(&content, err);
    if (rc != HV_OK)
        return hv_err_prefix(err, "a cursor over %zu partitions", cursor->position_count);
    hv_buf_put_text(to, PREFIX);
    hv_base64_encode(HV_BASE64_URL, hv_buf_slice(&content), to);
    return hv_buf_check(to, err);
}

/* Reads from `at` to `end`; after the first failure everything reads as 0. */
typedef struct parser {
    const unsigned char *at, *end;
    bool failed;
} parser;

static int64_t
take_int(parser *parse, int64_t min, int64_t max)
{
    int64_t number = 0;

    if (!parse->failed && (!hv_varint_get(&parse->at, parse->end, &number) || number < min || number > max))
        parse->failed = true;
    return parse->failed ? 0 : number;
}

static size_t
take_count(parser *parse, size_t max, size_t bytes_each)
{
    size_t left = (size_t)(parse->end - parse->at), fits = left / bytes_each;

    return (size_t)take_int(parse, 0, (int64_t)(fits < max ? fits : max));
}

static void
take_bytes(parser *parse, void *to, size_t len)
{
    if (parse->failed || (size_t)(parse->end - parse->at) < len) {
        parse->failed = true;
        return;
    }
    memcpy(to, parse->at, len);
    parse->at += len;
}

/* `to` has room for max + 1 bytes and holds zeros. Names have neither NUL nor blank nor control characters. */
static void
take_name(parser *parse, char *to, size_t max)
{
    size_t len = (size_t)take_int(parse, 1, (int64_t)max);

    take_bytes(parse, to, len);
    for (size_t i = 0; i < len && !parse->failed; i++)
        if (to[i] <= ' ' || to[i] >= 0x7f)
            parse->failed = true;
}

static hv_cursor_bound
take_bound(parser *parse, bool set)
{
    return (hv_cursor_bound){.set = set, .value = set ? take_int(parse, INT64_MIN, INT64_MAX) : 0};
}

static void *
take_array(parser *parse, size_t count, size_t size, hv_rc *rc)
{
    void *array = parse->failed || count == 0 ? NULL : calloc(count, size);

    if (array == NULL && !parse->failed && count > 0) {
        *rc = HV_NOMEM;
        parse->failed = true;
    }
    return array;
}

static void
take_request(parser *parse, hv_cursor *cursor)
{
    take_name(parse, cursor->vault, sizeof cursor->vault - 1);
    int64_t flags = take_int(parse, 0, FLAGS_END - 1);
    cursor->by_time = (flags & BY_TIME) != 0;
    cursor->incarnation = (uint32_t)take_int(parse, 0, UINT32_MAX);
    cursor->from_offset = take_bound(parse, (flags & FROM_OFFSET) != 0);
    cursor->to_offset = take_bound(parse, (flags & TO_OFFSET) != 0);
    cursor->from_time = take_bound(parse, (flags & FROM_TIME) != 0);
    cursor->to_time = take_bound(parse, (flags & TO_TIME) != 0);
    take_bytes(parse, cursor->filters, sizeof cursor->filters);
}

static void
take_hubs(parser *parse, hv_cursor *cursor, hv_rc *rc)
{
    size_t count = take_count(parse, HV_CURSOR_MAX_HUBS, NAME_MIN);

    cursor->patterns = take_array(parse, count, sizeof *cursor->patterns, rc);
    for (size_t i = 0; i < count && !parse->failed; i++, cursor->pattern_count++)
        take_name(parse, cursor->patterns[i], HV_HUB_SIZE - 1);
    count = take_count(parse, HV_CURSOR_MAX_HUBS, NAME_MIN + 1);
    cursor->hubs = take_array(parse, count, sizeof *cursor->hubs, rc);
    for (size_t i = 0; i < count && !parse->failed; i++, cursor->hub_count++) {
        take_name(parse, cursor->hubs[i].name, HV_HUB_SIZE - 1);
        cursor->hubs[i].incarnation = (uint32_t)take_int(parse, 1, UINT32_MAX);
        if (i > 0 && strcmp(cursor->hubs[i - 1].name, cursor->hubs[i].name) >= 0)
            parse->failed = true;
    }
}

static int
compare_positions(const hv_cursor_position *a, const hv_cursor_position *b)
{
    if (a->hub != b->hub)
        return a->hub < b->hub ? -1 : 1;
    if (a->incarnation != b->incarnation)
        return a->incarnation < b->incarnation ? -1 : 1;
    return a->partition == b->partition ? 0 : a->partition < b->partition ? -1 : 1;
}

static void
take_positions(parser *parse, hv_cursor *cursor, hv_rc *rc)
{
    size_t count = take_count(parse, SIZE_MAX, POSITION_MIN);

    if (count > 0 && cursor->hub_count == 0)
        parse->failed = true;
    cursor->positions = take_array(parse, count, sizeof *cursor->positions, rc);
    for (size_t i = 0; i < count && !parse->failed; i++, cursor->position_count++) {
        hv_cursor_position *position = &cursor->positions[i];
        position->hub = (size_t)take_int(parse, 0, (int64_t)cursor->hub_count - 1);
        position->incarnation = (uint32_t)take_int(parse, 1, UINT32_MAX);
        position->partition = (int32_t)take_int(parse, 0, INT32_MAX);
        position->next = take_int(parse, 0, INT64_MAX);
        if (i > 0 && compare_positions(position - 1, position) >= 0)
            parse->failed = true;
    }
}

static hv_rc
decode_text(hv_slice text, hv_buf *content, hv_err *err)
{
    size_t prefix = strlen(PREFIX);
    const char *start = text.data;

    if (text.len > HV_CURSOR_MAX_TEXT)
        return hv_err_set(err, HV_USAGE, "a cursor has at most %d bytes, not %zu", (int)HV_CURSOR_MAX_TEXT, text.len);
    if (text.len < prefix || memcmp(start, PREFIX, prefix) != 0) {
        if (text.len > prefix && memcmp(start, PREFIX_START, strlen(PREFIX_START)) == 0 && start[2] >= '2' && start[2] <= '9')
            return hv_err_set(err, HV_VERSION, "this cursor has the form 'hv%c', written by a newer hubvault; this one reads 'hv1'",
                              start[2]);
        return hv_err_set(err, HV_USAGE, "a cursor begins with '%s'; this does not", PREFIX);
    }
    if (!hv_base64_decode(HV_BASE64_URL, hv_slice_of(start + prefix, text.len - prefix), content))
        return hv_err_set(err, HV_USAGE, "this cursor is damaged: copy it whole, without blanks");
    return hv_buf_check(content, err);
}

hv_rc
hv_cursor_parse(hv_slice text, hv_cursor *ret, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf content = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    HV_AUTO(hv_cursor_clear) hv_cursor cursor = {0};
    unsigned char hash[HV_SHA256_SIZE];
    hv_rc failure = HV_USAGE;

    hv_rc rc = decode_text(text, &content, err);
    if (rc != HV_OK)
        return rc;
    size_t covered_len = content.len < CHECKSUM_SIZE ? 0 : content.len - CHECKSUM_SIZE;
    hv_slice covered = hv_slice_of(content.data, covered_len);
    hv_sha256(&covered, 1, hash);
    if (content.len < CHECKSUM_SIZE || memcmp(hash, content.data + covered_len, CHECKSUM_SIZE) != 0)
        return hv_err_set(err, HV_USAGE, "this cursor is damaged: copy it whole, without blanks");
    parser parse = {.at = covered.data, .end = (const unsigned char *)covered.data + covered.len};
    take_request(&parse, &cursor);
    take_hubs(&parse, &cursor, &failure);
    take_positions(&parse, &cursor, &failure);
    if (failure == HV_NOMEM)
        return hv_err_set(err, HV_NOMEM, "no memory to read a cursor");
    if (parse.failed || parse.at != parse.end)
        return hv_err_set(err, HV_USAGE, "this is not a cursor that hubvault made");
    *ret = cursor;
    cursor = (hv_cursor){0};
    return HV_OK;
}

int64_t
hv_cursor_next(const hv_cursor *cursor, const hv_partition *partition, int64_t missing)
{
    size_t low = 0, high = cursor->position_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const hv_cursor_position *position = &cursor->positions[middle];
        hv_partition there = {.incarnation = position->incarnation, .number = position->partition};
        memcpy(there.hub, cursor->hubs[position->hub].name, sizeof there.hub);
        int order = hv_partition_compare(&there, partition);
        if (order == 0)
            return position->next;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return missing;
}
