#include <stdio.h>

#include "segment/names.h"
#include "segment/segment_file.h"
#include "segment/varint.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/segment_builder.h"

enum { EVENTS = 300, PER_BLOCK = 50, ROOM = 1 << 24 };

static test_event *random_events;
static hv_event *events;

static void
make_events(void)
{
    test_random random = test_random_make(7);

    random_events = malloc(EVENTS * sizeof *random_events);
    events = malloc(EVENTS * sizeof *events);
    ck_assert(random_events != NULL && events != NULL);
    for (size_t i = 0; i < EVENTS; i++) {
        test_event_fill(&random_events[i], &random, 1000 + (int64_t)i);
        events[i] = random_events[i].event;
    }
}

static void
free_events(void)
{
    free(random_events);
    free(events);
}

static void
build(hv_codec codec, hv_buf *ret, unsigned char *sha256)
{
    test_segment_build(&(test_segment_config){.header = test_header_make(codec, 1000, 1000 + EVENTS), .events = events,
                                              .event_count = EVENTS, .events_per_block = PER_BLOCK}, ret, sha256);
}

START_TEST(every_codec_gives_back_every_event)
{
    for (unsigned codec = 0; codec < HV_CODECS; codec++) {
        HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM);

        build((hv_codec)codec, &blob, NULL);
        test_segment_expect(hv_buf_slice(&blob), events, EVENTS);
    }
}
END_TEST

START_TEST(the_sha256_that_assembling_returns_is_that_of_the_whole_blob)
{
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM);
    unsigned char told[HV_SHA256_SIZE], is[HV_SHA256_SIZE];
    hv_slice whole;

    build(HV_CODEC_ZSTANDARD, &blob, told);
    whole = hv_buf_slice(&blob);
    hv_sha256(&whole, 1, is);
    ck_assert_mem_eq(told, is, sizeof is);
}
END_TEST

START_TEST(a_front_that_is_cut_off_asks_for_more_and_gets_there_in_few_steps)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_front_free) hv_segment_front whole = {0};
    size_t needed = 0;

    build(HV_CODEC_NULL, &blob, NULL);
    ck_hv_ok(hv_segment_front_parse(hv_buf_slice(&blob), &whole, &needed, &err));
    for (size_t len = 0; len < whole.data_start; len++) {
        HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
        ck_hv_fails(HV_LIMIT, hv_segment_front_parse(hv_slice_of(blob.data, len), &front, &needed, &err));
        ck_assert_uint_ge(needed, 2 * len);
        ck_assert_uint_gt(needed, len);
        ck_assert_ptr_null(front.header);
    }
    HV_AUTO(hv_segment_front_free) hv_segment_front exact = {0};
    ck_hv_ok(hv_segment_front_parse(hv_slice_of(blob.data, whole.data_start), &exact, &needed, &err));
}
END_TEST

START_TEST(the_first_read_is_enough_for_a_segment_of_a_hundred_blocks)
{
    hv_err err;
    size_t needed;
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};

    test_segment_build(&(test_segment_config){.header = test_header_make(HV_CODEC_ZSTANDARD, 1000, 1000 + EVENTS), .events = events,
                                              .event_count = EVENTS, .events_per_block = 3}, &blob, NULL);
    ck_assert_uint_gt(blob.len, HV_SEGMENT_FIRST_READ);
    ck_hv_ok(hv_segment_front_parse(hv_slice_of(blob.data, HV_SEGMENT_FIRST_READ), &front, &needed, &err));
    ck_assert_uint_eq(front.header->block_count, 100);
}
END_TEST

START_TEST(a_segment_without_blocks_comes_back)
{
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM);
    hv_gap gap = {.range = {.first = 7, .end = 9}, .cause = HV_GAP_RETENTION};
    hv_segment_header header = test_header_make(HV_CODEC_ZSTANDARD, 7, 9);

    memcpy(header.class_name, HV_CLASS_NONE, sizeof HV_CLASS_NONE);
    header.gaps = &gap;
    header.gap_count = 1;
    test_segment_build(&(test_segment_config){.header = header}, &blob, NULL);
    test_segment_expect(hv_buf_slice(&blob), NULL, 0);
}
END_TEST

/* ---- fronts made by hand ---- */

enum { CODEC, SCHEMA, CHECK, SEGMENT, OURS, EXTRA = OURS, VALUES };

