/* jansson, which does not know our scanner, sees the text of a header, too. */
#include <jansson.h>
#include <stdio.h>

#include "segment/header.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/header_model.h"

enum { ROOM = 1 << 20 };

static void
expect_ranges(const json_t *array, const hv_range *ranges, size_t count)
{
    ck_assert_uint_eq(json_array_size(array), count);
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(array, i);
        ck_assert_uint_eq(json_array_size(row), 2);
        ck_assert_int_eq(json_integer_value(json_array_get(row, 0)), ranges[i].first);
        ck_assert_int_eq(json_integer_value(json_array_get(row, 1)), ranges[i].end);
    }
}

static void
expect_gaps(const json_t *array, const hv_gap *gaps, size_t count)
{
    ck_assert(json_is_array(array));
    ck_assert_uint_eq(json_array_size(array), count);
    for (size_t i = 0; i < count; i++) {
        const json_t *row = json_array_get(array, i);
        ck_assert_uint_eq(json_array_size(row), 3);
        ck_assert_int_eq(json_integer_value(json_array_get(row, 0)), gaps[i].range.first);
        ck_assert_int_eq(json_integer_value(json_array_get(row, 1)), gaps[i].range.end);
        ck_assert_str_eq(json_string_value(json_array_get(row, 2)), hv_gap_cause_text(gaps[i].cause));
    }
}

static void
expect_hash(const json_t *value, bool present, const unsigned char *hash)
{
    char text[HV_SHA256_TEXT_SIZE];

    hv_sha256_text(hash, text);
    if (present)
        ck_assert_str_eq(json_string_value(value), text);
    else
        ck_assert(json_is_null(value));
}

static void
expect_blocks(const json_t *array, const hv_segment_header *header)
{
    ck_assert(json_is_array(array));
    ck_assert_uint_eq(json_array_size(array), header->block_count);
    for (size_t i = 0; i < header->block_count; i++) {
        const hv_block_ref *block = &header->blocks[i];
        const int64_t numbers[] = {(int64_t)block->position, block->length, block->first_offset, block->count, block->min_timestamp_ms,
                                   block->max_timestamp_ms};
        const json_t *row = json_array_get(array, i);
        ck_assert_uint_eq(json_array_size(row), 7);
        for (size_t j = 0; j < 6; j++)
            ck_assert_int_eq(json_integer_value(json_array_get(row, j)), numbers[j]);
        expect_hash(json_array_get(row, 6), true, block->sha256);
    }
}

static void
expect_json(hv_slice text, const hv_segment_header *header)
{
    json_error_t why;
    json_t *json = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &why);

    ck_assert_msg(json != NULL, "%s", why.text);
    ck_assert_uint_eq(json_object_size(json), 20);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "format")), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json, "vault")), header->vault);
    ck_assert_str_eq(json_string_value(json_object_get(json, "hub")), header->partition.hub);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "incarnation")), header->partition.incarnation);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "partition")), header->partition.number);
    ck_assert_str_eq(json_string_value(json_object_get(json, "class")), header->class_name);
    expect_hash(json_object_get(json, "policy"), header->has_policy, header->policy);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "created")), header->created_ms);
    ck_assert_int_eq(json_integer_value(json_array_get(json_object_get(json, "cut"), 0)), header->cut.first);
    ck_assert_int_eq(json_integer_value(json_array_get(json_object_get(json, "cut"), 1)), header->cut.end);
    const json_t *classes = json_object_get(json, "classes");
    ck_assert_uint_eq(json_array_size(classes), header->class_count);
    for (size_t i = 0; i < header->class_count; i++) {
        const json_t *row = json_array_get(classes, i);
        ck_assert_str_eq(json_string_value(json_array_get(row, 0)), header->classes[i].class_name);
        expect_ranges(json_array_get(row, 1), header->classes[i].ranges, header->classes[i].range_count);
    }
    expect_gaps(json_object_get(json, "gaps"), header->gaps, header->gap_count);
    expect_hash(json_object_get(json, "lead"), header->is_sibling, header->lead_sha256);
    expect_gaps(json_object_get(json, "missing"), header->missing, header->missing_count);
    const json_t *schemas = json_object_get(json, "schemas");
    ck_assert_uint_eq(json_array_size(schemas), header->schema_count);
    for (size_t i = 0; i < header->schema_count; i++)
        expect_hash(json_array_get(schemas, i), true, header->schemas[i]);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "count")), header->count);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "min_timestamp")), header->min_timestamp_ms);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "max_timestamp")), header->max_timestamp_ms);
    expect_hash(json_object_get(json, "merkle_root"), true, header->merkle_root);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "blocks_bytes")), (int64_t)header->blocks_bytes);
    expect_blocks(json_object_get(json, "blocks"), header);
    json_decref(json);
}

