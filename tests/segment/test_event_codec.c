#include "segment/event_codec.h"
#include "segment/varint.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/segment_builder.h"

enum { ROOM = 1 << 20 };

static hv_event
read_one(hv_event_reader *reader, const hv_buf *bytes)
{
    hv_err err;
    hv_event event;

    hv_event_reader_reset(reader, hv_buf_slice(bytes));
    ck_hv_ok(hv_event_reader_next(reader, &event, &err));
    ck_assert(!hv_event_reader_more(reader));
    return event;
}

/* The bytes of one event by hand, to read what no writer of ours makes. */
static hv_rc
read_bytes(const void *bytes, size_t len, hv_event *ret, hv_event_reader *reader, hv_err *err)
{
    hv_event_reader_reset(reader, hv_slice_of(bytes, len));
    return hv_event_reader_next(reader, ret, err);
}

#define READ(text, ret) read_bytes(text, sizeof text - 1, ret, &reader, &err)

START_TEST(the_encoded_bytes_are_those_of_the_avro_specification)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(ROOM);
    hv_header headers[] = {
        {.name = hv_slice_text("a"), .value = HV_SLICE_NULL},
        {.name = hv_slice_text(""), .value = hv_slice_text("v")},
    };
    hv_event event = {.offset = 64, .timestamp_ms = -1, .timestamp_type = HV_TIMESTAMP_APPEND, .key = hv_slice_text(""),
                      .value = hv_slice_text("xy"), .headers = headers, .header_count = 2};

    hv_event_encode(&event, &bytes);
    ck_hv_ok(hv_buf_check(&bytes, &err));
    static const char expected[] = "\x80\x01" "\x01" "\x04" "\x02\x00" "\x04" "\x02" "a\x00" "\x00\x02\x02" "v" "\x00" "\x02\x04" "xy" "\x00";
    ck_assert_uint_eq(bytes.len, sizeof expected - 1);
    ck_assert_mem_eq(bytes.data, expected, bytes.len);
}
END_TEST

START_TEST(a_null_value_comes_back_as_null_not_empty)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};
    hv_event event = {.key = hv_slice_text(""), .value = HV_SLICE_NULL};

    hv_event_encode(&event, &bytes);
    hv_event got = read_one(&reader, &bytes);
    ck_assert_ptr_null(got.value.data);
    ck_assert_ptr_nonnull(got.key.data);
    ck_assert_uint_eq(got.key.len, 0);
}
END_TEST

START_TEST(headers_keep_their_order_duplicates_nulls_and_empty_names)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};
    hv_header headers[] = {
        {.name = hv_slice_text("b"), .value = hv_slice_text("1")}, {.name = hv_slice_text("a"), .value = hv_slice_text("")},
        {.name = hv_slice_text("b"), .value = hv_slice_text("1")}, {.name = hv_slice_text("b"), .value = HV_SLICE_NULL},
        {.name = hv_slice_text(""), .value = hv_slice_text("2")},
    };
    hv_event event = {.headers = headers, .header_count = 5};

    hv_event_encode(&event, &bytes);
    hv_event got = read_one(&reader, &bytes);
    ck_assert(test_events_equal(&got, &event));
}
END_TEST

START_TEST(thousands_of_random_events_come_back_as_they_went_in)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(16 * ROOM);
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};
    test_random random = test_random_make(1);
    test_event *event = malloc(sizeof *event);
    enum { EVENTS = 5000 };

    ck_assert_ptr_nonnull(event);
    for (int64_t i = 0; i < EVENTS; i++) {
        size_t before = bytes.len;
        test_event_fill(event, &random, i * 1234567);
        hv_event_encode(&event->event, &bytes);
        ck_assert_uint_le(bytes.len - before, hv_event_encoded_max(&event->event));
    }
    ck_hv_ok(hv_buf_check(&bytes, &err));
    random = test_random_make(1);
    hv_event_reader_reset(&reader, hv_buf_slice(&bytes));
    for (int64_t i = 0; i < EVENTS; i++) {
        hv_event got;
        test_event_fill(event, &random, i * 1234567);
        ck_hv_ok(hv_event_reader_next(&reader, &got, &err));
        ck_assert(test_events_equal(&got, &event->event));
    }
    ck_assert(!hv_event_reader_more(&reader));
    free(event);
}
END_TEST

