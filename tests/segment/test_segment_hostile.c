/*
 * Damaged segments. Every byte of a segment is covered by a check: those of the front are fixed or hashed into "hubvault.check", those of
 * the blocks are hashed into the block table, and the length of the whole follows from the front. So no damage may go unnoticed here,
 * and no test below allows for any.
 */
#include "segment/segment_file.h"
#include "segment/varint.h"
#include "tests/harness/check_hv.h"
#include "tests/segment/segment_builder.h"

enum { ROOM = 1 << 20, LIMIT = 1 << 16 };

static hv_block_coder *coder;
static hv_buf good = HV_BUF_INIT(ROOM);
static hv_segment_front front;

/* Two blocks, all kinds of fields, a gap, a class map. */
static void
make_segment(hv_codec codec)
{
    hv_err err;
    size_t needed;
    const hv_header headers[] = {{.name = hv_slice_text("a"), .value = HV_SLICE_NULL}, {.name = hv_slice_text("a"), .value = hv_slice_text("")}};
    const hv_event events[] = {
        {.offset = 70, .timestamp_ms = 1700000000000, .key = hv_slice_text("key"), .value = hv_slice_text("{\"body\":1}")},
        {.offset = 71, .timestamp_ms = -1, .headers = headers, .header_count = 2, .value = hv_slice_text("")},
        {.offset = 75, .timestamp_ms = 5, .timestamp_type = HV_TIMESTAMP_APPEND, .value = HV_SLICE_NULL},
    };
    hv_gap gap = {.range = {.first = 72, .end = 73}, .cause = HV_GAP_COMPACTION};
    hv_range promised = {.first = 73, .end = 75};
    hv_class_map map = {.class_name = "pii", .ranges = &promised, .range_count = 1};
    hv_segment_header header = test_header_make(codec, 70, 76);

    header.gaps = &gap;
    header.gap_count = 1;
    header.classes = &map;
    header.class_count = 1;
    ck_hv_ok(hv_block_coder_new(&coder, &err));
    test_segment_build(&(test_segment_config){.header = header, .events = events, .event_count = 3, .events_per_block = 2}, &good, NULL);
    ck_hv_ok(hv_segment_front_parse(hv_buf_slice(&good), &front, &needed, &err));
}

static void
free_segment(void)
{
    hv_segment_front_free(&front);
    hv_buf_free(&good);
    hv_block_coder_free(coder);
}

/* Reads everything that there is, as a careful reader does. */
static hv_rc
read_blocks(const hv_segment_front *got, hv_slice blob, hv_err *err)
{
    HV_AUTO(hv_buf_free) hv_buf raw = HV_BUF_INIT(LIMIT);
    HV_AUTO(hv_event_reader_free) hv_event_reader reader = {0};
    hv_event event;

    if (got->data_start + got->header->blocks_bytes != blob.len)
        return hv_err_set(err, HV_CORRUPT, "length");
    for (size_t i = 0; i < got->header->block_count; i++) {
        hv_rc rc = test_block_open(coder, got, blob, i, &raw, err);
        if (rc != HV_OK)
            return rc;
        hv_event_reader_reset(&reader, hv_buf_slice(&raw));
        while (hv_event_reader_more(&reader)) {
            rc = hv_event_reader_next(&reader, &event, err);
            if (rc != HV_OK)
                return rc;
        }
    }
    return HV_OK;
}

static hv_rc
read_segment(hv_slice blob, hv_err *err)
{
    HV_AUTO(hv_segment_front_free) hv_segment_front got = {0};
    size_t needed = 0;
    hv_rc rc = hv_segment_front_parse(blob, &got, &needed, err);

    ck_assert(rc == HV_OK || got.header == NULL);
    ck_assert(rc != HV_LIMIT || (needed > blob.len && needed <= HV_SEGMENT_MAX_FRONT));
    return rc == HV_OK ? read_blocks(&got, blob, err) : rc;
}

static void
expect_noticed(hv_slice blob, const char *what, size_t at)
{
    hv_err err;
    char *copy = malloc(blob.len + 1);  /* of its own size, so that the sanitizer sees a read behind the end */

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, blob.data, blob.len);
    copy = realloc(copy, blob.len > 0 ? blob.len : 1);
    ck_assert_ptr_nonnull(copy);
    hv_rc rc = read_segment(hv_slice_of(copy, blob.len), &err);
    ck_assert_msg(rc == HV_CORRUPT || rc == HV_LIMIT || rc == HV_VERSION, "%s at byte %zu of %zu: %s", what, at, blob.len, hv_rc_name(rc));
    free(copy);
}

START_TEST(the_undamaged_segment_is_read)
{
    hv_err err;

    make_segment((hv_codec)_i);
    ck_hv_ok(read_segment(hv_buf_slice(&good), &err));
    free_segment();
}
END_TEST

