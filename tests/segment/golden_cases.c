#include "tests/segment/golden_cases.h"

#include "tests/harness/check_hv.h"
#include "tests/segment/segment_builder.h"

enum { ROOM = 1 << 24, ORDINARY = 12, MANY_HEADERS = 300 };

#define TEXT(text) {.data = (text), .len = sizeof(text) - 1}

static const hv_header cloud_event[] = {
    {.name = TEXT("ce_specversion"), .value = TEXT("1.0")},
    {.name = TEXT("ce_type"), .value = TEXT("com.example.order.placed")},
    {.name = TEXT("ce_source"), .value = TEXT("/shop")},
    {.name = TEXT("content-type"), .value = TEXT("application/json")},
};

static const char *const bodies[ORDINARY] = {
    "{\"order\":1,\"total\":\"19.90\"}", "{\"order\":2,\"total\":\"5.00\"}",   "{\"order\":3,\"total\":\"120.00\"}",
    "{\"order\":4,\"total\":\"7.25\"}",  "{\"order\":5,\"total\":\"19.90\"}",  "{\"order\":6,\"total\":\"19.90\"}",
    "{\"order\":7,\"total\":\"0.99\"}",  "{\"order\":8,\"total\":\"42.00\"}",  "{\"order\":9,\"total\":\"19.90\"}",
    "{\"order\":10,\"total\":\"3.50\"}", "{\"order\":11,\"total\":\"19.90\"}", "{\"order\":12,\"total\":\"1.00\"}",
};

static hv_event
ordinary(size_t i, int64_t offset)
{
    return (hv_event){
        .offset = offset,
        .timestamp_ms = 1700000000000 + 250 * (int64_t)i,
        .timestamp_type = HV_TIMESTAMP_CREATE,
        .key = i % 3 == 0 ? HV_SLICE_NULL : hv_slice_text(i % 3 == 1 ? "customer-1" : "customer-2"),
        .headers = cloud_event,
        .header_count = 4,
        .value = hv_slice_text(bodies[i % ORDINARY]),
    };
}

static void
build_ordinary(hv_codec codec, hv_buf *blob)
{
    hv_event events[ORDINARY];

    for (size_t i = 0; i < ORDINARY; i++)
        events[i] = ordinary(i, 4700 + (int64_t)i);
    test_segment_build(&(test_segment_config){.header = test_header_make(codec, 4700, 4700 + ORDINARY), .events = events,
                                              .event_count = ORDINARY, .events_per_block = 5, .level = codec == HV_CODEC_DEFLATE ? 6 : 1},
                       blob, NULL);
}

static void
build_ordinary_null(hv_buf *blob)
{
    build_ordinary(HV_CODEC_NULL, blob);
}

static void
build_ordinary_deflate(hv_buf *blob)
{
    build_ordinary(HV_CODEC_DEFLATE, blob);
}

static void
build_ordinary_zstandard(hv_buf *blob)
{
    build_ordinary(HV_CODEC_ZSTANDARD, blob);
}

/* The worked example of docs/FORMAT.md. */
static void
build_tiny(hv_buf *blob)
{
    const hv_header header = {.name = TEXT("h"), .value = HV_SLICE_NULL};
    const hv_event event = {.offset = 0, .timestamp_ms = 1700000000000, .timestamp_type = HV_TIMESTAMP_CREATE, .key = TEXT("k"),
                            .headers = &header, .header_count = 1, .value = TEXT("hello")};

    test_segment_build(&(test_segment_config){.header = test_header_make(HV_CODEC_NULL, 0, 1), .events = &event, .event_count = 1,
                                              .events_per_block = 1}, blob, NULL);
}