START_TEST(an_event_with_a_quarter_million_headers_comes_back)
{
    hv_err err;
    enum { HEADERS = 1 << 18 };
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(HEADERS * 40);
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};
    hv_header *headers = calloc(HEADERS, sizeof *headers);

    ck_assert_ptr_nonnull(headers);
    for (size_t i = 0; i < HEADERS; i++)
        headers[i] = (hv_header){.name = hv_slice_text(i % 2 == 0 ? "h" : ""), .value = i % 3 == 0 ? HV_SLICE_NULL : hv_slice_text("v")};
    hv_event event = {.headers = headers, .header_count = HEADERS};
    hv_event_encode(&event, &bytes);
    ck_hv_ok(hv_buf_check(&bytes, &err));
    hv_event got = read_one(&reader, &bytes);
    ck_assert(test_events_equal(&got, &event));
    free(headers);
}
END_TEST

START_TEST(an_event_that_the_reader_would_refuse_is_not_written)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(ROOM);
    hv_event long_key = {.key = hv_slice_of("", (size_t)HV_EVENT_MAX_BYTES + 1)};
    hv_event many_headers = {.headers = NULL, .header_count = HV_EVENT_MAX_HEADERS + 1};
    hv_header long_name = {.name = hv_slice_of("", (size_t)HV_EVENT_MAX_BYTES + 1)};
    hv_event long_header = {.headers = &long_name, .header_count = 1};
    const hv_event *events[] = {&long_key, &many_headers, &long_header};

    for (size_t i = 0; i < 3; i++) {
        hv_buf_clear(&bytes);
        hv_event_encode(events[i], &bytes);
        ck_hv_fails(HV_LIMIT, hv_buf_check(&bytes, &err));
        ck_assert_uint_eq(bytes.len, 0);
    }
}
END_TEST

START_TEST(an_event_that_does_not_fit_is_remembered_as_a_failure_of_the_buffer)
{
    hv_err err;
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(20);
    hv_event event = {.value = hv_slice_text("longer than twenty bytes, surely")};

    hv_event_encode(&event, &bytes);
    ck_hv_fails(HV_LIMIT, hv_buf_check(&bytes, &err));
}
END_TEST

START_TEST(arrays_in_several_blocks_and_with_negative_counts_are_read)
{
    hv_err err;
    hv_event got;
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};

    /* offset 0, timestamp 0, type none, key null; a block of 1, a block of -2 in 6 bytes; value and seal null */
    ck_hv_ok(READ("\0\0\0\0" "\x02" "\x02" "a\0" "\x03\x0c" "\x02" "b\0" "\x02" "c\0" "\0" "\0\0", &got));
    ck_assert_uint_eq(got.header_count, 3);
    ck_assert(hv_slice_equal(got.headers[0].name, hv_slice_text("a")));
    ck_assert(hv_slice_equal(got.headers[2].name, hv_slice_text("c")));
    ck_assert_ptr_null(got.headers[2].value.data);
}
END_TEST

START_TEST(a_negative_count_whose_size_is_wrong_is_corrupt)
{
    hv_err err;
    hv_event got;
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};

    ck_hv_fails(HV_CORRUPT, READ("\0\0\0\0" "\x03\x0a" "\x02" "b\0" "\x02" "c\0" "\0" "\0\0", &got));
    ck_hv_fails(HV_CORRUPT, READ("\0\0\0\0" "\x03\x7e" "\x02" "b\0" "\x02" "c\0" "\0" "\0\0", &got));
    ck_hv_fails(HV_CORRUPT, READ("\0\0\0\0" "\x03\x01" "\x02" "b\0" "\x02" "c\0" "\0" "\0\0", &got));
    ck_hv_fails(HV_CORRUPT, READ("\0\0\0\0" "\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02" "\0\0\0", &got));     /* 65 bits */
}
END_TEST

