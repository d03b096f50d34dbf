/* What index/index.h promises of reading: lookups, lists, figures. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/check_hv.h"
#include "tests/harness/scratch_dir.h"
#include "tests/index/index_samples.h"

static const uint64_t map = 1 << 20;
static scratch_dir dir;
static hv_index *ix;
static hv_partition orders;             /* hub orders, incarnation 1, partition 0 */

static void
set_up(void)
{
    dir = scratch_dir_make();
    ix = sample_open(dir.path, map);
    orders = sample_partition("orders", 1, 0);
}

static void
tear_down(void)
{
    hv_index_close(ix);
    scratch_dir_remove(&dir);
}

static void
add_plain(const hv_partition *partition, int64_t first, int64_t count, int64_t time)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_plain_cut(first, count, time);

    sample_add(ix, partition, &cut);
}

START_TEST(find_offset_gives_the_cut_that_holds_it_and_not_its_neighbours)
{
    hv_index_cut got;
    hv_err err;

    add_plain(&orders, 0, 10, 5);
    add_plain(&orders, 10, 1, 5);
    add_plain(&orders, 11, 100, 5);
    static const int64_t asked[][2] = {{-5, 0}, {0, 0}, {9, 0}, {10, 10}, {11, 11}, {110, 11}};
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        ck_hv_ok(hv_index_find_offset(ix, &orders, asked[i][0], &got, &err));
        ck_assert_int_eq(got.range.first, asked[i][1]);
        hv_index_cut_clear(&got);
    }
}
END_TEST

START_TEST(an_offset_at_or_behind_the_position_is_not_found_even_if_another_partition_goes_on)
{
    hv_partition next = sample_partition("orders", 1, 1), later = sample_partition("zebra", 1, 0);
    hv_index_cut got;
    hv_err err;

    add_plain(&orders, 0, 10, 5);
    add_plain(&next, 0, 100, 5);
    add_plain(&later, 0, 100, 5);
    ck_hv_fails(HV_NOT_FOUND, hv_index_find_offset(ix, &orders, 10, &got, &err));
    ck_hv_fails(HV_NOT_FOUND, hv_index_find_offset(ix, &orders, 50, &got, &err));
    ck_hv_fails(HV_NOT_FOUND, hv_index_find_offset(ix, &orders, INT64_MAX, &got, &err));
}
END_TEST

START_TEST(what_was_never_seen_is_not_found)
{
    hv_partition unknown = sample_partition("unknown", 1, 0), number = sample_partition("orders", 1, 5);
    hv_index_cut got;
    hv_err err;

    add_plain(&orders, 0, 10, 5);
    ck_hv_fails(HV_NOT_FOUND, hv_index_find_offset(ix, &unknown, 0, &got, &err));
    ck_hv_fails(HV_NOT_FOUND, hv_index_find_offset(ix, &number, 0, &got, &err));
    ck_hv_fails(HV_NOT_FOUND, hv_index_find_time(ix, &unknown, 0, INT64_MIN, INT64_MAX, &got, &err));
    ck_hv_fails(HV_NOT_FOUND, hv_index_find_time(ix, &number, 0, INT64_MIN, INT64_MAX, &got, &err));
}
END_TEST

START_TEST(a_cut_that_was_returned_outlives_the_index)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_full_cut(0, 1000);
    HV_AUTO(hv_index_cut_clear) hv_index_cut got = {.segment_count = 0};
    hv_err err;

    sample_add(ix, &orders, &cut);
    ck_hv_ok(hv_index_find_offset(ix, &orders, 3, &got, &err));
    hv_index_close(ix);
    ix = NULL;
    ck_assert(sample_cuts_equal(&cut, &got));
    ck_assert(got.segments[0].is_lead);
    ck_assert_str_eq(got.segments[1].class_name, "class-001");
}
END_TEST

static int64_t
first_at_time(int64_t from, int64_t time_from, int64_t time_to)
{
    hv_index_cut got;
    hv_err err;

    hv_rc rc = hv_index_find_time(ix, &orders, from, time_from, time_to, &got, &err);
    if (rc == HV_NOT_FOUND)
        return -1;
    ck_assert_msg(rc == HV_OK, "%s", err.msg);
    int64_t first = got.range.first;
    hv_index_cut_clear(&got);
    return first;
}

START_TEST(a_window_of_time_includes_its_start_and_not_its_end)
{
    add_plain(&orders, 0, 10, 100);
    ck_assert_int_eq(first_at_time(0, 100, 101), 0);
    ck_assert_int_eq(first_at_time(0, 99, 100), -1);
    ck_assert_int_eq(first_at_time(0, 101, 200), -1);
    ck_assert_int_eq(first_at_time(0, 0, 1000), 0);
}
END_TEST

START_TEST(an_empty_or_reversed_window_holds_nothing)
{
    add_plain(&orders, 0, 10, 100);
    ck_assert_int_eq(first_at_time(0, 100, 100), -1);
    ck_assert_int_eq(first_at_time(0, 200, 50), -1);
}
END_TEST

