#include "segment/segment_file.h"
#include "segment/names.h"
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

int
main(void)
{
    TCase *tests = tcase_create("segment file");
    tcase_add_checked_fixture(tests, make_events, free_events);
    tcase_add_test(tests, every_codec_gives_back_every_event);
    tcase_add_test(tests, the_sha256_that_assembling_returns_is_that_of_the_whole_blob);
    tcase_add_test(tests, a_front_that_is_cut_off_asks_for_more_and_gets_there_in_few_steps);
    return ck_hv_run("segment file", tests);
}
