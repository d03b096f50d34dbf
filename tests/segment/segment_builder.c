#include "tests/segment/segment_builder.h"

#include "segment/varint.h"
#include "tests/harness/check_hv.h"

enum { MANY_BYTES = 1 << 26 };

const unsigned char test_sync[HV_SYNC_SIZE] = {0x68, 0x75, 0x62, 0x76, 0x61, 0x75, 0x6c, 0x74, 0, 1, 2, 3, 0xfc, 0xfd, 0xfe, 0xff};

test_random
test_random_make(uint64_t seed)
{
    return (test_random){.state = seed * 0x9e3779b97f4a7c15u + 1};
}

uint64_t
test_random_next(test_random *random)
{
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return random->state * 0x2545f4914f6cdd1du;
}

uint64_t
test_random_below(test_random *random, uint64_t bound)
{
    return test_random_next(random) % bound;
}

static hv_slice
some_bytes(test_event *event, test_random *random, size_t max)
{
    size_t len = test_random_below(random, 4) == 0 ? 0 : test_random_below(random, max);
    unsigned char *start = event->bytes + event->used;

    for (size_t i = 0; i < len; i++)
        start[i] = (unsigned char)test_random_next(random);
    event->used += len;
    return hv_slice_of(start, len);
}

static hv_slice
some_optional(test_event *event, test_random *random, size_t max)
{
    return test_random_below(random, 4) == 0 ? HV_SLICE_NULL : some_bytes(event, random, max);
}

/* Text without zero bytes, because the oracle keeps strings with a NUL behind them. */
static hv_slice
some_name(test_event *event, test_random *random)
{
    static const char *const names[] = {"", "ce_type", "ce_type", "ce_id", "x", "K\xc3\xa4se", "a rather long name of a header"};

    (void)event;
    return hv_slice_text(names[test_random_below(random, sizeof names / sizeof names[0])]);
}

static int64_t
some_time(test_random *random)
{
    static const int64_t odd[] = {0, -1, 1, INT64_MIN, INT64_MAX, -62135596800000, 253402300800000, 63, 64, -64, -65};

    if (test_random_below(random, 3) == 0)
        return odd[test_random_below(random, sizeof odd / sizeof odd[0])];
    return 1700000000000 + (int64_t)test_random_below(random, 100000000);
}

void
test_event_fill(test_event *event, test_random *random, int64_t offset)
{
    event->used = 0;
    event->event = (hv_event){
        .offset = offset,
        .timestamp_ms = some_time(random),
        .timestamp_type = (hv_timestamp_type)test_random_below(random, 3),
        .key = some_optional(event, random, 100),
        .value = some_optional(event, random, 1000),
        .headers = event->headers,
        .header_count = test_random_below(random, 3) == 0 ? 0 : test_random_below(random, 8),
    };
    for (size_t i = 0; i < event->event.header_count; i++) {
        event->headers[i].name = some_name(event, random);
        event->headers[i].value = some_optional(event, random, 100);
    }
}

bool
test_events_equal(const hv_event *a, const hv_event *b)
{
    if (a->offset != b->offset || a->timestamp_ms != b->timestamp_ms || a->timestamp_type != b->timestamp_type ||
        a->header_count != b->header_count || !hv_slice_equal(a->key, b->key) || !hv_slice_equal(a->value, b->value))
        return false;
    for (size_t i = 0; i < a->header_count; i++)
        if (!hv_slice_equal(a->headers[i].name, b->headers[i].name) || !hv_slice_equal(a->headers[i].value, b->headers[i].value))
            return false;
    return true;
}

hv_segment_header
test_header_make(hv_codec codec, int64_t first, int64_t end)
{
    return (hv_segment_header){
        .vault = TEST_VAULT,
        .partition = {.hub = "orders", .incarnation = 1, .number = 0},
        .class_name = HV_CLASS_DEFAULT,
        .created_ms = 1700000000000,
        .codec = codec,
        .cut = {.first = first, .end = end},
    };
}

/* Encode up to events_per_block events from number `from` on; how many. */
static size_t
encode_some(const test_segment_config *config, size_t from, hv_buf *raw, hv_block_facts *facts)
{
    size_t n = 0;

    hv_buf_clear(raw);
    *facts = (hv_block_facts){.first_offset = config->events[from].offset, .min_timestamp_ms = INT64_MAX, .max_timestamp_ms = INT64_MIN};
    for (; n < config->events_per_block && from + n < config->event_count; n++) {
        const hv_event *event = &config->events[from + n];
        hv_event_encode(event, raw);
        facts->last_offset = event->offset;
        facts->min_timestamp_ms = event->timestamp_ms < facts->min_timestamp_ms ? event->timestamp_ms : facts->min_timestamp_ms;
        facts->max_timestamp_ms = event->timestamp_ms > facts->max_timestamp_ms ? event->timestamp_ms : facts->max_timestamp_ms;
    }
    facts->count = (int32_t)n;
    return n;
}