static void
build_odd(hv_buf *blob)
{
    static unsigned char every_byte[256];
    static hv_header many[MANY_HEADERS];
    static const hv_header odd[] = {
        {.name = TEXT("same"), .value = TEXT("1")}, {.name = TEXT("other"), .value = TEXT("")},
        {.name = TEXT("same"), .value = TEXT("1")}, {.name = TEXT("same"), .value = {.data = NULL}},
        {.name = TEXT(""), .value = TEXT("the name is empty")}, {.name = TEXT(""), .value = {.data = NULL}},
        {.name = TEXT("K\xc3\xa4se \xf0\x9f\xa7\x80"), .value = TEXT("\xff\x00\xfe")},
    };

    for (size_t i = 0; i < sizeof every_byte; i++)
        every_byte[i] = (unsigned char)i;
    for (size_t i = 0; i < MANY_HEADERS; i++)
        many[i] = (hv_header){.name = i % 2 == 0 ? hv_slice_text("even") : hv_slice_text("odd"), .value = hv_slice_of(every_byte, i % 5)};
    const hv_event events[] = {
        {.offset = 0, .timestamp_ms = -1, .timestamp_type = HV_TIMESTAMP_NONE},
        {.offset = 1, .timestamp_ms = 0, .timestamp_type = HV_TIMESTAMP_CREATE, .key = TEXT(""), .value = TEXT("")},
        {.offset = 2, .timestamp_ms = -86400000, .timestamp_type = HV_TIMESTAMP_CREATE, .key = TEXT("tombstone")},
        {.offset = 3, .timestamp_ms = INT64_MAX, .timestamp_type = HV_TIMESTAMP_CREATE, .value = hv_slice_of(every_byte, 256)},
        {.offset = 4, .timestamp_ms = INT64_MIN, .timestamp_type = HV_TIMESTAMP_CREATE, .key = hv_slice_of(every_byte, 256)},
        {.offset = 5, .timestamp_ms = 253402300800000, .timestamp_type = HV_TIMESTAMP_APPEND, .headers = odd, .header_count = 7},
        {.offset = 6, .timestamp_ms = 1, .timestamp_type = HV_TIMESTAMP_APPEND, .headers = many, .header_count = MANY_HEADERS},
        {.offset = 7, .timestamp_ms = 1700000000000, .timestamp_type = HV_TIMESTAMP_CREATE, .value = TEXT("not json")},
    };
    size_t count = sizeof events / sizeof events[0];
    test_segment_build(&(test_segment_config){.header = test_header_make(HV_CODEC_NULL, 0, (int64_t)count), .events = events,
                                              .event_count = count, .events_per_block = 3}, blob, NULL);
}

static void
build_gaps(hv_buf *blob)
{
    static const int64_t offsets[] = {3, 4, 10, 1000000};
    hv_gap gaps[] = {
        {.range = {.first = 0, .end = 3}, .cause = HV_GAP_RETENTION},     {.range = {.first = 5, .end = 7}, .cause = HV_GAP_COMPACTION},
        {.range = {.first = 7, .end = 8}, .cause = HV_GAP_TRANSACTION},   {.range = {.first = 8, .end = 10}, .cause = HV_GAP_TRUNCATION},
        {.range = {.first = 11, .end = 1000}, .cause = HV_GAP_RECREATED}, {.range = {.first = 1000, .end = 1000000}, .cause = HV_GAP_UNKNOWN},
    };
    hv_event events[4];
    hv_segment_header header = test_header_make(HV_CODEC_NULL, 0, 1000001);

    for (size_t i = 0; i < 4; i++)
        events[i] = ordinary(i, offsets[i]);
    header.gaps = gaps;
    header.gap_count = sizeof gaps / sizeof gaps[0];
    test_segment_build(&(test_segment_config){.header = header, .events = events, .event_count = 4, .events_per_block = 2}, blob, NULL);
}

/* A cut 500..510: the lead holds 500, 501, 509; 502 is a gap; "audit" has 503, "pii" has 504..506 and 508; 507 is a gap again. */
typedef struct cut_facts {
    hv_segment_header header;
    hv_range audit, pii[2];
    hv_class_map classes[2];
    hv_gap gaps[2];
    unsigned char schemas[2][HV_SHA256_SIZE];
} cut_facts;

static void
cut_facts_fill(cut_facts *facts)
{
    facts->audit = (hv_range){.first = 503, .end = 504};
    facts->pii[0] = (hv_range){.first = 504, .end = 507};
    facts->pii[1] = (hv_range){.first = 508, .end = 509};
    facts->classes[0] = (hv_class_map){.class_name = "audit", .ranges = &facts->audit, .range_count = 1};
    facts->classes[1] = (hv_class_map){.class_name = "pii", .ranges = facts->pii, .range_count = 2};
    facts->gaps[0] = (hv_gap){.range = {.first = 502, .end = 503}, .cause = HV_GAP_TRANSACTION};
    facts->gaps[1] = (hv_gap){.range = {.first = 507, .end = 508}, .cause = HV_GAP_TRANSACTION};
    facts->header = test_header_make(HV_CODEC_NULL, 500, 510);
    facts->header.has_policy = true;
    for (size_t i = 0; i < HV_SHA256_SIZE; i++)
        facts->header.policy[i] = (unsigned char)(8 * i);
    memset(facts->schemas[0], 0x0f, HV_SHA256_SIZE);
    memset(facts->schemas[1], 0xf0, HV_SHA256_SIZE);
    facts->header.schemas = facts->schemas;
    facts->header.schema_count = 2;
    facts->header.classes = facts->classes;
    facts->header.class_count = 2;
    facts->header.gaps = facts->gaps;
    facts->header.gap_count = 2;
}

static void
build_lead(hv_buf *blob)
{
    cut_facts facts;
    const hv_event events[] = {ordinary(0, 500), ordinary(1, 501), ordinary(9, 509)};

    cut_facts_fill(&facts);
    test_segment_build(&(test_segment_config){.header = facts.header, .events = events, .event_count = 3, .events_per_block = 2}, blob, NULL);
}