START_TEST(headers_come_back_through_text_that_any_json_reader_understands)
{
    hv_err err;
    test_random random = test_random_make(28);
    int made = 0;

    for (int round = 0; round < 3000; round++) {
        cut_model cut = random_cut(&random);
        model_header m;
        HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(ROOM), again = HV_BUF_INIT(ROOM);
        HV_AUTO(hv_segment_header_free) hv_segment_header *got = NULL;

        if (!model_header_fill(&m, &cut, round % 3, &random))
            continue;
        hv_segment_header_write(&m.header, &text);
        expect_json(hv_buf_slice(&text), &m.header);
        ck_hv_ok(hv_segment_header_parse(hv_buf_slice(&text), HV_CODEC_DEFLATE, &got, &err));
        ck_assert_int_eq(got->codec, HV_CODEC_DEFLATE);
        hv_segment_header_write(got, &again);
        ck_assert(hv_slice_equal(hv_buf_slice(&text), hv_buf_slice(&again)));
        made++;
    }
    ck_assert_int_gt(made, 1000);
}
END_TEST

/* ---- spellings ---- */

static void
write_example(int owner, hv_buf *text)
{
    model_header m;

    fill_example(&m, owner);
    hv_segment_header_write(&m.header, text);
}

/* The example with the first `from` replaced by `to`. */
static hv_rc
parse_changed(const char *from, const char *to, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(ROOM), changed = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_header_free) hv_segment_header *got = NULL;

    write_example(OWNER_A, &text);
    const char *at = strstr(text.data, from);
    ck_assert_msg(at != NULL, "the example has no '%s': %s", from, text.data);
    hv_buf_put(&changed, text.data, (size_t)(at - text.data));
    hv_buf_put_text(&changed, to);
    hv_buf_put_text(&changed, at + strlen(from));
    hv_rc rc = hv_segment_header_parse(hv_buf_slice(&changed), HV_CODEC_NULL, &got, err);
    ck_assert(rc == HV_OK || got == NULL);
    return rc;
}