void
test_segment_build(const test_segment_config *config, hv_buf *ret, unsigned char *sha256)
{
    hv_err err;
    HV_AUTO(hv_block_coder_free) hv_block_coder *coder = NULL;
    HV_AUTO(hv_buf_free) hv_buf raw = HV_BUF_INIT(MANY_BYTES);
    hv_block *blocks = calloc(config->event_count + 1, sizeof *blocks);
    hv_block_format format = {.codec = config->header.codec, .level = config->level == 0 ? 1 : config->level};
    hv_segment_header header = config->header;
    unsigned char hash[HV_SHA256_SIZE];
    size_t count = 0;

    ck_assert_ptr_nonnull(blocks);
    ck_assert(config->event_count == 0 || config->events_per_block > 0);
    memcpy(format.sync, test_sync, sizeof format.sync);
    ck_hv_ok(hv_block_coder_new(&coder, &err));
    for (size_t done = 0; done < config->event_count; count++) {
        hv_block_facts facts;
        done += encode_some(config, done, &raw, &facts);
        ck_hv_ok(hv_buf_check(&raw, &err));
        ck_hv_ok(hv_block_seal(coder, &format, &facts, hv_buf_slice(&raw), &blocks[count], &err));
    }
    header.blocks = NULL;
    ck_hv_ok(hv_segment_assemble(&header, blocks, count, test_sync, ret, hash, &err));
    for (size_t i = 0; i < count; i++) {
        hv_buf_put(ret, blocks[i].stored, blocks[i].ref.length);
        hv_block_free(&blocks[i]);
    }
    ck_hv_ok(hv_buf_check(ret, &err));
    if (sha256 != NULL)
        memcpy(sha256, hash, sizeof hash);
    free(header.blocks);
    free(blocks);
}

hv_rc
test_block_open(hv_block_coder *coder, const hv_segment_front *front, hv_slice blob, size_t i, hv_buf *raw, hv_err *err)
{
    const hv_block_ref *ref = &front->header->blocks[i];
    uint64_t start = front->data_start + ref->position;

    if (start + ref->length > blob.len)
        return hv_err_set(err, HV_CORRUPT, "block %zu ends behind the segment", i);
    return hv_block_open(coder, front->header->codec, front->sync, ref,
                         hv_slice_of((const unsigned char *)blob.data + start, ref->length), raw, err);
}

void
test_segment_expect(hv_slice blob, const hv_event *events, size_t count)
{
    hv_err err;
    size_t needed, seen = 0;
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    HV_AUTO(hv_block_coder_free) hv_block_coder *coder = NULL;
    HV_AUTO(hv_buf_free) hv_buf raw = HV_BUF_INIT(MANY_BYTES);
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};

    ck_hv_ok(hv_block_coder_new(&coder, &err));
    ck_hv_ok(hv_segment_front_parse(blob, &front, &needed, &err));
    ck_assert_uint_eq(front.data_start + front.header->blocks_bytes, blob.len);
    ck_assert_int_eq(front.header->count, (int64_t)count);
    for (size_t i = 0; i < front.header->block_count; i++) {
        ck_hv_ok(test_block_open(coder, &front, blob, i, &raw, &err));
        hv_event_reader_reset(&reader, hv_buf_slice(&raw));
        for (int32_t n = 0; n < front.header->blocks[i].count; n++) {
            hv_event event;
            ck_hv_ok(hv_event_reader_next(&reader, &event, &err));
            ck_assert_msg(seen < count && test_events_equal(&event, &events[seen]), "event %zu differs", seen);
            seen++;
        }
        ck_assert(!hv_event_reader_more(&reader));
    }
    ck_assert_uint_eq(seen, count);
}

void
test_front_write(const hv_segment_header *header, const unsigned char sync[HV_SYNC_SIZE], hv_buf *to)
{
    HV_AUTO(hv_buf_free) hv_buf json = HV_BUF_INIT(HV_SEGMENT_MAX_FRONT);
    unsigned char hash[HV_SHA256_SIZE];
    char check[HV_SHA256_TEXT_SIZE];
    hv_slice codec = hv_slice_text(hv_codec_name(header->codec)), schema = hv_slice_text(hv_event_schema);

    hv_segment_header_write(header, &json);
    hv_slice hashed[] = {codec, schema, hv_buf_slice(&json), hv_slice_of(sync, HV_SYNC_SIZE)};
    hv_sha256(hashed, 4, hash);
    hv_sha256_text(hash, check);
    const hv_slice entries[] = {hv_slice_text("avro.codec"), codec, hv_slice_text("avro.schema"), schema, hv_slice_text("hubvault.check"),
                                hv_slice_text(check), hv_slice_text("hubvault.segment"), hv_buf_slice(&json)};
    hv_buf_put(to, "Obj\1\10", 5);
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        hv_varint_append_counted(to, entries[i]);
    hv_buf_put_byte(to, 0);
    hv_buf_put(to, sync, HV_SYNC_SIZE);
}