typedef struct front_parts {
    const char *names[VALUES];
    hv_slice values[VALUES];
    char check[HV_SHA256_TEXT_SIZE], json[4096];
} front_parts;

/* `json` NULL: the header of the test events. */
static void
parts_fill(front_parts *parts, const char *codec, const char *schema, const char *json)
{
    hv_err err;
    size_t needed;
    unsigned char hash[HV_SHA256_SIZE];
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM), text = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};

    build(HV_CODEC_NULL, &blob, NULL);
    ck_hv_ok(hv_segment_front_parse(hv_buf_slice(&blob), &front, &needed, &err));
    hv_segment_header_write(front.header, &text);
    ck_assert_uint_lt(text.len, sizeof parts->json);
    (void)snprintf(parts->json, sizeof parts->json, "%s", json != NULL ? json : text.data);
    hv_slice hashed[] = {hv_slice_text(codec), hv_slice_text(schema), hv_slice_text(parts->json), hv_slice_of(test_sync, HV_SYNC_SIZE)};
    hv_sha256(hashed, 4, hash);
    hv_sha256_text(hash, parts->check);
    static const char *const names[] = {"avro.codec", "avro.schema", "hubvault.check", "hubvault.segment", "team"};
    memcpy(parts->names, names, sizeof names);
    parts->values[CODEC] = hashed[0];
    parts->values[SCHEMA] = hashed[1];
    parts->values[CHECK] = hv_slice_text(parts->check);
    parts->values[SEGMENT] = hashed[2];
    parts->values[EXTRA] = hv_slice_text("orders");
}

static void
put_long(hv_buf *to, int64_t value)
{
    unsigned char bytes[HV_VARINT_MAX];

    hv_buf_put(to, bytes, (size_t)(hv_varint_put(bytes, value) - bytes));
}

static void
put_entry(hv_buf *to, const front_parts *parts, int which)
{
    put_long(to, (int64_t)strlen(parts->names[which]));
    hv_buf_put_text(to, parts->names[which]);
    put_long(to, (int64_t)parts->values[which].len);
    hv_buf_put(to, parts->values[which].data, parts->values[which].len);
}

/* A map block of these entries; with its size in bytes, plus `lie`, if `sized`. */
static void
put_block(hv_buf *to, const front_parts *parts, const int *order, size_t count, bool sized, int64_t lie)
{
    HV_AUTO(hv_buf_free) hv_buf entries = HV_BUF_INIT(ROOM);

    for (size_t i = 0; i < count; i++)
        put_entry(&entries, parts, order[i]);
    put_long(to, sized ? -(int64_t)count : (int64_t)count);
    if (sized)
        put_long(to, (int64_t)entries.len + lie);
    hv_buf_put(to, entries.data, entries.len);
}

static void
put_magic(hv_buf *to)
{
    hv_buf_put(to, "Obj\x01", 4);
}

static void
put_end(hv_buf *to)
{
    put_long(to, 0);
    hv_buf_put(to, test_sync, HV_SYNC_SIZE);
}

static hv_rc
parse_order(const front_parts *parts, const int *order, size_t count, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    size_t needed;

    put_magic(&bytes);
    put_block(&bytes, parts, order, count, false, 0);
    put_end(&bytes);
    return hv_segment_front_parse(hv_buf_slice(&bytes), &front, &needed, err);
}

static hv_rc
parse_parts(const front_parts *parts, hv_err *err)
{
    return parse_order(parts, (const int[]){CODEC, SCHEMA, CHECK, SEGMENT}, OURS, err);
}

START_TEST(the_metadata_may_stand_in_any_order_and_in_any_number_of_map_blocks)
{
    hv_err err;
    front_parts parts;
    size_t needed;

    parts_fill(&parts, "null", hv_event_schema, NULL);
    for (int n = 0; n < 256; n++) {
        const int order[] = {n % 4, n / 4 % 4, n / 16 % 4, n / 64};
        if ((1 << order[0] | 1 << order[1] | 1 << order[2] | 1 << order[3]) != 15)
            continue;
        for (size_t split = 0; split <= OURS; split++)
            for (int sized = 0; sized < 4; sized++) {
                HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(ROOM);
                HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
                put_magic(&bytes);
                if (split > 0)
                    put_block(&bytes, &parts, order, split, sized & 1, 0);
                if (split < OURS)
                    put_block(&bytes, &parts, order + split, OURS - split, sized & 2, 0);
                put_end(&bytes);
                ck_hv_ok(hv_segment_front_parse(hv_buf_slice(&bytes), &front, &needed, &err));
                ck_assert_uint_eq(front.data_start, bytes.len);
            }
    }
}
END_TEST

