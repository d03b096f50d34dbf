/*
 * Layout of an event: offset, timestamp and timestamp_type as varints; key as a union index (0 null, 1 bytes) and then length and
 * bytes; headers as array blocks (a count, that many items, ... a count of 0); value like key; seal as a union index.
 *
 * Encoding reserves the longest possible form once and writes without further checks: hv_event_encoded_max() sums the very fields
 * that the writer visits. Decoding works on a copy of the reader's position which is stored back only when the whole event was
 * read; every length is compared with the bytes that are left before it is used, so neither a pointer nor an allocation can be
 * larger than what the block justifies.
 */
#include "segment/event_codec.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "segment/varint.h"

enum {
    FIXED_MAX = 3 * HV_VARINT_MAX + 2 + 2 * HV_VARINT_MAX + 1 + HV_VARINT_MAX,  /* an event of null or empty fields */
    HEADER_FIXED_MAX = 2 * HV_VARINT_MAX + 1,
    HEADER_MIN = 2,                     /* empty name, null value */
};

size_t
hv_event_encoded_max(const hv_event *event)
{
    size_t max = FIXED_MAX + event->key.len + event->value.len;

    for (size_t i = 0; i < event->header_count; i++)
        max += HEADER_FIXED_MAX + event->headers[i].name.len + event->headers[i].value.len;
    return max;
}

static inline unsigned char *
put_bytes(unsigned char *at, hv_slice bytes)
{
    at = hv_varint_put(at, (int64_t)bytes.len);
    if (bytes.len > 0)
        memcpy(at, bytes.data, bytes.len);
    return at + bytes.len;
}

static inline unsigned char *
put_optional(unsigned char *at, hv_slice bytes)
{
    if (bytes.data == NULL) {
        *at++ = 0;
        return at;
    }
    *at++ = 2;                          /* union index 1 */
    return put_bytes(at, bytes);
}

static bool
readable_again(const hv_event *event)
{
    if (event->key.len > HV_EVENT_MAX_BYTES || event->value.len > HV_EVENT_MAX_BYTES || event->header_count > HV_EVENT_MAX_HEADERS)
        return false;
    for (size_t i = 0; i < event->header_count; i++)
        if (event->headers[i].name.len > HV_EVENT_MAX_BYTES || event->headers[i].value.len > HV_EVENT_MAX_BYTES)
            return false;
    return true;
}

void
hv_event_encode(const hv_event *event, hv_buf *to)
{
    if (!readable_again(event)) {
        to->failed = to->failed == HV_OK ? HV_LIMIT : to->failed;
        return;
    }
    unsigned char *start = (unsigned char *)hv_buf_reserve(to, hv_event_encoded_max(event)), *at = start;
    if (start == NULL)
        return;
    at = hv_varint_put(at, event->offset);
    at = hv_varint_put(at, event->timestamp_ms);
    at = hv_varint_put(at, event->timestamp_type);
    at = put_optional(at, event->key);
    if (event->header_count > 0)
        at = hv_varint_put(at, (int64_t)event->header_count);
    for (size_t i = 0; i < event->header_count; i++) {
        at = put_bytes(at, event->headers[i].name);
        at = put_optional(at, event->headers[i].value);
    }
    *at++ = 0;                          /* end of the headers */
    at = put_optional(at, event->value);
    *at++ = 0;                          /* no seal */
    to->len += (size_t)(at - start);
    to->data[to->len] = '\0';
}

void
hv_event_reader_free(hv_event_reader *reader)
{
    free(reader->headers);
    *reader = (hv_event_reader){0};
}

/* Why an event cannot be read: the first failure, by field. */
typedef struct cursor {
    const unsigned char *at, *end;
    hv_rc rc;
    const char *field, *problem;
} cursor;

static bool
fail(cursor *c, hv_rc rc, const char *field, const char *problem)
{
    c->rc = rc;
    c->field = field;
    c->problem = problem;
    return false;
}

static inline bool
get_long(cursor *c, const char *field, int64_t *ret)
{
    return hv_varint_get(&c->at, c->end, ret) || fail(c, HV_CORRUPT, field, "the number is cut off or has more than 64 bits");
}

static inline bool
get_bytes(cursor *c, const char *field, hv_slice *ret)
{
    int64_t len;

    if (!get_long(c, field, &len))
        return false;
    if (len < 0 || len > HV_EVENT_MAX_BYTES || len > c->end - c->at)
        return fail(c, HV_CORRUPT, field, "the length is negative, or more than what is left or allowed");
    *ret = (hv_slice){.data = c->at, .len = (size_t)len};
    c->at += len;
    return true;
}

