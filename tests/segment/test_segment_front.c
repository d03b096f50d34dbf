/* Fronts made by hand: what our writer never makes, but other writers might, or somebody who means harm. */
#include <stdio.h>

#include "segment/segment_file.h"
#include "segment/varint.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/segment_builder.h"

enum { ROOM = 1 << 24 };

enum { CODEC, SCHEMA, CHECK, SEGMENT, OURS, EXTRA = OURS, VALUES };

typedef struct front_parts {
    const char *names[VALUES];
    hv_slice values[VALUES];
    char check[HV_SHA256_TEXT_SIZE], json[4096];
} front_parts;

/* `json` NULL: the header of a segment of one event. */
static void
parts_fill(front_parts *parts, const char *codec, const char *schema, const char *json)
{
    hv_err err;
    size_t needed;
    unsigned char hash[HV_SHA256_SIZE];
    const hv_event event = {.value = hv_slice_text("body")};
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM), text = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};

    test_segment_build(&(test_segment_config){.header = test_header_make(HV_CODEC_NULL, 0, 1), .events = &event, .event_count = 1,
                                              .events_per_block = 1}, &blob, NULL);
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
put_entry(hv_buf *to, const front_parts *parts, int which)
{
    hv_varint_append_counted(to, hv_slice_text(parts->names[which]));
    hv_varint_append_counted(to, parts->values[which]);
}

/* A map block of these entries; with its size in bytes, plus `lie`, if `sized`. */
static void
put_block(hv_buf *to, const front_parts *parts, const int *order, size_t count, bool sized, int64_t lie)
{
    HV_AUTO(hv_buf_free) hv_buf entries = HV_BUF_INIT(ROOM);

    for (size_t i = 0; i < count; i++)
        put_entry(&entries, parts, order[i]);
    hv_varint_append(to, sized ? -(int64_t)count : (int64_t)count);
    if (sized)
        hv_varint_append(to, (int64_t)entries.len + lie);
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
    hv_varint_append(to, 0);
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
    char *at = strstr(json, "\"count\":1");
    ck_assert_ptr_nonnull(at);
    at[8] = '2';
    parts_fill(&parts, "null", hv_event_schema, json);
    ck_hv_fails(HV_CORRUPT, parse_parts(&parts, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "2 events"));
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
    hv_varint_append(&bytes, 2);
    hv_varint_append(&bytes, 1);
    hv_buf_put_text(&bytes, "x");
    hv_varint_append(&bytes, 40 << 20);
    ck_hv_fails(HV_LIMIT, hv_segment_front_parse(hv_buf_slice(&bytes), &front, &needed, &err));
    ck_assert_uint_eq(needed, bytes.len + (40 << 20) + 1 + HV_SYNC_SIZE);
    while (bytes.len < 44 << 20)
        hv_buf_put(&bytes, hv_event_schema, 512);
    ck_hv_ok(hv_buf_check(&bytes, &err));
    bytes.len = 4 + 1 + 1 + 1 + 4 + (40 << 20);
    hv_varint_append(&bytes, 1);
    hv_buf_put_text(&bytes, "y");
    hv_varint_append(&bytes, 1 << 20);
    ck_hv_fails(HV_LIMIT, hv_segment_front_parse(hv_buf_slice(&bytes), &front, &needed, &err));
    ck_assert_uint_eq(needed, HV_SEGMENT_MAX_FRONT);
    bytes.len -= 4;
    hv_varint_append(&bytes, 30 << 20);
    ck_hv_fails(HV_CORRUPT, hv_segment_front_parse(hv_buf_slice(&bytes), &front, &needed, &err));
}
END_TEST

START_TEST(a_front_that_is_all_there_but_longer_than_the_limit_is_corrupt)
{
    hv_err err;
    size_t needed = 0;
    enum { EACH = 40 << 20 };
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT((size_t)2 * EACH + 100);

    put_magic(&bytes);
    hv_varint_append(&bytes, 2);
    for (int i = 0; i < 2; i++) {
        hv_varint_append(&bytes, 1);
        hv_buf_put_byte(&bytes, (unsigned char)('x' + i));
        hv_varint_append(&bytes, EACH);
        ck_assert_ptr_nonnull(hv_buf_reserve(&bytes, EACH));
        memset(bytes.data + bytes.len, 'v', EACH);
        bytes.len += EACH;
    }
    put_end(&bytes);
    ck_hv_ok(hv_buf_check(&bytes, &err));
    ck_hv_fails(HV_CORRUPT, hv_segment_front_parse(hv_buf_slice(&bytes), &front, &needed, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "67108864"));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("segment front");
    tcase_add_test(tests, the_metadata_may_stand_in_any_order_and_in_any_number_of_map_blocks);
    tcase_add_test(tests, a_map_block_whose_size_is_wrong_is_corrupt);
    tcase_add_test(tests, a_missing_a_doubled_or_an_unknown_entry_is_corrupt);
    tcase_add_test(tests, another_schema_codec_or_check_is_corrupt);
    tcase_add_test(tests, a_newer_format_is_a_version_error_whatever_its_schema_codec_or_entries);
    tcase_add_test(tests, a_header_that_is_impossible_is_corrupt_even_if_the_check_is_right);
    tcase_add_loop_test(tests, bytes_that_are_no_front_are_corrupt_however_few, 0, (int)(sizeof no_fronts / sizeof no_fronts[0]));
    tcase_add_test(tests, a_front_never_asks_for_more_than_the_limit_and_past_it_is_corrupt);
    tcase_add_test(tests, a_front_that_is_all_there_but_longer_than_the_limit_is_corrupt);
    return ck_hv_run("segment front", tests);
}