static const struct change_row {
    const char *from, *to;
} changes[] = {
    {"{", "[" },
    {"{", " {"},
    {"\"format\":1", "\"format\":0"},
    {"\"format\":1", "\"format\":-1"},
    {"\"format\":1", "\"format\":01"},
    {"\"format\":1", "\"format\":1.0"},
    {"\"format\":1", "\"format\":1e0"},
    {"\"format\":1", "\"format\":\"1\""},
    {"\"format\":1", "\"format\":true"},
    {"\"format\":1", "\"format\": 1"},
    {"\"format\":1,", "\"format\":1,\"format\":1,"},
    {"\"format\":1,", ""},
    {"\"vault\"", "\"Vault\""},
    {"\"vault\":\"", "\"vault\":\"x"},
    {TEST_VAULT, ""},
    {"\"hub\":\"orders\"", "\"hub\":null"},
    {"\"hub\":\"orders\"", "\"hub\":\"\""},
    {"\"hub\":\"orders\"", "\"hub\":\"orders\\u0000\""},
    {"\"hub\":\"orders\"", "\"hub\":\"order\\u0073\""},
    {"\"hub\":\"orders\"", "\"hub\":\"or\xc3\xa4rs\""},
    {"\"hub\":\"orders\",", "\"hub\":\"orders\",\"extra\":1,"},
    {"\"incarnation\":1", "\"incarnation\":0"},
    {"\"incarnation\":1", "\"incarnation\":4294967296"},
    {"\"partition\":0", "\"partition\":-1"},
    {"\"partition\":0", "\"partition\":-0"},
    {"\"partition\":0", "\"partition\":2147483648"},
    {"\"class\":\"a-class\"", "\"class\":\"A-class\""},
    {"\"class\":\"a-class\"", "\"class\":\"b\""},
    {"\"policy\":", "\"policy\":0"},
    {"\"policy\":", "\"policy\":nul"},
    {"\"created\":-1", "\"created\":-9223372036854775809"},
    {"\"created\":-1", "\"created\":9223372036854775808"},
    {"\"created\":-1", "\"created\":99999999999999999999"},
    {"\"created\":-1", "\"created\":null"},
    {"\"cut\":[10,21]", "\"cut\":[10]"},
    {"\"cut\":[10,21]", "\"cut\":[10,21,0]"},
    {"\"cut\":[10,21]", "\"cut\":[21,10]"},
    {"\"cut\":[10,21]", "\"cut\":[-10,21]"},
    {"\"cut\":[10,21]", "\"cut\":\"10-21\""},
    {"\"cut\":[10,21]", "\"cut\":[10, 21]"},
    {"\"classes\":[", "\"classes\":[,"},
    {"\"classes\":[[", "\"classes\":[[["},
    {"\"classes\":[[\"a-class\",[[16,19]]],[\"b\",[[19,20]]]]", "\"classes\":null"},
    {"\"classes\":[[\"a-class\",[[16,19]]],[\"b\",[[19,20]]]]", "\"classes\":[]"},
    {"\"classes\":[[\"a-class\",[[16,19]]],[\"b\",[[19,20]]]]", "\"classes\":[[\"b\",[[19,20]]],[\"a-class\",[[16,19]]]]"},
    {"[\"b\",[[19,20]]]", "[\"b\",[]]"},
    {"[\"b\",[[19,20]]]", "[\"b\"]"},
    {"[\"b\",[[19,20]]]", "[\"b\",[[19,20]]],"},
    {"[14,16,\"retention\"]", "[14,16]"},
    {"[14,16,\"retention\"]", "[14,16,\"boredom\"]"},
    {"[14,16,\"retention\"]", "[14,16,\"Retention\"]"},
    {"[14,16,\"retention\"]", "[14,16,0]"},
    {"[14,16,\"retention\"]", "[14,15,\"retention\"],[15,16,\"retention\"]"},
    {"\"lead\":\"ab", "\"lead\":\"AB"},
    {"\"lead\":\"ab", "\"lead\":\"b"},
    {"\"lead\":\"ab", "\"lead\":\"aba"},
    {"\"lead\":\"ab", "\"lead\":\"gb"},
    {"\"lead\":\"abababababababababababababababababababababababababababababababab\"", "\"lead\":null"},
    {"\"missing\":[[17,18,\"retention\"]]", "\"missing\":[]"},
    {"\"missing\":[[17,18,\"retention\"]]", "\"missing\":[[17,18,\"retention\"]"},
    {"\"schemas\":[", "\"schemas\":[,"},
    {"\"schemas\":[", "\"schemas\":[null,"},
    {"\"schemas\":[", "\"schemas\":[1,"},
    {"\"count\":2", "\"count\":3"},
    {"\"count\":2", "\"count\":-2"},
    {"\"min_timestamp\":", "\"min_timestamp\":1"},
    {"\"merkle_root\":\"", "\"merkle_root\":\"0"},
    {"\"blocks_bytes\":", "\"blocks_bytes\":1"},
    {"\"blocks\":[[0,", "\"blocks\":[[1,"},
    {"\"blocks\":[[0,", "\"blocks\":[[-0,"},
    {"\"blocks\":[[0,", "\"blocks\":[[18446744073709551616,"},
    {"\"blocks\":[[0,", "\"blocks\":[[0,0,"},
    {"\"blocks\":[", "\"blocks\":{"},
    {"]}", "]},"},
    {"]}", "]} "},
    {"]}", "]}{}"},
    {"]}", "]"},
    {"]}", ",\"more\":1}"},
};

START_TEST(a_header_with_one_spot_changed_is_corrupt_and_says_where)
{
    hv_err err;

    ck_hv_ok(parse_changed("\"hub\"", "\"hub\"", &err));
    hv_rc rc = parse_changed(changes[_i].from, changes[_i].to, &err);
    ck_assert_msg(rc == HV_CORRUPT, "%s -> %s: %s", changes[_i].from, changes[_i].to, hv_rc_name(rc));
    ck_assert_ptr_nonnull(strstr(err.msg, "segment header"));
    ck_assert_ptr_null(strchr(err.msg, '\n'));
}
END_TEST

START_TEST(a_null_in_place_of_the_merkle_root_or_of_a_block_hash_is_corrupt)
{
    hv_err err;
    model_header m;
    char text[HV_SHA256_TEXT_SIZE], quoted[HV_SHA256_TEXT_SIZE + 2];

    fill_example(&m, OWNER_A);
    hv_sha256_text(m.header.merkle_root, text);
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", text);
    ck_hv_fails(HV_CORRUPT, parse_changed(quoted, "null", &err));
    hv_sha256_text(m.blocks[0].sha256, text);
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", text);
    ck_hv_fails(HV_CORRUPT, parse_changed(quoted, "null", &err));
}
END_TEST

START_TEST(a_header_of_a_newer_format_is_a_version_error_whatever_else_it_says)
{
    hv_err err;
    HV_AUTO(hv_segment_header_free) hv_segment_header *got = NULL;

    ck_hv_fails(HV_VERSION, parse_changed("\"format\":1", "\"format\":2", &err));
    ck_hv_fails(HV_VERSION, hv_segment_header_parse(hv_slice_text("{\"format\":9000000000,\"whatever"), HV_CODEC_NULL, &got, &err));
    ck_hv_fails(HV_VERSION, hv_segment_format_check(hv_slice_text("{\"format\":2}"), &err));
    ck_hv_fails(HV_CORRUPT, hv_segment_format_check(hv_slice_text("{\"formal\":2}"), &err));
    ck_hv_ok(hv_segment_format_check(hv_slice_text("{\"format\":1,"), &err));
}
END_TEST