/* Of the lead above; 505 could no longer be had. */
static void
build_sibling(hv_buf *blob)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf lead = HV_BUF_INIT(ROOM);
    cut_facts facts;
    const hv_event events[] = {ordinary(4, 504), ordinary(6, 506), ordinary(8, 508)};
    hv_gap missing = {.range = {.first = 505, .end = 506}, .cause = HV_GAP_RETENTION};

    build_lead(&lead);
    ck_hv_ok(hv_buf_check(&lead, &err));
    hv_slice whole = hv_buf_slice(&lead);
    cut_facts_fill(&facts);
    memcpy(facts.header.class_name, "pii", sizeof "pii");
    facts.header.is_sibling = true;
    hv_sha256(&whole, 1, facts.header.lead_sha256);
    facts.header.missing = &missing;
    facts.header.missing_count = 1;
    test_segment_build(&(test_segment_config){.header = facts.header, .events = events, .event_count = 3, .events_per_block = 2}, blob, NULL);
}

static void
build_lead_of_class_none(hv_buf *blob)
{
    hv_gap gap = {.range = {.first = 0, .end = 4711}, .cause = HV_GAP_RETENTION};
    hv_segment_header header = test_header_make(HV_CODEC_NULL, 0, 4711);

    memcpy(header.class_name, HV_CLASS_NONE, sizeof HV_CLASS_NONE);
    header.gaps = &gap;
    header.gap_count = 1;
    test_segment_build(&(test_segment_config){.header = header}, blob, NULL);
}

const golden_case golden_cases[GOLDEN_CASES] = {
    {"tiny", HV_CODEC_NULL, build_tiny},
    {"ordinary_null", HV_CODEC_NULL, build_ordinary_null},
    {"ordinary_deflate", HV_CODEC_DEFLATE, build_ordinary_deflate},
    {"ordinary_zstandard", HV_CODEC_ZSTANDARD, build_ordinary_zstandard},
    {"odd", HV_CODEC_NULL, build_odd},
    {"gaps", HV_CODEC_NULL, build_gaps},
    {"lead", HV_CODEC_NULL, build_lead},
    {"sibling", HV_CODEC_NULL, build_sibling},
    {"lead_of_class_none", HV_CODEC_NULL, build_lead_of_class_none},
};

static void
put_hex(hv_buf *to, hv_slice bytes)
{
    if (bytes.data == NULL) {
        hv_buf_put_text(to, "null");
        return;
    }
    hv_buf_put_byte(to, '"');
    for (size_t i = 0; i < bytes.len; i++)
        hv_buf_printf(to, "%02x", ((const unsigned char *)bytes.data)[i]);
    hv_buf_put_byte(to, '"');
}

static void
put_event(hv_buf *to, const hv_event *event)
{
    static const char *const types[] = {"none", "create", "append"};

    hv_buf_printf(to, "{\"offset\":%lld,\"timestamp\":%lld,\"timestamp_type\":\"%s\",\"key\":", (long long)event->offset,
                  (long long)event->timestamp_ms, types[event->timestamp_type]);
    put_hex(to, event->key);
    hv_buf_put_text(to, ",\"headers\":[");
    for (size_t i = 0; i < event->header_count; i++) {
        hv_buf_put_text(to, i == 0 ? "[" : ",[");
        put_hex(to, event->headers[i].name);
        hv_buf_put_byte(to, ',');
        put_hex(to, event->headers[i].value);
        hv_buf_put_byte(to, ']');
    }
    hv_buf_put_text(to, "],\"value\":");
    put_hex(to, event->value);
    hv_buf_put_text(to, "}\n");
}

void
golden_dump(hv_slice blob, hv_buf *header, hv_buf *events)
{
    hv_err err;
    size_t needed;
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    HV_AUTO(hv_block_coder_free) hv_block_coder *coder = NULL;
    HV_AUTO(hv_buf_free) hv_buf raw = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};

    ck_hv_ok(hv_block_coder_new(&coder, &err));
    ck_hv_ok(hv_segment_front_parse(blob, &front, &needed, &err));
    hv_segment_header_write(front.header, header);
    hv_buf_put_byte(header, '\n');
    for (size_t i = 0; i < front.header->block_count; i++) {
        ck_hv_ok(test_block_open(coder, &front, blob, i, &raw, &err));
        hv_event_reader_reset(&reader, hv_buf_slice(&raw));
        while (hv_event_reader_more(&reader)) {
            hv_event event;
            ck_hv_ok(hv_event_reader_next(&reader, &event, &err));
            put_event(events, &event);
        }
    }
    ck_hv_ok(hv_buf_check(header, &err));
    ck_hv_ok(hv_buf_check(events, &err));
}
