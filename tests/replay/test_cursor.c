#include "replay/cursor.h"

#include <stdio.h>

#include "common/base64.h"
#include "common/sha256.h"
#include "segment/varint.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/segment_builder.h"

static hv_err err;

static char patterns[2][HV_HUB_SIZE] = {"orders", "sale*"};
static hv_cursor_hub hubs[] = {{.name = "orders", .incarnation = 1}, {.name = "sale", .incarnation = 3}};
static hv_cursor_position positions[] = {
    {.hub = 0, .incarnation = 1, .partition = 0, .next = 17},
    {.hub = 0, .incarnation = 1, .partition = 7, .next = INT64_MAX},
    {.hub = 0, .incarnation = 2, .partition = 0, .next = 1},
    {.hub = 1, .incarnation = 3, .partition = INT32_MAX, .next = 0},
};

static hv_cursor
example(void)
{
    return (hv_cursor){
        .vault = TEST_VAULT, .by_time = true, .incarnation = UINT32_MAX, .from_offset = {.set = true, .value = 5},
        .to_time = {.set = true, .value = INT64_MIN + 1}, .filters = {1, 2, 3, 4, 5, 6, 7, 255}, .patterns = patterns,
        .pattern_count = 2, .hubs = hubs, .hub_count = 2, .positions = positions, .position_count = 4,
    };
}

static hv_buf
text_of(const hv_cursor *cursor)
{
    hv_buf text = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);

    ck_hv_ok(hv_cursor_write(cursor, &text, &err));
    return text;
}

START_TEST(a_cursor_comes_back_as_it_was_written)
{
    HV_AUTO(hv_cursor_clear) hv_cursor back = {.patterns = NULL};
    hv_cursor want = example();
    HV_AUTO(hv_buf_free) hv_buf text = text_of(&want), again = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);

    ck_assert(strncmp(text.data, "hv1.", 4) == 0);
    ck_hv_ok(hv_cursor_parse(hv_buf_slice(&text), &back, &err));
    ck_assert_str_eq(back.vault, TEST_VAULT);
    ck_assert(back.by_time && back.from_offset.set && !back.to_offset.set && !back.from_time.set && back.to_time.set);
    ck_assert_int_eq(back.from_offset.value, 5);
    ck_assert_int_eq(back.to_time.value, INT64_MIN + 1);
    ck_assert_uint_eq(back.pattern_count, 2);
    ck_assert_str_eq(back.patterns[1], "sale*");
    ck_assert_uint_eq(back.position_count, 4);
    ck_assert_int_eq(back.positions[1].next, INT64_MAX);
    ck_assert_mem_eq(back.filters, want.filters, sizeof want.filters);
    ck_hv_ok(hv_cursor_write(&back, &again, &err));
    ck_assert_str_eq(again.data, text.data);
}
END_TEST

START_TEST(an_empty_cursor_is_one)
{
    HV_AUTO(hv_cursor_clear) hv_cursor back = {.patterns = NULL};
    hv_cursor empty = {.vault = TEST_VAULT};
    HV_AUTO(hv_buf_free) hv_buf text = text_of(&empty);

    ck_hv_ok(hv_cursor_parse(hv_buf_slice(&text), &back, &err));
    ck_assert_uint_eq(back.position_count, 0);
}
END_TEST

START_TEST(positions_are_found_by_partition)
{
    hv_cursor cursor = example();
    hv_partition there = {.hub = "orders", .incarnation = 2, .number = 0}, not_there = {.hub = "sale", .incarnation = 2,
                                                                                        .number = 0};

    ck_assert_int_eq(hv_cursor_next(&cursor, &there, 99), 1);
    ck_assert_int_eq(hv_cursor_next(&cursor, &not_there, 99), 99);
}
END_TEST

START_TEST(one_wrong_character_is_noticed)
{
    hv_cursor cursor = example();
    HV_AUTO(hv_buf_free) hv_buf text = text_of(&cursor);

    for (size_t i = 0; i < text.len; i++) {
        HV_AUTO(hv_cursor_clear) hv_cursor back = {.patterns = NULL};
        char kept = text.data[i];
        text.data[i] = kept == 'A' ? 'B' : 'A';
        ck_assert_msg(hv_cursor_parse(hv_buf_slice(&text), &back, &err) != HV_OK, "character %zu", i);
        text.data[i] = kept;
    }
}
END_TEST

START_TEST(a_cursor_that_was_cut_off_is_noticed)
{
    hv_cursor cursor = example();
    HV_AUTO(hv_buf_free) hv_buf text = text_of(&cursor);

    for (size_t len = 0; len < text.len; len++) {
        HV_AUTO(hv_cursor_clear) hv_cursor back = {.patterns = NULL};
        ck_hv_fails(HV_USAGE, hv_cursor_parse(hv_slice_of(text.data, len), &back, &err));
    }
}
END_TEST