START_TEST(a_map_block_whose_size_is_wrong_is_corrupt)
{
    hv_err err;
    front_parts parts;
    size_t needed;

    parts_fill(&parts, "null", hv_event_schema, NULL);
    for (int64_t lie = -1; lie <= 1; lie++) {
        HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(ROOM);
        HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
        put_magic(&bytes);
        put_block(&bytes, &parts, (const int[]){CODEC, SCHEMA, CHECK, SEGMENT}, OURS, true, lie);
        put_end(&bytes);
        ck_assert_int_eq(hv_segment_front_parse(hv_buf_slice(&bytes), &front, &needed, &err), lie == 0 ? HV_OK : HV_CORRUPT);
    }
}
END_TEST

START_TEST(a_missing_a_doubled_or_an_unknown_entry_is_corrupt)
{
    hv_err err;
    front_parts parts;

    parts_fill(&parts, "null", hv_event_schema, NULL);
    ck_hv_ok(parse_order(&parts, (const int[]){CODEC, SCHEMA, CHECK, SEGMENT}, 4, &err));
    ck_hv_fails(HV_CORRUPT, parse_order(&parts, (const int[]){SCHEMA, CHECK, SEGMENT}, 3, &err));
    ck_hv_fails(HV_CORRUPT, parse_order(&parts, (const int[]){CODEC, CHECK, SEGMENT}, 3, &err));
    ck_hv_fails(HV_CORRUPT, parse_order(&parts, (const int[]){CODEC, SCHEMA, SEGMENT}, 3, &err));
    ck_hv_fails(HV_CORRUPT, parse_order(&parts, (const int[]){CODEC, SCHEMA, CHECK}, 3, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "not a segment"));
    ck_hv_fails(HV_CORRUPT, parse_order(&parts, (const int[]){CODEC, SCHEMA, CHECK, SEGMENT, EXTRA}, 5, &err));
    for (int twice = CODEC; twice <= SEGMENT; twice++) {
        ck_hv_fails(HV_CORRUPT, parse_order(&parts, (const int[]){CODEC, SCHEMA, CHECK, SEGMENT, twice}, 5, &err));
        ck_assert_ptr_nonnull(strstr(err.msg, "two"));
    }
}
END_TEST

START_TEST(another_schema_codec_or_check_is_corrupt)
{
    hv_err err;
    front_parts parts;
    char schema[2048];

    (void)snprintf(schema, sizeof schema, "%s ", hv_event_schema);
    parts_fill(&parts, "null", schema, NULL);
    ck_hv_fails(HV_CORRUPT, parse_parts(&parts, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "schema"));
    static const char *const codecs[] = {"snappy", "", "Null", "nul", "null ", "a very long name of a codec"};
    for (size_t i = 0; i < sizeof codecs / sizeof codecs[0]; i++) {
        parts_fill(&parts, codecs[i], hv_event_schema, NULL);
        ck_hv_fails(HV_CORRUPT, parse_parts(&parts, &err));
        ck_assert_ptr_nonnull(strstr(err.msg, "codec"));
    }
    parts_fill(&parts, "null", hv_event_schema, NULL);
    parts.values[CODEC] = hv_slice_of("null", 5);       /* with a NUL */
    ck_hv_fails(HV_CORRUPT, parse_parts(&parts, &err));
    parts_fill(&parts, "null", hv_event_schema, NULL);
    parts.check[10] = parts.check[10] == '0' ? '1' : '0';
    ck_hv_fails(HV_CORRUPT, parse_parts(&parts, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "hubvault.check"));
    parts_fill(&parts, "deflate", hv_event_schema, NULL);
    parts.values[CODEC] = hv_slice_text("null");        /* a codec that exists, but is not the one of the check */
    ck_hv_fails(HV_CORRUPT, parse_parts(&parts, &err));
}
END_TEST