START_TEST(counts_and_lengths_beyond_the_bytes_are_corrupt_before_memory_is_spent)
{
    hv_err err;
    hv_event got;
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};

    ck_hv_fails(HV_CORRUPT, READ("\0\0\0\0" "\x80\x80\x80\x01" "\0\0\0", &got));                           /* 2^20 headers */
    ck_hv_fails(HV_CORRUPT, READ("\0\0\0\0" "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "\x02" "\0\0\0", &got));    /* INT64_MIN headers */
    ck_hv_fails(HV_CORRUPT, READ("\0\0\0\x02\x01" "\0\0\0", &got));                                        /* key of -1 bytes */
    ck_hv_fails(HV_CORRUPT, READ("\0\0\0\x02\x7e" "\0\0\0", &got));                                        /* key of 63 bytes */
    ck_assert_ptr_nonnull(strstr(err.msg, "key of an event"));          /* noticed there, not at the field behind it */
    ck_hv_fails(HV_CORRUPT, READ("\0\0\0\x02\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" "\0\0\0", &got));    /* INT64_MAX bytes */
    ck_assert_ptr_null(reader.headers);
}
END_TEST

START_TEST(unknown_union_branches_and_enum_symbols_are_corrupt)
{
    hv_err err;
    hv_event got;
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};

    ck_hv_fails(HV_CORRUPT, READ("\0\0\x06\0\0\0\0", &got));       /* type 3 */
    ck_hv_fails(HV_CORRUPT, READ("\0\0\x01\0\0\0\0", &got));       /* type -1 */
    ck_hv_fails(HV_CORRUPT, READ("\0\0\0\x04\0\0\0", &got));       /* key, branch 2 */
    ck_hv_fails(HV_CORRUPT, READ("\0\0\0\0\0\x01\0", &got));       /* value, branch -1 */
    ck_hv_fails(HV_CORRUPT, READ("\0\0\0\0\0\0\x04", &got));       /* seal, branch 2 */
    ck_hv_fails(HV_CORRUPT, READ("\0\0\0\0\x02\0\x06\0\0\0", &got));       /* header value, branch 3 */
}
END_TEST

START_TEST(numbers_of_more_than_64_bits_are_corrupt)
{
    hv_err err;
    hv_event got;
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};

    ck_hv_fails(HV_CORRUPT, READ("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02" "\0\0\0\0\0\0", &got));
    ck_hv_fails(HV_CORRUPT, READ("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01" "\0\0\0\0\0\0", &got));
    ck_hv_ok(READ("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "\0\0\0\0\0\0", &got));
    ck_assert_int_eq(got.offset, INT64_MIN);
}
END_TEST

START_TEST(a_sealed_event_is_a_clear_version_error)
{
    hv_err err;
    hv_event got;
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};

    ck_hv_fails(HV_VERSION, READ("\0\0\0\0\0\0" "\x02\x02\x06" "box", &got));
    ck_assert_ptr_nonnull(strstr(err.msg, "seal"));
}
END_TEST

START_TEST(an_event_cut_off_at_any_byte_is_corrupt_and_the_reader_stands_still)
{
    hv_err err;
    hv_event got;
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};
    hv_header header = {.name = hv_slice_text("name"), .value = hv_slice_text("value")};
    hv_event event = {.offset = 1 << 20, .timestamp_ms = 1700000000000, .key = hv_slice_text("key"), .value = hv_slice_text("body"),
                      .headers = &header, .header_count = 1};

    hv_event_encode(&event, &bytes);
    for (size_t len = 0; len < bytes.len; len++) {
        char *cut = malloc(len + 1);    /* of its own, so that the sanitizer sees a read behind the end */
        ck_assert_ptr_nonnull(cut);
        memcpy(cut, bytes.data, len);
        cut = realloc(cut, len > 0 ? len : 1);
        ck_assert_ptr_nonnull(cut);
        ck_hv_fails(HV_CORRUPT, read_bytes(cut, len, &got, &reader, &err));
        ck_assert_ptr_eq(reader.at, cut);
        free(cut);
    }
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("event codec");
    tcase_add_test(tests, the_encoded_bytes_are_those_of_the_avro_specification);
    tcase_add_test(tests, a_null_value_comes_back_as_null_not_empty);
    tcase_add_test(tests, headers_keep_their_order_duplicates_nulls_and_empty_names);
    tcase_add_test(tests, thousands_of_random_events_come_back_as_they_went_in);
    tcase_add_test(tests, an_event_with_a_quarter_million_headers_comes_back);
    tcase_add_test(tests, an_event_that_the_reader_would_refuse_is_not_written);
    tcase_add_test(tests, an_event_that_does_not_fit_is_remembered_as_a_failure_of_the_buffer);
    tcase_add_test(tests, arrays_in_several_blocks_and_with_negative_counts_are_read);
    tcase_add_test(tests, a_negative_count_whose_size_is_wrong_is_corrupt);
    tcase_add_test(tests, counts_and_lengths_beyond_the_bytes_are_corrupt_before_memory_is_spent);
    tcase_add_test(tests, unknown_union_branches_and_enum_symbols_are_corrupt);
    tcase_add_test(tests, numbers_of_more_than_64_bits_are_corrupt);
    tcase_add_test(tests, a_sealed_event_is_a_clear_version_error);
    tcase_add_test(tests, an_event_cut_off_at_any_byte_is_corrupt_and_the_reader_stands_still);
    return ck_hv_run("event codec", tests);
}