START_TEST(a_cursor_of_a_later_form_is_told_apart_from_damage)
{
    HV_AUTO(hv_cursor_clear) hv_cursor back = {.patterns = NULL};

    ck_hv_fails(HV_VERSION, hv_cursor_parse(hv_slice_text("hv2.AAAA"), &back, &err));
    ck_hv_fails(HV_USAGE, hv_cursor_parse(hv_slice_text("hello"), &back, &err));
    ck_hv_fails(HV_USAGE, hv_cursor_parse(hv_slice_text(""), &back, &err));
}
END_TEST

/* The text form of any content, with a checksum that fits: what somebody who knows the form could make. */
static hv_rc
parse_forged(const unsigned char *content, size_t len)
{
    HV_AUTO(hv_cursor_clear) hv_cursor back = {.patterns = NULL};
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(1 << 20), text = HV_BUF_INIT(1 << 20);
    unsigned char hash[HV_SHA256_SIZE];
    hv_slice covered = hv_slice_of(content, len);

    hv_sha256(&covered, 1, hash);
    hv_buf_put(&bytes, content, len);
    hv_buf_put(&bytes, hash, 8);
    hv_buf_put_text(&text, "hv1.");
    hv_base64_encode(HV_BASE64_URL, hv_buf_slice(&bytes), &text);
    return hv_cursor_parse(hv_buf_slice(&text), &back, &err);
}

START_TEST(forged_contents_with_a_right_checksum_do_no_harm)
{
    HV_AUTO(hv_buf_free) hv_buf bytes = HV_BUF_INIT(1 << 20);
    hv_cursor cursor = example();
    HV_AUTO(hv_buf_free) hv_buf text = text_of(&cursor);
    test_random random = test_random_make(5);
    int refused = 0;

    ck_assert(hv_base64_decode(HV_BASE64_URL, hv_slice_of(text.data + 4, text.len - 4), &bytes));
    size_t len = bytes.len - 8;
    ck_hv_ok(parse_forged((unsigned char *)bytes.data, len));
    for (int round = 0; round < 20000; round++) {
        unsigned char forged[512];
        size_t forged_len = test_random_below(&random, 8) == 0 ? test_random_below(&random, len + 1) : len;
        ck_assert_uint_le(len, sizeof forged);
        memcpy(forged, bytes.data, len);
        for (uint64_t i = 0; i <= test_random_below(&random, 3); i++)
            forged[test_random_below(&random, len)] = (unsigned char)test_random_next(&random);
        refused += parse_forged(forged, forged_len) != HV_OK ? 1 : 0;
    }
    ck_assert_int_gt(refused, 5000);
}
END_TEST

START_TEST(positions_out_of_order_are_refused)
{
    hv_cursor cursor = example();
    hv_cursor_position swapped[] = {positions[1], positions[0]};
    HV_AUTO(hv_cursor_clear) hv_cursor back = {.patterns = NULL};

    cursor.positions = swapped;
    cursor.position_count = 2;
    HV_AUTO(hv_buf_free) hv_buf text = text_of(&cursor);
    ck_hv_fails(HV_USAGE, hv_cursor_parse(hv_buf_slice(&text), &back, &err));
}
END_TEST

START_TEST(a_cursor_over_too_many_partitions_is_a_limit)
{
    enum { TOO_MANY = 300000 };
    hv_cursor cursor = example();
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(HV_CURSOR_MAX_TEXT);
    hv_cursor_position *many = calloc(TOO_MANY, sizeof *many);

    ck_assert_ptr_nonnull(many);
    for (int i = 0; i < TOO_MANY; i++)
        many[i] = (hv_cursor_position){.incarnation = 1, .partition = i, .next = i};
    cursor.positions = many;
    cursor.position_count = TOO_MANY;
    ck_hv_fails(HV_LIMIT, hv_cursor_write(&cursor, &text, &err));
    free(many);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("cursor");

    tcase_add_test(tests, a_cursor_comes_back_as_it_was_written);
    tcase_add_test(tests, an_empty_cursor_is_one);
    tcase_add_test(tests, positions_are_found_by_partition);
    tcase_add_test(tests, one_wrong_character_is_noticed);
    tcase_add_test(tests, a_cursor_that_was_cut_off_is_noticed);
    tcase_add_test(tests, a_cursor_of_a_later_form_is_told_apart_from_damage);
    tcase_add_test(tests, forged_contents_with_a_right_checksum_do_no_harm);
    tcase_add_test(tests, positions_out_of_order_are_refused);
    tcase_add_test(tests, a_cursor_over_too_many_partitions_is_a_limit);
    return ck_hv_run("cursor", tests);
}