START_TEST(a_window_that_ends_at_the_greatest_number_has_no_end)
{
    add_plain(&orders, 0, 10, INT64_MAX);
    add_plain(&orders, 10, 10, INT64_MIN);
    ck_assert_int_eq(first_at_time(0, 5, INT64_MAX), 0);
    ck_assert_int_eq(first_at_time(0, INT64_MAX, INT64_MAX), 0);
    ck_assert_int_eq(first_at_time(10, 5, INT64_MAX), -1);
    ck_assert_int_eq(first_at_time(0, INT64_MIN, INT64_MIN + 1), 10);
}
END_TEST

START_TEST(timestamps_in_any_order_are_found_from_any_offset)
{
    static const int64_t times[] = {500, 100, 900, 100, 253402300799000, 200, 100};

    for (int64_t i = 0; i < 7; i++)
        add_plain(&orders, i * 10, 10, times[i]);
    ck_assert_int_eq(first_at_time(0, 100, 101), 10);
    ck_assert_int_eq(first_at_time(19, 100, 101), 10);
    ck_assert_int_eq(first_at_time(20, 100, 101), 30);
    ck_assert_int_eq(first_at_time(40, 100, 101), 60);
    ck_assert_int_eq(first_at_time(0, 200, 300), 50);
    ck_assert_int_eq(first_at_time(70, 0, INT64_MAX), -1);
}
END_TEST

START_TEST(a_cut_without_events_is_at_no_time)
{
    hv_index_segment lead = {.class_name = "none", .is_lead = true};
    hv_gap all = {.range = {.first = 0, .end = 10}, .cause = HV_GAP_RETENTION};
    hv_index_cut cut = {.range = all.range, .segments = &lead, .segment_count = 1, .gaps = &all, .gap_count = 1};

    sample_add(ix, &orders, &cut);
    ck_assert_int_eq(first_at_time(0, INT64_MIN, INT64_MAX), -1);
    ck_assert_int_eq(first_at_time(0, 0, 1), -1);
    add_plain(&orders, 10, 10, 0);
    ck_assert_int_eq(first_at_time(0, 0, 1), 10);
}
END_TEST

START_TEST(a_window_between_the_segments_of_a_cut_does_not_match_it)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_full_cut(0, 1000);

    cut.segments[0].min_timestamp_ms = 0, cut.segments[0].max_timestamp_ms = 10;
    cut.segments[1].min_timestamp_ms = 100, cut.segments[1].max_timestamp_ms = 110;
    sample_add(ix, &orders, &cut);
    ck_assert_int_eq(first_at_time(0, 50, 60), -1);
    ck_assert_int_eq(first_at_time(0, 10, 60), 0);
    ck_assert_int_eq(first_at_time(0, 50, 101), 0);
}
END_TEST

START_TEST(partitions_are_listed_in_order_and_by_hub)
{
    hv_partition names[] = {
        sample_partition("b", 1, 0), sample_partition("b", 1, 2), sample_partition("b", 2, 0), sample_partition("b.c", 1, 0),
        sample_partition("z", 1, 300),
    };
    static const size_t order[] = {4, 2, 0, 3, 1};
    hv_index_incarnation without_cuts = {.hub = "a", .incarnation = 1, .cause = "first sight", .identity = "x"};
    hv_index_partition_facts *facts;
    size_t count;
    hv_err err;

    ck_hv_ok(hv_index_partitions(ix, NULL, &facts, &count, &err));
    ck_assert_uint_eq(count, 0);
    free(facts);
    ck_hv_ok(hv_index_add_incarnation(ix, &without_cuts, &err));
    for (size_t i = 0; i < 5; i++)
        add_plain(&names[order[i]], 0, 1 + (int64_t)order[i], 5);
    ck_hv_ok(hv_index_partitions(ix, NULL, &facts, &count, &err));
    ck_assert_uint_eq(count, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(hv_partition_compare(&facts[i].partition, &names[i]), 0);
        ck_assert_int_eq(facts[i].count, 1 + (int64_t)i);
    }
    free(facts);
    ck_hv_ok(hv_index_partitions(ix, "b", &facts, &count, &err));
    ck_assert_uint_eq(count, 3);
    free(facts);
    ck_hv_ok(hv_index_partitions(ix, "a", &facts, &count, &err));
    ck_assert_uint_eq(count, 0);
    free(facts);
    ck_hv_ok(hv_index_partitions(ix, "unknown", &facts, &count, &err));
    ck_assert_uint_eq(count, 0);
    free(facts);
}
END_TEST