START_TEST(a_header_cut_off_at_any_byte_is_corrupt)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_header_free) hv_segment_header *got = NULL;

    write_example(OWNER_A, &text);
    for (size_t len = 0; len < text.len; len++) {
        char *cut = malloc(len > 0 ? len : 1);
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, text.data, len);
        ck_hv_fails(HV_CORRUPT, hv_segment_header_parse(hv_slice_of(cut, len), HV_CODEC_NULL, &got, &err));
        ck_assert_ptr_null(got);
        free(cut);
    }
}
END_TEST

START_TEST(more_elements_than_allowed_are_corrupt_when_the_limit_is_reached)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(64 << 20), head = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_header_free) hv_segment_header *got = NULL;

    write_example(OWNER_LEAD, &head);
    hv_buf_put(&text, head.data, (size_t)(strstr(head.data, "\"classes\":[") - head.data));
    hv_buf_put_text(&text, "\"classes\":[");
    for (int i = 0; i <= HV_SEGMENT_MAX_CLASSES; i++)
        hv_buf_printf(&text, "%s[\"c\",[[%d,%d]]]", i == 0 ? "" : ",", i, i + 1);
    ck_hv_fails(HV_CORRUPT, hv_segment_header_parse(hv_buf_slice(&text), HV_CODEC_NULL, &got, &err));
    ck_assert_ptr_nonnull(strstr(err.msg, "no more elements"));
}
END_TEST

START_TEST(the_most_negative_and_most_positive_numbers_come_back)
{
    hv_err err;
    model_header m;
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_header_free) hv_segment_header *got = NULL;
    cut_model cut = {.first = INT64_MAX - 2, .len = 2};
    test_random random = test_random_make(27);

    ck_assert(model_header_fill(&m, &cut, OWNER_LEAD, &random));
    m.header.created_ms = m.header.min_timestamp_ms = m.blocks[0].min_timestamp_ms = INT64_MIN;
    m.header.max_timestamp_ms = m.blocks[0].max_timestamp_ms = INT64_MAX;
    m.header.partition.incarnation = UINT32_MAX;
    m.header.partition.number = INT32_MAX;
    hv_segment_header_write(&m.header, &text);
    ck_hv_ok(hv_segment_header_parse(hv_buf_slice(&text), HV_CODEC_NULL, &got, &err));
    ck_assert_int_eq(got->created_ms, INT64_MIN);
    ck_assert_int_eq(got->max_timestamp_ms, INT64_MAX);
    ck_assert_int_eq(got->cut.end, INT64_MAX);
    ck_assert_uint_eq(got->partition.incarnation, UINT32_MAX);
}
END_TEST

START_TEST(codecs_have_the_names_of_the_avro_specification)
{
    hv_codec codec;

    ck_assert(hv_codec_parse("zstandard", &codec) && codec == HV_CODEC_ZSTANDARD);
    ck_assert(hv_codec_parse("deflate", &codec) && codec == HV_CODEC_DEFLATE);
    ck_assert(hv_codec_parse("null", &codec) && codec == HV_CODEC_NULL);
    ck_assert(!hv_codec_parse("snappy", &codec) && !hv_codec_parse("", &codec) && !hv_codec_parse("Null", &codec));
    ck_assert_str_eq(hv_codec_name(HV_CODEC_ZSTANDARD), "zstandard");
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("header text");
    tcase_add_test(tests, headers_come_back_through_text_that_any_json_reader_understands);
    tcase_add_loop_test(tests, a_header_with_one_spot_changed_is_corrupt_and_says_where, 0, (int)(sizeof changes / sizeof changes[0]));
    tcase_add_test(tests, a_null_in_place_of_the_merkle_root_or_of_a_block_hash_is_corrupt);
    tcase_add_test(tests, a_header_of_a_newer_format_is_a_version_error_whatever_else_it_says);
    tcase_add_test(tests, a_header_cut_off_at_any_byte_is_corrupt);
    tcase_add_test(tests, more_elements_than_allowed_are_corrupt_when_the_limit_is_reached);
    tcase_add_test(tests, the_most_negative_and_most_positive_numbers_come_back);
    tcase_add_test(tests, codecs_have_the_names_of_the_avro_specification);
    return ck_hv_run("header text", tests);
}