START_TEST(every_other_value_of_every_byte_is_noticed)
{
    make_segment((hv_codec)_i);
    for (size_t at = 0; at < good.len; at++)
        for (unsigned change = 1; change < 256; change += at < 300 || at + 100 > good.len ? 1 : 13) {
            good.data[at] = (char)((unsigned char)good.data[at] ^ change);
            expect_noticed(hv_buf_slice(&good), "change", at);
            good.data[at] = (char)((unsigned char)good.data[at] ^ change);
        }
    free_segment();
}
END_TEST

START_TEST(a_segment_cut_off_at_any_byte_or_with_bytes_behind_it_is_noticed)
{
    make_segment((hv_codec)_i);
    for (size_t len = 0; len < good.len; len++)
        expect_noticed(hv_slice_of(good.data, len), "end", len);
    hv_buf_put_byte(&good, 0);
    expect_noticed(hv_buf_slice(&good), "one more", good.len);
    free_segment();
}
END_TEST

START_TEST(a_byte_left_out_or_doubled_anywhere_is_noticed)
{
    make_segment((hv_codec)_i);
    for (size_t at = 0; at < good.len; at++) {
        HV_AUTO(hv_buf_free) hv_buf without = HV_BUF_INIT(ROOM), twice = HV_BUF_INIT(ROOM);
        hv_buf_put(&without, good.data, at);
        hv_buf_put(&without, good.data + at + 1, good.len - at - 1);
        hv_buf_put(&twice, good.data, at + 1);
        hv_buf_put(&twice, good.data + at, good.len - at);
        expect_noticed(hv_buf_slice(&without), "missing byte", at);
        expect_noticed(hv_buf_slice(&twice), "doubled byte", at);
    }
    free_segment();
}
END_TEST

START_TEST(random_damage_is_noticed)
{
    test_random random = test_random_make(99 + (uint64_t)_i);

    make_segment((hv_codec)_i);
    for (int round = 0; round < 5000; round++) {
        HV_AUTO(hv_buf_free) hv_buf bad = HV_BUF_INIT(ROOM);
        hv_buf_put(&bad, good.data, good.len);
        size_t from = test_random_below(&random, good.len), len = 1 + test_random_below(&random, 20);
        for (size_t i = from; i < from + len && i < bad.len; i++)
            bad.data[i] = (char)test_random_next(&random);
        if (!hv_slice_equal(hv_buf_slice(&bad), hv_buf_slice(&good)))
            expect_noticed(hv_buf_slice(&bad), "random bytes", from);
    }
    free_segment();
}
END_TEST

START_TEST(two_blocks_of_one_length_that_changed_places_are_noticed)
{
    hv_err err;
    const hv_event events[] = {{.offset = 0, .value = hv_slice_text("one")}, {.offset = 1, .value = hv_slice_text("two")}};
    HV_AUTO(hv_buf_free) hv_buf blob = HV_BUF_INIT(ROOM), swapped = HV_BUF_INIT(ROOM);
    HV_AUTO(hv_segment_front_free) hv_segment_front got = {0};
    size_t needed;

    ck_hv_ok(hv_block_coder_new(&coder, &err));
    test_segment_build(&(test_segment_config){.header = test_header_make(HV_CODEC_NULL, 0, 2), .events = events, .event_count = 2,
                                              .events_per_block = 1}, &blob, NULL);
    ck_hv_ok(hv_segment_front_parse(hv_buf_slice(&blob), &got, &needed, &err));
    uint32_t length = got.header->blocks[0].length;
    ck_assert_uint_eq(length, got.header->blocks[1].length);
    hv_buf_put(&swapped, blob.data, got.data_start);
    hv_buf_put(&swapped, blob.data + got.data_start + length, length);
    hv_buf_put(&swapped, blob.data + got.data_start, length);
    expect_noticed(hv_buf_slice(&swapped), "swapped blocks", got.data_start);
    hv_block_coder_free(coder);
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("hostile bytes");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, the_undamaged_segment_is_read, 0, HV_CODECS);
    tcase_add_loop_test(tests, every_other_value_of_every_byte_is_noticed, 0, HV_CODECS);
    tcase_add_loop_test(tests, a_segment_cut_off_at_any_byte_or_with_bytes_behind_it_is_noticed, 0, HV_CODECS);
    tcase_add_loop_test(tests, a_byte_left_out_or_doubled_anywhere_is_noticed, 0, HV_CODECS);
    tcase_add_loop_test(tests, random_damage_is_noticed, 0, HV_CODECS);
    tcase_add_test(tests, two_blocks_of_one_length_that_changed_places_are_noticed);
    return ck_hv_run("hostile bytes", tests);
}