START_TEST(facts_count_gaps_and_missing_offsets_together)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_full_cut(0, 1000);
    hv_index_partition_facts *facts;
    size_t count;
    hv_err err;

    sample_add(ix, &orders, &cut);
    ck_hv_ok(hv_index_partitions(ix, NULL, &facts, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(facts->gap_offsets, 3);
    ck_assert_int_eq(facts->count, 7);
    ck_assert_int_eq(facts->segments, 2);
    ck_assert_uint_eq(facts->bytes, cut.segments[0].size + cut.segments[1].size);
    free(facts);
}
END_TEST

START_TEST(gaps_are_asked_for_by_page_and_by_partition)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_full_cut(0, 1000);
    hv_partition first = sample_partition("aa", 1, 0), without = sample_partition("bb", 1, 0), never = sample_partition("cc", 1, 0);
    hv_index_gap *gaps, after;
    size_t count;
    hv_err err;

    sample_add(ix, &orders, &cut);
    sample_add(ix, &first, &cut);
    add_plain(&without, 0, 10, 5);
    ck_hv_ok(hv_index_gaps(ix, NULL, NULL, 0, &gaps, &count, &err));
    ck_assert_uint_eq(count, 0);
    free(gaps);
    ck_hv_ok(hv_index_gaps(ix, &without, NULL, 10, &gaps, &count, &err));
    ck_assert_uint_eq(count, 0);
    free(gaps);
    ck_hv_ok(hv_index_gaps(ix, &never, NULL, 10, &gaps, &count, &err));
    ck_assert_uint_eq(count, 0);
    free(gaps);
    ck_hv_ok(hv_index_gaps(ix, NULL, NULL, 1, &gaps, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(gaps[0].partition.hub, "aa");
    ck_assert_int_eq(gaps[0].gap.range.end, 2);
    after = gaps[0];
    free(gaps);
    ck_hv_ok(hv_index_gaps(ix, NULL, &after, SIZE_MAX, &gaps, &count, &err));
    ck_assert_uint_eq(count, 3);
    ck_assert_int_eq(gaps[0].gap.range.first, 7);
    ck_assert_int_eq(gaps[0].gap.cause, HV_GAP_COMPACTION);
    ck_assert_str_eq(gaps[1].partition.hub, "orders");
    free(gaps);
    after.partition = never;            /* where nothing is known, the list goes on behind it */
    ck_hv_ok(hv_index_gaps(ix, NULL, &after, 10, &gaps, &count, &err));
    ck_assert_uint_eq(count, 2);
    free(gaps);
}
END_TEST

START_TEST(stats_count_what_is_there)
{
    HV_AUTO(hv_index_cut_clear) hv_index_cut cut = sample_full_cut(0, 1000);
    hv_index_stats stats;
    hv_err err;
    int dead = -1;

    sample_add(ix, &orders, &cut);
    add_plain(&orders, 10, 1, 5);
    ck_hv_ok(hv_index_stats_read(ix, &stats, &err));
    ck_assert_int_eq(stats.cuts, 2);
    ck_assert_int_eq(stats.segments, 3);
    ck_assert_int_eq(stats.entries, 2 + 1 + 1 + 2 + 3 + 3 + 1 + 1);    /* meta hubs partitions cuts segments blocks gaps times */
    ck_assert_uint_eq(stats.map_bytes, map);
    ck_assert_uint_gt(stats.file_bytes, 0);
    ck_assert_uint_eq(stats.file_bytes % 4096, 0);
    ck_assert_int_eq(stats.readers, 0);
    ck_hv_ok(hv_index_check_readers(ix, &dead, &err));
    ck_assert_int_eq(dead, 0);
}
END_TEST

START_TEST(what_a_hub_calls_itself_cannot_break_a_line_of_the_dump)
{
    HV_AUTO(hv_buf_free) hv_buf text = HV_BUF_INIT(1 << 20);
    hv_index_incarnation one = {.hub = "orders", .incarnation = 1, .cause = "first sight"};
    hv_err err;

    (void)snprintf(one.identity, sizeof one.identity, "a\"\n\\\x1b\xff");
    ck_hv_ok(hv_index_add_incarnation(ix, &one, &err));
    sample_dump(ix, &text);
    ck_assert_ptr_nonnull(strstr(text.data, "identity=\"a\\x22\\x0a\\x5c\\x1b\\xff\"\n"));
}
END_TEST

int
main(void)
{
    TCase *tests = tcase_create("index lookup");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, find_offset_gives_the_cut_that_holds_it_and_not_its_neighbours);
    tcase_add_test(tests, an_offset_at_or_behind_the_position_is_not_found_even_if_another_partition_goes_on);
    tcase_add_test(tests, what_was_never_seen_is_not_found);
    tcase_add_test(tests, a_cut_that_was_returned_outlives_the_index);
    tcase_add_test(tests, a_window_of_time_includes_its_start_and_not_its_end);
    tcase_add_test(tests, an_empty_or_reversed_window_holds_nothing);
    tcase_add_test(tests, a_window_that_ends_at_the_greatest_number_has_no_end);
    tcase_add_test(tests, timestamps_in_any_order_are_found_from_any_offset);
    tcase_add_test(tests, a_cut_without_events_is_at_no_time);
    tcase_add_test(tests, a_window_between_the_segments_of_a_cut_does_not_match_it);
    tcase_add_test(tests, partitions_are_listed_in_order_and_by_hub);
    tcase_add_test(tests, facts_count_gaps_and_missing_offsets_together);
    tcase_add_test(tests, gaps_are_asked_for_by_page_and_by_partition);
    tcase_add_test(tests, stats_count_what_is_there);
    tcase_add_test(tests, what_a_hub_calls_itself_cannot_break_a_line_of_the_dump);
    return ck_hv_run("index lookup", tests);
}