static inline bool
get_optional(cursor *c, const char *field, hv_slice *ret)
{
    int64_t branch;

    if (!get_long(c, field, &branch))
        return false;
    if (branch == 0) {
        *ret = HV_SLICE_NULL;
        return true;
    }
    if (branch != 1)
        return fail(c, HV_CORRUPT, field, "the union has no such branch");
    return get_bytes(c, field, ret);
}

static inline bool
get_type(cursor *c, hv_timestamp_type *ret)
{
    int64_t symbol;

    if (!get_long(c, "timestamp_type", &symbol))
        return false;
    if (symbol < HV_TIMESTAMP_NONE || symbol > HV_TIMESTAMP_APPEND)
        return fail(c, HV_CORRUPT, "timestamp_type", "the enum has no such symbol");
    *ret = (hv_timestamp_type)symbol;
    return true;
}

/* Room for `more` further headers, which has been compared with the bytes that are left. */
static bool
make_room(hv_event_reader *reader, cursor *c, size_t have, size_t more)
{
    size_t wanted = have + more, room = reader->header_room < 8 ? 8 : reader->header_room;

    if (wanted <= reader->header_room)
        return true;
    while (room < wanted)
        room *= 2;
    hv_header *moved = realloc(reader->headers, room * sizeof *moved);
    if (moved == NULL)
        return fail(c, HV_NOMEM, "headers", "no memory");
    reader->headers = moved;
    reader->header_room = room;
    return true;
}

/* Count of the next array block, 0 at the end; *stop is where its items have to end, NULL if the block does not say. A negative
 * count means that the size in bytes follows (Avro specification, "Arrays"). */
static bool
get_block_count(cursor *c, size_t have, size_t *ret, const unsigned char **stop)
{
    int64_t count, size;

    *stop = NULL;
    if (!get_long(c, "headers", &count))
        return false;
    if (count < 0) {
        if (!get_long(c, "headers", &size))
            return false;
        if (size < 0 || size > c->end - c->at)
            return fail(c, HV_CORRUPT, "headers", "the size of an array block is more than what is left");
        *stop = c->at + size;
        count = count == INT64_MIN ? INT64_MAX : -count;
    }
    if (count > HV_EVENT_MAX_HEADERS - (int64_t)have || count > (c->end - c->at) / HEADER_MIN)
        return fail(c, HV_CORRUPT, "headers", "the count is more than what is left or allowed");
    *ret = (size_t)count;
    return true;
}

static bool
get_headers(hv_event_reader *reader, cursor *c, size_t *ret)
{
    const unsigned char *stop;
    size_t count, have = 0;

    for (;;) {
        if (!get_block_count(c, have, &count, &stop))
            return false;
        if (count == 0)
            break;
        if (!make_room(reader, c, have, count))
            return false;
        for (size_t end = have + count; have < end; have++) {
            hv_header *header = &reader->headers[have];
            if (!get_bytes(c, "header name", &header->name) || !get_optional(c, "header value", &header->value))
                return false;
        }
        if (stop != NULL && c->at != stop)
            return fail(c, HV_CORRUPT, "headers", "an array block has another size than it says");
    }
    *ret = have;
    return true;
}

static inline bool
get_seal(cursor *c)
{
    int64_t branch;

    if (!get_long(c, "seal", &branch))
        return false;
    if (branch == 0)
        return true;
    if (branch == 1)
        return fail(c, HV_VERSION, "seal", "the event is sealed, and this program cannot open seals");
    return fail(c, HV_CORRUPT, "seal", "the union has no such branch");
}

/* Events of a hub are often alike in size: brings the next one near while this one is worked on. */
static void
look_ahead(const unsigned char *at, const unsigned char *end, size_t size)
{
    enum { LINE = 64, MOST = 2048 };
    size_t ahead = size + LINE < MOST ? size + LINE : MOST, left = (size_t)(end - at);

    if (ahead > left)
        ahead = left;
    for (size_t line = LINE; line < ahead; line += LINE)
        __builtin_prefetch(at + line);
}

hv_rc
hv_event_reader_next(hv_event_reader *reader, hv_event *ret, hv_err *err)
{
    cursor c = {.at = reader->at, .end = reader->end};
    hv_event event = {.offset = 0};

    if (get_long(&c, "offset", &event.offset) && get_long(&c, "timestamp", &event.timestamp_ms) &&
        get_type(&c, &event.timestamp_type) && get_optional(&c, "key", &event.key) &&
        get_headers(reader, &c, &event.header_count) && get_optional(&c, "value", &event.value) && get_seal(&c)) {
        event.headers = reader->headers;
        look_ahead(c.at, c.end, (size_t)(c.at - reader->at));
        reader->at = c.at;
        *ret = event;
        return HV_OK;
    }
    return hv_err_set(err, c.rc, "%s of an event, %td bytes behind its start: %s", c.field, c.at - reader->at, c.problem);
}
