#include "segment/names.h"
#include "segment/segment_file.h"
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

/* Every other offset a gap, behind offsets of 19 digits, and one event. */
static hv_rc
assemble_with_gaps(size_t count, hv_buf *front, hv_err *err)
{
    one_block one;
    unsigned char sha256[HV_SHA256_SIZE];
    int64_t first = INT64_MAX - 2 * (int64_t)count - 1;
    hv_gap *gaps = malloc(count * sizeof *gaps);
    hv_range *ranges = malloc(count * sizeof *ranges);
    hv_class_map map = {.class_name = "pii", .ranges = ranges, .range_count = count};

    ck_assert(gaps != NULL && ranges != NULL);
    one_block_fill(&one);
    for (size_t i = 0; i < count; i++) {
        int64_t at = first + 2 * (int64_t)i;
        gaps[i] = (hv_gap){.range = {.first = at, .end = at + 1}, .cause = HV_GAP_RECREATED};
        ranges[i] = (hv_range){.first = at + 1, .end = at + 2};
    }
    one.header.cut = (hv_range){.first = first, .end = INT64_MAX};
    one.block.ref.first_offset = one.block.last_offset = INT64_MAX - 1;
    one.header.gaps = gaps;
    one.header.gap_count = count;
    one.header.classes = &map;
    one.header.class_count = 1;
    hv_rc rc = hv_segment_assemble(&one.header, &one.block, 1, test_sync, front, sha256, err);
    free(one.header.blocks);
    hv_block_free(&one.block);
    free(ranges);
    free(gaps);
    return rc;
}

START_TEST(a_header_that_would_pass_the_limit_of_a_front_is_a_limit_and_one_below_comes_back)
{
    hv_err err;
    size_t needed;
    HV_AUTO(hv_buf_free) hv_buf front_bytes = HV_BUF_INIT((size_t)2 * HV_SEGMENT_MAX_FRONT);
    HV_AUTO(hv_segment_front_free) hv_segment_front front = {0};

    ck_hv_fails(HV_LIMIT, assemble_with_gaps(HV_SEGMENT_MAX_GAPS, &front_bytes, &err));
    ck_assert_uint_eq(front_bytes.len, 0);
    ck_hv_ok(assemble_with_gaps(HV_SEGMENT_MAX_GAPS / 2, &front_bytes, &err));
    ck_hv_ok(hv_segment_front_parse(hv_buf_slice(&front_bytes), &front, &needed, &err));
    ck_assert_uint_eq(front.header->gap_count, HV_SEGMENT_MAX_GAPS / 2);
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
    tcase_add_test(tests, a_lead_fits_its_own_name_in_its_own_vault_only);
    tcase_add_test(tests, a_sibling_fits_the_name_of_its_class_only);
    tcase_add_test(tests, a_header_that_is_not_possible_is_a_bug_and_nothing_is_appended);
    tcase_add_test(tests, a_front_that_does_not_fit_its_buffer_is_a_limit_and_nothing_is_appended);
    tcase_add_test(tests, a_header_that_would_pass_the_limit_of_a_front_is_a_limit_and_one_below_comes_back);
    tcase_add_test(tests, blocks_get_their_positions_and_the_header_its_sums);
    return ck_hv_run("segment file", tests);
}