START_TEST(a_newer_format_is_a_version_error_whatever_its_schema_codec_or_entries)
{
    hv_err err;
    front_parts parts;

    parts_fill(&parts, "lzma", "\"string\"", "{\"format\":2,\"anything\":0}");
    ck_hv_fails(HV_VERSION, parse_order(&parts, (const int[]){EXTRA, SEGMENT, SCHEMA, CODEC}, 4, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "2"));
}
END_TEST

START_TEST(a_header_that_is_impossible_is_corrupt_even_if_the_check_is_right)
{
    hv_err err;
    front_parts parts;
    char json[4096];

    parts_fill(&parts, "null", hv_event_schema, NULL);
    (void)snprintf(json, sizeof json, "%s", parts.json);
    char *at = strstr(json, "\"count\":300");
    ck_assert_ptr_nonnull(at);
    at[10] = '1';
    parts_fill(&parts, "null", hv_event_schema, json);
    ck_hv_fails(HV_CORRUPT, parse_parts(&parts, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "301"));
}
END_TEST

static const struct bytes_row {
    const char *bytes;
    size_t len;
} no_fronts[] = {
#define ROW(text) {text, sizeof(text) - 1}
    ROW("Obj\x02"), ROW("obj\x01"), ROW("\x01"), ROW("PAR1 and so on"), ROW("Ob "),
    ROW("Obj\x01\x02\x01"),                                             /* a name of -1 bytes */
    ROW("Obj\x01\x02\x82\x80\x80\x40"),                                 /* a name of more than 64 MiB */
    ROW("Obj\x01\x82\x80\x80\x40"),                                     /* a map of more than 64 Mi entries */
    ROW("Obj\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x02\x02"),         /* a map of INT64_MIN entries */
    ROW("Obj\x01\x01\x01\x02\x02\x02"),                                 /* a map of -1 bytes */
    ROW("Obj\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x02\x02\x02"), /* a number of 70 bits */
    ROW("Obj\x01\x00" "0123456789abcdef"),                              /* no metadata at all */
};

START_TEST(bytes_that_are_no_front_are_corrupt_however_few)
{
    hv_err err;
    size_t needed;
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};

    ck_hv_fails(HV_CORRUPT, hv_segment_front_parse(hv_slice_of(no_fronts[_i].bytes, no_fronts[_i].len), &front, &needed, &err));
}
END_TEST

START_TEST(a_front_never_asks_for_more_than_the_limit_and_past_it_is_corrupt)
{
    hv_err err;
    size_t needed = 0;
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT((size_t)HV_SEGMENT_MAX_FRONT + 100);

    put_magic(&bytes);
    put_long(&bytes, 2);
    put_long(&bytes, 1);
    hv_buf_put_text(&bytes, "x");
    put_long(&bytes, 40 << 20);
    ck_hv_fails(HV_LIMIT, hv_segment_front_parse(hv_buf_slice(&bytes), &front, &needed, &err));
    ck_assert_uint_eq(needed, bytes.len + (40 << 20) + 1 + HV_SYNC_SIZE);
    while (bytes.len < 44 << 20)
        hv_buf_put(&bytes, hv_event_schema, 512);
    ck_hv_ok(hv_buf_check(&bytes, &err));
    bytes.len = 4 + 1 + 1 + 1 + 4 + (40 << 20);
    put_long(&bytes, 1);
    hv_buf_put_text(&bytes, "y");
    put_long(&bytes, 1 << 20);
    ck_hv_fails(HV_LIMIT, hv_segment_front_parse(hv_buf_slice(&bytes), &front, &needed, &err));
    ck_assert_uint_eq(needed, HV_SEGMENT_MAX_FRONT);
    bytes.len -= 4;
    put_long(&bytes, 30 << 20);
    ck_hv_fails(HV_CORRUPT, hv_segment_front_parse(hv_buf_slice(&bytes), &front, &needed, &err));
}
END_TEST

/* ---- names ---- */

static hv_rc
fits(const char *name, const char *vault, hv_err *err)
{
    size_t needed;
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};

    build(HV_CODEC_NULL, &blob, NULL);
    hv_rc rc = hv_segment_front_parse(hv_buf_slice(&blob), &front, &needed, err);
    return rc == HV_OK ? hv_segment_front_fits(&front, name, vault, err) : rc;
}

#define IN_PARTITION(file) "segments/hub=orders/incarnation=1/partition=0/" file

START_TEST(a_lead_fits_its_own_name_in_its_own_vault_only)
{
    hv_err err;
    static const char *const others[] = {
        "segments/hub=order/incarnation=1/partition=0/00000000000000001000.avro",
        "segments/hub=orders/incarnation=2/partition=0/00000000000000001000.avro",
        "segments/hub=orders/incarnation=1/partition=1/00000000000000001000.avro",
        IN_PARTITION("00000000000000001001.avro"), IN_PARTITION("00000000000000001000.default.avro"), IN_PARTITION("1000.avro"),
        "segments/hub=orders/incarnation=1/incarnation.json", "vault.json", "",
    };

    ck_hv_ok(fits(IN_PARTITION("00000000000000001000.avro"), TEST_VAULT, &err));
    ck_hv_fails(HV_CORRUPT, fits(IN_PARTITION("00000000000000001000.avro"), "1b5ff9a6-7c0e-4a52-9d3f-6a1c2f8e9b10", &err));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_hv_fails(HV_CORRUPT, fits(others[i], TEST_VAULT, &err));
}
END_TEST

START_TEST(a_sibling_fits_the_name_of_its_class_only)
{
    hv_err err;
    size_t needed;
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    hv_segment_header header = test_header_make(HV_CODEC_NULL, 999, 1000 + EVENTS);
    hv_range promised = {.first = 1000, .end = 1000 + EVENTS};
    hv_class_map map = {.class_name = "pii", .ranges = &promised, .range_count = 1};

    memcpy(header.class_name, "pii", 4);
    header.classes = &map;
    header.class_count = 1;
    header.is_sibling = true;
    test_segment_build(&(test_segment_config){.header = header, .events = events, .event_count = EVENTS, .events_per_block = PER_BLOCK},
                       &blob, NULL);
    ck_hv_ok(hv_segment_front_parse(hv_buf_slice(&blob), &front, &needed, &err));
    ck_hv_ok(hv_segment_front_fits(&front, IN_PARTITION("00000000000000000999.pii.avro"), TEST_VAULT, &err));
    ck_hv_fails(HV_CORRUPT, hv_segment_front_fits(&front, IN_PARTITION("00000000000000000999.avro"), TEST_VAULT, &err));
    ck_hv_fails(HV_CORRUPT, hv_segment_front_fits(&front, IN_PARTITION("00000000000000000999.pi.avro"), TEST_VAULT, &err));
    ck_hv_fails(HV_CORRUPT, hv_segment_front_fits(&front, IN_PARTITION("00000000000000001000.pii.avro"), TEST_VAULT, &err));
}
END_TEST

/* ---- assembling ---- */

typedef struct one_block {
    hv_block block;
    hv_segment_header header;
} one_block;

static void
one_block_fill(one_block *one)
{
    hv_err err;
    HV_AUTO(hv_block_coder_free) hv_block_coder *coder = NULL;
    hv_block_format format = {.codec = HV_CODEC_NULL};
    hv_block_facts facts = {.first_offset = 5, .last_offset = 5, .count = 1, .min_timestamp_ms = 1, .max_timestamp_ms = 1};

    memcpy(format.sync, test_sync, sizeof format.sync);
    ck_hv_ok(hv_block_coder_new(&coder, &err));
    ck_hv_ok(hv_block_seal(coder, &format, &facts, hv_slice_of("\x0a\x02\x00\x00\x00\x00\x00", 7), &one->block, &err));
    one->header = test_header_make(HV_CODEC_NULL, 5, 6);
}

START_TEST(a_header_that_is_not_possible_is_a_bug_and_nothing_is_appended)
{
    hv_err err;
    one_block one;
    unsigned char sha256[HV_SHA256_SIZE];
    HV_AUTO(hv_buf_free) hv_buf front = HV_BUF_INIT(ROOM);

    one_block_fill(&one);
    hv_buf_put_text(&front, "before");
    one.header.cut.end = 7;             /* two offsets, one event */
    ck_hv_fails(HV_INTERNAL, hv_segment_assemble(&one.header, &one.block, 1, test_sync, &front, sha256, &err));
    ck_assert_str_eq(front.data, "before");
    one.header.cut.end = 6;
    ck_hv_ok(hv_segment_assemble(&one.header, &one.block, 1, test_sync, &front, sha256, &err));
    ck_assert_mem_eq(front.data, "beforeObj\x01", 10);
    free(one.header.blocks);
    hv_block_free(&one.block);
}
END_TEST

START_TEST(a_front_that_does_not_fit_its_buffer_is_a_limit_and_nothing_is_appended)
{
    hv_err err;
    one_block one;
    unsigned char sha256[HV_SHA256_SIZE];
    HV_AUTO(hv_buf_free) hv_buf front = HV_BUF_INIT(1000);

    one_block_fill(&one);
    hv_buf_put_text(&front, "before");
    ck_hv_fails(HV_LIMIT, hv_segment_assemble(&one.header, &one.block, 1, test_sync, &front, sha256, &err));
    ck_assert_str_eq(front.data, "before");
    ck_hv_fails(HV_LIMIT, hv_segment_assemble(&one.header, &one.block, HV_SEGMENT_MAX_BLOCKS + 1, test_sync, &front, sha256, &err));
    free(one.header.blocks);
    hv_block_free(&one.block);
}
END_TEST

START_TEST(blocks_get_their_positions_and_the_header_its_sums)
{
    hv_err err;
    size_t needed;
    uint64_t position = 0;
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};

    build(HV_CODEC_DEFLATE, &blob, NULL);
    ck_hv_ok(hv_segment_front_parse(hv_buf_slice(&blob), &front, &needed, &err));
    ck_assert_uint_eq(front.header->block_count, EVENTS / PER_BLOCK);
    int64_t min = events[0].timestamp_ms, max = min;
    for (size_t i = 0; i < EVENTS; i++) {
        min = events[i].timestamp_ms < min ? events[i].timestamp_ms : min;
        max = events[i].timestamp_ms > max ? events[i].timestamp_ms : max;
    }
    for (size_t i = 0; i < front.header->block_count; i++) {
        ck_assert_uint_eq(front.header->blocks[i].position, position);
        ck_assert_int_eq(front.header->blocks[i].first_offset, 1000 + (int64_t)i * PER_BLOCK);
        position += front.header->blocks[i].length;
    }
    ck_assert_uint_eq(front.header->blocks_bytes, position);
    ck_assert_int_eq(front.header->min_timestamp_ms, min);
    ck_assert_int_eq(front.header->max_timestamp_ms, max);
    ck_assert_mem_eq(front.sync, test_sync, HV_SYNC_SIZE);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("segment file");
    tcase_add_checked_fixture(tests, make_events, free_events);
    tcase_add_test(tests, every_codec_gives_back_every_event);
    tcase_add_test(tests, the_sha256_that_assembling_returns_is_that_of_the_whole_blob);
    tcase_add_test(tests, a_front_that_is_cut_off_asks_for_more_and_gets_there_in_few_steps);
    tcase_add_test(tests, the_first_read_is_enough_for_a_segment_of_a_hundred_blocks);
    tcase_add_test(tests, a_segment_without_blocks_comes_back);
    tcase_add_test(tests, the_metadata_may_stand_in_any_order_and_in_any_number_of_map_blocks);
    tcase_add_test(tests, a_map_block_whose_size_is_wrong_is_corrupt);
    tcase_add_test(tests, a_missing_a_doubled_or_an_unknown_entry_is_corrupt);
    tcase_add_test(tests, another_schema_codec_or_check_is_corrupt);
    tcase_add_test(tests, a_newer_format_is_a_version_error_whatever_its_schema_codec_or_entries);
    tcase_add_test(tests, a_header_that_is_impossible_is_corrupt_even_if_the_check_is_right);
    tcase_add_loop_test(tests, bytes_that_are_no_front_are_corrupt_however_few, 0, (int)(sizeof no_fronts / sizeof no_fronts[0]));
    tcase_add_test(tests, a_front_never_asks_for_more_than_the_limit_and_past_it_is_corrupt);
    tcase_add_test(tests, a_lead_fits_its_own_name_in_its_own_vault_only);
    tcase_add_test(tests, a_sibling_fits_the_name_of_its_class_only);
    tcase_add_test(tests, a_header_that_is_not_possible_is_a_bug_and_nothing_is_appended);
    tcase_add_test(tests, a_front_that_does_not_fit_its_buffer_is_a_limit_and_nothing_is_appended);
    tcase_add_test(tests, blocks_get_their_positions_and_the_header_its_sums);
    return ck_hv_run("segment file", tests);
}
